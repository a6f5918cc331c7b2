"""Every recipe takes steps on features of its shapes, scaled down, and its loss falls."""

from typing import Any

import pytest
import torch

from model.config import FSQConfig
from model.modality import Modality
from model.srcid import SRCID
from training.config import TrainConfig
from training.data.sample import Batch
from training.losses.infonce import clip_infonce
from training.losses.objective import LayerDraws, Objective
from training.recipes import RECIPES, override, recipe
from training.step import TrainingStep

CLIPS, STEPS = 6, 4


def small(name: str) -> TrainConfig:
    """The recipe with its sizes scaled down, and layer 2 open from the start."""
    config = recipe(name)
    settings: dict[str, Any] = {
        "model.dim": 16,
        "model.feedforward_dim": 16,
        "model.dropout": 0,
        "objective.club.hidden_dim": 8,
        "objective.club.fits": 2,
        "warm_start.trigger": "epoch",
        "warm_start.epoch": 0,
        "optim.lr": 1e-2,
        "optim.warmup_steps": 0,
    }
    if not isinstance(config.model.quantizer, FSQConfig):
        settings["model.quantizer.codebook_size"] = 12
    for m, own in config.model.modalities.items():
        path = f"model.modalities.{m}."
        shape = (5, 5, 6) if len(own.feature_shape) == 3 else (6,)
        settings |= {path + "feature_shape": shape, path + "specific_dim": 8}
        if own.stem:
            settings[path + "stem.dim"] = 8
        if own.map:
            settings |= {path + "map.specific_channels": 8, path + "map.gate_dim": 4}
    return override(config, settings)


def a_batch(config: TrainConfig) -> Batch:
    """Clips of three classes, as alike as a class is."""
    torch.manual_seed(0)
    labels = torch.arange(CLIPS) % 3
    features, masks = {}, {}
    for m, own in config.model.modalities.items():
        classes = torch.randn(3, 1, *own.feature_shape)
        noise = torch.randn(CLIPS, STEPS, *own.feature_shape)
        features[m] = classes[labels] + 0.3 * noise  # [B, T, *F]
        masks[m] = torch.ones(CLIPS, STEPS, dtype=torch.bool)
    masks[Modality.TEXT][0, 2:] = False
    masks[Modality.AUDIO][1] = False
    return Batch(features, masks, labels)


@pytest.mark.parametrize("name", RECIPES)
def test_its_loss_is_finite_and_falls(name: str) -> None:
    config = small(name)
    batch = a_batch(config)
    torch.manual_seed(0)
    model, objective = SRCID(config.model).train(), Objective(config.model, config.objective)
    step = TrainingStep(model, objective, config, total_steps=100)
    step.warm_start.start_epoch(0)
    losses = [step(batch) for _ in range(8)]
    first, last = (sum(t["total"] for t in part) for part in (losses[:2], losses[-2:]))
    assert last < first


@pytest.mark.parametrize("name", ["cmcm", "codis", "turn", "srcid_no_club1"])
def test_a_term_is_reported_where_it_weighs_something_and_only_there(name: str) -> None:
    config = small(name)
    batch = a_batch(config)
    model, objective = SRCID(config.model), Objective(config.model, config.objective)
    step = TrainingStep(model, objective, config, total_steps=100)
    step.warm_start.start_epoch(0)
    found = {"/".join(term.split("/")[:2]) for term in step(batch)}
    for depth, weights in enumerate(config.objective.layers, start=1):
        for term, weight in weights.model_dump(exclude={"total"}).items():
            assert (f"layer{depth}/{term}" in found) == (weight > 0)
        assert (f"layer{depth}/club_fit" in found) == (weights.mi > 0)


def test_cmcm_compares_sums_of_general_and_quantized_vectors() -> None:
    config = small("cmcm")
    batch = a_batch(config)
    model, objective = SRCID(config.model), Objective(config.model, config.objective)
    output = model(batch.features, batch.masks)
    tables = [model.stages[0].quantizer.tables()]
    report = objective(output, batch.masks, tables, [LayerDraws({}, 1)])
    out = output.layers[0]
    sums = {m: z + out.quantized[m] for m, z in out.general.items()}
    wanted = clip_infonce(sums, batch.masks, temperature=config.objective.infonce_temperature)
    torch.testing.assert_close(report.terms["layer1/infonce"], wanted.detach())


def test_the_prototypes_of_codis_learn_by_its_loss() -> None:
    config = small("codis")
    model, objective = SRCID(config.model), Objective(config.model, config.objective)
    before = model.stages[0].quantizer.tables().detach().clone()
    TrainingStep(model, objective, config, total_steps=100)(a_batch(config))
    assert not torch.equal(model.stages[0].quantizer.tables(), before)


def test_the_decoders_of_turn_learn_by_its_loss() -> None:
    config = small("turn")
    model, objective = SRCID(config.model), Objective(config.model, config.objective)
    before = {name: p.detach().clone() for name, p in objective.named_parameters()}
    TrainingStep(model, objective, config, total_steps=100)(a_batch(config))
    learned = {n for n, p in objective.named_parameters() if not torch.equal(p, before[n])}
    assert learned == {name for name in before if ".interchange." in name}


def test_a_run_without_interchange_has_no_weights_of_it() -> None:
    config = small("srcid")
    names = Objective(config.model, config.objective).state_dict()
    assert not [name for name in names if "interchange" in name]
