"""How much of the service is measured, and what it is given."""

from typing import NamedTuple

from benchmarks.media import moving_clip
from benchmarks.processes import Server
from benchmarks.wire import Call

SENTENCE = "a dog barks in the rain"


class Plan(NamedTuple):
    """How much is measured."""

    clip_seconds: int  # of the clip that is sent
    clients: tuple[int, ...]
    rounds: int  # in which the contenders take turns
    seconds: float  # of one load, at least
    pairs: int  # of requests that are compared one by one
    overload_seconds: float
    requests: int  # after which memory is looked at again
    starts: int


QUICK = Plan(2, (1, 4, 16), 1, 2.0, 50, 6.0, 200, 1)
FULL = Plan(10, (1, 4, 16, 64), 2, 6.0, 400, 20.0, 10_000, 5)


def source_of(plan: Plan, what: str) -> bytes | str:
    """Return what is encoded: 320 x 240 at 25 frames a second, H.264 and AAC; or six words."""
    return moving_clip(plan.clip_seconds) if what == "clips" else SENTENCE


def call_of(server: Server, name: str, source: bytes | str) -> Call:
    """Return the request for a clip or a sentence, of the naive server or one of ours."""
    if isinstance(source, bytes):
        return Call(f"{server.url}/encode", file=source)
    return Call(f"{server.url}/{'sentence' if name == 'naive' else 'encode'}", text=source)
