"""A scene's script in, its frames and its sound out.

Shape letters: H height, W width, S samples.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.media import Clip
from model.modality import Modality
from training.data.scenes.material import Material
from training.data.scenes.script import SECONDS, SETS, Pose, Scene, Shots, Sound

EDGE = 0.4  # seconds in which a picture appears and goes
CROSSFADE = 1.0  # seconds, where pictures lie over one another
SOUND_EDGE = 0.15  # seconds in which a sound rises and falls
LOWEST = 50  # Hz, below which the noise is white
PEAK = 0.98  # of full scale, at most

Picture = NDArray[np.float32]  # [H, W, 3] RGB, 0..255


def compose(scene: Scene, material: Material) -> Clip:
    """Return the scene as it would be decoded: the frame in the middle of each second, the sound.

    Raises:
        DataError: A photo or recording of it does not decode.
    """
    frames, waveform = None, None
    if Modality.VIDEO in SETS[scene.set]:
        middles = [frame_at(scene, second + 0.5, material) for second in range(SECONDS)]
        frames = np.stack(middles)[:, None]
    if Modality.AUDIO in SETS[scene.set]:
        waveform = sound_of(scene, material)
    return Clip(frames, waveform, float(SECONDS), material.rate)


def frame_at(scene: Scene, second: float, material: Material) -> NDArray[np.uint8]:
    """Return what is on screen at a moment, ``[side, side, 3]``."""
    seen = [
        e.shots for e in scene.events if e.shots and e.shots.span[0] <= second < e.shots.span[1]
    ]
    canvas = material.backdrop(scene.backdrop).astype(np.float32)
    if scene.crossfade:
        shown = [_panel(shots, second, canvas, material) for shots in seen]
        weights = [_weight(shots.span, second, edge=CROSSFADE) for shots in seen]
        rest = max(0.0, 1 - sum(weights))
        mixed = sum((w * p for w, p in zip(weights, shown, strict=True)), rest * canvas)
        return _pixels(mixed / (rest + sum(weights)))
    columns = np.array_split(np.arange(material.side), max(1, len(seen)))
    for shots, own in zip(seen, columns, strict=False):
        under = canvas[:, own]
        weight = _weight(shots.span, second, edge=EDGE)
        canvas[:, own] = (1 - weight) * under + weight * _panel(shots, second, under, material)
    return _pixels(canvas)


def _panel(shots: Shots, second: float, under: Picture, material: Material) -> Picture:
    """Return ``under`` with the photo of the moment on it."""
    first, last = shots.span
    progress = (second - first) / (last - first)
    photo = material.photo(shots.photos[int(progress * len(shots.photos))])
    height, width = (round(shots.size * side) for side in under.shape[:2])
    top = round(shots.y * (under.shape[0] - height))
    left = round(shots.x * (under.shape[1] - width))
    part = _part(photo, _between(shots.start, shots.end, progress), height, width)
    panel = under.copy()
    panel[top : top + height, left : left + width] = part
    return panel


def _between(start: Pose, end: Pose, progress: float) -> Pose:
    values = {
        name: (1 - progress) * getattr(start, name) + progress * getattr(end, name)
        for name in Pose.model_fields
    }
    return Pose(**values)


def _part(photo: NDArray[np.uint8], pose: Pose, height: int, width: int) -> Picture:
    """Return the part of ``photo`` that ``pose`` says, as ``[height, width, 3]``."""
    scale = pose.zoom * min(photo.shape[0] / height, photo.shape[1] / width)
    part_height, part_width = scale * height, scale * width
    left, top = pose.x * (photo.shape[1] - part_width), pose.y * (photo.shape[0] - part_height)
    box = (left, top, left + part_width, top + part_height)
    image = Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR, box=box)
    return np.asarray(image, np.float32)


def _weight(span: tuple[int, int], second: float, *, edge: float) -> float:
    """Return how far a picture has appeared, 0 to 1; one that is there throughout has no edge."""
    since = second - span[0] if span[0] > 0 else edge
    left = span[1] - second if span[1] < SECONDS else edge
    return min(1.0, since / edge, left / edge)


def _pixels(picture: Picture) -> NDArray[np.uint8]:
    return picture.round().clip(0, 255).astype(np.uint8)


def sound_of(scene: Scene, material: Material) -> NDArray[np.float32]:
    """Return what is heard, ``[SECONDS * rate]``."""
    mixed = _noise(scene.noise_seed, rate=material.rate, level=scene.noise_level)
    for sound in (*scene.murmur, *(e.sound for e in scene.events if e.sound)):
        first, last = (second * material.rate for second in sound.span)
        mixed[first:last] += _heard(sound, material)
    return (mixed * min(1.0, PEAK / np.abs(mixed).max())).astype(np.float32)


def _heard(sound: Sound, material: Material) -> NDArray[np.float64]:
    """Return one sound as loud and as long as it is to be."""
    recording = material.recording(sound.recording).astype(np.float64)
    count = (sound.span[1] - sound.span[0]) * material.rate
    heard = np.resize(np.roll(recording, -int(sound.begin * len(recording))), count)
    heard *= _amplitude(sound.level) / np.sqrt((heard**2).mean())
    edge = np.linspace(0, 1, int(SOUND_EDGE * material.rate))
    heard[: len(edge)] *= edge
    heard[-len(edge) :] *= edge[::-1]
    return heard


def _noise(seed: int, *, rate: int, level: float) -> NDArray[np.float64]:
    """Return pink noise: what an empty room and a cheap microphone sound like."""
    count = SECONDS * rate
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), LOWEST * SECONDS))  # 0.1 Hz a bin
    noise = np.fft.irfft(spectrum, count)
    return noise * _amplitude(level) / np.sqrt((noise**2).mean())


def _amplitude(level: float) -> float:
    return float(10 ** (level / 20))
