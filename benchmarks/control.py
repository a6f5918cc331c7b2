"""A positive control: does layer 2 say what layer 1 left unsaid, where there is something to say?

    OMP_NUM_THREADS=1 python -m benchmarks.control --seeds 5

Clips are made from a coarse factor s1 (one of 20 a clip), a finer factor s2 (one of 20 for each
half of a clip), both shared by all modalities, and 16 private dimensions a step and modality:
x = (2 A[s1] + B[s2] + 1.5 C p + .3 noise) / 2 in 64 dimensions. A ridge probe learns a factor from
the vectors of the codes of one modality and is tested on another, on other clips: chance is 5 %.
All rows have the same number of steps, the same revival and the same moment at which layer 2 joins.
Shape letters: B batch, T time steps, F features, N steps.
"""

from collections.abc import Iterator, Mapping
from itertools import permutations
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from model.config import FSQConfig, ModalityConfig, RVQConfig, SRCIDConfig, VQConfig
from model.modality import Modality
from model.srcid import SRCID
from training.alignment.ridge import ridge
from training.config import (
    CLUBConfig,
    LayerWeights,
    ObjectiveConfig,
    TrainConfig,
    WarmStartConfig,
)
from training.data.sample import Batch
from training.evaluation.codebook import perplexity
from training.losses.objective import Objective
from training.step import TrainingStep

FEATURES, STEPS, BATCH, FACTORS, PRIVATE = 64, 10, 48, 20, 16
TRAINED, JOINS, REVIVE = 600, 200, 50  # steps of training
TESTED = 40  # batches
MI = 1 / FEATURES  # of a bound that is a sum over the dimensions of the specific vector


class Made(NamedTuple):
    """A batch and the factors behind it."""

    batch: Batch
    coarse: Tensor  # [B, T] s1
    fine: Tensor  # [B, T] s2


