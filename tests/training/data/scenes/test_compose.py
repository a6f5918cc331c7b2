"""Frames and sound of a script: who is on screen when, and how loud it is."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.media import SAMPLE_RATE, DecodeConfig
from model.modality import Modality
from tests.media_maker import make_picture, make_sound, tone
from training.data.scenes.compose import compose, frame_at, sound_of
from training.data.scenes.material import Material
from training.data.scenes.script import (
    SECONDS,
    SETS,
    Captions,
    Event,
    Pose,
    Scene,
    Shots,
    Sound,
    Span,
)

COLOURS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200)}
WHOLE = Pose(zoom=1, x=0.5, y=0.5)
NO_NOISE = -200.0

SIDE = 256  # pixels: what clips are decoded to where nothing else is said


@pytest.fixture
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """Photos of one colour each, black and white halves, a low and a high tone."""
    folder = tmp_path_factory.mktemp("material")
    pictures = {name: np.full((64, 64, 3), colour) for name, colour in COLOURS.items()}
    pictures["black"] = np.zeros((64, 64, 3))
    pictures["halves"] = np.repeat([[[0, 0, 0], [255, 255, 255]]], 64, 0).repeat(32, 1)
    for name, pixels in pictures.items():
        (folder / f"{name}.png").write_bytes(make_picture(pixels.astype(np.uint8)))
    for name, hertz in (("low", 400), ("high", 3000)):
        sound = tone(3, rate=SAMPLE_RATE, hertz=hertz)
        (folder / f"{name}.wav").write_bytes(make_sound(sound, rate=SAMPLE_RATE))
    return Material(folder)


def shots(*photos: str, span: Span, size: float = 1.0, **poses: Pose) -> Event:
    where = {"start": WHOLE, "end": WHOLE, **poses}
    names = tuple(f"{photo}.png" for photo in photos)
    seen = Shots(photos=names, span=span, size=size, x=0.5, y=0.5, **where)
    return Event(label="x", sentences=("x",), shots=seen, sound=None)


def sound(recording: str, *, span: Span, level: float) -> Event:
    heard = Sound(recording=f"{recording}.wav", span=span, begin=0.3, level=level)
    return Event(label="x", sentences=("x",), shots=None, sound=heard)


def scene(*events: Event, crossfade: bool = False, noise: float = NO_NOISE) -> Scene:
    return Scene(
        name="scene",
        set="many",
        split="test",
        group=None,
        events=events,
        crossfade=crossfade,
        backdrop="black.png",
        noise_seed=1,
        noise_level=noise,
        murmur=(),
        captions=Captions(whole=("x",), seen=(), heard=()),
    )


def colour_at(frame: NDArray[np.uint8], x: float = 0.5) -> tuple[int, ...]:
    return tuple(int(value) for value in frame[SIDE // 2, int(x * (SIDE - 1))])


def test_a_photo_is_on_screen_from_its_onset_to_its_offset(material: Material) -> None:
    clip = compose(scene(shots("red", span=(3, 6))), material)
    assert clip.frames is not None
    assert clip.frames.shape == (SECONDS, 1, SIDE, SIDE, 3)
    for second in range(SECONDS):
        shown = COLOURS["red"] if 3 <= second < 6 else (0, 0, 0)
        assert colour_at(clip.frames[second, 0]) == shown


def test_a_small_photo_leaves_the_backdrop_around_it(material: Material) -> None:
    frame = frame_at(scene(shots("red", span=(0, 10), size=0.5)), 5, material)
    share = (frame[..., 0] == 200).mean()
    assert share == pytest.approx(0.25, abs=0.01)
    assert colour_at(frame) == COLOURS["red"]
    assert colour_at(frame, 0.1) == (0, 0, 0)


def test_photos_seen_together_lie_side_by_side(material: Material) -> None:
    events = [shots(name, span=(0, 10)) for name in COLOURS]
    frame = frame_at(scene(*events), 5, material)
    assert [colour_at(frame, x) for x in (0.1, 0.5, 0.9)] == list(COLOURS.values())


def test_a_crossfade_goes_from_one_photo_to_the_other(material: Material) -> None:
    events = shots("red", span=(0, 5)), shots("green", span=(4, 10))
    faded = scene(*events, crossfade=True)
    reds, greens = zip(
        *(colour_at(frame_at(faded, second, material))[:2] for second in (3.9, 4.2, 4.5, 4.8, 5.1)),
        strict=True,
    )
    assert reds == (200, 160, 100, 40, 0)
    assert greens == (0, 40, 100, 160, 200)


def test_shots_follow_one_another_for_equal_times(material: Material) -> None:
    cuts = scene(shots(*COLOURS, span=(2, 8)))
    found = [colour_at(frame_at(cuts, second + 0.5, material)) for second in range(2, 8)]
    assert found == [colour for colour in COLOURS.values() for _ in range(2)]


def test_a_photo_moves_slowly(material: Material) -> None:
    """Zoomed in on halves of black and white, panning right uncovers the white steadily."""
    left, right = Pose(zoom=0.5, x=0, y=0), Pose(zoom=0.5, x=1, y=0)
    panned = scene(shots("halves", span=(0, 10), start=left, end=right))
    shares = [frame_at(panned, t, material).mean() / 255 for t in np.linspace(0, 9.99, 8)]
    np.testing.assert_allclose(shares, np.linspace(0, 1, 8), atol=0.03)


def test_a_sound_is_heard_from_onset_to_offset_as_loud_as_it_is_to_be(material: Material) -> None:
    heard = sound_of(scene(sound("low", span=(2, 9), level=-20)), material)
    assert heard.shape == (SECONDS * SAMPLE_RATE,)
    assert heard.dtype == np.float32
    loudness = np.sqrt((heard.reshape(SECONDS, -1) ** 2).mean(1))
    assert (loudness[[0, 1, 9]] < 1e-6).all()
    np.testing.assert_allclose(20 * np.log10(loudness[3:8]), -20, atol=0.1)


def test_sounds_lie_over_each_other_by_their_levels(material: Material) -> None:
    events = sound("low", span=(0, 10), level=-20), sound("high", span=(0, 10), level=-32)
    spectrum = np.abs(np.fft.rfft(sound_of(scene(*events), material)[: 8 * SAMPLE_RATE]))
    low, high = spectrum[400 * 8], spectrum[3000 * 8]
    assert 20 * np.log10(low / high) == pytest.approx(12, abs=0.5)


def test_noise_fills_the_pauses_at_its_level(material: Material) -> None:
    heard = sound_of(scene(noise=-40.0), material)
    assert 20 * np.log10(np.sqrt((heard**2).mean())) == pytest.approx(-40, abs=0.1)


def test_nothing_is_louder_than_full_scale(material: Material) -> None:
    events = [sound(name, span=(0, 10), level=0.0) for name in ("low", "high")]
    assert np.abs(sound_of(scene(*events), material)).max() == pytest.approx(0.98, abs=1e-6)


def test_a_scene_has_the_size_and_the_rate_that_it_is_composed_in(
    scenes: list[Scene], bank_folder: Path
) -> None:
    own = next(scene for scene in scenes if len(SETS[scene.set]) > 1)
    config = DecodeConfig(short_side=64, is_squashed=True, sample_rate=48_000)
    clip = compose(own, Material(bank_folder, config))
    assert clip.frames is not None
    assert clip.waveform is not None
    assert clip.frames.shape == (SECONDS, 1, 64, 64, 3)
    assert (clip.sample_rate, len(clip.waveform)) == (48_000, SECONDS * 48_000)
    usual = compose(own, Material(bank_folder))
    assert usual.waveform is not None
    loudness = [float(np.sqrt((wave**2).mean())) for wave in (clip.waveform, usual.waveform)]
    assert loudness[0] == pytest.approx(loudness[1], rel=0.1)


@pytest.mark.parametrize("name", SETS)
def test_a_clip_has_the_modalities_of_its_set(
    scenes: list[Scene], name: str, bank_folder: Path
) -> None:
    own = next(scene for scene in scenes if scene.set == name)
    clip = compose(own, Material(bank_folder))
    assert (clip.frames is not None) == (Modality.VIDEO in SETS[name])
    assert (clip.waveform is not None) == (Modality.AUDIO in SETS[name])
