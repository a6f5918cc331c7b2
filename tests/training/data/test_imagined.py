import torch
from torch import nn

from training.data.imagined import imagine, mixed


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_classifier_believes_in_what_is_imagined() -> None:
    torch.manual_seed(0)
    head = nn.Linear(16, 6).requires_grad_(False)
    nn.init.orthogonal_(head.weight).mul_(6)  # as sure of itself as trained ones
    imagined = imagine(head, torch.rand(20, 16), generator=draw())
    assert imagined.shape == (6, 16)
    assert head(imagined).argmax(1).tolist() == list(range(6))
    assert (imagined >= 0).all()
    assert not imagined.requires_grad


def test_the_same_seed_imagines_the_same() -> None:
    torch.manual_seed(0)
    head, real = nn.Linear(8, 3).requires_grad_(False), torch.rand(5, 8)
    first, second = (imagine(head, real, generator=draw()) for _ in range(2))
    assert torch.equal(first, second)


def test_a_mixture_has_at_least_half_of_its_first_part() -> None:
    found = mixed(torch.ones(1, 2), torch.zeros(1, 2), 50, generator=draw())
    assert found.shape == (50, 2)
    assert ((found >= 0.5) & (found <= 1)).all()
    assert found.unique().numel() > 10
