"""Are probabilities right? Reliability of what searches say, on real clips and the demo corpus.

    OMP_NUM_THREADS=1 python -m benchmarks.calibration --clips ../shared/data/clips
    OMP_NUM_THREADS=1 python -m benchmarks.calibration --demo .demo --plot reliability.png

Every clip is added to an index, then every label (a title, in the demo corpus) is searched for in
pictures and in sounds. A hit is right where its clip has that label. Of the `--shown` first hits
of each query, those that users see, the table has a row for each tenth of probability: how often
hits were right, beside what they said. The expected calibration error is the mean distance of the
two, weighted by hits (Naeini et al., 2015); the goal is at most .1.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from app.demo.corpus import Corpus
from app.main import open_service
from app.service.service import RetrievalService
from app.settings import load_settings
from model.modality import Modality

BINS = 10
GOAL = 0.1


class Said(NamedTuple):
    """What the hits of some searches said, and whether they were right; N hits."""

    probabilities: NDArray[np.float64]  # [N]
    right: NDArray[np.bool_]  # [N]


class Bin(NamedTuple):
    """The hits whose probability lies in one tenth."""

    count: int
    said: float  # mean probability
    right: float  # share


def main(
    clips: Annotated[
        Path | None, typer.Option(help="Folder of clips.csv (id, label) and its clips.")
    ] = None,
    demo: Annotated[Path | None, typer.Option(help="The folder of `srcid demo`.")] = None,
    checkpoint: Annotated[str, typer.Option(help="A folder, or a shipped one's name.")] = "default",
    shown: Annotated[int, typer.Option(help="First hits of each query that count.")] = 10,
    plot: Annotated[Path | None, typer.Option(help="Also draw the diagram here.")] = None,
    out: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """Search for every label, and print how far probabilities are from shares."""
    corpora: dict[str, dict[Path, str]] = {}
    if clips:
        corpora["clips"] = dict(_labelled(clips))
    if demo:
        corpus = Corpus.model_validate_json((demo / "corpus.json").read_text(encoding="utf-8"))
        corpora["demo"] = {demo / "clips" / f"{own.id}.mp4": own.title for own in corpus.clips}
    if not corpora:
        raise typer.BadParameter("name a corpus: --clips FOLDER, --demo FOLDER, or both")
    found = {
        f"{name}, text > {target}": said
        for name, labels in corpora.items()
        for target, said in searched(checkpoint, labels, shown=shown).items()
    }
    lines = [
        "# Are probabilities right?",
        "",
        f"`python -m benchmarks.calibration`: `{checkpoint}`; the first {shown} hits of a query.",
        "A cell: share of right hits (how many hits said so). ECE: expected calibration error.",
        "",
        "| | hits | right | ECE | " + " | ".join(f"{n / BINS:.1f}" for n in range(BINS)) + " |",
        "|---|---:|---:|---:|" + "---:|" * BINS,
        *(_row(name, said) for name, said in found.items()),
    ]
    print("\n".join(lines))
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if plot:
        _draw(found, plot)


def _labelled(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the clips whose label says what is seen and heard, and no doubt is noted."""
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row.get("group") != "hit" and not row.get("doubt"):
                yield folder / row["id"], row["label"]


def searched(checkpoint: str, labels: Mapping[Path, str], *, shown: int) -> dict[Modality, Said]:
    """Index clips, search for each label, and return by target what the hits said."""
    with TemporaryDirectory() as folder:
        settings = load_settings(checkpoint=checkpoint, data_dir=Path(folder))
        with open_service(settings) as service:
            for path, label in tqdm(labels.items(), unit="clip"):
                service.add(path.name, path, metadata={"label": label})
            queries = sorted(set(labels.values()))
            return {
                target: _said(service, queries, target, shown=shown)
                for target in (Modality.VIDEO, Modality.AUDIO)
            }


def _said(service: RetrievalService, queries: list[str], target: Modality, *, shown: int) -> Said:
    hits = [
        (hit.probability, hit.metadata["label"] == query)
        for query in queries
        for hit in service.search(query, targets=[target], k=shown).hits
    ]
    if any(probability is None for probability, _ in hits):
        raise typer.BadParameter("the checkpoint has no calibration: run `srcid calibrate` first")
    probabilities, right = zip(*hits, strict=True)
    return Said(np.array(probabilities, float), np.array(right))


def bins(said: Said) -> list[Bin | None]:
    """Return the hits by tenths of probability, 0 to 1; None where there is none."""
    which = np.minimum((said.probabilities * BINS).astype(int), BINS - 1)
    members = [which == n for n in range(BINS)]
    return [
        Bin(int(own.sum()), float(said.probabilities[own].mean()), float(said.right[own].mean()))
        if own.any()
        else None
        for own in members
    ]


def calibration_error(said: Said) -> float:
    """Return the expected calibration error of N hits, in [0, 1]."""
    parts = [own for own in bins(said) if own]
    return sum(own.count * abs(own.said - own.right) for own in parts) / len(said.right)


def _row(name: str, said: Said) -> str:
    cells = [f"{own.right:.2f} ({own.count})" if own else "" for own in bins(said)]
    error = calibration_error(said)
    verdict = f"{error:.3f}" if error <= GOAL else f"**{error:.3f}**"
    row = [name, f"{len(said.right)}", f"{said.right.mean():.2f}", verdict, *cells]
    return f"| {' | '.join(row)} |"


def _draw(found: Mapping[str, Said], to: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 5))
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    for name, said in found.items():
        parts = [own for own in bins(said) if own]
        label = f"{name}: ECE {calibration_error(said):.3f}"
        axes.plot([own.said for own in parts], [own.right for own in parts], "o-", label=label)
    axes.set(xlabel="probability that hits said", ylabel="share of hits that were right")
    axes.legend()
    figure.savefig(to, bbox_inches="tight")


if __name__ == "__main__":
    typer.run(main)
