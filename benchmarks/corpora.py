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

    @property
    def layers(self) -> tuple[int, ...]:
        """All layers of the vocabulary."""
        return tuple(sorted(set(self.vocabulary.layers.tolist())))


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


def real_corpus(count: int, folders: list[Path], kept: Path) -> Corpus:
    """Return streams put together from seconds of real sounds, as ``default`` encodes them.

    A stream is ten seconds of one sound (which is repeated if it is shorter), of which a share is
    replaced by seconds of other sounds of its class. The share is uniform between 0 and 1, so
    there are neighbours at all distances.

    Args:
        count: R.
        folders: Of sounds and videos; those in one folder are of one class.
        kept: The file that their codes are written to, or read from if it exists.
    """
    encoder = Encoder.from_pretrained("default")
    if not kept.exists():
        np.savez(kept, **encoded(encoder, folders))
    with np.load(kept) as file:
        sounds = {name: file[name] for name in file.files}
    classes: dict[str, list[NDArray[np.int16]]] = defaultdict(list)
    for name, codes in sounds.items():
        classes[name.split("|")[0]].append(codes)
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(sounds), count)
    codes = np.empty((count, len(encoder.vocabulary.tables), STEPS), np.uint16)
    for number, (name, sound) in enumerate(sounds.items()):
        members = np.flatnonzero(chosen == number)
        alike = np.concatenate(classes[name.split("|")[0]], axis=1)  # [C, seconds]
        start = rng.integers(0, sound.shape[1], (len(members), 1))
        base = sound[:, (start + np.arange(STEPS)) % sound.shape[1]]  # [C, R, T]
        other = alike[:, rng.integers(0, alike.shape[1], (len(members), STEPS))]
        is_other = rng.random((len(members), STEPS)) < rng.random((len(members), 1))
        codes[members] = np.where(is_other, other, base).transpose(1, 0, 2)
    return Corpus(encoder.vocabulary, codes)


def encoded(encoder: Encoder, folders: list[Path]) -> dict[str, NDArray[np.int16]]:
    """Return the codes ``[C, T]`` of all sounds, by their class and name."""
    codes = {}
    for path in (path for folder in folders for path in sorted(folder.rglob("*.*"))):
        if path.suffix in (".ogg", ".wav", ".mp3", ".mp4"):
            streams = encoder.encode(read_clip(path))
            if Modality.AUDIO in streams:
                codes[f"{path.parent.name}|{path.stem}"] = streams[Modality.AUDIO]
    return codes


def _random_vocabulary() -> Vocabulary:
    tables = np.random.default_rng(1).normal(size=(2, CODES, DIM)).astype(np.float32)
    return Vocabulary(tables, np.array(LAYERS))
