"""The encode path of a CPU gives what the network gives, or is not there."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from model.coder import Coder, coders
from model.config import MapConfig, ModalityConfig, SRCIDConfig
from model.graph import NoGraph
from model.modality import Modality
from model.srcid import SRCID

CONFIGS: dict[str, dict[str, Any]] = {
    "paper": {},
    "one layer": {"num_layers": 1, "transformer_layers": 2},
    "standardized": {"standardize_specific": True},
    "rare codes": {"quantizer": {"kind": "vq", "codebook_size": 32, "min_share": 0.03}},
    "residual": {"quantizer": {"kind": "rvq", "codebook_size": 16, "stages": 3}},
    "carried on": {"quantizer": {"kind": "rvq", "codebook_size": 16, "stages": 2, "carry": True}},
    "carried on in full": {
        "quantizer": {
            "kind": "rvq",
            "codebook_size": 16,
            "stages": 2,
            "carry": True,
            "carry_all": True,
        }
    },
    "leaves general vectors": {"residual": "general"},
    "leaves general vectors, centred": {"residual": "general-centred"},
    "leaves specific vectors, centred": {"residual": "specific-centred"},
    "step by step": {"attention": False, "transformer_layers": 2},
    "as shared": {
        "residual": "general",
        "attention": False,
        "residual_quantizer": {
            "kind": "rvq",
            "codebook_size": 16,
            "stages": 2,
            "carry": True,
            "carry_all": True,
        },
    },
}


def make_model(config: SRCIDConfig, changes: dict[str, Any]) -> SRCID:
    """Return a network of seeded weights, all of which matter."""
    torch.manual_seed(0)
    model = SRCID(SRCIDConfig.model_validate(config.model_dump() | changes)).eval()
    for name, values in model.state_dict().items():
        if name.endswith(("vectors", "mean")):
            values.normal_()
        if name.endswith(("variance", "ema_count", "counts")):
            values.uniform_(0.5, 2)
        if name.endswith("sums"):
            values.normal_()
        if name.endswith("bias"):
            values.normal_(0, 0.3)
    return model


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
@torch.inference_mode()
def test_it_gives_what_the_network_gives(
    tiny_config: SRCIDConfig, changes: dict[str, Any], steps: int
) -> None:
    model = make_model(tiny_config, changes)
    m = Modality.AUDIO
    coder = Coder(model, m)
    for _ in range(20):
        # A walk: steps that are alike, as those of media are, carry on much.
        x = torch.randn(steps, 8).cumsum(0)
        layers = model({m: x[None]}).layers
        coded = coder(x.numpy())
        assert coded.codes.tolist() == torch.cat([out.codes[m][0] for out in layers]).tolist()
        for depth, compared in enumerate(model.config.compared):
            torch.testing.assert_close(
                torch.from_numpy(coded.general[:, depth]),
                layers[compared].general[m][0],
                rtol=1e-4,
                atol=1e-5,
            )
        expected = (layers[0].general[m] - layers[0].quantized[m]).norm(dim=-1)[0]
        np.testing.assert_allclose(coded.errors, expected, rtol=1e-4, atol=1e-5)


def test_torch_has_what_there_is_no_graph_of(tiny_config: SRCIDConfig) -> None:
    """A stem, maps, and quantizers of another kind: of that modality, or of all."""
    assert set(coders(SRCID(tiny_config))) == {Modality.AUDIO, Modality.VIDEO}  # text has a stem
    for kind in ("fsq", "prototypes"):
        assert not coders(make_model(tiny_config, {"quantizer": {"kind": kind}}))
    several = {"kind": "rvq", "codebook_size": 16, "stages": 2}
    assert not coders(make_model(tiny_config, {"residual": "general", "quantizer": several}))
    maps = MapConfig(specific_channels=8, gate_dim=4, attention_dim=4)
    video = ModalityConfig(backbone="x", feature_shape=(7, 7, 6), specific_dim=5, map=maps)
    modalities = tiny_config.modalities | {Modality.VIDEO: video}
    changed = tiny_config.model_copy(update={"modalities": modalities})
    assert set(coders(SRCID(changed))) == {Modality.AUDIO}


@pytest.mark.parametrize("place", ["", "layers.0", "layers.0.general.audio", "layers.1.quantizer"])
@pytest.mark.parametrize("part", [nn.Linear(1, 1), nn.Parameter(torch.zeros(1))])
def test_a_part_that_is_not_written_in_the_graph_is_left_to_torch(
    tiny_config: SRCIDConfig, place: str, part: nn.Module | nn.Parameter
) -> None:
    """Whoever adds one to the network is not given codes that were made without it."""
    model = SRCID(tiny_config)
    Coder(model, Modality.AUDIO)
    setattr(model.get_submodule(place), "added", part)  # noqa: B010 - no attribute that mypy knows
    with pytest.raises(NoGraph, match="added"):
        Coder(model, Modality.AUDIO)


@pytest.mark.parametrize("checkpoint", ["default", "aligned", "compact"])
@torch.inference_mode()
def test_shipped_checkpoints_have_the_networks_codes(checkpoint: str) -> None:
    """On vectors as long and as sparse as features are, of sentences' lengths and clips'."""
    model = SRCID.from_pretrained(checkpoint)
    found = coders(model)
    assert set(found) == set(model.modalities)
    draw = torch.Generator().manual_seed(0)
    for m, coder in found.items():
        for steps in (1, 3, 10):
            shape = (steps, *model.config.modalities[m].feature_shape)
            x = torch.randn(shape, generator=draw).relu() + torch.rand(shape[1:], generator=draw)
            assert coder(x.numpy()).codes.tolist() == model.encode({m: x[None]})[m][0].tolist()
