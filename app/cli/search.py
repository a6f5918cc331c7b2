"""``srcid search``: search an index."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.cli.options import JsonOption, WhereOption, one_source, parse_where
from app.cli.output import print_json, print_table
from app.cli.target import Target, on_target
from app.schemas.fields import MAX_HITS
from app.schemas.search import SearchHit, SearchResponse
from app.schemas.sources import ItemReference
from model.files import names_file
from model.modality import Modality

Sentences = list[str] | None


@on_target
def search(
    target: Target,
    text: Annotated[
        str | None, typer.Argument(help="A sentence to search by, or the path of a file.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A video, sound or picture to search by.")
    ] = None,
    item: Annotated[str | None, typer.Option(help="Id of an item to search by.")] = None,
    targets: Annotated[
        list[Modality] | None, typer.Option("--target", help="What to search; repeatable.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=MAX_HITS, help="Max results.")] = 10,
    layers: Annotated[
        Literal["1", "2", "both"], typer.Option(help="Layers of the codes to compare.")
    ] = "both",
    score: Annotated[
        Literal["mean", "max", "window"],
        typer.Option(
            help="What to compare: the mean, the best second, or the best window of seconds."
        ),
    ] = "mean",
    window: Annotated[int, typer.Option(min=1, max=60, help="Seconds of a window.")] = 3,
    where: WhereOption = None,
    threshold: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Minimum score of a hit.")
    ] = None,
    plus: Annotated[
        Sentences, typer.Option(help="A sentence that hits should also match; repeatable.")
    ] = None,
    minus: Annotated[
        Sentences, typer.Option(help="A sentence that hits should match less; repeatable.")
    ] = None,
    exclude: Annotated[
        Sentences, typer.Option(help="A sentence whose meaning to ignore; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find what is most similar to a sentence, a file or an item. Works beside a running server."""
    if text is not None and file is None and names_file(text):
        file, text = Path(text), None
    if item is None:
        source: Path | str | ItemReference = one_source(file, text)
    elif file is None and text is None:
        source = ItemReference(item)
    else:
        raise typer.BadParameter("give either a file, a sentence or an item")
    with target.open() as index:
        response = index.search(
            source,
            targets=targets,
            k=k,
            layers=layers,
            score=score,
            window=window,
            where=parse_where(where),
            threshold=threshold,
            plus=plus or [],
            minus=minus or [],
            exclude=exclude or [],
        )
    if as_json:
        print_json(response)
    else:
        _print(response)


def _print(response: SearchResponse) -> None:
    calibrated = any(hit.probability is not None for hit in response.hits)
    header = ["score", *(["match"] if calibrated else []), "kind", "second", "id"]
    print_table(header, [_row(hit, calibrated) for hit in response.hits])
    if response.nothing_matches:
        typer.echo("No confident match; showing the closest results.", err=True)


def _row(hit: SearchHit, calibrated: bool) -> list[object]:
    second = "" if hit.best_second is None else hit.best_second
    probability = "" if hit.probability is None else f"{hit.probability:4.0%}"
    return [
        f"{hit.score:+.3f}",
        *([probability] if calibrated else []),
        hit.modality,
        second,
        hit.id,
    ]
