"""Starting from a checkpoint: all of it, or a sentence that says why not."""

from pathlib import Path

import pytest
import torch

from model.config import RVQConfig, SRCIDConfig, VQConfig
from model.errors import CheckpointError, ConfigError
from model.modality import Modality
from model.srcid import SRCID
from training.config import TrainConfig
from training.initial import initial_model, load_initial, with_share_of


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


@pytest.fixture
def aligned(tiny_config: SRCIDConfig, tmp_path: Path) -> Path:
    """A checkpoint as `srcid align` leaves it: one layer, general encoders of projections alone."""
    modalities = {
        m: own.model_copy(update={"stem": None}) for m, own in tiny_config.modalities.items()
    }
    update = {"num_layers": 1, "quantizer": RVQConfig(stages=2), "modalities": modalities}
    torch.manual_seed(5)
    model = SRCID(tiny_config.model_copy(update=update))
    for encoder in model.stages[0].general.values():
        encoder.add_nothing()
    model.save_pretrained(tmp_path / "aligned")
    return tmp_path / "aligned"


def another(aligned: Path, **update: object) -> SRCID:
    """A network of two layers on what ``aligned`` takes."""
    config = SRCID.from_pretrained(aligned).config
    quantizers = {
        "quantizer": VQConfig(codebook_size=6),
        "residual_quantizer": RVQConfig(stages=1, codebook_size=4),
    }
    torch.manual_seed(6)
    update = {"num_layers": 2, "residual": "general-centred", "dropout": 0.0} | quantizers | update
    return SRCID(config.model_copy(update=update))


def test_an_aligned_start_gives_layer_1_its_general_vectors(aligned: Path) -> None:
    """Whatever else differs: attention or none, another codebook, a second layer."""
    initial = SRCID.from_pretrained(aligned)
    x = {m: torch.randn(3, 5, *own.feature_shape) for m, own in initial.config.modalities.items()}
    expected = initial.quantize(x)[0].general
    for update in ({"attention": False}, {"attention": False, "feedforward_dim": 20}, {}):
        model = another(aligned, **update)
        load_initial(model, str(aligned))
        for m, own in model.eval().quantize(x)[0].general.items():
            torch.testing.assert_close(own, expected[m], rtol=1e-4, atol=1e-4)


def test_a_trained_checkpoint_is_no_aligned_start(aligned: Path, tmp_path: Path) -> None:
    """Its blocks add something, which a network of another architecture would lose."""
    trained = SRCID.from_pretrained(aligned)
    trained.stages[0].general["audio"].blocks[0].linear2.weight.fill_(0.1)
    trained.save_pretrained(tmp_path / "trained")
    with pytest.raises(ConfigError, match="num_layers is 1 there and 2 here"):
        load_initial(another(aligned), str(tmp_path / "trained"))


def test_an_aligned_start_for_other_features_is_refused(aligned: Path) -> None:
    with pytest.raises(ConfigError, match="dim is 8 there and 16 here"):
        load_initial(another(aligned, dim=16), str(aligned))


def test_a_share_of_the_start_is_mixed_into_the_general_encoders_alone(
    aligned: Path, tmp_path: Path
) -> None:
    start = another(aligned)
    load_initial(start, str(aligned))
    trained = another(aligned)
    with torch.no_grad():
        for tensor in trained.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(1.0)
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    mixed = with_share_of(start, trained, 0.25).state_dict()
    for name, tensor in start.state_dict().items():
        expected = 0.25 * tensor + 0.75 * before[name] if ".general." in name else before[name]
        torch.testing.assert_close(mixed[name], expected)
    assert all(torch.equal(x, before[name]) for name, x in trained.state_dict().items())


def test_a_run_begins_with_the_same_network_at_every_call(
    aligned: Path, tiny_run: TrainConfig
) -> None:
    config = tiny_run.model_copy(update={"model": another(aligned).config, "init": str(aligned)})
    first = initial_model(config).state_dict()
    torch.rand(3)
    second = initial_model(config).state_dict()
    assert all(torch.equal(x, second[name]) for name, x in first.items())


def test_a_share_of_the_start_needs_a_start(tiny_run: TrainConfig) -> None:
    optim = tiny_run.optim.model_copy(update={"start_share": 0.5})
    with pytest.raises(ConfigError, match="name a checkpoint to start from"):
        initial_model(tiny_run.model_copy(update={"optim": optim}))
