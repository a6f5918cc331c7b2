"""A step of training on a CPU and on a GPU: the same losses and gradients, within rounding."""

import pytest
import torch

from model.config import SRCIDConfig
from model.modality import Modality
from model.srcid import SRCID

pytestmark = pytest.mark.gpu

BATCH, STEPS = 4, 6


def outcome(config: SRCIDConfig, device: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return a sum over what the network gives, and its gradients."""
    torch.manual_seed(0)
    model = SRCID(config)
    for layer in model.stages:
        layer.quantizer.codebook.vectors.normal_()
    generator = torch.Generator().manual_seed(1)
    features = {
        m: torch.randn(BATCH, STEPS, *config.modalities[m].feature_shape, generator=generator)
        for m in (Modality.AUDIO, Modality.VIDEO)
    }
    model.eval().to(device)
    layers = model({m: own.to(device) for m, own in features.items()}).layers
    total = torch.stack([own.square().mean() for out in layers for own in out.general.values()])
    total.sum().backward()
    gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
    return total.detach().cpu(), gradients


def test_outputs_and_gradients_are_the_same(gpu: str, tiny_config: SRCIDConfig) -> None:
    expected, gradients = outcome(tiny_config, "cpu")
    found, others = outcome(tiny_config, gpu)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert others.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-2, atol=1e-5, msg=name)
