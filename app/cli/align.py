"""``srcid align``: build a checkpoint in closed form, from class names or from sentences."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import (
    CACHE,
    CacheOption,
    DownloadOption,
    DtypeOption,
    SetOption,
    TrainingDeviceOption,
    configured,
    pinned,
)

if TYPE_CHECKING:  # imports torch, which would slow down `srcid --help`
    from training.config import TrainConfig

FROM_MODELS = "With --sentences: "


def align(
    out: Annotated[Path, typer.Option("--out", "-o", help="Checkpoint folder to write.")],
    data: Annotated[
        Path | None, typer.Option(help="Labelled photos and sounds: a bank, or a folder of banks.")
    ] = None,
    sentences: Annotated[
        Path | None,
        typer.Option(
            help="Instead of --data: a text file with one sentence per line; no labels needed."
        ),
    ] = None,
    media: Annotated[
        Path | None,
        typer.Option(
            help=FROM_MODELS + "unlabelled media, or the output of `srcid extract`. They centre "
            "each modality and fill the codebooks."
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(help=FROM_MODELS + "recipe to train with; determines the backbones."),
    ] = "clip-clap",
    video: Annotated[
        str | None, typer.Option(help=FROM_MODELS + "another model of pictures: hf:OWNER/NAME.")
    ] = None,
    audio: Annotated[str | None, typer.Option(help=FROM_MODELS + "another one of sounds.")] = None,
    text: Annotated[
        str | None,
        typer.Option(help=FROM_MODELS + "others of text; several are joined by ` + `."),
    ] = None,
    setting: SetOption = None,
    codes: Annotated[int, typer.Option(min=2, help="Codes per codebook.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    cache: CacheOption = CACHE,
    device: TrainingDeviceOption = "auto",
    dtype: DtypeOption = "float32",
    download: DownloadOption = False,
) -> None:
    """Make an open-vocabulary checkpoint in minutes, without gradient descent.

    With --data, sounds and pictures are represented by their backbones' class probabilities, and
    classes by the words of their names; labelled examples refine this. The shipped `default` was
    made this way. Scores are calibrated on held-out classes (five folds), if at least ten classes
    have both pictures and sounds.

    With --sentences, pretrained models that compare sentences with pictures (CLIP) and with
    sounds (CLAP) are connected by sentences that both read. No media need to be paired or
    labelled.
    """
    if (data is None) == (sentences is None):
        raise typer.BadParameter("give either --data, with labels, or --sentences and --media")
    if data is not None:
        _by_names(data, out, codes=codes, seed=seed, cache=cache)
        return
    if media is None:
        raise typer.BadParameter(
            "--sentences needs --media: some of your own videos, pictures and sounds, unlabelled"
        )
    if (video or audio) and not text:
        raise typer.BadParameter("name with --text the models that read sentences for these")

    named = {"video": video, "audio": audio, "text": text}
    backbones = {
        f"model.modalities.{m}.backbone": backbone for m, backbone in named.items() if backbone
    }
    config = pinned(configured(recipe, setting, **backbones), dtype=dtype, download=download)
    data = _by_sentences(
        config, sentences, media, out, codes=codes, seed=seed, cache=cache, device=device
    )
    settings = [*(setting or []), *(f"{path}={backbone}" for path, backbone in backbones.items())]
    pairs = "".join(f" --set {shlex.quote(pair)}" for pair in settings)
    pairs += f" --dtype {dtype}" if dtype != "float32" else ""
    print(f"to train: srcid train {recipe} --init {out} --data {data} --out runs/{recipe}{pairs}")


def _by_names(data: Path, out: Path, *, codes: int, seed: int, cache: Path) -> None:
    import torch

    from model.calibration import write_calibration
    from model.encoder import load_backbones
    from model.modality import Modality
    from training.alignment.align import align as fit
    from training.alignment.unseen import calibrate_unseen
    from training.data.bank import load_bank
    from training.data.sentences import TextVectors
    from training.networks import aligned_network

    config = aligned_network(codebook_size=codes)
    bank = load_bank(data, config, views=1, cache=cache)
    backbones = load_backbones(config, "cpu")
    text = TextVectors(backbones[Modality.TEXT])
    model = fit(bank, backbones, text=text, config=config, seed=seed)
    model.save_pretrained(out, dtype=torch.float16)
    calibration = calibrate_unseen(model, bank, backbones, text=text, config=config, seed=seed)
    if calibration:
        write_calibration(out, calibration)
    print(f"aligned with {len(bank.entries)} items of {len(bank.classes)} classes: {out}")


def _by_sentences(
    config: "TrainConfig",
    sentences: Path | None,
    media: Path,
    out: Path,
    *,
    codes: int,
    seed: int,
    cache: Path,
    device: str,
) -> Path:
    """Write the checkpoint; return the folder of the media's features."""
    import torch

    from model.device import usable_device
    from training.alignment.from_sentences import (
        align_by_sentences,
        extracted_media,
        media_features,
    )
    from training.data.sentence_file import sentence_features
    from training.networks import aligned_on

    assert sentences is not None
    network = aligned_on(config.model, codebook_size=codes)
    device = usable_device(device)
    data = extracted_media(media, network, cache=cache, device=device)
    of_media = media_features(data, network)
    read = sentence_features(sentences, network, cache=cache, device=device)
    model = align_by_sentences(network, read, of_media, seed=seed)
    model.save_pretrained(out, dtype=torch.float16)
    steps = ", ".join(f"{len(features)} steps of {m}" for m, features in of_media.features.items())
    print(f"aligned with {len(read)} sentences and {steps}: {out}")
    return data
