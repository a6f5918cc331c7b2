"""The joint codebook: a paired step has one vote, its modalities' mean."""

import torch
from torch import Tensor

from model.config import VQConfig
from model.modality import Modality
from model.quantizers.codebook import EPS, paired_mean
from model.quantizers.vq import VectorQuantizer

AUDIO, VIDEO, TEXT = Modality.AUDIO, Modality.VIDEO, Modality.TEXT
DECAY = 0.9


def quantizer(*, joint: bool = True) -> VectorQuantizer:
    torch.manual_seed(0)
    built = VectorQuantizer(3, VQConfig(codebook_size=6, decay=DECAY, joint=joint)).double()
    book = built.codebook
    book.vectors.normal_()
    book.ema_count.uniform_(1, 5)
    book.ema_sum.copy_(book.vectors * book.ema_count[:, None])
    return built


def batch() -> tuple[dict[Modality, Tensor], dict[Modality, Tensor]]:
    """4 clips of 5 steps; audio lacks a clip, text its last steps, one step is lacked by all."""
    torch.manual_seed(1)
    z = {m: torch.randn(4, 5, 3, dtype=torch.float64) for m in Modality}
    masks = {m: torch.ones(4, 5, dtype=torch.bool) for m in Modality}
    masks[AUDIO][0] = False
    masks[TEXT][:, 3:] = False
    for mask in masks.values():
        mask[1, 4] = False
    return z, masks


def test_the_code_of_the_mean_has_the_least_summed_distance_to_the_modalities() -> None:
    z, masks = batch()
    book = quantizer().codebook
    means, present = paired_mean(z, masks)
    for b, t in present.nonzero().tolist():
        there = [z[m][b, t] for m in z if masks[m][b, t]]
        costs = [sum(float((own - e).square().sum()) for own in there) for e in book.vectors]
        assert int(book.nearest(means)[b, t]) == min(range(6), key=costs.__getitem__)


def test_a_joint_update_is_that_of_the_loop() -> None:
    z, masks = batch()
    built = quantizer()
    book = built.codebook
    chosen, pulled = torch.zeros(6, dtype=torch.float64), torch.zeros(6, 3, dtype=torch.float64)
    for b in range(4):
        for t in range(5):
            there = [z[m][b, t] for m in z if masks[m][b, t]]
            if not there:
                continue
            mean = torch.stack(there).mean(0)
            code = int((book.vectors - mean).square().sum(1).argmin())
            chosen[code] += 1
            pulled[code] += mean
    count = DECAY * book.ema_count + (1 - DECAY) * chosen
    count = (count + EPS) / (count.sum() + 6 * EPS) * count.sum()
    vectors = (DECAY * book.ema_sum + (1 - DECAY) * pulled) / count[:, None]
    built.update(z, masks)
    torch.testing.assert_close(book.ema_count, count, rtol=1e-12, atol=0)
    torch.testing.assert_close(book.vectors, vectors, rtol=1e-12, atol=1e-12)


def trained(*, joint: bool, min_share: float) -> float:
    """Return how often sound and picture of four kinds, a gap between them, share the code.

    The codebook begins with a code for each kind and modality.
    """
    torch.manual_seed(0)
    kinds = torch.tensor([[3.0, 0, 0], [-3, 0, 0], [0, 3, 0], [0, -3, 0]])
    gaps = {AUDIO: torch.tensor([0, 0, 1.0]), VIDEO: torch.tensor([0, 0, -1.0])}
    masks = {m: torch.ones(32, 1, dtype=torch.bool) for m in gaps}
    config = VQConfig(
        codebook_size=8, decay=DECAY, joint=joint, multimodal=False, min_share=min_share
    )
    built = VectorQuantizer(3, config)
    built.codebook.vectors.copy_(torch.cat([kinds + gap for gap in gaps.values()]))
    built.codebook.ema_sum.copy_(built.codebook.vectors)
    for _ in range(100):
        noise = {m: torch.randn(32, 3) / 10 for m in gaps}
        z = {m: (kinds.repeat(8, 1) + gap + noise[m]).unsqueeze(1) for m, gap in gaps.items()}
        built.update(z, masks)
    codes = {m: built.encode(own) for m, own in z.items()}
    return float((codes[AUDIO] == codes[VIDEO]).float().mean())


def test_modalities_apart_come_to_share_a_joint_codebook() -> None:
    assert trained(joint=True, min_share=0.05) == 1
    assert trained(joint=False, min_share=0.05) == 0


def test_without_min_share_a_modality_keeps_the_code_that_no_mean_chooses() -> None:
    assert trained(joint=True, min_share=0) < 1


def test_the_nearest_code_that_is_not_rare_is_chosen() -> None:
    book = quantizer().codebook
    book.min_share = 0.2
    book.ema_count.copy_(torch.tensor([1.0, 10, 0.5, 8, 9, 1]))  # 0.2 of 29.5 is 5.9
    z = torch.randn(7, 5, 3, dtype=torch.float64)
    living = torch.tensor([1, 3, 4])
    nearest = torch.cdist(z.flatten(0, 1), book.vectors[living]).argmin(1)
    assert torch.equal(book.nearest(z).flatten(), living[nearest])


def test_where_all_codes_are_rare_all_are_in_use() -> None:
    book = quantizer().codebook
    z = torch.randn(7, 5, 3, dtype=torch.float64)
    expected = book.nearest(z)
    book.min_share = 0.2
    book.ema_count.fill_(1)  # a sixth each
    assert torch.equal(book.nearest(z), expected)


def test_a_modality_alone_moves_a_joint_codebook_like_a_plain_average() -> None:
    z, masks = batch()
    joint, plain = quantizer(), quantizer(joint=False)
    for built in (joint, plain):
        built.update({VIDEO: z[VIDEO]}, {VIDEO: masks[VIDEO]})
    torch.testing.assert_close(joint.codebook.vectors, plain.codebook.vectors)
