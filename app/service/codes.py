"""Looks at the codes themselves: code cards, patterns, heat maps, duplicates.

Shape letters: C code rows, T1 and T2 steps of two streams, K layers, D hidden dim.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest, NotFound
from app.schemas.codes import (
    CodeResponse,
    CompanionCode,
    CompareResponse,
    HeatMap,
    PatternResponse,
    PatternSearch,
    Place,
    Word,
)
from app.schemas.items import DuplicatesResponse, DuplicateStream
from app.service.media import start_second
from app.store.base import ANY_CODE, Occurrence, Store
from app.store.cosine import unit
from model.calibration import Calibration
from model.encoder import Codes, Encoder
from model.modality import Modality

CARD_LENGTH = 12  # places in each modality on a code card; words; companions
WORDS_FROM = 200  # sentences in which a code's words are counted


class CodeExplorer:
    """Looks at the codes of the stored items. Methods may be called from any thread."""

    def __init__(self, encoder: Encoder, store: Store, calibration: Calibration | None) -> None:
        self._encoder = encoder
        self._store = store
        self._calibration = calibration

    def card(self, layer: int, code: int, *, row: int | None = None) -> CodeResponse:
        """Return the code card: what the stored items say about the meaning of one code.

        Args:
            layer: 1, 2, ...
            code: The code.
            row: Which row, if the layer has several (RVQ); its first by default.

        Raises:
            NotFound: The checkpoint has no such layer, row or code.
        """
        tables, layers = self._encoder.vocabulary
        rows = np.flatnonzero(layers == layer).tolist()
        chosen = rows[0] if row is None and rows else row
        if chosen not in rows or not 0 <= code < tables.shape[1]:
            raise NotFound(
                f"there is no code {code} of layer {layer}"
                + ("" if row is None else f", row {row}")
                + f": this checkpoint has layers {sorted(set(layers.tolist()))}, each with "
                f"codes from 0 to {tables.shape[1] - 1}"
            )
        card = self._store.card(chosen, code, k=CARD_LENGTH)
        agreement = self._calibration.agreement.get(str(layer)) if self._calibration else None
        return CodeResponse(
            fingerprint=self._encoder.fingerprint,
            layer=layer,
            row=chosen,
            code=code,
            counts=dict(card.counts),
            best=[self._place(place) for place in card.best],
            words=self._words(chosen, code),
            companions=[
                CompanionCode(layer=int(layers[c.row]), row=c.row, code=c.code, count=c.count)
                for c in card.companions
            ],
            agreement=agreement or None,
        )

    def occurrences(self, search: PatternSearch) -> PatternResponse:
        """Return where codes follow one another in time.

        Raises:
            InvalidRequest: The pattern has other rows than the checkpoint's codes, rows of
                different lengths, or names no code.
        """
        places = self._store.occurrences(
            self._pattern(search.pattern, search.row),
            targets=search.targets or self._encoder.modalities,
            k=search.k,
        )
        return PatternResponse(
            fingerprint=self._encoder.fingerprint,
            places=[self._place(place) for place in places],
        )

    def duplicates(self, item_id: str) -> DuplicatesResponse:
        """Return the streams of other items with exactly the codes of this one's.

        Raises:
            NotFound: There is no such item.
        """
        if self._store.get(item_id) is None:
            raise NotFound(f"there is no item {item_id!r}: GET /items lists all items")
        return DuplicatesResponse(
            id=item_id,
            duplicates=[
                DuplicateStream(id=stream.item_id, modality=stream.modality)
                for stream in self._store.duplicates(item_id)
            ],
        )

    def compare(
        self, a: Mapping[Modality, Codes], b: Mapping[Modality, Codes], *, layers: Sequence[int]
    ) -> CompareResponse:
        """Return the cosines of each step of ``a`` with each of ``b``, by pair of streams."""

        def vectors(codes: Codes) -> NDArray[np.float64]:
            return self._encoder.vocabulary.steps(codes, layers).astype(np.float64)

        maps = []
        for m, first in a.items():
            for n, second in b.items():
                x, y = vectors(first), vectors(second)  # [T1, K * D], [T2, K * D]
                score = float(unit(x.mean(0)) @ unit(y.mean(0)))
                cosines = (unit(x) @ unit(y).T).round(6)
                maps.append(HeatMap(a=m, b=n, score=round(score, 6), cosines=cosines.tolist()))
        return CompareResponse(fingerprint=self._encoder.fingerprint, maps=maps)

    def _pattern(
        self, pattern: Sequence[Sequence[int | None]], row: int | None
    ) -> NDArray[np.int16]:
        """Return a pattern of all rows ``[C, n]``, with ``ANY_CODE`` for None."""
        num_rows, codebook_size = self._encoder.vocabulary.tables.shape[:2]
        if len({len(codes) for codes in pattern}) != 1:
            raise InvalidRequest(
                "the rows of the pattern have different lengths: give one column per step"
            )
        rows = np.array(
            [[ANY_CODE if code is None else code for code in codes] for codes in pattern], np.int16
        )
        if (rows == ANY_CODE).all():
            raise InvalidRequest("the pattern names no code: null matches any, name at least one")
        if rows.max() >= codebook_size:
            raise InvalidRequest(
                f"the pattern names code {rows.max()}: this checkpoint has 0 to {codebook_size - 1}"
            )
        if len(rows) == num_rows and row is None:
            return rows
        if len(rows) != 1 or (row or 0) >= num_rows:
            raise InvalidRequest(
                f"the pattern has {len(rows)} rows{'' if row is None else f' and row is {row}'}: "
                f"give all {num_rows} as /encode does, or one row and which it is"
            )
        whole = np.full((num_rows, rows.shape[1]), ANY_CODE, np.int16)
        whole[row or 0] = rows[0]
        return whole

    def _place(self, place: Occurrence) -> Place:
        return Place(
            id=place.item.id,
            modality=place.modality,
            second=place.second + start_second(place.item),
            word=self._word(place.item.text, place.second),
        )

    def _words(self, row: int, code: int) -> list[Word]:
        """Return the words that have the code, the most frequent first."""
        pattern = np.full((len(self._encoder.vocabulary.tables), 1), ANY_CODE, np.int16)
        pattern[row] = code
        if Modality.TEXT not in self._encoder.modalities:
            return []
        places = self._store.occurrences(pattern, targets=[Modality.TEXT], k=WORDS_FROM)
        words = (self._word(place.item.text, place.second) for place in places)
        counted = Counter(word.lower() for word in words if word)
        common = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:CARD_LENGTH]
        return [Word(word=word, count=count) for word, count in common]

    def _word(self, text: str | None, step: int) -> str | None:
        if text is None:
            return None
        words = self._encoder.words(text)
        return words[step] if step < len(words) else None
