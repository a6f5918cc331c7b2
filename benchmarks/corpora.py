"""Streams of codes to search among: of topics, at random, or of real media.

Shape letters: R streams, C code rows, T steps, L codebook size, D hidden dim.
"""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.encoder import Encoder, Vocabulary
from model.media import read_clip
from model.modality import Modality

LAYERS = (1, 2)
CODES, DIM, STEPS = 400, 256, 10
TOPICS, CODES_OF_TOPIC, NOISE = 2000, 6, 0.1


class Corpus(NamedTuple):
    """Streams and what their codes stand for."""

    vocabulary: Vocabulary
    codes: NDArray[np.uint16]  # [R, C, T]


def random_corpus(count: int) -> Corpus:
    """Return streams whose codes are drawn independently."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, CODES, (count, 2, STEPS), dtype=np.uint16)
    return Corpus(_random_vocabulary(), codes)


def topical_corpus(count: int) -> Corpus:
    """Return streams that draw their codes from the few of a topic, but for one in ten."""
    rng = np.random.default_rng(0)
    topics = rng.integers(0, CODES, (TOPICS, 2, CODES_OF_TOPIC), dtype=np.uint16)
    chosen = rng.integers(0, TOPICS, count)
    drawn = rng.integers(0, CODES_OF_TOPIC, (count, 2, STEPS))
    codes = np.take_along_axis(topics[chosen], drawn, axis=2)
    is_noise = rng.random(codes.shape) < NOISE
    codes[is_noise] = rng.integers(0, CODES, int(is_noise.sum()), dtype=np.uint16)
    return Corpus(_random_vocabulary(), codes)


def real_corpus(count: int, folder: Path) -> Corpus:
    """Return streams put together from seconds of the sounds in ``folder``.

    Sounds that are named alike up to the last underscore are of one kind, and so is a stream.
    """
    encoder = Encoder.from_pretrained("compact")
    kinds: dict[str, list[NDArray[np.int16]]] = defaultdict(list)
    for path in sorted(folder.iterdir()):
        kinds[path.stem.rpartition("_")[0]].append(
            encoder.encode_clip(read_clip(path))[Modality.AUDIO]
        )
    seconds = [np.concatenate(own, axis=1) for own in kinds.values()]  # [C, seconds] a kind
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(seconds), count)
    codes = np.empty((count, 2, STEPS), np.uint16)
    for number, own in enumerate(seconds):
        members = np.flatnonzero(chosen == number)
        drawn = rng.integers(0, own.shape[1], (len(members), STEPS))
        codes[members] = own[:, drawn].transpose(1, 0, 2)
    return Corpus(encoder.vocabulary, codes)


def _random_vocabulary() -> Vocabulary:
    tables = np.random.default_rng(1).normal(size=(2, CODES, DIM)).astype(np.float32)
    return Vocabulary(tables, np.array(LAYERS))
