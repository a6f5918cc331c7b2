"""The recipe `shared` on classes and clips that it was not trained on, beside the aligned start.

    OMP_NUM_THREADS=1 python -m benchmarks.folds --data DIR --clips runs/clips --out runs/folds

Five folds of classes, each unseen once (``benchmarks.unseen_classes``), with all real clips whose
label names none of them; and two halves of the real clips, each trained on once, tested on the
other. A fold's start is aligned without its classes too, that of the halves is the shipped
`aligned`, which knows no clip. What is done is not repeated.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from app.cli.options import parse_pairs
from benchmarks.open_vocabulary import (
    Asked,
    mean_precision,
    of_bank,
    of_clips,
    said_precision,
    same_clip,
    sharing,
)
from benchmarks.unseen_classes import held_out, split
from model.backbones.base import Backbone
from model.calibration import Calibration, write_calibration
from model.checkpoint import locate
from model.encoder import load_backbones
from model.modality import Modality
from model.srcid import SRCID
from training.alignment.align import align
from training.alignment.unseen import SPLIT, asked
from training.config import TrainConfig
from training.data.bank import Bank, Entry, load_bank
from training.data.extracted import read_index
from training.data.named import NamedClips, RealClip, real_clips
from training.data.open import TrainingData
from training.data.sentences import TextVectors, mentions
from training.evaluation.calibration import agreement_of, fitted, observe
from training.networks import aligned_network
from training.recipes import override, recipe
from training.train import train

HALVES = 2
CHOICES = ("1", "2", "both", "continuous", "index")
Figures = dict[str, dict[str, float]]  # by "what is compared / what is measured", by direction


class World(NamedTuple):
    """All that runs share."""

    bank: Bank
    backbones: Mapping[Modality, Backbone]
    text: TextVectors
    clips: list[RealClip]
    draw: int  # of folds and halves


class Run(NamedTuple):
    """What is trained on, and what is tested on."""

    name: str
    training: Bank
    clips: list[RealClip]
    without: list[str]
    tested: dict[str, list[Entry]]  # of the bank: seen and unseen classes
    tested_clips: list[RealClip]


def main(
    data: Annotated[Path, typer.Option(help="A folder of banks.")],
    clips: Annotated[Path, typer.Option(help="Real clips: what `srcid extract` wrote.")],
    out: Annotated[Path, typer.Option(help="A file a run; what is there is not repeated.")],
    draw: Annotated[int, typer.Option(help="Of the folds of classes and halves of clips.")] = 1,
    seeds: Annotated[int, typer.Option(min=1, help="How often each is trained.")] = 3,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Override a field of the recipe.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where features are kept.")] = Path("runs/features"),
    only: Annotated[str, typer.Option(help="Runs whose names begin so.")] = "",
    calibration: Annotated[
        Path | None,
        typer.Option(help="A checkpoint folder: write there what scores mean, from the folds."),
    ] = None,
) -> None:
    """Train what is not done yet, and print the table of all that is."""
    torch.set_num_threads(1)
    config = aligned_network()
    bank = load_bank(data, config, views=1, cache=cache)
    backbones = load_backbones(config, "cpu")
    text = TextVectors(backbones[Modality.TEXT])
    real = real_clips(clips, read_index(clips, config), text)
    world = World(bank, backbones, text, real, draw)
    chosen = override(recipe("shared"), parse_pairs(setting or []))
    out.mkdir(parents=True, exist_ok=True)
    for seed in range(seeds):
        for run in runs(world):
            file = out / f"{run.name}-{seed}.json"
            if run.name.startswith(only) and not file.is_file():
                found = figures(world, run, chosen, seed, out)
                file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                print(f"{file.stem}: {summary(found)}", flush=True)
    print("\n".join(report(out)))
    if calibration:
        write_calibration(calibration, calibration_of(world, out))


def runs(world: World) -> Iterator[Run]:
    """Yield the folds of classes, then the halves of the clips."""
    order = np.random.default_rng(world.draw).permutation(len(world.clips))
    for half in range(HALVES):
        kept = [world.clips[n] for place, n in enumerate(order) if place % HALVES == half]
        others = [world.clips[n] for place, n in enumerate(order) if place % HALVES != half]
        yield Run(f"clips{half + 1}", world.bank, kept, [], {}, others)
    for number, unseen in enumerate(held_out(world.bank, draw=world.draw)):
        training, tested = split(world.bank, unseen)
        kept = [clip for clip in world.clips if not mentions(clip.label, sorted(unseen))]
        yield Run(f"fold{number + 1}", training, kept, sorted(unseen), tested, [])


def figures(
    world: World, run: Run, config: TrainConfig, seed: int, out: Path
) -> dict[str, Figures]:
    """Return the figures of the start and of what is trained from it, by kind of test items.

    Both stay in ``out``, as ``starts/RUN-DRAW`` and ``checkpoints/RUN-SEED``.
    """
    start = out / "starts" / f"{run.name}-{world.draw}" if run.without else locate("aligned")
    if not start.is_dir():
        model = align(
            run.training,
            world.backbones,
            text=world.text,
            config=aligned_network(),
            without=run.without,
        )
        model.save_pretrained(start, dtype=torch.float16)
    config = config.model_copy(update={"init": str(start), "seed": seed})
    examples = NamedClips(
        run.training,
        world.backbones,
        world.text,
        config.data,
        seed=seed,
        without=run.without,
        clips=run.clips,
    )
    with TemporaryDirectory() as folder:
        trained = train(config, Path(folder, "run"), data=TrainingData(examples, Bank([], {})))
        kept = shutil.copytree(
            trained, out / "checkpoints" / f"{run.name}-{seed}", dirs_exist_ok=True
        )
    by_model = {
        "aligned": _of_start(world, run, start, out),
        "trained": _of_model(world, run, SRCID.from_pretrained(kept)),
    }
    return {
        f"{name}, {kind}": own for name, found in by_model.items() for kind, own in found.items()
    }


def _of_start(world: World, run: Run, start: Path, out: Path) -> dict[str, Figures]:
    """Return the figures of what is trained from, the same for all seeds."""
    file = out / "starts" / f"{run.name}-{world.draw}.json"
    if not file.is_file():
        file.parent.mkdir(exist_ok=True)
        found = _of_model(world, run, SRCID.from_pretrained(start))
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def _of_model(world: World, run: Run, model: SRCID) -> dict[str, Figures]:
    """Return the figures of a network by kind of test items."""
    found = {
        kind: measured(of_bank(model, world.bank, entries, world.text))
        for kind, entries in run.tested.items()
    }
    if run.tested_clips:
        known = {clip.label for clip in run.clips}
        new = [clip for clip in run.tested_clips if clip.label not in known]
        found["clips"] = measured(of_clips(model, run.tested_clips, world.text))
        found["new labels"] = measured(of_clips(model, new, world.text))
    return found


def measured(asked: Asked) -> Figures:
    """Return all that is measured of one model on some items."""
    found: Figures = {}
    for layers in CHOICES:
        if layers in ("continuous", "index") or layers in asked.sides[Modality.AUDIO].items:
            found[layers] = mean_precision(asked, layers)
            if asked.said and layers != "index":
                found[f"{layers}, said"] = said_precision(asked, layers)
            if not asked.said and layers != "index":
                found[f"{layers}, same clip"] = same_clip(asked, layers)
    return found | {"sharing": sharing(asked)}


def calibration_of(world: World, out: Path) -> Calibration:
    """Return what scores mean for classes that checkpoints have not seen: from all folds done.

    Whether modalities share their codes is measured on the same classes.
    """
    observed, shared = [], []
    for run in runs(world):
        for folder in sorted((out / "checkpoints").glob(f"{run.name}-*")):
            if run.without:
                model = SRCID.from_pretrained(folder)
                bank = asked(world.bank, set(run.without), world.text)
                observed.append(observe(model, bank, SPLIT))
                shared.append(agreement_of(model, bank, SPLIT))
    agreement = {
        layer: {
            pair: round(float(np.mean([own[layer][pair] for own in shared])), 3) for pair in pairs
        }
        for layer, pairs in shared[0].items()
    }
    return Calibration(matches=fitted(observed), agreement=agreement)


def summary(found: Mapping[str, Figures]) -> str:
    """Return the means in a line."""
    parts = []
    for kind, own in found.items():
        means = " ".join(f"{k} {own[k]['mean']:.1f}" for k in CHOICES if k in own)
        shared = " ".join(f"{share:.2f}" for share in own["sharing"].values())
        parts.append(f"{kind}: {means}, shared {shared}")
    return "; ".join(parts)


def report(out: Path) -> Iterator[str]:
    """Yield a table: mean over seeds, then mean and standard error over folds or halves.

    Differences are of the same run and seed, so that how hard a fold is does not count.
    """
    done = [(file.stem.rsplit("-", 1), json.loads(file.read_text())) for file in out.glob("*.json")]
    rows: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for (name, _), found in done:
        for kind, own in found.items():
            for what, by_direction in own.items():
                for direction, value in by_direction.items():
                    rows.setdefault((kind, what, direction), {}).setdefault(name, []).append(value)
    for (kind, what, direction), by_run in list(rows.items()):
        before, _, items = kind.partition(", ")
        if before == "aligned" and ("trained, " + items, what, direction) in rows:
            after = rows["trained, " + items, what, direction]
            rows["trained - aligned, " + items, what, direction] = {
                name: list(np.subtract(after[name], own)) for name, own in by_run.items()
            }
    seeds = {len(own) for by_run in rows.values() for own in by_run.values()}
    yield f"{len(done)} runs, seeds of each: {sorted(seeds)}"
    heads = sorted({(kind, what) for kind, what, _ in rows})
    for kind, what in heads:
        cells = []
        for direction in dict.fromkeys(d for k, w, d in rows if (k, w) == (kind, what)):
            means = [float(np.mean(own)) for own in rows[kind, what, direction].values()]
            error = float(np.std(means, ddof=1) / len(means) ** 0.5) if len(means) > 1 else 0.0
            digits = 2 if what == "sharing" else 1
            cells.append(f"{direction} {np.mean(means):.{digits}f} ± {error:.{digits}f}")
        yield f"{kind} | {what} | " + " | ".join(cells)


if __name__ == "__main__":
    typer.run(main)
