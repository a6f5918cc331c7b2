"""Scenes drawn by chance: what happens, and of which photos, recordings and sentences."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from model.errors import DataError
from training.data.scenes.captions import captions
from training.data.scenes.material import Supply
from training.data.scenes.script import (
    SECONDS,
    SETS,
    SPLITS,
    Counts,
    Event,
    Pose,
    Scene,
    ScenesConfig,
    Shots,
    Sound,
    Span,
)

SHIFTED = 0.3  # of the edges of what is seen differ by a second from those of what is heard
NUM_EVENTS = (0.2, 0.45, 0.35)  # of `many`: one, two, three
KINDS = ("both", "seen", "heard")
KIND_SHARES = (0.6, 0.2, 0.2)
LEVELS = (-32.0, -20.0)  # dB, of events
NOISE = (-46.0, -34.0)  # dB
MURMURS = {"single": -18.0, "sounds": -15.0}  # dB relative to the event; other sets have none
NUM_MURMURS = 2


class Look(NamedTuple):
    """How photos are shown; the smaller, the harder to tell."""

    sizes: tuple[float, float]  # on the panel
    zooms: tuple[float, float]


LOOKS = {
    "single": Look((0.4, 0.9), (0.25, 0.6)),
    "many": Look((0.55, 1.0), (0.6, 1.0)),
    "cuts": Look((1.0, 1.0), (0.2, 0.4)),
}

Draw = np.random.Generator


def draw_scenes(supplies: Mapping[str, Supply], config: ScenesConfig) -> list[Scene]:
    """Return all scenes. Each has its own seed: more of one set leave the others as they are.

    Raises:
        DataError: The bank has too few classes.
    """
    for split, supply in supplies.items():
        _check_classes(split, supply, config)
    return [
        scene
        for name in SETS
        for split in SPLITS
        for scene in _scenes(name, split, supplies[split], config)
    ]


def _check_classes(split: str, supply: Supply, config: ScenesConfig) -> None:
    """See that classes are left for all events of a scene, and for the others of its group."""
    most = len(NUM_EVENTS)
    needed = most + (config.group_size - 1 if config.groups else 0)
    if len(supply.classes) < needed:
        raise DataError(
            f"the bank has {len(supply.classes)} classes in its {split} split, and scenes of up "
            f"to {most} events in groups of {config.group_size} need {needed}: add classes"
        )


def _scenes(name: str, split: str, supply: Supply, config: ScenesConfig) -> Iterator[Scene]:
    count = getattr(config.counts.get(name, Counts()), split)
    is_grouped = name == "many" and split == "test"
    size = config.group_size
    grouped = min(config.groups, count // size) * size if is_grouped else 0
    key = (config.seed, list(SETS).index(name), SPLITS.index(split))
    told = config.paraphrases if split == "train" else 1
    for number in range(count):
        finish = partial(_scene, supply=supply, told=told)
        label = f"{name}-{split}-{number:04}"
        if number >= grouped:
            yield finish(label, np.random.default_rng((*key, number)))
            continue
        group, member = divmod(number, size)
        draw = np.random.default_rng((*key, group * size))
        scene = finish(label, draw, group=group)
        yield _other(scene, supply, draw, member=member) if member else scene


def _scene(name: str, draw: Draw, *, supply: Supply, told: int, group: int | None = None) -> Scene:
    kind, split, _ = name.split("-")
    labels = _labels(supply, draw, kind, at_least=2 if group is not None else 1)
    maker = {"single": _single, "many": _one_of_many, "cuts": _cuts, "sounds": _sound_alone}[kind]
    events = [maker(label, supply, draw, told) for label in labels]
    if group is not None:  # the one that will be another has to show in every caption
        events[0] = _one_of_many(labels[0], supply, draw, told, kind="both")
    murmur = _murmur(kind, events[0], supply, draw) if kind in MURMURS else ()
    backdrop = _choose(supply.photos[_choose(supply.classes, draw)], draw)
    noise_seed = int(draw.integers(2**32))
    return Scene(
        name=name,
        set=kind,
        split=split,
        group=group,
        events=tuple(events),
        crossfade=bool(draw.random() < 0.5),
        backdrop=backdrop,
        noise_seed=noise_seed,
        noise_level=draw.uniform(*NOISE),
        murmur=murmur,
        captions=captions(events, np.random.default_rng(noise_seed)),
    )


def _other(scene: Scene, supply: Supply, draw: Draw, *, member: int) -> Scene:
    """Return ``scene`` with its first event one of another class, at the same time.

    The n-th member of a group has the n-th of the classes that the scene lacks, in an order
    that ``draw`` gives to each member alike.
    """
    event, *others = scene.events
    assert event.shots is not None
    assert event.sound is not None
    absent = sorted(set(supply.classes) - {e.label for e in scene.events})
    label = absent[draw.permutation(len(absent))[member - 1]]
    draw = np.random.default_rng((scene.noise_seed, member))
    photo, recording = _choose(supply.photos[label], draw), _choose(supply.recordings[label], draw)
    other = Event(
        label=label,
        sentences=_sentences(label, supply, draw, len(event.sentences)),
        shots=event.shots.model_copy(update={"photos": (photo,)}),
        sound=event.sound.model_copy(update={"recording": recording}),
    )
    events = (other, *others)
    told = captions(events, np.random.default_rng(scene.noise_seed))
    return scene.model_copy(update={"events": events, "captions": told})


def _labels(supply: Supply, draw: Draw, kind: str, *, at_least: int) -> list[str]:
    """Return the classes of a scene's events, all different."""
    count = 1
    if kind == "many":
        count = max(at_least, 1 + int(draw.choice(len(NUM_EVENTS), p=NUM_EVENTS)))
    chosen = draw.permutation(len(supply.classes))[:count]
    return [supply.classes[n] for n in chosen]


