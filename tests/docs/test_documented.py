"""Everything a user can meet is named somewhere in docs/ or README.md."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import typer

import app.errors
import model.errors
import training.errors
from app.cli.main import cli
from app.main import create_app
from app.settings import PREFIX, Settings
from training.recipes import RECIPES

ROOT = Path(__file__).parents[2]
TEXT = "\n".join(
    page.read_text(encoding="utf-8")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
)


def errors_of(module: ModuleType) -> list[str]:
    """The errors that a module defines, not those that it imports."""
    found = [value for value in vars(module).values() if isinstance(value, type)]
    found = [value for value in found if value.__module__ == module.__name__]
    return [f"`{error.__name__}`" for error in found if issubclass(error, Exception)]


def commands_below(name: str, command: object) -> Iterator[str]:
    for word, own in getattr(command, "commands", {}).items():
        yield f"{name} {word}"
        yield from commands_below(f"{name} {word}", own)


def unnamed(words: list[str]) -> list[str]:
    assert words
    return [word for word in words if word not in TEXT]


def test_every_setting_is_named() -> None:
    assert unnamed([f"`{PREFIX}{name.upper()}`" for name in Settings.model_fields]) == []


def test_every_call_is_named() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    assert unnamed([f"{method.upper()} {path}" for path in paths for method in paths[path]]) == []


def test_every_command_is_named() -> None:
    assert unnamed(list(commands_below("srcid", typer.main.get_command(cli)))) == []


def test_every_recipe_is_named() -> None:
    assert unnamed([f"`{name}`" for name in RECIPES]) == []


def test_every_error_is_named() -> None:
    modules = (app.errors, model.errors, training.errors)
    assert unnamed([name for module in modules for name in errors_of(module)]) == []
