"""The scan by torch finds what the kernels find. On a CPU the same calls run as on a GPU."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.store.index import blocks
from app.store.index.code_index import CodeIndex
from app.store.index.scan import IndexSearch
from app.store.index.shortlist import Candidates
from app.store.index.torch_scan import TorchScan
from app.store.local import make_index
from model.encoder import Vocabulary
from tests.app.store.index_cases import make_vocabulary, random_streams

LAYERS = [(1,), (2,), (1, 2)]


def pairs(found: Candidates) -> list[tuple[int, float]]:
    return sorted(zip(found.keys.tolist(), found.scores.tolist(), strict=True))


def both(vocabulary: Vocabulary, device: str = "cpu") -> tuple[CodeIndex, CodeIndex]:
    return CodeIndex(vocabulary), CodeIndex(vocabulary, scan=TorchScan(device))


@given(
    count=st.integers(1, 400),
    steps=st.integers(1, 6),
    codes=st.integers(1, 30),
    rows=st.sampled_from([(1, 2), (1, 1, 2)]),
    layers=st.sampled_from(LAYERS),
    num_queries=st.integers(1, 4),
    k=st.integers(1, 50),
    least=st.sampled_from([-1.0, 0.0, 0.5]),
    allow=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_ties_removals_additions_and_filters_leave_what_the_loops_find(
    count: int,
    steps: int,
    codes: int,
    rows: tuple[int, ...],
    layers: tuple[int, ...],
    num_queries: int,
    k: int,
    least: float,
    allow: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    vocabulary = make_vocabulary(layers=rows)
    indexes = both(vocabulary)
    streams = random_streams(vocabulary, count, steps=steps, codes=codes, seed=seed)
    own = random_streams(vocabulary, num_queries, seed=seed + 1)
    queries = np.stack([vocabulary.pooled(codes, layers) for codes in own])
    keys = np.arange(1, count + 1)
    allowed = keys[rng.random(count) < 0.5] if allow else None
    for part in np.array_split(np.arange(count), 3):
        for index in indexes:
            if len(part):
                index.add(keys[part], streams[part])
                index.remove(int(keys[part[len(part) // 2]]))
        loops, torchs = (
            index.search(IndexSearch(queries, layers=layers, k=k, least=least, allowed=allowed))
            for index in indexes
        )
        assert [pairs(one) for one in loops] == [pairs(other) for other in torchs]


def many_streams(device: str) -> None:
    vocabulary = make_vocabulary(400)
    indexes = both(vocabulary, device)
    streams = random_streams(vocabulary, 300_000, steps=10)
    for index in indexes:
        index.add(np.arange(1, 300_001), streams)
        assert len(index.blocks[10].chunks) > 1
    queries = np.stack([vocabulary.pooled(own, (1, 2)) for own in streams[::60_000]])
    loops, torchs = (index.search(IndexSearch(queries, layers=(1, 2), k=10)) for index in indexes)
    assert [pairs(one) for one in loops] == [pairs(other) for other in torchs]


def test_chunk_after_chunk_is_scanned() -> None:
    assert blocks.CHUNK < 300_000
    many_streams("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_finds_what_the_cpu_finds() -> None:
    many_streams("cuda")


def test_codes_are_scanned_where_the_network_is() -> None:
    vocabulary = make_vocabulary()
    assert not isinstance(make_index("codes", vocabulary)._scan, TorchScan)
    assert isinstance(make_index("ivf", vocabulary, device="cuda:0")._scan, TorchScan)
