"""A pretrained backbone is exactly the one that a checkpoint names, or it is refused."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from model.backbones import build_backbone, describe_backbone, resolved
from model.checkpoint import fingerprint
from model.config import ModalityConfig, PretrainedBackbone, SRCIDConfig
from model.encoder import Encoder
from model.errors import CheckpointError, ConfigError
from model.media import read_clip
from model.modality import Modality
from model.srcid import SRCID
from tests.media_maker import make_video
from tests.tiny_models import make
from training.data.bank import load_bank
from training.data.extract import extract
from training.data.extracted import read_piece

VIDEO, AUDIO, TEXT = Modality.VIDEO, Modality.AUDIO, Modality.TEXT
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("originals")
    for name in ("clip", "clap", "bert", "sentence-transformers"):
        make(name, root / name)
    return root


@pytest.fixture
def copied(originals: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A model's folder that a test may break."""
    return lambda name: Path(shutil.copytree(originals / name, tmp_path / name))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    weights = load_file(folder / WEIGHTS)
    change(weights)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def change_json(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def described(modality: Modality, folder: Path, **options: Any) -> PretrainedBackbone:
    return describe_backbone(modality, str(folder), **options)


def test_it_says_all_that_features_depend_on(originals: Path) -> None:
    (own,) = described(AUDIO, originals / "clap").towers
    assert own.model_type == "clap"
    assert (own.output, own.dim, own.dtype, own.attention) == ("shared", 16, "float32", "eager")
    assert own.input.kind == "sound"
    assert (own.input.sample_rate, own.input.window_seconds) == (48_000, 10)
    assert own.input.mel is not None
    assert (own.input.mel.lowest, own.input.mel.highest) == (50, 14_000)
    assert PretrainedBackbone.model_validate_json(
        PretrainedBackbone(towers=(own,)).model_dump_json()
    ) == PretrainedBackbone(towers=(own,))


def test_numbers_that_a_folder_does_not_say_are_those_of_its_family(
    copied: Callable[[str], Path],
) -> None:
    folder = copied("clip")
    (said,) = described(VIDEO, folder).towers
    (folder / "processor_config.json").unlink()
    assert described(VIDEO, folder).towers == (said,)
    old = {"size": 40, "crop_size": 32, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}
    (folder / "preprocessor_config.json").write_text(json.dumps(old | {"resample": 2}))
    (found,) = described(VIDEO, folder).towers
    assert found.input.kind == "picture"
    assert (found.input.short_side, found.input.side) == (40, 32)
    assert (found.input.resample, found.input.mean) == ("bilinear", (0, 0, 0))


def test_other_weights_are_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    own = described(VIDEO, folder)
    change_weights(folder, lambda weights: weights["logit_scale"].add_(1))
    with pytest.raises(CheckpointError, match=r"are not those .* made with \(SHA-256"):
        build_backbone(own)


def test_another_tokenizer_is_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    own = described(TEXT, folder)
    change_json(folder / "tokenizer_config.json", add_prefix_space=True)
    with pytest.raises(CheckpointError, match=r"tokenizer .* is not the one"):
        build_backbone(own)


def test_missing_weights_are_refused_not_random(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    change_weights(folder, lambda weights: weights.pop("visual_projection.weight"))
    with pytest.raises(CheckpointError, match=r"lack visual_projection.weight, .*fetch"):
        build_backbone(described(VIDEO, folder))
    assert build_backbone(described(TEXT, folder))  # it needs none of them


def test_weights_of_another_shape_are_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    name = "visual_projection.weight"
    change_weights(folder, lambda weights: weights.update({name: weights[name][:8].clone()}))
    with pytest.raises(CheckpointError, match="fetch them again"):
        build_backbone(described(VIDEO, folder))


def test_a_truncated_file_is_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("clap")
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"damaged.*fetch them again"):
        build_backbone(described(AUDIO, folder))


def test_a_pickle_of_tensors_is_read_where_there_is_nothing_better(
    copied: Callable[[str], Path], originals: Path
) -> None:
    folder = copied("clip")
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    sentence = "a dog barks"
    own, expected = (
        build_backbone(described(TEXT, where)) for where in (folder, originals / "clip")
    )
    prepared = own.preprocess(sentence)
    torch.testing.assert_close(own.extract([prepared])[0], expected.extract([prepared])[0])


class Hostile:
    """What a pickle may hold: code, which would write a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def test_a_pickle_with_code_is_refused_and_not_run(
    copied: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = copied("clip")
    (folder / WEIGHTS).unlink()
    trace = tmp_path / "trace"
    torch.save({"logit_scale": Hostile(trace)}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="holds more than tensors, and is not run; ask"):
        build_backbone(described(VIDEO, folder))
    assert not trace.exists()


def test_a_clap_with_fusion_is_refused(tmp_path: Path) -> None:
    make("clap-fused", tmp_path)
    with pytest.raises(ConfigError, match=r"with fusion.*laion/clap-htsat-unfused"):
        described(AUDIO, tmp_path)


def test_an_unknown_family_or_part_is_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("clip")
    with pytest.raises(ConfigError, match=r"'clip', is for text and video, not audio"):
        described(AUDIO, folder)
    change_json(folder / "config.json", model_type="novel", auto_map={"AutoModel": "x.Novel"})
    with pytest.raises(ConfigError, match=r"family 'novel'; there are clip, .*is never run"):
        described(VIDEO, folder)


def test_what_cannot_stand_side_by_side_is_refused(originals: Path) -> None:
    both = [str(originals / name) for name in ("clip", "bert")]
    with pytest.raises(ConfigError, match="cannot stand beside others"):
        describe_backbone(TEXT, both)
    with pytest.raises(ConfigError, match="only text takes several"):
        describe_backbone(VIDEO, [both[0], both[0]])


def test_poolings_that_are_not_known_are_refused(copied: Callable[[str], Path]) -> None:
    folder = copied("sentence-transformers")
    change_json(folder / "1_Pooling" / "config.json", pooling_mode="cls")
    (own,) = described(TEXT, folder).towers
    assert own.output == "first"
    change_json(folder / "1_Pooling" / "config.json", pooling_mode="weightedmean")
    with pytest.raises(ConfigError, match="weightedmean"):
        described(TEXT, folder)


def test_a_source_alone_is_not_built(originals: Path) -> None:
    with pytest.raises(ConfigError, match="describe_backbone"):
        build_backbone(str(originals / "clip"))


def test_bfloat16_is_another_backbone(originals: Path) -> None:
    half = described(VIDEO, originals / "clip", dtype="bfloat16")
    assert half != described(VIDEO, originals / "clip")
    backbone = build_backbone(half)
    pixels = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    own, exact = (
        each.extract([pixels])[0]
        for each in (backbone, build_backbone(described(VIDEO, originals / "clip")))
    )
    assert own.dtype == torch.float32
    assert 0 < float((own - exact).abs().max()) < 0.05


@pytest.fixture(scope="module")
def config(originals: Path, tiny_config: SRCIDConfig) -> SRCIDConfig:
    """A network on CLIP's pictures, CLAP's sounds, and the sentences of both."""
    clip, clap = str(originals / "clip"), str(originals / "clap")

    def modality(source: str) -> ModalityConfig:
        return ModalityConfig(backbone=source, feature_shape=(1,), specific_dim=8)

    named = {VIDEO: modality(clip), AUDIO: modality(clap), TEXT: modality(f"{clip} + {clap}")}
    return resolved(tiny_config.model_copy(update={"modalities": named}))


@pytest.fixture(scope="module")
def checkpoint(config: SRCIDConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = SRCID(config)
    for layer in model.stages:
        layer.quantizer.codebook.vectors.normal_()
    folder = tmp_path_factory.mktemp("pretrained") / "checkpoint"
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of changing colours and of noise."""
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 256, (3, 48, 64, 3), np.uint8), 10, axis=0)
    sound = rng.uniform(-0.5, 0.5, 3 * 48_000).astype(np.float32)
    folder = tmp_path_factory.mktemp("media")
    (folder / "clip.mp4").write_bytes(make_video(frames, 10, sound, 48_000))
    return folder


