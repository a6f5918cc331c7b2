"""From models of the Hub to a served checkpoint: fetch, align, extract, train, serve, offline.

The models are tiny and random, so what is found means nothing; that everything fits together does.
"""

import csv
import itertools
import shutil
from pathlib import Path

import httpx2
import numpy as np
import pytest

from model.checkpoint import read_config
from model.config import PretrainedBackbone
from model.encoder import Encoder
from tests import running_server
from tests.app.cli.conftest import run
from tests.app.cli.running import Run
from tests.loopback_hub import LoopbackHub, files_of
from tests.media_maker import make_video, tone
from tests.running_server import serving
from tests.tiny_models import make

__all__ = ["run"]

NUM_CLIPS, SECONDS = 4, 4
# What of a recipe has to be smaller for models of 16 dimensions and a minute of media.
SMALL = {
    "model.quantizer.codebook_size": 8,
    "model.residual_quantizer.codebook_size": 8,
    "data.clips_per_epoch": 8,
    "batch_size": 8,
    "epochs": 2,
    "warm_start.epoch": 1,
}
BACKBONES = {
    "clip-clap": {
        "video": "hf:acme/clip",
        "audio": "hf:acme/clap",
        "text": "hf:acme/clip + hf:acme/clap",
    },
    "pe-av": dict.fromkeys(("video", "audio", "text"), "hf:acme/pe-av"),
}


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Clips with sound and captions, and a CSV of them."""
    folder = tmp_path / "media"
    folder.mkdir()
    draw = np.random.default_rng(0)
    with (folder / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "caption"])
        for number in range(NUM_CLIPS):
            blocks = draw.integers(0, 255, (SECONDS, 4, 4, 3)).astype(np.uint8)
            frames = blocks.repeat(10, 0).repeat(16, 1).repeat(16, 2)
            clip = make_video(frames, audio=tone(SECONDS, hertz=220 * (number + 1)))
            (folder / f"{number}.mp4").write_bytes(clip)
            rows.writerow([f"{number}.mp4", f"a dog barks at train {number}"])
    return folder


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    things = ("a dog", "the rain", "a violin", "a crowd", "the sea", "a bird", "an engine")
    acts = ("barks", "falls on a roof", "plays slowly", "is loud", "is near", "passes by")
    file = tmp_path / "sentences.txt"
    file.write_text("\n".join(" ".join(pair) for pair in itertools.product(things, acts)))
    return file


@pytest.mark.parametrize("recipe", [pytest.param("clip-clap"), pytest.param("pe-av")])
@pytest.mark.slow  # two servers load transformers
def test_from_nothing_to_a_served_checkpoint(
    recipe: str,
    run: Run,
    hub: LoopbackHub,
    media: Path,
    sentences: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running_server, "WAIT", 300)  # transformers alone takes ten seconds
    if recipe == "pe-av":
        pytest.importorskip("timm")
    named = BACKBONES[recipe]
    commits = {}
    for source in dict.fromkeys(" + ".join(named.values()).split(" + ")):
        name = source.removeprefix("hf:acme/")
        commits[source] = hub.commit(f"acme/{name}", files_of(make(name, tmp_path / name)))
    models = [word for m, source in named.items() for word in (f"--{m}", source)]
    dim = ("--set", "model.dim=16")
    options = [*models, *dim, "--recipe", recipe, "--codes", "8", "--device", "cpu"]
    align = ["align", "--sentences", sentences, "--media", media / "clips.csv", *options]

    refused = run(*align, "--out", "aligned")
    assert refused.code == 2
    assert f"run `srcid backbone fetch {named['audio']}`" in refused.err
    ran = run(*align, "--out", "aligned", "--download")
    assert ran.code == 0, ran.err
    assert f"aligned with 42 sentences and {NUM_CLIPS * SECONDS} steps of audio" in ran.out

    # What it was made with is recorded: commit and weights of each model.
    for own in read_config(Path("aligned")).modalities.values():
        assert isinstance(own.backbone, PretrainedBackbone)
        assert all(tower.commit == commits[tower.source] for tower in own.backbone.towers)

    backbones = [f"model.modalities.{m}.backbone={source}" for m, source in named.items()]
    settings = [word for pair in [*backbones, "model.dim=16"] for word in ("--set", pair)]
    extracted = run("extract", media / "clips.csv", "features", "--recipe", recipe, *settings)
    assert extracted.code == 0, extracted.err
    small = [word for path, own in SMALL.items() for word in ("--set", f"{path}={own}")]
    train = ["train", recipe, "--init", "aligned", "--data", "features", "--out", "runs/mine"]
    trained = run(*train, *settings, *small, "--device", "cpu")
    assert trained.code == 0, trained.err
    checkpoint = Path("runs/mine/checkpoint").resolve()

    hub.stop()
    requests = len(hub.requests)
    monkeypatch.setenv("SRCID_CHECKPOINT", str(checkpoint))
    indexed = run("index", media)
    assert indexed.code == 0, indexed.err
    answers = []
    for _ in range(2):  # and after a restart
        with serving(checkpoint, tmp_path / "data") as server:
            query = {"text": "a dog barks", "k": 50}
            answer = httpx2.post(f"{server.address}/search", json=query, timeout=60)
            assert answer.status_code == 200, answer.text
            answers.append(answer.json()["hits"])
    assert {hit["id"] for hit in answers[0]} == {f"{n}.mp4" for n in range(NUM_CLIPS)}
    assert answers[0] == answers[1]
    assert len(hub.requests) == requests

    shutil.rmtree(tmp_path / "hub" / f"models--acme--{named['video'].removeprefix('hf:acme/')}")
    for command in (("serve", "--port", 0), ("search", "a dog"), ("index", media)):
        ran = run(*command)
        assert ran.code == 2, command
        missing = f"{named['video']}@{commits[named['video']]}"
        assert f"run `srcid backbone fetch {missing}`" in ran.err
    with pytest.raises(Exception, match="cannot be reached"):
        Encoder.from_pretrained(checkpoint)


def test_codes_of_an_aligned_checkpoint_do_not_depend_on_what_is_beside_it(
    run: Run, hub: LoopbackHub, media: Path, sentences: Path, tmp_path: Path
) -> None:
    for name in ("clip", "clap"):
        hub.commit(f"acme/{name}", files_of(make(name, tmp_path / name)))
    models = [word for m, own in BACKBONES["clip-clap"].items() for word in (f"--{m}", own)]
    options = [*models, "--set", "model.dim=16", "--codes", "8", "--device", "cpu", "--download"]
    folders = ["--out", tmp_path / "aligned", "--cache", tmp_path / "cache"]
    ran = run("align", "--sentences", sentences, "--media", media, *options, *folders)
    assert ran.code == 0, ran.err
    encoder = Encoder.from_pretrained(tmp_path / "aligned")
    texts = ["a dog barks", "the sea is near. a bird passes by", "rain"]
    together = [streams["text"] for streams in encoder.encode(texts)]
    assert [codes.shape for codes in together] == [(2, 1), (2, 2), (2, 1)]  # a step a sentence
    for text, codes in zip(texts, together, strict=True):
        assert (encoder.encode(text)["text"] == codes).all()


def test_another_commit_of_a_model_never_gets_cached_features(
    run: Run, hub: LoopbackHub, media: Path, sentences: Path, tmp_path: Path
) -> None:
    for name in ("clip", "clap"):
        hub.commit(f"acme/{name}", files_of(make(name, tmp_path / name)))
    models = [word for m, own in BACKBONES["clip-clap"].items() for word in (f"--{m}", own)]
    cache = tmp_path / "cache"
    options = [*models, "--set", "model.dim=16", "--codes", "8", "--device", "cpu", "--download"]
    align = ["align", "--sentences", sentences, "--media", media, *options, "--cache", cache]

    def made() -> list[list[str]]:
        kinds = ("media-*", "sentences-*")
        return [sorted(path.name for path in cache.glob(kind)) for kind in kinds]

    assert run(*align, "--out", tmp_path / "first").code == 0
    first = made()
    assert run(*align, "--out", tmp_path / "again").code == 0
    assert made() == first
    assert [len(own) for own in first] == [1, 1]
    # CLIP moves on: the same sizes, other weights.
    files = files_of(tmp_path / "clip")
    weights = bytearray(files["model.safetensors"])
    weights[-1] ^= 1
    hub.commit("acme/clip", files | {"model.safetensors": bytes(weights)})
    assert run(*align, "--out", tmp_path / "second").code == 0
    assert [len(own) for own in made()] == [2, 2]
    # And what was extracted with the old one is refused for the new one.
    ran = run(*align, "--media", cache / first[0][0], "--out", tmp_path / "third")
    assert ran.code == 2
    assert "has no video features of hf:acme/clip@" in ran.err
