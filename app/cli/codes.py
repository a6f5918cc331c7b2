"""``srcid codes``: what codes mean, where they occur, how two things compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import JsonOption
from app.cli.output import print_json, print_table
from app.cli.target import Target, on_target
from app.schemas.codes import Place
from app.schemas.fields import MAX_HITS
from app.schemas.sources import ItemReference
from model.modality import Modality

codes = typer.Typer(
    name="codes", help="Show what codes mean, find patterns, compare.", no_args_is_help=True
)
ANY = "_"  # matches any code in a pattern
SHADES = " .:-=+*#%@"  # for cosines from 0 to 1
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
    """Show a code card: how often and where a code occurs, its words, the codes beside it."""
    with target.open() as index:
        card = index.code(layer, code, row=row)
    if as_json:
        print_json(card)
        return
    print("seconds: " + ", ".join(f"{count} {m}" for m, count in card.counts.items()))
    if card.words:
        print("words:   " + ", ".join(f"{word.word} ({word.count})" for word in card.words))
    beside = [f"{c.layer}/{c.code} ({c.count})" for c in card.companions]
    print("beside:  " + ", ".join(beside))
    _print_places(card.best)


@codes.command()
@on_target
def find(
    target: Target,
    pattern: Annotated[
        list[str],
        typer.Argument(help='Consecutive codes, "12 _ 80" (_ matches any); one argument per row.'),
    ],
    row: RowOption = None,
    targets: Annotated[
        list[Modality] | None, typer.Option("--target", help="What to search; repeatable.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=MAX_HITS, help="Max places.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Find where codes follow one another in time."""
    rows = [_codes(words) for words in pattern]
    with target.open() as index:
        response = index.search_codes(rows, row=row, targets=targets, k=k)
    if as_json:
        print_json(response)
    else:
        _print_places(response.places)


@codes.command()
@on_target
def compare(
    target: Target,
    a: Annotated[str, typer.Argument(help="A file, an item (item:ID) or a sentence.")],
    b: Annotated[str, typer.Argument(help="What to compare it with.")],
    layers: Annotated[
        Literal["1", "2", "both"], typer.Option(help="Layers of the codes to compare.")
    ] = "both",
    as_json: JsonOption = False,
) -> None:
    """Compare two things second by second; darker means more similar."""
    with target.open() as index:
        response = index.compare(_subject(a), _subject(b), layers=layers)
    if as_json:
        print_json(response)
        return
    for heat_map in response.maps:
        print(f"{heat_map.a} ~ {heat_map.b}: {heat_map.score:+.3f}")
        for line in heat_map.cosines:
            print("  |" + "".join(_shade(value) for value in line) + "|")


def _codes(words: str) -> list[int | None]:
    try:
        return [None if word == ANY else int(word) for word in words.replace(",", " ").split()]
    except ValueError:
        raise typer.BadParameter(
            f"{words!r} is not a pattern: write codes and {ANY}, such as 12 {ANY} 80"
        ) from None


def _subject(word: str) -> Path | str | ItemReference:
    if word.startswith("item:"):
        return ItemReference(word.removeprefix("item:"))
    path = Path(word)
    return path if path.is_file() else word


def _print_places(places: "Sequence[Place]") -> None:
    rows = [[place.id, place.modality, place.second, place.word or ""] for place in places]
    print_table(["id", "kind", "second", "word"], rows)


def _shade(cosine: float) -> str:
    return SHADES[round(max(0.0, min(1.0, cosine)) * (len(SHADES) - 1))]
