"""``srcid keys``: who may use the server."""

from typing import Annotated

import typer

from app.auth.keys import KeyFile, Scope
from app.cli.options import DataDirOption, JsonOption
from app.cli.output import print_table
from app.cli.target import local_settings

keys = typer.Typer(
    name="keys",
    help="Make, list and revoke API keys. A running server knows at once.",
    no_args_is_help=True,
)
NameArgument = Annotated[str, typer.Argument(help="Whose key it is, such as web or backup.")]


@keys.command()
def add(
    name: NameArgument,
    scope: Annotated[
        Scope, typer.Option(help="read: encode and search; write: items too; admin: jobs too.")
    ] = Scope.READ,
    data_dir: DataDirOption = None,
) -> None:
    """Make an API key and print it: the only time that it is shown."""
    print(_file(data_dir).add(name, scope))


@keys.command("list")
def list_keys(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the API keys, oldest first: all but the keys themselves."""
    stored = _file(data_dir).all()
    if as_json:
        import json

        print(json.dumps([key.model_dump(mode="json", exclude={"sha256"}) for key in stored]))
        return
    rows = [[key.name, key.scope, f"...{key.last_four}", f"{key.created:%F %R}"] for key in stored]
    print_table(["name", "scope", "key", "created"], rows)


@keys.command()
def revoke(name: NameArgument, data_dir: DataDirOption = None) -> None:
    """Revoke an API key: it is refused from the next request on."""
    _file(data_dir).revoke(name)


def _file(data_dir: DataDirOption) -> KeyFile:
    return KeyFile(local_settings(data_dir=data_dir).data_dir)