def test_a_recipe_is_resolved_with_the_sizes_of_its_backbones(config: SRCIDConfig) -> None:
    shapes = {m: own.feature_shape for m, own in config.modalities.items()}
    assert shapes == {VIDEO: (16,), AUDIO: (16,), TEXT: (32,)}
    assert resolved(config) == config
    assert str(config.modalities[TEXT].backbone).count(" + ") == 1


def test_a_checkpoint_on_clip_and_clap_encodes_a_clip(checkpoint: Path, media: Path) -> None:
    encoder = Encoder.from_pretrained(checkpoint, download=False)
    decoding = encoder.decode_config(max_steps=10)
    assert (decoding.sample_rate, decoding.short_side) == (48_000, 32)
    clip = read_clip(media / "clip.mp4", decoding)
    codes = encoder.encode(clip)
    assert {m: own.shape for m, own in codes.items()} == {VIDEO: (2, 3), AUDIO: (2, 3)}
    text = encoder.encode("A dog barks. Rain falls.")[TEXT]
    assert text.shape == (2, 2)


def test_extraction_and_banks_decode_as_the_backbones_need(
    checkpoint: Path, config: SRCIDConfig, media: Path, tmp_path: Path
) -> None:
    encoder = Encoder.from_pretrained(checkpoint, download=False)
    clip = read_clip(media / "clip.mp4", encoder.decode_config())
    expected = dict(
        zip(
            (VIDEO, AUDIO),
            encoder.features([(m, encoder.prepare(clip)[m]) for m in (VIDEO, AUDIO)]),
            strict=True,
        )
    )
    report = extract(media, tmp_path / "features", config)
    (row,) = report.clips
    found = read_piece(tmp_path / "features", row, start=0, stop=10, caption=None)
    for m, own in expected.items():
        assert torch.equal(found[m], own)
    rows = [f"clip.mp4,{kind},noise,train," for kind in ("image", "audio")]
    (media / "manifest.csv").write_text("id,modality,class,split,text\n" + "\n".join(rows[1:]))
    bank = load_bank(media, config, views=2, cache=tmp_path / "cache")
    assert torch.equal(bank.features["clip.mp4"][0], expected[AUDIO])


