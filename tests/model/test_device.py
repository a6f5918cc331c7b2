"""Names of devices."""

import pytest
import torch

from model.device import usable_device
from model.errors import ConfigError


@pytest.mark.parametrize(("gpus", "meant"), [(0, "cpu"), (2, "cuda")])
def test_auto_is_a_gpu_where_there_is_one(
    gpus: int, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    assert usable_device("auto") == meant


@pytest.mark.parametrize(
    ("gpus", "name"), [(0, "cpu"), (1, "cuda"), (1, "cuda:0"), (2, "cuda:1"), (2, "cpu")]
)
def test_a_device_that_is_there_is_taken(
    gpus: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert usable_device(name) == name


@pytest.mark.parametrize(("gpus", "name"), [(0, "cuda"), (0, "cuda:0"), (1, "cuda:1")])
def test_a_gpu_that_is_not_there_is_told_of(
    gpus: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ConfigError, match=f"the device is {name}, but torch .* sees {gpus} GPUs"):
        usable_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cpu:0", "mps"])
def test_another_name_is_told_of(name: str) -> None:
    with pytest.raises(ConfigError, match="name cpu, cuda, cuda:1"):
        usable_device(name)
