"""How far modalities share codes, where it is known."""

import pytest
import torch

from model.config import RVQConfig, SRCIDConfig
from model.modality import Modality
from model.srcid import SRCID
from training.evaluation.tasks import PairedClips
from training.evaluation.vocabulary import vocabularies


def clips(count: int = 5) -> PairedClips:
    torch.manual_seed(1)
    return [{m: torch.randn(4, 8) for m in Modality} for _ in range(count)]


def test_one_code_for_everything_is_shared_by_all_and_says_nothing(coded: SRCID) -> None:
    for layer in coded.stages:
        layer.quantizer.codebook.vectors[1:] = 1e3
    for own in vocabularies(coded, clips()):
        assert (own.codes_used, own.perplexity, own.near_duplicates) == (1, pytest.approx(1), 0)
        assert own.used_by == {2: 1.0, 3: 1.0}
        assert set(own.overlap.values()) == set(own.overlap_unpaired.values()) == {1.0}


def test_figures_are_those_of_a_loop(coded: SRCID) -> None:
    paired = clips()
    for depth, own in enumerate(vocabularies(coded, paired)):
        codes = {
            m: [
                coded({m: clip[m][None]}).layers[depth].codes[m].flatten().tolist()
                for clip in paired
            ]
            for m in Modality
        }
        used = {m: {code for item in items for code in item} for m, items in codes.items()}
        union = set.union(*used.values())
        assert own.codes_used == len(union)
        several = [sum(code in theirs for theirs in used.values()) for code in union]
        assert own.used_by[2] == pytest.approx(sum(n >= 2 for n in several) / len(union))
        assert own.used_by[3] == pytest.approx(sum(n >= 3 for n in several) / len(union))
        for shift, found in ((0, own.overlap), (1, own.overlap_unpaired)):
            total = 0.0
            for n, heard in enumerate(codes[Modality.AUDIO]):
                seen = codes[Modality.VIDEO][(n + shift) % len(paired)]
                total += sum(min(heard.count(c), seen.count(c)) / 4 for c in union)
            assert found["audio ~ video"] == pytest.approx(total / len(paired))


def test_stages_of_a_residual_quantizer_are_codes_apart(tiny_config: SRCIDConfig) -> None:
    quantizer = RVQConfig(codebook_size=16, stages=3)
    model = SRCID(tiny_config.model_copy(update={"quantizer": quantizer})).eval()
    for layer in model.stages:
        for stage in layer.quantizer.stages:
            stage.vectors[1:] = 1e3
    assert [own.codes_used for own in vocabularies(model, clips())] == [3, 3]
