"""``srcid store``: the index as files."""

import typer

from app.cli.store_transfer import export, import_
from app.cli.store_upkeep import backup, compact, rebuild, restore, verify

store = typer.Typer(
    name="store",
    help="Export, back up, verify and rebuild the index.",
    no_args_is_help=True,
)
store.command()(export)
store.command("import")(import_)
for command in (backup, restore, verify, rebuild, compact):
    store.command()(command)
