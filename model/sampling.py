"""What is kept of the frames and samples that a decoder gives, and in which size.

Times are seconds. Each sampler is fed in presentation order and knows when it has enough.
"""

import io
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cache
from typing import Any, cast

import av
import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import Type
from numpy.typing import NDArray
from PIL import Image, ImageCms

from model.errors import MediaError, MediaTooLarge

MAX_ASPECT = 16  # longer side to shorter side; scaling by the shorter side would explode others
UNTOLD_SECONDS = 0.2  # that a frame may stay on screen though its file does not say so
DRIFT_SECONDS = 0.1  # timestamps that disagree by less are rounded; by more, sound is missing


def in_seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    """Return ``ticks`` of a clock in seconds; None where the file tells none."""
    if ticks is None or not time_base:
        return None
    return ticks * time_base.numerator / time_base.denominator  # no sums of fractions: they cost


def check_pixels(width: int, height: int, *, max_pixels: int) -> None:
    """Refuse a picture of too many pixels, before they are decoded.

    Raises:
        MediaTooLarge: It has more than ``max_pixels``.
    """
    if width * height > max_pixels:
        raise MediaTooLarge(
            f"a picture of {width} x {height} is over {max_pixels} pixels; scale it down"
        )


def opaque(image: Image.Image) -> Image.Image:
    """Return ``image`` in RGB, white where it is transparent."""
    if image.mode.startswith("I;16"):  # Pillow would clip these greys instead of scaling them
        greys = np.asarray(image)
        is_clear = greys == image.info.get("transparency", -1)
        image = Image.fromarray(np.where(is_clear, 255, greys >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.mode == "CMYK":
        return _from_inks(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _from_inks(image: Image.Image) -> Image.Image:
    """Return a picture in CMYK as RGB: as its profile says what its inks look like, if it can."""
    try:
        inks = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        light = ImageCms.createProfile("sRGB")
        return cast(Image.Image, ImageCms.profileToProfile(image, inks, light, outputMode="RGB"))
    except (KeyError, OSError, ImageCms.PyCMSError):  # none, or a damaged one
        return image.convert("RGB")


def _eight_bits(values: NDArray[np.number[Any]]) -> NDArray[np.uint8]:
    """Return greys of 32 bits as those of 8: white is the most that their numbers may mean."""
    greys = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0).clip(min=0)
    largest = float(greys.max())
    whites = (1.0, 255.0, 65_535.0) if values.dtype.kind == "f" else (255.0, 65_535.0)
    white = next((own for own in whites if largest <= own), largest)
    return np.round(greys / white * 255).astype(np.uint8)


def scaled(
    image: Image.Image,
    short_side: int,
    *,
    is_squashed: bool = False,
    resample: str = "bicubic",
    pixel_aspect: float = 1.0,
) -> NDArray[np.uint8]:
    """Return ``[H, W, 3]`` whose shorter side is ``short_side``.

    Args:
        image: In RGB.
        short_side: In pixels.
        is_squashed: Make the longer side as short, whatever the aspect was.
        resample: The filter, as Pillow names it.
        pixel_aspect: Width of a pixel as a multiple of its height.

    Raises:
        MediaError: The longer side is over 16 times the shorter one.
    """
    width, height = image.width * pixel_aspect, float(image.height)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise MediaError(
            f"a picture of {width:.0f} x {height:.0f}: one side is over {MAX_ASPECT} times the "
            "other; crop it"
        )
    scale = short_side / min(width, height)
    size = (round(width * scale), round(height * scale))
    if is_squashed:
        size = (short_side, short_side)
    return np.asarray(image.resize(size, Image.Resampling[resample.upper()]))


def jpeg(pixels: NDArray[np.uint8], *, quality: int = 80) -> bytes:
    """Return ``pixels`` ``[H, W, 3]`` as the bytes of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


class FrameSampler:
    """Keeps the frames that are on screen at the middles of a second's equal parts.

    Frames are scaled as they come, so that one of full size is held at a time.

    Args:
        stream: Which the frames are of; None: no frame will come.
        frames_per_step: R: parts of a second.
        max_steps: Seconds after which enough is kept.
        short_side: The kept frames' shorter side in pixels.
        is_squashed: Whether their longer side is as short.
        resample: The filter that scales them, as Pillow names it.
    """

    def __init__(
        self,
        stream: av.VideoStream | None,
        *,
        frames_per_step: int,
        max_steps: int,
        short_side: int,
        is_squashed: bool = False,
        resample: str = "bicubic",
    ) -> None:
        self.frames_per_step = frames_per_step
        self.max_frames = max_steps * frames_per_step
        self.short_side = short_side
        self.is_squashed = is_squashed
        self.resample = resample
        self.pixel_aspect = float((stream and stream.sample_aspect_ratio) or 1)
        rate = stream and (stream.average_rate or stream.guessed_rate)
        self.frame_seconds = 1 / float(rate) if rate else 0.0  # for frames that do not tell it
        self._end = 0.0  # seconds, of the latest frame
        self._end_passed_over = 0.0  # seconds, of the latest frame that was not decoded
        self._num_frames = 0
        self._shown: av.VideoFrame | None = None  # the latest frame: on screen until the next
        self._pixels: NDArray[np.uint8] | None = None  # the same, scaled, once it is wanted
        # Room for all, of which the system gives memory only to what is written: a list of them
        # would be held beside the array that is made of it, and leave holes behind.
        self._kept: NDArray[np.uint8] | None = None  # [max_frames, H, W, 3]
        self._num_kept = 0
        self._matrix: NDArray[np.int32] | None = None  # how the first kept frame is turned

    @property
    def is_full(self) -> bool:
        """Whether further frames would change nothing."""
        return self._num_kept == self.max_frames

    @property
    def is_empty(self) -> bool:
        """Whether no frame came."""
        return self._shown is None

    @property
    def is_single(self) -> bool:
        """Whether one frame came."""
        return self._num_frames == 1

    @property
    def seconds(self) -> float:
        """Until the end of the latest frame."""
        return max(self._end, self._end_passed_over)

    def middle_from(self, start: float) -> float:
        """Return the first middle of a step, or of a step's equal part, from ``start`` on."""
        parts = self.frames_per_step
        return (max(0, math.ceil(start * parts - 0.5)) + 0.5) / parts

    def passes_over(self, start: float, seconds: float) -> bool:
        """Tell whether a frame on screen from ``start`` on, for ``seconds``, is of no use.

        It counts for the length all the same. That ``seconds`` is too low is allowed for, since
        files round it, and tell none where frames come as they like.
        """
        seconds = seconds or self.frame_seconds
        needed = max(2 * seconds, UNTOLD_SECONDS)
        if not seconds or self.middle_from(start) - start < needed:
            return False
        self._end_passed_over = max(self._end_passed_over, start + seconds)
        return True

    def add(self, frame: av.VideoFrame, start: float | None) -> None:
        """Take the frame on screen from ``start`` on; None: right after the one before."""
        start = self._end if start is None else start
        while self._shown and not self.is_full and self._next_middle < start:
            self._keep()
        self._shown, self._pixels = frame, None
        self._num_frames += 1
        told = in_seconds(frame.duration, frame.time_base) or 0.0
        self._end = max(self._end, start + (told or self.frame_seconds))

    def steps(self, count: int) -> NDArray[np.uint8]:
        """Return ``[count, R, H, W, 3]``; beyond the last frame, the last frame stays."""
        while self._num_kept < count * self.frames_per_step:
            self._keep()
        assert self._kept is not None
        frames = self._kept[: count * self.frames_per_step]
        return frames.reshape(count, self.frames_per_step, *frames.shape[1:])

    @property
    def _next_middle(self) -> float:
        return (self._num_kept + 0.5) / self.frames_per_step

    def _keep(self) -> None:
        if self._pixels is None:
            assert self._shown is not None
            self._pixels = self._like_the_others(self._upright(self._shown))
        if self._kept is None:
            self._kept = np.empty((self.max_frames, *self._pixels.shape), np.uint8)
        self._kept[self._num_kept] = self._pixels
        self._num_kept += 1

    def _upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        image = Image.fromarray(frame.to_ndarray(format="rgb24", threads=1))
        pixels = scaled(
            image,
            self.short_side,
            is_squashed=self.is_squashed,
            resample=self.resample,
            pixel_aspect=self.pixel_aspect,
        )
        if self._matrix is None:  # once: PyAV keeps a frame that was asked until the next gc
            self._matrix = display_matrix(frame)
        return upright(pixels, self._matrix)

    def _like_the_others(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give a frame the first one's size: streams may change theirs midway."""
        if self._kept is None or pixels.shape == self._kept.shape[1:]:
            return pixels
        height, width = self._kept.shape[1:3]
        return np.asarray(Image.fromarray(pixels).resize((width, height)))


def display_matrix(frame: av.VideoFrame) -> NDArray[np.int32]:
    """Return how a player must turn the frame, ``[[a, b], [c, d]]``: pixel (x, y) is shown
    at (a x + c y, b x + d y).
    """
    _know_all_side_data()
    side_data = cast("Mapping[str, Buffer]", frame.side_data).get("DISPLAYMATRIX")
    if side_data is None:
        return np.eye(2, dtype=np.int32)
    return np.frombuffer(bytes(side_data), np.int32).reshape(3, 3)[:2, :2]


@cache
def _know_all_side_data() -> None:
    """Have PyAV read side data of a frame though some is of a type that it has no name for.

    FFmpeg has more types than PyAV 18 (EXIF of HEIC and MJPEG, LCEVC of broadcasts), which then
    reads none of that frame.
    """

    def unnamed(cls: type[Type], value: object) -> Type:
        member: Type = object.__new__(cls)
        member._name_ = f"TYPE_{value}"
        member._value_ = cast("Any", value)
        return member

    Type._missing_ = classmethod(unnamed)  # type: ignore[method-assign, assignment]  # enum's hook


def upright(pixels: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn and mirror ``pixels`` ``[H, W, 3]`` by the display ``matrix``, in quarter turns."""
    (a, b), (c, d) = matrix.tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    return pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def sound_frame(waveform: NDArray[Any], rate: int) -> av.AudioFrame:
    """Return a mono waveform ``[S]`` of ``rate`` samples a second as a decoded block."""
    frame = av.AudioFrame.from_ndarray(waveform[None].astype(np.float32), "flt", "mono")
    frame.sample_rate = rate
    return frame


class SoundSampler:
    """Makes mono sound of one rate from decoded blocks of any, silent where blocks are missing.

    Args:
        rate: Samples a second to make.
        max_seconds: Seconds after which enough is kept.
    """

    def __init__(self, *, rate: int, max_seconds: int) -> None:
        self.rate = rate
        self.max_samples = max_seconds * rate
        self._blocks: list[NDArray[np.float32]] = []
        self._end = 0  # samples after time 0; negative while sound from before that comes
        self._held = 0.0  # samples that the resampler has been given and not yet returned
        self._is_started = False
        self._resampler: av.AudioResampler | None = None
        self._source: tuple[str, str, int] | None = None  # what the resampler takes

    @property
    def is_full(self) -> bool:
        """Whether further sound would change nothing."""
        return self._end + self._held >= self.max_samples

    @property
    def is_empty(self) -> bool:
        """Whether no sound came from time 0 on."""
        return self._end <= 0

    @property
    def seconds(self) -> float:
        """Until the end of the latest block."""
        return self._end / self.rate

    def add(self, frame: av.AudioFrame, start: float | None) -> None:
        """Take the block that is heard from ``start`` on; None: right after the one before."""
        source = (frame.format.name, frame.layout.name, frame.sample_rate)
        if source != self._source:
            self.finish()
        if start is not None:
            self._align(start)
        if self._resampler is None:
            self._source = source
            # Packed samples: PyAV reads past the end of planar ones of 8 and more channels. And
            # a second at a time: blocks as they are coded, dozens a second, cost more than sums.
            self._resampler = av.AudioResampler("flt", None, self.rate, self.rate)
        self._held += frame.samples * self.rate / frame.sample_rate
        self._append(self._resampler.resample(frame))

    def finish(self) -> None:
        """Take what the resampler still holds."""
        if self._resampler is not None:
            self._append(self._resampler.resample(None))
            self._resampler, self._held = None, 0.0

    def waveform(self, seconds: int) -> NDArray[np.float32]:
        """Return at most ``seconds`` of sound ``[S]`` in [-1, 1]."""
        return np.concatenate(self._blocks)[: seconds * self.rate]

    def _align(self, start: float) -> None:
        missing = round(start * self.rate - self._end - self._held)
        if not self._is_started and missing < 0:
            self._end = missing
        elif missing > (DRIFT_SECONDS * self.rate if self._is_started else 0):
            self.finish()
            silence = min(missing, self.max_samples)
            self._blocks.append(np.zeros(silence, np.float32))
            self._end += silence
        self._is_started = True

    def _append(self, frames: Iterable[av.AudioFrame]) -> None:
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            mono = np.clip(np.nan_to_num(samples), -1, 1).mean(1, dtype=np.float32)
            self._blocks.append(mono[max(0, -self._end) :])
            self._end += len(mono)
            self._held -= len(mono)
