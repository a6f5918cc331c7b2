"""Codes as tokens for a language model: ``<v1_037><v2_112>`` is one second of video.

The first number is the code row, from 1: with one code per layer, rows are layers.
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
    """Return the token of a code; ``row`` counts from 0, unlike in the token itself."""
    return f"<{LETTERS[modality]}{row + 1}_{code:03d}>"


def all_tokens(*, rows: int, codebook_size: int) -> list[str]:
    """Return every token that sequences contain, to be added to a language model's tokenizer."""
    codes = [(row, code) for row in range(rows) for code in range(codebook_size)]
    tokens = []
    for m in Modality:
        tokens += [f"<{m}>", f"</{m}>", *(token(m, row, code) for row, code in codes)]
    return tokens


def sequence(streams: Mapping[Modality, NDArray[np.integer]]) -> str:
    """Return streams ``[C, T]`` as tokens, step by step: ``<audio><a1_005>...</audio><video>...``.

    Streams are in the order of ``Modality``.
    """
    tokens: list[str] = []
    for modality in Modality:
        if modality in streams:
            steps = streams[modality].T.tolist()
            codes = [token(modality, row, code) for step in steps for row, code in enumerate(step)]
            tokens += [f"<{modality}>", *codes, f"</{modality}>"]
    return "".join(tokens)


def streams_of(tokens: str) -> dict[Modality, NDArray[np.int16]]:
    """Return the codes ``[C, T]`` of the streams in ``tokens``; the inverse of ``sequence``.

    Raises:
        InvalidRequest: ``sequence`` does not write such tokens.
    """
    streams = {}
    for name, body in STREAM.findall(tokens):
        pairs = [(int(row), int(code)) for row, code in TOKEN.findall(body)]
        rows = max((row for row, _ in pairs), default=0)
        if not rows or len(pairs) % rows:
            raise InvalidRequest(
                f"its {name} has {len(pairs)} tokens of {rows} rows: each step needs one per row"
            )
        codes = np.array([code for _, code in pairs]).reshape(-1, rows)
        streams[Modality(name)] = codes.T.astype(np.int16)
    if not streams or sequence(streams) != tokens:
        raise InvalidRequest(
            f"`srcid store export` does not write such a sequence: {tokens[:80]!r}"
        )
    return streams
