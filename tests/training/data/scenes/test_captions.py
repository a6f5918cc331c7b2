"""Captions name what happens, in order, and only that."""

import numpy as np

from training.data.scenes.captions import STYLES, Told, captions, tell
from training.data.scenes.script import Event, Pose, Shots, Sound, Span

DOG, SEA, BELL = "a dog barks", "waves break", "a bell rings"


def event(label: str, *, seen: Span | None, heard: Span | None) -> Event:
    pose = Pose(zoom=1, x=0, y=0)
    shots = seen and Shots(photos=("p",), span=seen, size=1, x=0, y=0, start=pose, end=pose)
    sound = heard and Sound(recording="r", span=heard, begin=0, level=-20)
    return Event(label=label, sentences=(label, f"{label} again"), shots=shots, sound=sound)


def test_events_that_follow_one_another_are_told_in_their_order() -> None:
    told = [Told(SEA, (5, 9)), Told(DOG, (0, 5))]
    assert tell(told, STYLES[0]) == "first a dog barks, then waves break"


def test_events_at_the_same_time_are_told_as_such() -> None:
    told = [Told(DOG, (0, 6)), Told(SEA, (2, 5)), Told(BELL, (7, 9))]
    assert tell(told, STYLES[0]) == "first a dog barks, while waves break, then a bell rings"
    assert tell(told[:2], STYLES[0]) == "a dog barks, while waves break"


def test_less_than_half_of_the_shorter_in_common_is_one_after_the_other() -> None:
    assert ", then " in tell([Told(DOG, (0, 4)), Told(SEA, (3, 7))], STYLES[0])
    assert ", while " in tell([Told(DOG, (0, 4)), Told(SEA, (2, 6))], STYLES[0])


def test_every_style_tells_order_and_simultaneity_apart() -> None:
    after, during = [Told(DOG, (0, 4)), Told(SEA, (4, 8))], [Told(DOG, (0, 4)), Told(SEA, (1, 4))]
    for style in STYLES:
        assert tell(after, style) != tell(during, style)
        assert tell(after, style).index(DOG) < tell(after, style).index(SEA)


def test_each_kind_names_the_events_of_its_modality() -> None:
    events = [
        event("dog", seen=(0, 4), heard=(0, 4)),
        event("sea", seen=(5, 9), heard=None),
        event("bell", seen=None, heard=(6, 9)),
    ]
    found = captions(events, np.random.default_rng(0))
    for n in range(2):
        for kind, names in (
            (found.whole, {"dog", "sea", "bell"}),
            (found.seen, {"dog", "sea"}),
            (found.heard, {"dog", "bell"}),
        ):
            assert {name for name in ("dog", "sea", "bell") if name in kind[n]} == names
    assert all("again" in caption[1] for caption in (found.whole, found.seen, found.heard))


def test_where_nothing_is_seen_nothing_is_said_of_it() -> None:
    found = captions([event("bell", seen=None, heard=(1, 4))], np.random.default_rng(0))
    assert found.seen == ()
    assert found.whole == found.heard == ("bell", "bell again")
