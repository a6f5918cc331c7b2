"""Scenes by chance: the same for a seed, splits apart, groups that differ in one event."""

from itertools import pairwise

import pytest

from model.errors import DataError
from model.modality import Modality
from tests.training.data.scenes.made_up import COUNTS, SMALL
from training.data.bank import Entry
from training.data.scenes.draw import draw_scenes
from training.data.scenes.material import Supply, supplies
from training.data.scenes.script import SECONDS, SETS, SPLITS, Counts, Event, Scene, ScenesConfig


def material_of(scene: Scene) -> set[str]:
    """The photos and recordings of a scene."""
    photos = [photo for e in scene.events if e.shots for photo in e.shots.photos]
    sounds = [e.sound.recording for e in scene.events if e.sound]
    return {*photos, *sounds, scene.backdrop, *(sound.recording for sound in scene.murmur)}


def test_a_seed_gives_the_same_scenes_and_another_seed_others(
    supply: dict[str, Supply], scenes: list[Scene]
) -> None:
    assert draw_scenes(supply, SMALL) == scenes
    assert draw_scenes(supply, SMALL.model_copy(update={"seed": 1})) != scenes


def test_more_scenes_of_one_set_leave_the_others_as_they_are(
    supply: dict[str, Supply], scenes: list[Scene]
) -> None:
    counts = {**COUNTS, "single": Counts(train=9, validation=4, test=4)}
    more = draw_scenes(supply, SMALL.model_copy(update={"counts": counts}))
    assert len(more) == len(scenes) + 5
    known = {scene.name: scene for scene in more}
    assert all(known[scene.name] == scene for scene in scenes)


def test_no_two_scenes_share_their_chance_unless_they_are_of_one_group(
    scenes: list[Scene],
) -> None:
    seeds = {(scene.noise_seed, scene.noise_level) for scene in scenes}
    assert len(seeds) == len(scenes) - SMALL.groups * (SMALL.group_size - 1)


def test_as_many_scenes_are_made_as_the_counts_say(scenes: list[Scene]) -> None:
    for name in SETS:
        for split in SPLITS:
            found = [s for s in scenes if (s.set, s.split) == (name, split)]
            assert len(found) == getattr(COUNTS[name], split)


def test_no_photo_recording_or_sentence_serves_two_splits(scenes: list[Scene]) -> None:
    used = {split: set[str]() for split in SPLITS}
    for scene in scenes:
        sentences = {sentence for event in scene.events for sentence in event.sentences}
        used[scene.split] |= material_of(scene) | sentences
    for one in SPLITS:
        assert used[one]
        for other in SPLITS:
            assert one == other or not used[one] & used[other]


def test_what_is_seen_and_heard_are_of_the_event_s_class(scenes: list[Scene]) -> None:
    for event in (event for scene in scenes for event in scene.events):
        photos = event.shots.photos if event.shots else ()
        recordings = (event.sound.recording,) if event.sound else ()
        assert photos or recordings
        assert all(item.startswith(f"{event.label}-") for item in (*photos, *recordings))
        assert all(f"the {event.label} " in sentence for sentence in event.sentences)


@pytest.fixture(scope="module")
def plenty(supply: dict[str, Supply]) -> list[Scene]:
    """Enough scenes to see everything that chance can do."""
    counts = {name: Counts(train=150) for name in SETS}
    return draw_scenes(supply, ScenesConfig(counts=counts))


def test_spans_are_whole_seconds_within_the_clip_at_most_one_apart(plenty: list[Scene]) -> None:
    shifted = 0
    for event in (event for scene in plenty for event in scene.events):
        for first, last in event.spans.values():
            assert 0 <= first < last <= SECONDS
        if len(event.spans) == 2:
            seen, heard = event.spans[Modality.VIDEO], event.spans[Modality.AUDIO]
            assert all(abs(a - b) <= 2 for a, b in zip(seen, heard, strict=True))
            shifted += seen != heard
    assert shifted


def test_each_set_is_of_its_kind(plenty: list[Scene]) -> None:
    def kinds(name: str) -> set[frozenset[Modality]]:
        own = [scene for scene in plenty if scene.set == name]
        return {frozenset(event.spans) for scene in own for event in scene.events}

    seen, heard = frozenset([Modality.VIDEO]), frozenset([Modality.AUDIO])
    assert kinds("single") == {seen | heard}
    assert kinds("many") == {seen | heard, seen, heard}
    assert kinds("cuts") == {seen}
    assert kinds("sounds") == {heard}
    for scene in plenty:
        labels = [event.label for event in scene.events]
        assert len(set(labels)) == len(labels)
        assert bool(scene.murmur) == (scene.set in ("single", "sounds"))
        assert all(not s.recording.startswith(f"{labels[0]}-") for s in scene.murmur)
    assert {len(scene.events) for scene in plenty if scene.set == "many"} == {1, 2, 3}
    assert {len(scene.events) for scene in plenty if scene.set != "many"} == {1}


def test_scenes_of_a_group_differ_in_one_event_and_nothing_else(scenes: list[Scene]) -> None:
    for group in range(SMALL.groups):
        members = [scene for scene in scenes if scene.group == group]
        assert len(members) == SMALL.group_size
        assert len({scene.events[0].label for scene in members}) == len(members)
        for one, other in pairwise(members):
            assert one.events[1:] == other.events[1:]
            assert without_first(one) == without_first(other)
            assert timing(one.events[0]) == timing(other.events[0])
            for kind in ("whole", "seen", "heard"):
                assert getattr(one.captions, kind) != getattr(other.captions, kind)


def without_first(scene: Scene) -> dict[str, object]:
    return scene.model_dump(exclude={"name", "events", "captions"})


def timing(event: Event) -> tuple[object, ...]:
    assert event.shots is not None
    assert event.sound is not None
    moves = event.shots.model_dump(exclude={"photos"})
    return moves, event.sound.model_dump(exclude={"recording"})


def test_groups_are_of_the_test_split_of_many_and_leave_scenes_of_no_group(
    scenes: list[Scene],
) -> None:
    grouped = [scene for scene in scenes if scene.group is not None]
    assert {(scene.set, scene.split) for scene in grouped} == {("many", "test")}
    assert len(grouped) == SMALL.groups * SMALL.group_size < COUNTS["many"].test


def test_a_bank_that_lacks_something_is_told() -> None:
    entries = [
        Entry(f"{m}-{split}-{n}", m, "ash", split, f"sentence {n}")
        for m in Modality
        for split in ("train", "test")
        for n in range(5)
        if (m, split) != (Modality.AUDIO, "test")
    ]
    with pytest.raises(DataError, match="no audio of class 'ash' left for the test split"):
        supplies(entries, validation=0.2)


def test_a_bank_of_too_few_classes_is_told(supply: dict[str, Supply]) -> None:
    grouped = ScenesConfig(group_size=5)
    with pytest.raises(DataError, match=r"6 classes in its train split.* groups of 5 need 7"):
        draw_scenes(supply, grouped)
    assert draw_scenes(supply, grouped.model_copy(update={"groups": 0}))
