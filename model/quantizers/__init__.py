"""Quantizers: vectors in, codes of a finite vocabulary out, and back."""

from model.config import FSQConfig, PrototypesConfig, QuantizerConfig, RVQConfig, VQConfig
from model.quantizers.base import Quantizer
from model.quantizers.fsq import FiniteScalarQuantizer
from model.quantizers.prototypes import PrototypeQuantizer
from model.quantizers.rvq import ResidualQuantizer
from model.quantizers.vq import VectorQuantizer


def build_quantizer(dim: int, config: QuantizerConfig) -> Quantizer:
    """Return the quantizer of ``dim``-dimensional vectors that ``config`` describes."""
    match config:
        case VQConfig():
            return VectorQuantizer(dim, config)
        case RVQConfig():
            return ResidualQuantizer(dim, config)
        case FSQConfig():
            return FiniteScalarQuantizer(dim, config)
        case PrototypesConfig():
            return PrototypeQuantizer(dim, config)
