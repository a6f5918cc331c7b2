"""``srcid recipes`` and ``srcid config``: what can be trained, and with which numbers."""

from typing import Annotated

import typer


def recipes() -> None:
    """List the recipes that `srcid train` takes."""
    from app.cli.output import print_table
    from training.recipes import RECIPES

    about = {name: (recipe.__doc__ or "").partition("\n")[0] for name, recipe in RECIPES.items()}
    print_table(["recipe", "is"], [[name, said.replace("``", "")] for name, said in about.items()])


def config(
    recipe: Annotated[str, typer.Argument(help="A name of `srcid recipes`.")],
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field. Repeatable.")
    ] = None,
) -> None:
    """Print a recipe's whole configuration as JSON."""
    from app.cli.options import parse_pairs
    from training.recipes import override
    from training.recipes import recipe as named

    print(override(named(recipe), parse_pairs(setting or [])).model_dump_json(indent=2))
