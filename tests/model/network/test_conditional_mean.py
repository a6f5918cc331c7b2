"""The mean for a code: what a residual no longer says, in training and in use."""

import pytest
import torch
from torch import Tensor

from model.config import RVQConfig, SRCIDConfig, VQConfig
from model.modality import Modality
from model.network.conditional_mean import MOST, PRIOR, ConditionalMean
from model.srcid import SRCID

CODES, DIM = 6, 5


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors ``[B, T, S]`` that depend on their codes ``[B, T]``, and a mask with gaps."""
    draw = torch.Generator().manual_seed(seed)
    codes = torch.randint(CODES - 1, (8, 20), generator=draw)  # the last code is never chosen
    centres = torch.randn(CODES, DIM, generator=torch.Generator().manual_seed(99))
    mask = torch.rand(8, 20, generator=draw) > 0.2
    return centres[codes] + torch.randn(8, 20, DIM, generator=draw) / 3, codes, mask


def test_taken_in_once_it_is_the_mean_of_a_codes_steps_drawn_to_that_of_all() -> None:
    vectors, codes, mask = batch()
    mean = ConditionalMean(CODES, DIM)
    mean.update(vectors, codes, mask)
    overall = vectors[mask].mean(0)
    for code in range(CODES):
        own = vectors[mask & (codes == code)]
        expected = (own.sum(0) + PRIOR * overall) / (len(own) + PRIOR)
        torch.testing.assert_close(mean(torch.tensor([[code]]))[0, 0], expected)


def test_padding_is_not_taken_in() -> None:
    vectors, codes, mask = batch()
    spoiled = torch.where(mask.unsqueeze(-1), vectors, 1e6)
    found = []
    for own in (vectors, spoiled):
        mean = ConditionalMean(CODES, DIM)
        mean.update(own, codes, mask)
        found.append(mean.sums)
    assert torch.equal(*found)


def test_old_batches_fade() -> None:
    """Two updates weigh as ``decay`` says; with decay 1 all that was seen counts alike."""
    (old, codes, mask), (new, _, _) = batch(0), batch(1)
    for decay in (0.5, 1.0):
        mean = ConditionalMean(CODES, DIM)
        mean.update(old, codes, mask, decay=decay)
        mean.update(new, codes, mask, decay=decay)
        chosen = mask & (codes == 0)
        torch.testing.assert_close(mean.sums[0], decay * old[chosen].sum(0) + new[chosen].sum(0))


def test_sums_stay_small_enough_for_a_checkpoint_and_means_stay_what_they_are() -> None:
    vectors, codes, mask = batch()
    few, many = ConditionalMean(CODES, DIM), ConditionalMean(CODES, DIM)
    for _ in range(20):
        few.update(100 + vectors, codes, mask, decay=1.0)
    for _ in range(2000):  # some 50,000 steps of each code
        many.update(100 + vectors, codes, mask, decay=1.0)
    assert many.counts.max() <= MOST
    each = torch.arange(CODES - 1)[None]
    torch.testing.assert_close(many(each), few(each), rtol=1e-3, atol=1e-3)


def small(residual: str, tiny_config: SRCIDConfig) -> SRCID:
    torch.manual_seed(0)
    update = {
        "residual": residual,
        "quantizer": VQConfig(codebook_size=CODES),
        "residual_quantizer": RVQConfig(stages=1, codebook_size=4, carry=True),
        "dropout": 0.0,
    }
    model = SRCID(tiny_config.model_copy(update=update))
    model.stages[0].quantizer.codebook.vectors.normal_()
    return model


def features() -> dict[Modality, Tensor]:
    torch.manual_seed(1)
    return {m: torch.randn(16, 9, 8) for m in Modality}


@pytest.mark.parametrize("residual", ["specific-centred", "general-centred"])
def test_what_is_left_tells_nothing_of_the_code_on_average(
    tiny_config: SRCIDConfig, residual: str
) -> None:
    """In the first moment, whichever vectors it is taken of; before the means moved it did."""
    model, x = small(residual, tiny_config), features()
    layer, masks = model.stages[0], {m: torch.ones(16, 9, dtype=torch.bool) for m in Modality}
    with torch.no_grad():
        out = model(x, masks).layers[0]
        told = {m: _spread(own, out.codes[m][:, 0]) for m, own in layer.residual(out).items()}
        for _ in range(60):  # so often that the prior weighs nothing
            for m, own in layer.uncentred(out).items():
                layer.conditional_mean[m].update(own, out.codes[m][:, 0], masks[m], decay=1.0)
        for m, own in layer.residual(out).items():
            assert _spread(own, out.codes[m][:, 0]) < told[m] / 100


def _spread(vectors: Tensor, codes: Tensor) -> float:
    """Return how far the means of codes lie from one another."""
    chosen = codes.unique()
    means = torch.stack([vectors[codes == code].mean(0) for code in chosen])
    return float((means - means.mean(0)).square().sum(-1).mean())


def test_layer_2_reads_what_codes_leave_of_the_general_vector(tiny_config: SRCIDConfig) -> None:
    model, x = small("general-centred", tiny_config), features()
    mean = model.stages[0].conditional_mean[Modality.AUDIO]
    mean.update(torch.randn(4, 5, 8), torch.randint(CODES, (4, 5)), torch.ones(4, 5) > 0)
    first, second = model.quantize(x)
    left = first.general[Modality.AUDIO] - mean(first.codes[Modality.AUDIO][:, 0])
    assert torch.equal(second.general[Modality.AUDIO], left)
    whole = model(x).layers[1]
    assert torch.equal(whole.general[Modality.AUDIO], second.general[Modality.AUDIO])


def test_plain_layer_2_reads_the_general_vector_without_that_of_its_code(
    tiny_config: SRCIDConfig,
) -> None:
    model, x = small("general", tiny_config), features()
    assert model.stages[0].conditional_mean is None
    first, second = model.quantize(x)
    for m in Modality:
        left = first.general[m] - model.stages[0].quantizer.decode(first.codes[m])
        assert torch.equal(second.general[m], left)


def test_forward_never_moves_it_and_the_checkpoint_has_it(
    tiny_config: SRCIDConfig, tmp_path: object
) -> None:
    model, x = small("general-centred", tiny_config), features()
    masks = {m: torch.ones(16, 9, dtype=torch.bool) for m in Modality}
    model.stages[0].update(model(x, masks).layers[0], masks)
    before = {name: own.clone() for name, own in model.state_dict().items()}
    assert before["layers.0.conditional_mean.audio.counts"].sum() > 0
    model(x)
    model.quantize(x)
    assert all(torch.equal(own, before[name]) for name, own in model.state_dict().items())
    model.save_pretrained(tmp_path / "saved")
    again = SRCID.from_pretrained(tmp_path / "saved")
    expected = model.eval().encode(x)
    assert all(torch.equal(own, expected[m]) for m, own in again.encode(x).items())


def test_a_second_has_the_same_first_code_wherever_it_stands(tiny_config: SRCIDConfig) -> None:
    """Without attention nothing of layer 1 depends on the other steps; padding is left out."""
    config = tiny_config.model_copy(update={"attention": False, "dropout": 0.0})
    model, x = SRCID(config).eval(), features()
    del x[Modality.TEXT]  # whose words have their context from the stem
    whole = model.quantize(x)[0]
    alone = model.quantize({m: own[:, 3:4] for m, own in x.items()})[0]
    for m in x:
        torch.testing.assert_close(whole.general[m][:, 3:4], alone.general[m])
    masks = {m: torch.arange(9).expand(16, 9) < 4 for m in x}
    padded = model.quantize(x, masks)[0]
    for m in x:
        torch.testing.assert_close(padded.general[m][:, :4], whole.general[m][:, :4])
        assert not padded.general[m][:, 4:].any()
