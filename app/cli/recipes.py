"""``srcid recipes`` and ``srcid config``: list recipes and show their configuration."""

from typing import Annotated

import typer

from app.cli.options import SetOption, configured
from app.cli.output import print_table


def recipes() -> None:
    """List the recipes for `srcid train`."""
    from training.recipes import RECIPES

    about = {name: (recipe.__doc__ or "").partition("\n")[0] for name, recipe in RECIPES.items()}
    print_table(
        ["recipe", "description"], [[name, said.replace("``", "")] for name, said in about.items()]
    )


def config(
    recipe: Annotated[str, typer.Argument(help="Recipe name; see `srcid recipes`.")],
    setting: SetOption = None,
) -> None:
    """Print the complete configuration of a recipe as JSON."""
    print(configured(recipe, setting).model_dump_json(indent=2))
