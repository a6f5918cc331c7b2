"""The anchor: it holds on to the network that training began with, and learns nothing itself."""

import pytest
import torch

from model.config import RVQConfig, SRCIDConfig, VQConfig
from model.modality import Modality
from model.srcid import SRCID
from training.config import LayerWeights, ObjectiveConfig
from training.losses.anchor import anchor
from training.losses.objective import LayerDraws, Objective

from .conftest import Paired


def test_it_is_the_mean_squared_distance_of_real_steps(paired: Paired) -> None:
    initial = {m: torch.randn_like(z) for m, z in paired.z.items()}
    found = anchor(paired.z, initial, paired.masks)
    for m in Modality:
        errors = (paired.z[m] - initial[m])[paired.masks[m]]
        assert found[m].item() == pytest.approx(float(errors.square().mean()))


def test_it_draws_a_network_back_to_where_it_began(tiny_config: SRCIDConfig) -> None:
    torch.manual_seed(0)
    update = {
        "residual": "general-centred",
        "quantizer": VQConfig(codebook_size=6),
        "residual_quantizer": RVQConfig(stages=1, codebook_size=4),
        "dropout": 0.0,
    }
    model = SRCID(tiny_config.model_copy(update=update)).eval()
    none = dict.fromkeys(("reconstruction", "commitment", "mi", "cpc", "cmcm"), 0.0)
    weights = LayerWeights(**none, anchor=1.0), LayerWeights(**{**none, "commitment": 1.0})
    objective = Objective(model.config, ObjectiveConfig(layers=weights))
    objective.anchor_to(model)
    x = {m: torch.randn(4, 5, 8) for m in Modality}
    masks = {m: torch.ones(4, 5, dtype=torch.bool) for m in Modality}
    tables = [layer.quantizer.tables() for layer in model.stages]

    def distance() -> torch.Tensor:
        output = model(x, masks, num_layers=1)
        return objective(output, masks, tables, [LayerDraws({}, 1)]).total

    assert distance().item() < 1e-10
    start = model.stages[0].general["audio"].project.weight.detach().clone()
    with torch.no_grad():
        model.stages[0].general["audio"].project.weight.add_(0.3 * torch.randn_like(start))
    moved = distance()
    assert moved.item() > 0.01
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        distance().backward()
        optimizer.step()
    assert distance().item() < moved.item() / 20
    assert not any(
        parameter.requires_grad for parameter in objective.stages[0].initial.parameters()
    )
