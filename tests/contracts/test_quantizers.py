"""What every quantizer promises, run on each of them."""

import pytest
import torch

from model.config import FSQConfig, PrototypesConfig, QuantizerConfig, RVQConfig, VQConfig
from model.modality import Modality
from model.quantizers import build_quantizer
from model.quantizers.base import Quantizer

CONFIGS: dict[str, QuantizerConfig] = {
    "vq": VQConfig(codebook_size=16),
    "vq-joint": VQConfig(codebook_size=16, joint=True, min_share=0.03),
    "vq-plain-ema": VQConfig(codebook_size=16, multimodal=False),
    "rvq-1": RVQConfig(codebook_size=16, stages=1),
    "rvq-4": RVQConfig(codebook_size=16, stages=4),
    "rvq-2-carry": RVQConfig(codebook_size=16, stages=2, carry=True),
    "fsq": FSQConfig(levels=(8, 10, 5)),
    "fsq-odd": FSQConfig(levels=(3, 3)),
    "prototypes": PrototypesConfig(codebook_size=16),
}
SHAPES = [(1, 1), (1, 7), (5, 1), (4, 10)]


@pytest.fixture(params=CONFIGS.values(), ids=list(CONFIGS))
def config(request: pytest.FixtureRequest) -> QuantizerConfig:
    return request.param


@pytest.fixture
def quantizer(config: QuantizerConfig) -> Quantizer:
    torch.manual_seed(0)
    built = build_quantizer(8, config)
    for name, buffer in built.named_buffers():
        if name.endswith("vectors"):
            buffer.normal_()
    return built


def paired(clips: int = 6, steps: int = 5) -> tuple[dict[Modality, torch.Tensor], ...]:
    z = {m: torch.randn(clips, steps, 8) for m in Modality}
    return z, {m: torch.ones(clips, steps, dtype=torch.bool) for m in Modality}


@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_are_what_the_codes_stand_for(quantizer: Quantizer, shape: tuple[int, int]) -> None:
    z = torch.randn(*shape, 8)
    quantized = quantizer(z)
    assert quantized.codes.shape == (shape[0], quantizer.num_codebooks, shape[1])
    assert quantized.codes.dtype == torch.int64
    assert torch.equal(quantized.codes, quantizer.encode(z))
    torch.testing.assert_close(quantized.z, quantizer.decode(quantized.codes))


def test_codes_are_in_range(quantizer: Quantizer) -> None:
    codes = quantizer.encode(torch.randn(64, 50, 8) * 10)
    assert codes.min() >= 0
    assert codes.max() < quantizer.codebook_size


def test_decoding_sums_one_row_of_each_table(quantizer: Quantizer) -> None:
    codes = quantizer.encode(torch.randn(3, 4, 8))
    tables = quantizer.tables()
    assert tables.shape == (quantizer.num_codebooks, quantizer.codebook_size, 8)
    summed = sum(tables[q][codes[:, q]] for q in range(quantizer.num_codebooks))
    torch.testing.assert_close(quantizer.decode(codes), summed)


def test_forward_is_pure(quantizer: Quantizer) -> None:
    z = torch.randn(4, 10, 8)
    before = {name: value.clone() for name, value in quantizer.state_dict().items()}
    trained = quantizer.train()(z).codes
    assert torch.equal(trained, quantizer.eval()(z).codes)
    after = quantizer.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_gradient_reaches_the_input(quantizer: Quantizer) -> None:
    z = torch.randn(4, 10, 8, requires_grad=True)
    quantizer(z).z.square().sum().backward()
    assert z.grad is not None
    assert z.grad.abs().sum() > 0


def test_an_update_survives_a_checkpoint(quantizer: Quantizer, config: QuantizerConfig) -> None:
    z, masks = paired()
    quantizer.update(z, masks)
    twin = build_quantizer(8, config)
    twin.load_state_dict(quantizer.state_dict())
    for _ in range(2):
        assert torch.equal(twin.encode(z[Modality.AUDIO]), quantizer.encode(z[Modality.AUDIO]))
        twin.update(z, masks)
        quantizer.update(z, masks)


def test_padding_moves_nothing(quantizer: Quantizer) -> None:
    """A batch whose masked steps hold garbage moves the vocabulary as one without them."""
    z, masks = paired()
    for m in Modality:
        masks[m][:, 3:] = False
    state = {name: value.clone() for name, value in quantizer.state_dict().items()}
    moved = []
    for fill in (0.0, 1e6):
        quantizer.load_state_dict(state)
        padded = {m: own.masked_fill(~masks[m].unsqueeze(-1), fill) for m, own in z.items()}
        quantizer.update(padded, masks)
        moved.append({name: value.clone() for name, value in quantizer.state_dict().items()})
    for name, value in moved[0].items():
        torch.testing.assert_close(value, moved[1][name])
