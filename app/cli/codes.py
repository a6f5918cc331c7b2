"""``srcid codes``: what codes mean, where they stand, how two things compare."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import JsonOption
from app.cli.tables import print_json, print_table
from app.cli.target import Target, on_target
from app.schemas.fields import MAX_HITS
from app.schemas.sources import ItemReference
from model.modality import Modality

codes = typer.Typer(
    name="codes", help="Show what codes mean, find patterns, compare.", no_args_is_help=True
)
ANY = "_"  # in a pattern: any code
SHADES = " .:-=+*#%@"  # of a cosine from 0 to 1
RowOption = Annotated[
    int | None, typer.Option(min=0, help="Row of the codes, from 0.", show_default="the first")
]


@codes.command()
@on_target
def show(
    target: Target,
    layer: Annotated[int, typer.Argument(min=1, help="Layer of the code.")],
    code: Annotated[int, typer.Argument(min=0, help="The code.")],
    row: RowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a code's card: how often and where it stands, its words, the codes beside it."""
    with target.open() as index:
        card = index.code(layer, code, row=row)
    if as_json:
        print_json(card)
        return
    print("seconds: " + ", ".join(f"{count} {m}" for m, count in card.counts.items()))
    if card.words:
        print("words:   " + ", ".join(f"{own.word} ({own.count})" for own in card.words))
    beside = [f"{own.layer}/{own.code} ({own.count})" for own in card.companions]
    print("beside:  " + ", ".join(beside))
    rows = [[own.id, own.modality, own.second, own.word or ""] for own in card.best]
    print_table(["id", "kind", "second", "word"], rows)


@codes.command()
@on_target
def find(
    target: Target,
    pattern: Annotated[
        list[str],
        typer.Argument(help='Codes in a row, "12 _ 80" (_ fits any); a word for each row.'),
    ],
    row: RowOption = None,
    targets: Annotated[
        list[Modality] | None, typer.Option("--target", help="What to look through; repeatable.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=MAX_HITS, help="Most places.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Find where codes follow one another in time."""
    rows = [_codes(words) for words in pattern]
    with target.open() as index:
        found = index.search_codes(rows, row=row, targets=targets, k=k)
    if as_json:
        print_json(found)
        return
    print_table(
        ["id", "kind", "second", "word"],
        [[own.id, own.modality, own.second, own.word or ""] for own in found.places],
    )


@codes.command()
@on_target
def compare(
    target: Target,
    a: Annotated[str, typer.Argument(help="A file, an item (item:ID) or a sentence.")],
    b: Annotated[str, typer.Argument(help="What to compare it with.")],
    layers: Annotated[
        Literal["1", "2", "both"], typer.Option(help="Layers of the codes that are compared.")
    ] = "both",
    as_json: JsonOption = False,
) -> None:
    """Compare two things second by second; the darker, the more alike."""
    with target.open() as index:
        found = index.compare(_subject(a), _subject(b), layers=layers)
    if as_json:
        print_json(found)
        return
    for own in found.maps:
        print(f"{own.a} ~ {own.b}: {own.score:+.3f}")
        for line in own.cosines:
            print("  |" + "".join(_shade(value) for value in line) + "|")


def _codes(words: str) -> list[int | None]:
    try:
        return [None if word == ANY else int(word) for word in words.replace(",", " ").split()]
    except ValueError:
        raise typer.BadParameter(f"{words!r}: a pattern is codes and {ANY}: 12 {ANY} 80") from None


def _subject(word: str) -> Path | str | ItemReference:
    if word.startswith("item:"):
        return ItemReference(word.removeprefix("item:"))
    path = Path(word)
    return path if path.is_file() else word


def _shade(cosine: float) -> str:
    return SHADES[round(max(0.0, min(1.0, cosine)) * (len(SHADES) - 1))]