def test_the_fingerprint_covers_weights_commit_and_dtype(checkpoint: Path, tmp_path: Path) -> None:
    found = {fingerprint(checkpoint)}
    for n, change in enumerate(({"sha256": "0" * 64}, {"commit": "a" * 40}, {"dtype": "bfloat16"})):
        folder = Path(shutil.copytree(checkpoint, tmp_path / str(n)))
        written = json.loads((folder / "config.json").read_text())
        written["modalities"]["video"]["backbone"]["towers"][0] |= change
        (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
        found.add(fingerprint(folder))
    assert len(found) == 4


def test_other_weights_under_a_checkpoint_are_refused_before_it_serves(
    checkpoint: Path, copied: Callable[[str], Path], tmp_path: Path
) -> None:
    moved = copied("clip")
    change_weights(moved, lambda weights: weights["logit_scale"].add_(1))
    folder = Path(shutil.copytree(checkpoint, tmp_path / "checkpoint"))
    written = json.loads((folder / "config.json").read_text())
    written["modalities"]["video"]["backbone"]["towers"][0]["source"] = str(moved)
    (folder / "config.json").write_text(json.dumps(written))
    with pytest.raises(CheckpointError, match="are not those"):
        Encoder.from_pretrained(folder, download=False)


def test_the_embedded_backbones_need_no_transformers() -> None:
    """Importing it takes seconds; a server of the default checkpoint starts in one."""
    code = """
import sys
import app.main, app.engine.engine
from model.encoder import Encoder
encoder = Encoder.from_pretrained("default", download=False)
encoder.encode("a dog barks")
heavy = {"transformers", "torchaudio", "huggingface_hub", "torchvision"} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
