"""The moving codebook against loops written from method and paper."""

import pytest
import torch
from torch import Tensor

from model.modality import Modality
from model.quantizers.codebook import EPS, EMACodebook

DECAY = 0.9


def codebook(size: int = 6, *, multimodal: bool = True, revive_after: int = 300) -> EMACodebook:
    torch.manual_seed(0)
    book = EMACodebook(
        size=size, dim=3, decay=DECAY, multimodal=multimodal, revive_after=revive_after
    ).double()
    book.vectors.normal_()
    book.ema_count.uniform_(1, 5)
    book.ema_sum.copy_(book.vectors * book.ema_count[:, None])
    return book


def batch(modalities: tuple[Modality, ...] = tuple(Modality)) -> dict[Modality, Tensor]:
    torch.manual_seed(1)
    return {m: torch.randn(4, 5, 3, dtype=torch.float64) for m in modalities}


def full(z: dict[Modality, Tensor]) -> dict[Modality, Tensor]:
    return {m: torch.ones(own.shape[:2], dtype=torch.bool) for m, own in z.items()}


def by_loops(
    book: EMACodebook,
    z: dict[Modality, Tensor],
    masks: dict[Modality, Tensor],
    *,
    multimodal: bool,
) -> tuple[Tensor, Tensor]:
    """MM-EMA one vector at a time: counts and vectors after the update."""
    count, total = book.ema_count.clone(), book.ema_sum.clone()
    codes = {
        m: torch.tensor(
            [[int((book.vectors - v).square().sum(1).argmin()) for v in clip] for clip in own]
        )
        for m, own in z.items()
    }
    for m, own in z.items():
        chosen = torch.zeros(len(count), dtype=torch.float64)
        pulled = torch.zeros_like(total)
        for b in range(4):
            for t in range(5):
                if not masks[m][b, t]:
                    continue
                others = [z[n][b, t] for n in z if n != m and masks[n][b, t]]
                goal = own[b, t]
                if others and multimodal:
                    goal = own[b, t] / 2 + sum(others) / len(others) / 2
                chosen[codes[m][b, t]] += 1
                pulled[codes[m][b, t]] += goal
        count = DECAY * count + (1 - DECAY) * chosen
        total = DECAY * total + (1 - DECAY) * pulled
        size = count.sum()
        count = (count + EPS) / (size + len(count) * EPS) * size
    return count, total / count[:, None]


@pytest.mark.parametrize(
    "modalities", [tuple(Modality), (Modality.AUDIO, Modality.TEXT), (Modality.VIDEO,)]
)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("multimodal", [False, True])
def test_an_update_is_that_of_the_loop(
    modalities: tuple[Modality, ...], padded: bool, multimodal: bool
) -> None:
    book, z = codebook(multimodal=multimodal), batch(modalities)
    masks = full(z)
    if padded:
        masks[modalities[0]][0] = False
        masks[modalities[-1]][:, 2:] = False
    count, vectors = by_loops(book, z, masks, multimodal=multimodal)
    book.update(z, {m: book.nearest(own) for m, own in z.items()}, masks)
    torch.testing.assert_close(book.ema_count, count, rtol=1e-12, atol=0)
    torch.testing.assert_close(book.vectors, vectors, rtol=1e-12, atol=1e-12)


def test_an_unused_vector_stays_where_it_is_from_the_first_update_on() -> None:
    """The published code starts counts at 0: an unpicked vector then jumps far away."""
    torch.manual_seed(0)
    book = EMACodebook(size=8, dim=3, decay=0.99, multimodal=True, revive_after=300).double()
    before = book.vectors.clone()
    z = {m: torch.full((2, 2, 3), 50.0, dtype=torch.float64) for m in Modality}
    used = book.nearest(z[Modality.AUDIO]).unique()
    book.update(z, {m: book.nearest(own) for m, own in z.items()}, full(z))
    unused = torch.ones(8, dtype=torch.bool)
    unused[used] = False
    torch.testing.assert_close(book.vectors[unused], before[unused], rtol=1e-3, atol=1e-6)


def test_an_unused_vector_stays_where_it_is_for_good() -> None:
    """Smoothing must not shrink it: after 1000 updates it would be 0 without a care."""
    torch.manual_seed(0)
    book = EMACodebook(size=8, dim=3, decay=0.99, multimodal=True, revive_after=10_000).double()
    book.vectors.normal_()
    book.ema_sum.copy_(book.vectors)
    before = book.vectors.clone()
    z = {m: torch.full((2, 2, 3), 50.0, dtype=torch.float64) for m in Modality}
    for _ in range(1000):
        book.update(z, {m: book.nearest(own) for m, own in z.items()}, full(z))
    unused = book.unused_for > 900
    assert unused.sum() >= 6
    torch.testing.assert_close(book.vectors[unused], before[unused], rtol=0.02, atol=1e-6)


def test_a_code_nobody_chose_for_long_moves_to_data_and_stays_there() -> None:
    book = codebook(revive_after=3)
    book.vectors[0] = 1e3  # nothing is near it
    book.ema_sum[0] = book.vectors[0] * book.ema_count[0]
    z = batch()
    for _ in range(3):
        book.update(z, {m: book.nearest(own) for m, own in z.items()}, full(z))
        assert book.vectors[0].norm() > 1e3
    book.update(z, {m: book.nearest(own) for m, own in z.items()}, full(z))
    means = torch.stack(list(z.values())).mean(0).flatten(0, 1)
    assert (means - book.vectors[0]).norm(dim=1).min() < 1e-9
    book.update(z, {m: book.nearest(own) for m, own in z.items()}, full(z))
    assert book.vectors[0].norm() < 10


def test_distance_ties_and_scale_pick_the_nearest_vector() -> None:
    book = codebook(size=50)
    z = torch.randn(7, 9, 3, dtype=torch.float64) * 3
    expected = torch.cdist(z.flatten(0, 1), book.vectors).argmin(1).view(7, 9)
    assert torch.equal(book.nearest(z), expected)
