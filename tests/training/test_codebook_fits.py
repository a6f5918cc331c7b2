"""Codebooks fitted at once: where a layer joins, and after the last step."""

from collections.abc import Iterator

import pytest
import torch

from model.config import RVQConfig, SRCIDConfig, VQConfig
from model.modality import Modality
from model.quantizers.codebook import clip_vote
from model.srcid import SRCID
from training.codebook_fits import refit_residual, start_codebook, take_means
from training.data.sample import Batch

L = 6


@pytest.fixture
def model(tiny_config: SRCIDConfig) -> SRCID:
    torch.manual_seed(0)
    update = {
        "residual": "general-centred",
        "quantizer": VQConfig(codebook_size=L, joint=True, vote="clip"),
        "residual_quantizer": RVQConfig(stages=1, codebook_size=L, carry=True),
        "dropout": 0.0,
    }
    return SRCID(tiny_config.model_copy(update=update))


def batches() -> Iterator[Batch]:
    for seed in range(4):
        draw = torch.Generator().manual_seed(seed)
        features = {m: torch.randn(20, 6, 8, generator=draw) for m in Modality}
        masks = {m: torch.arange(6).expand(20, 6) < 4 for m in Modality}
        masks[Modality.VIDEO][:5] = False
        yield Batch(features, masks, torch.zeros(20))


def votes(model: SRCID) -> torch.Tensor:
    found = []
    with torch.no_grad():
        for batch in batches():
            out = model(batch.features, batch.masks, num_layers=1).layers[0]
            found.append(clip_vote(out.general, batch.masks)[0])
    return torch.cat(found)


def lost(model: SRCID) -> float:
    book = model.stages[0].quantizer.codebook
    vectors = votes(model)
    return float((vectors - book.vectors[book.nearest(vectors)]).square().mean())


def test_a_start_puts_the_codes_where_the_votes_are(model: SRCID) -> None:
    before = lost(model)
    start_codebook(model, 0, batches(), seed=0)
    assert lost(model) < before / 2
    book = model.stages[0].quantizer.codebook
    assert len(book.nearest(votes(model)).unique()) == L  # none is idle


def test_layer_2_starts_on_what_layer_1_leaves(model: SRCID) -> None:
    start_codebook(model, 0, batches(), seed=0)
    means = model.stages[0].conditional_mean[Modality.AUDIO]
    assert not means.counts.any()
    start_codebook(model, 1, batches(), seed=0)
    taken = sum(int(batch.masks[Modality.AUDIO].sum()) for batch in batches())
    assert means.counts.sum() == taken  # each real step once, and no padding
    stage = model.stages[1].quantizer.stages[0]
    assert not stage.vectors[0].any()
    assert stage.vectors[1:].norm(dim=-1).min() > 0.1


def test_means_are_taken_anew(model: SRCID) -> None:
    take_means(model, 0, batches())
    once = model.stages[0].conditional_mean[Modality.AUDIO].sums.clone()
    take_means(model, 0, batches())
    assert torch.equal(once, model.stages[0].conditional_mean[Modality.AUDIO].sums)


def test_a_refit_loses_less_of_what_lasts(model: SRCID) -> None:
    """Of sounds and pictures that last three steps, codes chosen with what was lost carried on."""
    start_codebook(model, 0, batches(), seed=0)
    start_codebook(model, 1, batches(), seed=0)

    def loss() -> float:
        quantizer, errors = model.stages[1].quantizer, []
        for batch in batches():
            with torch.no_grad():
                out = model(batch.features, batch.masks).layers[1]
            for m in (Modality.AUDIO, Modality.VIDEO):
                z = out.general[m][batch.masks[m]].unsqueeze(1).expand(-1, 3, -1)
                said = quantizer.decode(quantizer.encode(z)).mean(1)
                errors.append((z[:, 0] - said).square().mean())
        return float(torch.stack(errors).mean())

    before = loss()
    refit_residual(model, batches(), seed=0)
    assert loss() < 0.9 * before


def test_the_same_seed_gives_the_same_codebooks(tiny_config: SRCIDConfig, model: SRCID) -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        own = SRCID(model.config)
        start_codebook(own, 0, batches(), seed=1)
        start_codebook(own, 1, batches(), seed=1)
        refit_residual(own, batches(), seed=1)
        found.append(own.state_dict())
    assert all(torch.equal(tensor, found[1][name]) for name, tensor in found[0].items())
