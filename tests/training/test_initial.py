"""Starting from a checkpoint: all of it, or a sentence that says why not."""

from pathlib import Path

import pytest
import torch

from model.config import SRCIDConfig
from model.errors import CheckpointError, ConfigError
from model.modality import Modality
from model.srcid import SRCID
from training.initial import load_initial


def test_all_weights_and_codebooks_are_taken_over(
    tiny_checkpoint: Path, tiny_config: SRCIDConfig
) -> None:
    model = SRCID(tiny_config)
    load_initial(model, str(tiny_checkpoint))
    expected = SRCID.from_pretrained(tiny_checkpoint).state_dict()
    assert all(torch.equal(x, expected[name]) for name, x in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_what_only_concerns_training_may_differ(
    tiny_checkpoint: Path, tiny_config: SRCIDConfig
) -> None:
    quantizer = tiny_config.quantizer.model_copy(update={"revive_after": 7, "decay": 0.5})
    update = {"dropout": 0.0, "max_steps": 3, "quantizer": quantizer}
    load_initial(SRCID(tiny_config.model_copy(update=update)), str(tiny_checkpoint))


def test_another_architecture_is_refused_by_the_fields_that_differ(
    tiny_checkpoint: Path, tiny_config: SRCIDConfig
) -> None:
    """Some of these have weights of the same shapes, which would mean something else."""
    audio = tiny_config.modalities[Modality.AUDIO].model_copy(update={"backbone": "yamnet"})
    for update, message in (
        ({"dim": 16}, "dim is 8 there and 16 here"),
        ({"num_layers": 1}, "num_layers is 2 there and 1 here"),
        ({"standardize_specific": True}, "standardize_specific is False there and True here"),
        (
            {"modalities": {**tiny_config.modalities, Modality.AUDIO: audio}},
            "modalities.audio.backbone is 'tiny-audio' there and 'yamnet' here",
        ),
    ):
        model = SRCID(tiny_config.model_copy(update=update))
        with pytest.raises(ConfigError, match=message):
            load_initial(model, str(tiny_checkpoint))


def test_a_checkpoint_that_is_not_there_is_named(tiny_config: SRCIDConfig) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint 'absent'"):
        load_initial(SRCID(tiny_config), "absent")
