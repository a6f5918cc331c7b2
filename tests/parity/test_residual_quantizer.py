"""The residual quantizer against the published one's results, in float64."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.config import RVQConfig
from model.modality import Modality
from model.quantizers.rvq import ResidualQuantizer


@pytest.mark.shared
def test_quantized_sums_are_the_published_ones(shared: Path) -> None:
    tensors = load_file(shared / "parity" / "residual_quantizer.safetensors")
    quantizer = ResidualQuantizer(256, RVQConfig(stages=4)).double()
    for stage, codebook in zip(quantizer.stages, tensors["codebooks"], strict=True):
        stage.vectors.copy_(codebook)
    for m in Modality:
        ours = quantizer(tensors[f"general/{m}"])
        torch.testing.assert_close(ours.z, tensors[f"quantized/{m}"], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(quantizer.decode(ours.codes), ours.z, rtol=1e-9, atol=1e-12)
