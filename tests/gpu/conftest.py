"""The GPU, or the reason why these tests are skipped."""

import pytest
import torch

from model.encoder import Encoder


@pytest.fixture(scope="session")
def gpu() -> str:
    """The name of the device."""
    if not torch.cuda.is_available():
        pytest.skip("no GPU: torch.cuda.is_available() is false")
    return "cuda"


@pytest.fixture(scope="session")
def on_cpu() -> Encoder:
    return Encoder.from_pretrained("compact", device="cpu")


@pytest.fixture(scope="session")
def on_gpu(gpu: str) -> Encoder:
    return Encoder.from_pretrained("compact", device=gpu)
