"""A small network whose codebook is in use."""

import pytest
import torch

from model.config import SRCIDConfig
from model.srcid import SRCID
from tests.training.evaluation.paper_shaped import paper_shaped

__all__ = ["paper_shaped"]  # a fixture for the tests below


@pytest.fixture
def coded(tiny_config: SRCIDConfig) -> SRCID:
    torch.manual_seed(0)
    network = SRCID(tiny_config.model_copy(update={"max_steps": 4})).eval()
    for layer in network.stages:
        layer.quantizer.codebook.vectors.normal_()
    return network
