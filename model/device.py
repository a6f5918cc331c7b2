"""Where a network runs: the name that a user gives, the device that is there."""

import re

import torch

from model.errors import ConfigError


def usable_device(name: str) -> str:
    """Return the device of torch that is meant by ``name``; by auto, a GPU where there is one.

    Raises:
        ConfigError: It is no name of a device, or there is no such device on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    found = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if found is None:
        raise ConfigError(
            f"the device is {name!r}: name cpu, cuda, cuda:1 (a GPU's number) or auto"
        )
    there = torch.cuda.device_count()
    if name != "cpu" and int(found[1] or 0) >= there:
        raise ConfigError(
            f"the device is {name}, but torch {torch.__version__} sees {there} GPUs here (numbered "
            "from 0): name another or auto, or see to the driver (nvidia-smi)"
        )
    return name


def limit_memory(device: str, max_bytes: int) -> None:
    """Let this process allocate at most ``max_bytes`` on a GPU; more is ``OutOfMemoryError``.

    CUDA's own context, some 500 MB, comes on top. Does nothing for a CPU.
    """
    if device == "cpu":
        return
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, max_bytes / total), device)
