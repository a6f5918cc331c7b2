"""The made-up bank, its script and its folder."""

from pathlib import Path

import pytest

from model.config import SRCIDConfig
from tests.training.data.scenes.made_up import SMALL, write_bank
from training.data.bank import read_manifest
from training.data.scenes.draw import draw_scenes
from training.data.scenes.material import Material, Supply, supplies
from training.data.scenes.script import Scene
from training.data.scenes.write import write_scenes


@pytest.fixture(scope="session")
def bank_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bank(tmp_path_factory.mktemp("made_up") / "bank")


@pytest.fixture(scope="session")
def supply(bank_folder: Path) -> dict[str, Supply]:
    return supplies(read_manifest(bank_folder), validation=SMALL.validation)


@pytest.fixture(scope="session")
def scenes(supply: dict[str, Supply]) -> list[Scene]:
    return draw_scenes(supply, SMALL)


@pytest.fixture
def material(bank_folder: Path) -> Material:
    return Material(bank_folder)


@pytest.fixture(scope="session")
def scenes_folder(
    bank_folder: Path, tiny_config: SRCIDConfig, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "scenes"
    write_scenes(bank_folder, out, tiny_config, SMALL)
    return out
