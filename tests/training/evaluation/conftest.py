"""Small networks whose codebooks are in use."""

import pytest
import torch

from model.config import SRCIDConfig
from model.srcid import SRCID


def in_use(config: SRCIDConfig) -> SRCID:
    torch.manual_seed(0)
    network = SRCID(config).eval()
    for layer in network.stages:
        layer.quantizer.codebook.vectors.normal_()
    return network


@pytest.fixture
def network(tiny_config: SRCIDConfig) -> SRCID:
    return in_use(tiny_config)


@pytest.fixture
def coded(tiny_config: SRCIDConfig) -> SRCID:
    """Of clips of four steps."""
    return in_use(tiny_config.model_copy(update={"max_steps": 4}))
