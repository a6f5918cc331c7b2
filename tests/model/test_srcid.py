"""The network as a whole: shapes, masks, subsets of modalities, and its checkpoint."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from model.config import MapConfig, ModalityConfig, RVQConfig, SRCIDConfig, VQConfig
from model.errors import CheckpointError, ShapeError
from model.modality import Modality
from model.srcid import SRCID


def features(steps: int = 5, clips: int = 3) -> dict[Modality, Tensor]:
    torch.manual_seed(1)
    return {m: torch.randn(clips, steps, 8) for m in Modality}


@pytest.fixture
def network(tiny_checkpoint: Path) -> SRCID:
    return SRCID.from_pretrained(tiny_checkpoint)


@pytest.mark.parametrize(("clips", "steps"), [(1, 1), (1, 6), (4, 1), (3, 5)])
def test_every_result_has_the_shape_that_is_promised(
    network: SRCID, clips: int, steps: int
) -> None:
    output = network(features(steps, clips))
    assert len(output.layers) == 2
    for out in output.layers:
        for m in Modality:
            assert out.general[m].shape == (clips, steps, 8)
            assert out.quantized[m].shape == (clips, steps, 8)
            assert out.codes[m].shape == (clips, 1, steps)
            assert out.specific[m].vector.shape == (clips, steps, 8)
            assert out.reconstruction[m].shape == (clips, steps, 8)


def test_layer_2_reads_the_specific_vectors_of_layer_1(network: SRCID) -> None:
    first, second = network(features()).layers
    for m in Modality:
        own = first.specific[m].vector
        mask = torch.ones(own.shape[:2], dtype=torch.bool)
        expected = network.stages[1].general[m](own, mask)
        assert torch.equal(second.general[m], expected)


def test_quantizing_gives_what_the_whole_network_gives(network: SRCID) -> None:
    inputs = features()
    for whole, own in zip(network(inputs).layers, network.quantize(inputs), strict=True):
        for m in Modality:
            assert torch.equal(own.general[m], whole.general[m])
            assert torch.equal(own.codes[m], whole.codes[m])


def test_quantizing_leaves_out_what_only_training_needs(network: SRCID) -> None:
    run = []
    for name, module in network.named_modules():
        module.register_forward_hook(lambda *_, name=name: run.append(name))
    network.quantize(features())
    assert run
    idle = (".decoder.", f"layers.{len(network.stages) - 1}.specific.")
    assert not [name for name in run if any(part in name for part in idle)]
    network(features())
    assert all(any(part in name for name in run) for part in idle)


def test_decoders_aim_at_what_the_layer_was_given(network: SRCID) -> None:
    inputs = features()
    output = network(inputs)
    assert torch.equal(output.targets[0][Modality.AUDIO], inputs[Modality.AUDIO])
    specific = output.layers[0].specific[Modality.VIDEO].vector
    assert torch.equal(output.targets[1][Modality.VIDEO], specific)


def test_padding_changes_no_real_step(network: SRCID) -> None:
    """A clip's vectors are the same alone and beside a longer one."""
    alone = {m: x[:1, :3] for m, x in features().items()}
    padded, masks = {}, {}
    for m, x in features().items():
        padded[m] = x.clone()
        padded[m][0, 3:] = 1e3
        masks[m] = torch.ones(3, 5, dtype=torch.bool)
        masks[m][0, 3:] = False
    expected, found = network(alone), network(padded, masks)
    for short, long in zip(expected.layers, found.layers, strict=True):
        for m in Modality:
            torch.testing.assert_close(long.general[m][:1, :3], short.general[m])
            assert torch.equal(long.codes[m][:1, :, :3], short.codes[m])


def test_a_clip_without_a_modality_is_finite_and_disturbs_no_other(network: SRCID) -> None:
    masks = {m: torch.ones(3, 5, dtype=torch.bool) for m in Modality}
    whole = network(features(), masks)
    masks[Modality.TEXT][1] = False
    partial = network(features(), masks)
    for m in Modality:
        assert partial.layers[1].general[m].isfinite().all()
        kept = [0, 2] if m is Modality.TEXT else [0, 1, 2]
        torch.testing.assert_close(
            partial.layers[1].general[m][kept], whole.layers[1].general[m][kept]
        )


def test_equal_steps_give_equal_vectors_whatever_their_number(network: SRCID) -> None:
    """There are no positions: a picture is a video of one step."""
    picture = torch.randn(1, 1, 8)
    one = network({Modality.VIDEO: picture}).layers[0].general[Modality.VIDEO]
    many = network({Modality.VIDEO: picture.expand(1, 7, 8)}).layers[0].general[Modality.VIDEO]
    torch.testing.assert_close(many, one.expand(1, 7, 8))


