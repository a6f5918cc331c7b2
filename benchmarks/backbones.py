"""What a backbone costs: seconds of video, of sound and sentences, as `srcid extract` reads them.

    OMP_NUM_THREADS=1 python -m benchmarks.backbones hf:openai/clip-vit-base-patch32 --device cuda

Each model is timed for every modality that it has, on noise; a model's time does not depend on
what it sees.
"""

import time
from typing import Annotated

import numpy as np
import torch
import typer

from model.backbones import build_backbone, describe_backbone
from model.backbones.base import Backbone, decode_config
from model.clip import Clip
from model.device import usable_device
from model.errors import ConfigError
from model.modality import Modality

SECONDS = 10  # of a clip
SENTENCE = "a dog barks at the helicopter while rain falls on the roof"


def item(backbone: Backbone) -> tuple[Clip | str, int]:
    """Return something for a backbone to look at, and how many seconds or sentences it is."""
    if backbone.modality is Modality.TEXT:
        return SENTENCE, 1
    own = decode_config({backbone.modality: backbone})
    draw = np.random.default_rng(0)
    shape = (SECONDS, own.frames_per_step, own.short_side, own.short_side, 3)
    frames = draw.integers(0, 255, shape, np.uint8)
    sound = draw.uniform(-0.5, 0.5, SECONDS * own.sample_rate).astype(np.float32)
    return Clip(frames, sound, float(SECONDS), own.sample_rate), SECONDS


def milliseconds(backbone: Backbone, device: str, rounds: int) -> tuple[float, float]:
    """Return the median time of preparing and of the network, for a second or a sentence."""
    source, size = item(backbone)
    took = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        prepared = backbone.preprocess(source)
        between = time.perf_counter()
        backbone.extract([prepared.to(device)])[0].cpu()
        took.append((between - started, time.perf_counter() - between))
    prepare, network = np.median(took[1:], 0) * 1000 / size  # the first one warms up
    return float(prepare), float(network)


def main(
    sources: Annotated[list[str], typer.Argument(help="Models: hf:OWNER/NAME, or folders.")],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or auto.")] = "auto",
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Print a row for each model and modality."""
    torch.set_num_threads(1)
    device = usable_device(device)
    print(f"| model | for | vector | prepare | network ({device}) |\n|---|---|---|---|---|")
    for source in sources:
        for modality in Modality:
            try:
                backbone = build_backbone(describe_backbone(modality, source), device)
            except ConfigError as error:
                if "is for" in str(error):  # it has no such part
                    continue
                raise
            prepare, network = milliseconds(backbone, device, rounds)
            unit = "a sentence" if modality is Modality.TEXT else "a second"
            dim = backbone.feature_shape[0]
            print(f"| {source} | {modality} | {dim} | {prepare:.1f} ms | {network:.1f} ms {unit} |")


if __name__ == "__main__":
    typer.run(main)
