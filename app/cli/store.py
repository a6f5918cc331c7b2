"""``srcid store``: the index as files."""

import typer

from app.cli.store_transfer import export, import_

store = typer.Typer(name="store", help="The index as files.", no_args_is_help=True)
store.command()(export)
store.command("import")(import_)
