"""Recipes: every one builds, and overrides reach every field or fail with a sentence."""

import pytest
import torch

from model.config import VQConfig
from model.errors import ConfigError
from model.modality import Modality
from model.srcid import SRCID
from training.config import TrainConfig
from training.initial import load_initial
from training.networks import embedded_network
from training.recipes import RECIPES, on_scenes, override, recipe


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_json_and_has_a_sentence(name: str) -> None:
    config = recipe(name)
    assert config.name == name
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    assert RECIPES[name].__doc__
    assert len(config.objective.layers) == config.model.num_layers


def test_srcid_is_the_papers_network() -> None:
    """Section III-B: 400 codes of 256 dimensions; method: 512, 128 and 768 features."""
    config = recipe("srcid")
    assert (config.model.num_layers, config.model.dim) == (2, 256)
    assert config.model.quantizer.codebook_size == 400
    assert config.objective.beta == 0.25
    shapes = {m: own.feature_shape for m, own in config.model.modalities.items()}
    assert shapes[Modality.VIDEO] == (7, 7, 512)
    assert shapes[Modality.AUDIO] == (128,)
    assert shapes[Modality.TEXT] == (768,)


def test_the_paper_network_has_the_published_size() -> None:
    """135.4 M published, of which templates, dead attention and unused heads are not ours."""
    with torch.device("meta"):
        count = sum(p.numel() for p in SRCID(recipe("srcid_as_published").model).parameters())
    assert 110e6 < count < 135.4e6


def test_dashes_serve_as_underscores_and_an_unknown_name_lists_the_known() -> None:
    assert recipe("dcid-rvq4") == recipe("dcid_rvq4")
    with pytest.raises(ConfigError, match=r"unknown recipe 'x'.*compact"):
        recipe("x")


@pytest.mark.parametrize(
    ("name", "command"), [("default", "srcid train shared --data"), ("aligned", "srcid align")]
)
def test_who_names_a_shipped_checkpoint_is_told_what_makes_it(name: str, command: str) -> None:
    with pytest.raises(ConfigError, match=command):
        recipe(name)


def test_shared_starts_from_the_aligned_checkpoint() -> None:
    """From its projections: everything else may differ, and does."""
    config = recipe("shared")
    model = SRCID(config.model)
    load_initial(model, config.init)
    aligned = SRCID.from_pretrained("aligned")
    for m, own in model.stages[0].general.items():
        assert torch.equal(own.project.weight, aligned.stages[0].general[m].project.weight)


def test_what_sets_nothing_apart_has_nothing_to_reconstruct() -> None:
    with pytest.raises(ConfigError, match="reconstruction and mi to 0"):
        override(recipe("shared"), {"objective.layers.0.mi": 0.1})


def test_a_field_is_set_by_its_path() -> None:
    config = override(recipe("srcid"), {"objective.layers.1.mi": 0, "optim.lr": 1e-3})
    assert config.objective.layers[1].mi == 0
    assert config.objective.layers[0].mi == 1
    assert config.optim.lr == 1e-3


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("optim.rate", 1, "optim.rate"),
        ("objective.layers.7.mi", 1, "objective.layers.7.mi"),
        ("optim.lr.x", 1, "optim.lr.x"),
        ("optim.lr", -1, "optim.lr"),
        ("model.dim", 255, "255"),
        ("epochs", "many", "epochs"),
    ],
)
def test_a_mistaken_override_names_the_field(path: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        override(recipe("srcid"), {path: value})


@pytest.mark.parametrize("size", [200, 800])
def test_the_codebook_sizes_of_figure_3_are_overrides(size: int) -> None:
    config = override(recipe("srcid"), {"model.quantizer.codebook_size": size})
    with torch.device("meta"):
        stages = SRCID(config.model).stages
    assert [stage.quantizer.codebook_size for stage in stages] == [size, size]


def test_the_ablations_of_figure_3_take_out_one_term() -> None:
    whole = recipe("srcid").objective.layers
    for name, layers in {
        "srcid_no_club1": {0},
        "srcid_no_club2": {1},
        "srcid_no_club": {0, 1},
    }.items():
        for depth, weights in enumerate(recipe(name).objective.layers):
            wanted = {"mi": 0.0} if depth in layers else {}
            assert weights == whole[depth].model_copy(update=wanted)


def test_only1_is_trained_as_srcid() -> None:
    assert recipe("srcid_only1").model_copy(update={"name": "srcid"}) == recipe("srcid")


def test_srcid_plus_is_srcid_with_the_extensions_of_compact_and_a_joint_codebook() -> None:
    plus, srcid, compact = (recipe(name) for name in ("srcid_plus", "srcid", "compact"))
    assert plus.objective == compact.objective
    for extended in ("standardize_specific", "dropout"):
        assert getattr(plus.model, extended) == getattr(compact.model, extended)
    back = {name: getattr(srcid, name) for name in ("name", "model", "objective")}
    assert plus.model_copy(update=back) == srcid
    assert plus.model.modalities == srcid.model.modalities
    assert isinstance(plus.model.quantizer, VQConfig)
    assert plus.model.quantizer.joint


@pytest.mark.parametrize("name", RECIPES)
def test_on_scenes_a_recipe_keeps_its_method_and_gets_the_embedded_backbones(name: str) -> None:
    own, moved = recipe(name), on_scenes(recipe(name))
    assert moved.model.modalities == embedded_network().modalities
    assert (moved.model.max_steps, moved.data.steps) == (10, 10)
    rarer = {"min_share": 0.01} if name == "srcid_plus" else {}
    assert moved.model.quantizer == own.model.quantizer.model_copy(update=rarer)
    for kept in ("num_layers", "detach_targets", "standardize_specific", "dropout"):
        assert getattr(moved.model, kept) == getattr(own.model, kept)
    assert (moved.objective, moved.optim, moved.name) == (own.objective, own.optim, own.name)
    assert moved.data.text_mask == own.data.text_mask


def test_clips_of_training_are_as_long_as_the_pieces_that_media_is_cut_into_later() -> None:
    with pytest.raises(ConfigError, match=r"data.steps is 7 but model.max_steps is 5"):
        override(RECIPES["compact"](), {"data.steps": 7})
    longer = override(RECIPES["compact"](), {"data.steps": 7, "model.max_steps": 7})
    assert longer.data.steps == longer.model.max_steps == 7