def test_any_subset_of_modalities_is_encoded_alike(network: SRCID) -> None:
    together = network.encode(features())
    for m in Modality:
        assert torch.equal(network.encode({m: features()[m]})[m], together[m])


def test_codes_are_two_rows_and_the_same_in_training_mode(network: SRCID) -> None:
    codes = network.encode(features())
    assert {own.shape for own in codes.values()} == {(3, 2, 5)}
    assert len(network.forward(features(), num_layers=1).layers) == 1


def test_rows_of_a_residual_quantizer_stand_layer_by_layer(tiny_config: SRCIDConfig) -> None:
    quantizer = RVQConfig(codebook_size=16, stages=3)
    network = SRCID(tiny_config.model_copy(update={"quantizer": quantizer})).eval()
    assert network.encode(features())[Modality.AUDIO].shape == (3, 6, 5)


@pytest.mark.parametrize("attention", ["sum", "softmax"])
def test_maps_are_encoded_and_decoded_to_their_own_shape(
    tiny_config: SRCIDConfig, attention: str
) -> None:
    maps = MapConfig.model_validate(
        {"attention": attention, "specific_channels": 8, "gate_dim": 4, "attention_dim": 4}
    )
    video = ModalityConfig(backbone="x", feature_shape=(7, 7, 6), specific_dim=5, map=maps)
    config = tiny_config.model_copy(update={"modalities": {Modality.VIDEO: video}})
    out = SRCID(config).eval()({Modality.VIDEO: torch.randn(2, 3, 7, 7, 6)}).layers[0]
    assert out.reconstruction[Modality.VIDEO].shape == (2, 3, 7, 7, 6)
    assert out.general[Modality.VIDEO].shape == (2, 3, 8)
    assert out.specific[Modality.VIDEO].vector.shape == (2, 3, 5)


def test_targets_carry_a_gradient_only_where_the_config_says(tiny_config: SRCIDConfig) -> None:
    for detach in (True, False):
        network = SRCID(tiny_config.model_copy(update={"detach_targets": detach}))
        targets = network(features()).targets
        assert targets[1][Modality.AUDIO].requires_grad is not detach
        assert targets[0][Modality.TEXT].requires_grad is not detach


def test_a_standardized_specific_vector_cannot_shrink(tiny_config: SRCIDConfig) -> None:
    network = SRCID(tiny_config.model_copy(update={"standardize_specific": True}))
    with torch.no_grad():
        network.stages[0].specific[Modality.AUDIO].linear.weight.mul_(0.1)
    own = network(features()).layers[0].specific[Modality.AUDIO].vector
    variance = own.flatten(0, 1).var(0, correction=0)
    assert variance[variance > 0].median().item() > 0.9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({Modality.AUDIO: torch.zeros(2, 5, 9)}, r"\[2, 5, 9\].*\[B, T, 8\]"),
        ({Modality.AUDIO: torch.zeros(2, 8)}, r"\[2, 8\]"),
        ({"smell": torch.zeros(2, 5, 8)}, "smell"),
    ],
)
def test_features_of_another_shape_are_refused_with_both_shapes(
    network: SRCID, given: dict[Modality, Tensor], said: str
) -> None:
    with pytest.raises(ShapeError, match=said):
        network(given)


def test_a_saved_network_encodes_the_same(network: SRCID, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path / "copy")
    twin = SRCID.from_pretrained(tmp_path / "copy")
    for m, codes in network.encode(features()).items():
        assert torch.equal(twin.encode(features())[m], codes)


def test_weights_of_another_architecture_are_refused(network: SRCID, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path / "a")
    other = network.config.model_copy(update={"quantizer": VQConfig(codebook_size=33)})
    (tmp_path / "a" / "config.json").write_text(other.model_dump_json())
    with pytest.raises(CheckpointError, match="of another shape"):
        SRCID.from_pretrained(tmp_path / "a")
    other = network.config.model_copy(update={"num_layers": 1})
    (tmp_path / "a" / "config.json").write_text(other.model_dump_json())
    with pytest.raises(CheckpointError, match="unknown"):
        SRCID.from_pretrained(tmp_path / "a")


@pytest.mark.parametrize("kind", ["vq", "rvq", "fsq", "prototypes"])
def test_a_network_with_any_quantizer_is_written_and_read(
    tiny_config: SRCIDConfig, tmp_path: Path, kind: str
) -> None:
    fields = tiny_config.model_dump() | {"quantizer": {"kind": kind}}
    written = SRCID(SRCIDConfig.model_validate(fields))
    written.save_pretrained(tmp_path / "checkpoint")
    read = SRCID.from_pretrained(tmp_path / "checkpoint")
    before = dict([*written.named_parameters(), *written.named_buffers()])
    after = dict([*read.named_parameters(), *read.named_buffers()])
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
