"""Codes as tokens of a language model: ``<v1_037><v2_112>`` is a second of video.

The first number is the row of the code, from 1: a network of one code a layer has a row a layer.
Shape letters: C code rows, T steps.
"""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest
from model.modality import Modality

LETTERS = {Modality.AUDIO: "a", Modality.VIDEO: "v", Modality.TEXT: "t"}
STREAM = re.compile(f"<({'|'.join(Modality)})>(.*?)</\\1>")
TOKEN = re.compile(r"<[a-z]([0-9]{1,5})_([0-9]{1,5})>")


def token(modality: Modality, row: int, code: int) -> str:
    """Return the token of a code; ``row`` counts from 0, as everywhere but in the token."""
    return f"<{LETTERS[modality]}{row + 1}_{code:03d}>"


def all_tokens(*, rows: int, codebook_size: int) -> list[str]:
    """Return every token that a sequence may hold: what to add to a language model's tokenizer."""
    codes = [(row, code) for row in range(rows) for code in range(codebook_size)]
    found = []
    for m in Modality:
        found += [f"<{m}>", f"</{m}>", *(token(m, row, code) for row, code in codes)]
    return found


def sequence(streams: Mapping[Modality, NDArray[np.integer]]) -> str:
    """Return streams ``[C, T]`` as tokens, step by step: ``<audio><a1_005>...</audio><video>...``.

    The order is that of the modalities, whatever the order of ``streams``.
    """
    parts = []
    for modality in Modality:
        if modality in streams:
            steps = streams[modality].T.tolist()
            own = [token(modality, row, code) for step in steps for row, code in enumerate(step)]
            parts += [f"<{modality}>", *own, f"</{modality}>"]
    return "".join(parts)


def streams_of(tokens: str) -> dict[Modality, NDArray[np.int16]]:
    """Return the streams ``[C, T]`` that ``sequence`` made ``tokens`` of.

    Raises:
        InvalidRequest: They are not as ``sequence`` writes them.
    """
    streams = {}
    for name, body in STREAM.findall(tokens):
        found = [(int(row), int(code)) for row, code in TOKEN.findall(body)]
        rows = max((row for row, _ in found), default=0)
        if not rows or len(found) % rows:
            raise InvalidRequest(
                f"its {name} has {len(found)} tokens of {rows} rows: each step has one of each row"
            )
        codes = np.array([code for _, code in found]).reshape(-1, rows)
        streams[Modality(name)] = codes.T.astype(np.int16)
    if not streams or sequence(streams) != tokens:
        raise InvalidRequest(
            f"its sequence is not one that `srcid store export` writes: {tokens[:80]!r}"
        )
    return streams
