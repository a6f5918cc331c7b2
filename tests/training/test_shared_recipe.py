"""The recipe `shared`, whole, on classifiers that a unit test can hold."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.config import RVQConfig, VQConfig
from model.modality import Modality
from model.srcid import SRCID
from tests.training.alignment.sketches import SEEN, World
from training.config import TrainConfig
from training.data.bank import Bank
from training.data.named import NamedClips
from training.data.open import TrainingData
from training.recipes import recipe
from training.train import train

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def config(world: World, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    start = tmp_path_factory.mktemp("start") / "aligned"
    world.aligned().save_pretrained(start)
    own = recipe("shared")
    model = world.config.model_copy(
        update={
            "num_layers": 2,
            "quantizer": VQConfig(codebook_size=24, joint=True, vote="clip", decay=0.97),
            "residual_quantizer": RVQConfig(
                stages=2, codebook_size=12, carry=True, carry_all=True, multimodal=False
            ),
            "residual": own.model.residual,
            "attention": False,
            "dropout": 0.0,
        }
    )
    data = own.data.model_copy(update={"clips_per_epoch": 48 * 20})
    return own.model_copy(
        update={"model": model, "init": str(start), "data": data, "batch_size": 48, "epochs": 4}
    )


def run(world: World, config: TrainConfig, out: Path) -> Path:
    """Return the checkpoint of a training on the world's examples."""
    clips = NamedClips(world.bank, world.backbones, world.text, config.data, seed=config.seed)
    return train(config, out, data=TrainingData(clips, Bank([], {})))


@pytest.fixture(scope="module")
def trained(world: World, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.train.write_plots", lambda folder: [])  # takes seconds
        return run(world, config, tmp_path_factory.mktemp("run") / "one")


def test_the_same_command_gives_the_same_bytes(
    world: World,
    config: TrainConfig,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.train.write_plots", lambda folder: [])
    again = run(world, config, tmp_path / "two")
    for name in ("config.json", "model.safetensors"):
        assert (again / name).read_bytes() == (trained / name).read_bytes()


def test_sounds_and_pictures_of_a_class_come_to_share_their_first_code(
    world: World, trained: Path
) -> None:
    """On new examples of it, one code each; by chance it would be less than one in ten."""
    model = SRCID.from_pretrained(trained)
    draw = torch.Generator().manual_seed(7)
    same = 0
    for name in SEEN * 6:
        codes = {
            m: model.encode({m: world.sketch(m).example(name, draw)[None]})[m][0, 0, 0]
            for m in (AUDIO, VIDEO)
        }
        same += bool(codes[AUDIO] == codes[VIDEO])
    assert same > 0.6 * 6 * len(SEEN)


def test_training_begins_at_the_anchor_and_leaves_it(trained: Path) -> None:
    losses = [json.loads(line) for line in (trained.parent / "log.jsonl").read_text().splitlines()]
    for m in Modality:
        assert losses[0][f"layer1/anchor/{m}"] < 1e-3 < losses[-1][f"layer1/anchor/{m}"]
        assert losses[0][f"layer1/code_prediction/{m}"] > 0


def test_layer_2_tells_what_the_first_code_leaves_out(world: World, trained: Path) -> None:
    """Both layers together lie nearer to the general vector than layer 1 alone, if it lasts."""
    model = SRCID.from_pretrained(trained)
    draw = torch.Generator().manual_seed(8)
    for m in (AUDIO, VIDEO):
        one, both = [], []
        for name in SEEN * 4:
            lasting = world.sketch(m).example(name, draw)[None].expand(1, 6, -1)
            first, second = model.quantize({m: lasting})
            z = first.general[m][0].mean(0)
            one.append((z - first.quantized[m][0].mean(0)).norm())
            both.append((z - (first.quantized[m] + second.quantized[m])[0].mean(0)).norm())
        assert torch.stack(both).mean() < 0.8 * torch.stack(one).mean()


def test_what_stands_still_has_one_first_code(world: World, trained: Path) -> None:
    model = SRCID.from_pretrained(trained)
    draw = torch.Generator().manual_seed(9)
    still = world.sketch(VIDEO).example("dog", draw)[None].expand(1, 8, -1)
    assert len(model.encode({VIDEO: still})[VIDEO][0, 0].unique()) == 1


def test_the_checkpoint_holds_no_more_than_it_uses(trained: Path) -> None:
    """No decoders and no specific encoders: nothing is set apart, nothing reconstructed."""
    names = load_file(trained / "model.safetensors")
    assert not [name for name in names if ".decoder." in name or ".specific." in name]
