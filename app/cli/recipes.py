"""``srcid recipes`` and ``srcid config``: list recipes and show their configuration."""

from typing import Annotated

import typer


def recipes() -> None:
    """List the recipes for `srcid train`."""
    from app.cli.output import print_table
    from training.recipes import RECIPES

    about = {name: (recipe.__doc__ or "").partition("\n")[0] for name, recipe in RECIPES.items()}
    print_table(
        ["recipe", "description"], [[name, said.replace("``", "")] for name, said in about.items()]
    )


def config(
    recipe: Annotated[str, typer.Argument(help="Recipe name; see `srcid recipes`.")],
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field; repeatable.")
    ] = None,
) -> None:
    """Print the complete configuration of a recipe as JSON."""
    from app.cli.options import parse_pairs
    from training.recipes import override
    from training.recipes import recipe as named

    print(override(named(recipe), parse_pairs(setting or [])).model_dump_json(indent=2))
