"""Options that several commands share, and how their values are read."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from model.errors import ConfigError
from model.files import names_file

if TYPE_CHECKING:  # not loaded by `srcid --help`
    from training.config import TrainConfig

CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        help="A shipped checkpoint, a folder, or OWNER/NAME of the Hugging Face Hub.",
        show_default="default",
    ),
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Folder of the index.", show_default="~/.srcid")
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1 or auto.", show_default="auto")
]
DownloadOption = Annotated[
    bool, typer.Option("--download", help="Fetch models of the Hub that are not on this machine.")
]
Dtype = Literal["float32", "bfloat16"]
DtypeOption = Annotated[
    Dtype,
    typer.Option(
        "--dtype",
        help="What models of the Hub compute in. bfloat16 is for GPUs, changes codes, and is "
        "recorded: use the same in extract, align and train.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(help='Metadata filter: album=farm or year={"gte":1990}; repeatable.'),
]
TextOption = Annotated[str | None, typer.Option("--text", help="A sentence.")]
CacheOption = Annotated[Path, typer.Option("--cache", help="Cache folder of extracted features.")]
CACHE = Path("runs/features")
TableFormat = Literal["text", "markdown", "csv"]
FormatOption = Annotated[TableFormat, typer.Option("--format", help="Format of the tables.")]
RecipeOption = Annotated[
    str, typer.Option("--recipe", help="Recipe to train with; determines the backbones.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a field of the recipe: optim.lr=1e-4; repeatable."),
]
TrainingDeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1 or auto.")]


def one_source(file: Path | None, text: str | None) -> Path | str:
    """Return the file or the sentence, whichever was given.

    Raises:
        typer.BadParameter: Both or neither were given, the file does not exist, or the sentence
            is not UTF-8 or is the path of a file.
    """
    if (file is None) == (text is None):
        raise typer.BadParameter("give either a file or a sentence")
    if file is not None and not file.is_file():
        raise typer.BadParameter(f"{file} is not a file: name a video, sound or picture")
    source = file if file is not None else text
    assert source is not None
    if isinstance(source, str) and not is_utf8(source):
        raise typer.BadParameter(f"{source!r} is not UTF-8: set the terminal to it")
    if isinstance(source, str) and names_file(source):
        raise typer.BadParameter(f"{source} names a file: give it as FILE, not as --text")
    return source


def parse_where(pairs: Iterable[str] | None) -> dict[str, Any] | None:
    """Return the filter of ``WhereOption``; None: it was not given."""
    return parse_pairs(pairs, option="--where") if pairs else None


def is_utf8(argument: str) -> bool:
    """Tell whether a command-line argument is text; a path may be any bytes."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_pairs(pairs: Iterable[str], *, option: str = "--set") -> dict[str, Any]:
    """Return ``{"path": value}`` for each ``path=value``; values are JSON, or else plain text.

    Raises:
        ConfigError: A pair has no ``=``.
    """
    settings = {}
    for pair in pairs:
        path, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"{option} {pair!r} has no value; write it as path=value")
        try:
            settings[path] = json.loads(value)
        except json.JSONDecodeError:
            settings[path] = value
    return settings


def configured(recipe: str, settings: Iterable[str] | None, **options: str | None) -> "TrainConfig":
    """Return the configuration of a recipe, with the fields that options override.

    Args:
        recipe: Its name.
        settings: The values of ``--set``.
        options: Fields that other options set; None: not given.

    Raises:
        ConfigError: There is no such recipe or field, or a value is invalid.
    """
    from training.recipes import override
    from training.recipes import recipe as named

    given = {path: value for path, value in options.items() if value is not None}
    return override(named(recipe), parse_pairs(settings or []) | given)


def pinned(config: "TrainConfig", *, dtype: Dtype, download: bool) -> "TrainConfig":
    """Return ``config`` with its pretrained models pinned to a commit and its weights.

    Raises:
        ConfigError: A model is not on this machine and may not or cannot be downloaded.
    """
    from model.backbones import resolved

    model = resolved(config.model, dtype=dtype, download=download)
    return config.model_copy(update={"model": model})
