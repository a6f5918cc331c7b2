"""Benchmarks run seldom: what they import must not move away unseen."""

import importlib
import pkgutil

import pytest

import benchmarks


@pytest.mark.parametrize("name", [own.name for own in pkgutil.iter_modules(benchmarks.__path__)])
def test_every_benchmark_finds_what_it_imports(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")