def _single(label: str, supply: Supply, draw: Draw, told: int) -> Event:
    span = _span(draw, shortest=4, longest=SECONDS)
    return Event(
        label=label,
        sentences=_sentences(label, supply, draw, told),
        shots=_shots(supply.photos[label], _shifted(span, draw), draw, LOOKS["single"]),
        sound=_sound(supply.recordings[label], _shifted(span, draw), draw),
    )


def _one_of_many(
    label: str, supply: Supply, draw: Draw, told: int, kind: str | None = None
) -> Event:
    span = _span(draw, shortest=3, longest=8)
    drawn = str(draw.choice(KINDS, p=KIND_SHARES))
    kind = kind or drawn
    shots = _shots(supply.photos[label], _shifted(span, draw), draw, LOOKS["many"])
    sound = _sound(supply.recordings[label], _shifted(span, draw), draw)
    return Event(
        label=label,
        sentences=_sentences(label, supply, draw, told),
        shots=None if kind == "heard" else shots,
        sound=None if kind == "seen" else sound,
    )


def _cuts(label: str, supply: Supply, draw: Draw, told: int) -> Event:
    photos = [_choose(supply.photos[label], draw) for _ in range(SECONDS)]
    return Event(
        label=label,
        sentences=_sentences(label, supply, draw, told),
        shots=Shots(
            photos=tuple(photos),
            span=(0, SECONDS),
            size=1.0,
            x=0.5,
            y=0.5,
            start=_pose(draw, LOOKS["cuts"].zooms),
            end=_pose(draw, LOOKS["cuts"].zooms),
        ),
        sound=None,
    )


def _sound_alone(label: str, supply: Supply, draw: Draw, told: int) -> Event:
    return Event(
        label=label,
        sentences=_sentences(label, supply, draw, told),
        shots=None,
        sound=_sound(supply.recordings[label], (0, SECONDS), draw),
    )


def _murmur(kind: str, event: Event, supply: Supply, draw: Draw) -> tuple[Sound, ...]:
    """Return sounds of other classes, all along and softer than the event."""
    assert event.sound is not None
    others = [name for name in supply.classes if name != event.label]
    chosen = [others[n] for n in draw.permutation(len(others))[:NUM_MURMURS]]
    sounds = [_sound(supply.recordings[name], (0, SECONDS), draw) for name in chosen]
    level = event.sound.level + MURMURS[kind]
    return tuple(sound.model_copy(update={"level": level}) for sound in sounds)


def _shots(photos: Sequence[str], span: Span, draw: Draw, look: Look) -> Shots:
    return Shots(
        photos=(_choose(photos, draw),),
        span=span,
        size=draw.uniform(*look.sizes),
        x=draw.random(),
        y=draw.random(),
        start=_pose(draw, look.zooms),
        end=_pose(draw, look.zooms),
    )


def _pose(draw: Draw, zooms: tuple[float, float]) -> Pose:
    return Pose(zoom=draw.uniform(*zooms), x=draw.random(), y=draw.random())


def _sound(recordings: Sequence[str], span: Span, draw: Draw) -> Sound:
    return Sound(
        recording=_choose(recordings, draw),
        span=span,
        begin=draw.random(),
        level=draw.uniform(*LEVELS),
    )


def _span(draw: Draw, *, shortest: int, longest: int) -> Span:
    length = int(draw.integers(shortest, longest + 1))
    first = int(draw.integers(SECONDS - length + 1))
    return first, first + length


def _shifted(span: Span, draw: Draw) -> Span:
    """Return ``span`` with each edge perhaps a second earlier or later."""
    moves = [int(draw.choice((-1, 1))) * int(draw.random() < SHIFTED) for _ in span]
    return max(0, span[0] + moves[0]), min(SECONDS, span[1] + moves[1])


def _sentences(label: str, supply: Supply, draw: Draw, count: int) -> tuple[str, ...]:
    """Return ``count`` sentences, different ones as far as there are."""
    own = supply.sentences[label]
    order = draw.permutation(len(own))
    return tuple(own[order[n % len(own)]] for n in range(count))


def _choose(items: Sequence[str], draw: Draw) -> str:
    return items[int(draw.integers(len(items)))]
