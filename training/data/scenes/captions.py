"""Captions that name what happens in a scene, in order."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from model.modality import Modality
from training.data.scenes.script import Captions, Event, Span


class Style(NamedTuple):
    """The words between events."""

    first: str  # before the first of several that follow one another
    then: str
    during: str


STYLES = (
    Style("first ", ", then ", ", while "),
    Style("", ", then ", ", together with "),
    Style("", ", and after that ", ", while "),
    Style("at first ", ", followed by ", ", together with "),
)


class Told(NamedTuple):
    """An event as a sentence, and when it happens."""

    sentence: str
    span: Span


def captions(events: Sequence[Event], draw: np.random.Generator) -> Captions:
    """Return what can be said of ``events``: of all, of what is seen, of what is heard.

    The n-th caption of each kind uses each event's n-th sentence.
    """
    styles = [STYLES[n] for n in draw.integers(len(STYLES), size=len(events[0].sentences))]

    def of(modality: Modality | None) -> tuple[str, ...]:
        told = [(e, e.span if modality is None else e.spans.get(modality)) for e in events]
        found = [
            [Told(e.sentences[n], span) for e, span in told if span] for n in range(len(styles))
        ]
        return tuple(tell(own, style) for own, style in zip(found, styles, strict=True) if own)

    return Captions(whole=of(None), seen=of(Modality.VIDEO), heard=of(Modality.AUDIO))


def tell(events: Sequence[Told], style: Style) -> str:
    """Return one sentence: the events by their first second, each then or while the one before."""
    ordered = sorted(events, key=lambda told: told.span)
    links = [
        style.during if _is_during(before.span, after.span) else style.then
        for before, after in pairwise(ordered)
    ]
    first = style.first if style.then in links else ""
    rest = [link + told.sentence for link, told in zip(links, ordered[1:], strict=True)]
    return first + ordered[0].sentence + "".join(rest)


def _is_during(one: Span, other: Span) -> bool:
    """Tell whether the shorter lies at least half within the longer."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return 2 * common >= min(one[1] - one[0], other[1] - other[0])