class World:
    """What the factors look like in each modality; another seed makes another world."""

    def __init__(self, seed: int) -> None:
        self.draw = torch.Generator().manual_seed(seed)
        self.maps = {
            m: [
                8 * F.normalize(torch.randn(size, FEATURES, generator=self.draw), dim=-1)
                for size in (FACTORS, FACTORS)
            ]
            + [torch.randn(PRIVATE, FEATURES, generator=self.draw)]
            for m in Modality
        }

    def __call__(self) -> Made:
        """Draw a batch."""
        coarse = self._factor(1)
        fine = self._factor(2)
        features = {}
        for m, (of_coarse, of_fine, of_private) in self.maps.items():
            private = torch.randn(BATCH, STEPS, PRIVATE, generator=self.draw)
            noise = torch.randn(BATCH, STEPS, FEATURES, generator=self.draw)
            said = 2 * of_coarse[coarse] + of_fine[fine]
            features[m] = (said + 1.5 * private @ of_private + 0.3 * noise) / 2
        masks = {m: torch.ones(BATCH, STEPS, dtype=torch.bool) for m in Modality}
        return Made(Batch(features, masks, torch.zeros(BATCH)), coarse, fine)

    def _factor(self, parts: int) -> Tensor:
        drawn = torch.randint(FACTORS, (BATCH, parts), generator=self.draw)
        return drawn.repeat_interleave(STEPS // parts, 1)


def rows() -> dict[str, TrainConfig]:
    """Return what is compared."""
    vq = VQConfig(codebook_size=64, revive_after=REVIVE)
    rvq = RVQConfig(codebook_size=64, stages=2, revive_after=REVIVE)
    centred = {"residual": "specific-centred"}
    even = {"standardize_specific": True}
    aligned = {"infonce_vectors": "crossed", "infonce_temperature": 0.1}
    return {
        "paper": _row(vq),
        "paper, no CLUB": _row(vq, mi=0),
        "paper, CLUB by dimension": _row(vq, even, mi=MI),
        "centred, CLUB by dimension": _row(vq, centred | even, mi=MI),
        "centred, no CLUB": _row(vq, centred | even, mi=0),
        "DCID (VQ)": _row(vq, layers=1),
        "DCID (RVQ-2)": _row(rvq, layers=1, cmcm=0),
        "DCID (FSQ)": _row(FSQConfig(levels=(4, 4, 4)), layers=1, cmcm=0, commitment=0),
        "DCID (FSQ), its codes in InfoNCE": _row(
            FSQConfig(levels=(4, 4, 4)), layers=1, cmcm=0, commitment=0, infonce=1, **aligned
        ),
    }


def _row(
    quantizer: VQConfig | RVQConfig | FSQConfig,
    network: Mapping[str, object] | None = None,
    *,
    layers: int = 2,
    infonce_vectors: str = "general",
    infonce_temperature: float = 0.1,
    **weights: float,
) -> TrainConfig:
    one = ModalityConfig(backbone="none", feature_shape=(FEATURES,), specific_dim=FEATURES)
    model = SRCIDConfig(
        modalities=dict.fromkeys(Modality, one),
        dim=FEATURES,
        num_layers=layers,
        quantizer=quantizer,
        transformer_layers=1,
        feedforward_dim=128,
        **(network or {}),
    )
    objective = ObjectiveConfig(
        layers=(LayerWeights(**weights), LayerWeights(**weights))[:layers],
        club=CLUBConfig(hidden_dim=64),
        infonce_vectors=infonce_vectors,
        infonce_temperature=infonce_temperature,
    )
    epochs = TRAINED // JOINS
    return TrainConfig(
        name="control",
        model=model,
        objective=objective,
        warm_start=WarmStartConfig(epoch=1),
        epochs=epochs,
        batch_size=BATCH,
    )


def trained(config: TrainConfig, world: World, seed: int) -> SRCID:
    """Return the network after ``TRAINED`` steps."""
    torch.manual_seed(seed)
    config = config.model_copy(update={"seed": seed})
    model = SRCID(config.model).train()
    objective = Objective(config.model, config.objective)
    step = TrainingStep(model, objective, config, total_steps=TRAINED)
    for number in range(TRAINED):
        if number % JOINS == 0:
            step.warm_start.start_epoch(number // JOINS)
        step(world().batch)
    return model.eval()


@torch.inference_mode()
def figures(model: SRCID, world: World) -> dict[str, float]:
    """Return in percent what probes find in the codes, by layers and factor; and codes' use."""
    learned, tested = ([world() for _ in range(TESTED)] for _ in range(2))
    names = [str(depth + 1) for depth in range(len(model.stages))]
    found = {}
    for name in [*names, "both"] if len(names) > 1 else names:
        layers = range(len(names)) if name == "both" else [int(name) - 1]
        sides = [
            {m: _vectors(model, m, made, layers) for m in Modality} for made in (learned, tested)
        ]
        for factor in ("coarse", "fine"):
            answers = [
                torch.cat([getattr(own, factor).flatten() for own in made])
                for made in (learned, tested)
            ]
            shares = []
            for m, n in permutations(Modality, 2):
                probe = ridge(sides[0][m], F.one_hot(answers[0]).float(), penalty=1e-3)
                shares.append(float((probe(sides[1][n]).argmax(1) == answers[1]).float().mean()))
            found[f"{name}: {factor}"] = 100 * float(np.mean(shares))
    for depth, layer in enumerate(model.stages):
        codes = torch.cat([own for made in tested for own in _codes(model, made, depth)])
        counts = np.bincount(codes.numpy(), minlength=layer.quantizer.codebook_size)
        found[f"perplexity {depth + 1}"] = perplexity(counts / counts.sum())
    return found


def _vectors(model: SRCID, m: Modality, made: list[Made], layers: range | list[int]) -> Tensor:
    """Return ``[N, D']``: what the codes of some layers stand for, side by side."""
    outputs = [model.quantize({m: own.batch.features[m]}) for own in made]
    return torch.cat(
        [torch.cat([out[d].quantized[m] for d in layers], -1) for out in outputs]
    ).flatten(0, 1)


def _codes(model: SRCID, made: Made, depth: int) -> Iterator[Tensor]:
    """Yield the first codes of a layer, ``[N]`` a modality."""
    for out in model.quantize(made.batch.features)[depth].codes.values():
        yield out[:, 0].flatten()


def main(
    seeds: Annotated[int, typer.Option(min=1)] = 5,
    only: Annotated[str, typer.Option(help="Rows whose names begin so.")] = "",
) -> None:
    """Train each row with each seed, and print means and standard errors."""
    torch.set_num_threads(1)
    for name, config in rows().items():
        if not name.startswith(only):
            continue
        found = []
        for seed in range(seeds):
            world = World(seed)
            found.append(figures(trained(config, world, seed), world))
        cells = []
        for key in found[0]:
            values = [own[key] for own in found]
            error = np.std(values, ddof=1) / seeds**0.5 if seeds > 1 else 0.0
            cells.append(f"{key} {np.mean(values):.1f} ± {error:.1f}")
        print(f"{name} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    typer.run(main)
