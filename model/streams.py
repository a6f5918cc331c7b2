"""The picture and the sound of a container, decoded until enough is had. Opens PyAV.

The clock of a clip starts with its picture, or with its sound where there is no picture: sound
from before that is dropped, sound that starts later is preceded by silence. The clip is as long
as its picture; a sound that goes on for more than half a second makes it as long as the sound,
and the last frame stays.

What is damaged counts for what is left of it: packets that do not decode are skipped, as long
as they are fewer than those that do.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import av
import av.subtitles.codeccontext  # PyAV loads both with the first file that it opens or that has
import av.subtitles.stream  # subtitles, when a sandboxed process cannot
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from model.clip import ADVICE, SAMPLE_RATE, TOLERANCE_SECONDS, Clip, DecodeConfig, num_steps
from model.errors import MediaError, MediaTooLarge
from model.sampling import FrameSampler, SoundSampler, check_pixels

logger = logging.getLogger(__name__)

MAX_FAILED = 1000  # packets that do not decode beyond those that do: then the rest is left unread
LEAD_SECONDS = 1.0  # decoded before a later start: sound needs some of it to settle
PROBED_BYTES = 1_000_000  # in which streams are to show; FFmpeg's 5 MB can take it seconds
OUTLAST_SECONDS = 0.5  # sound that ends this much after the picture is padding, not content

# An allow-list, since demuxers for playlists and scripts open what a stranger's file names.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,"
    "wav,w64,mp3,flac,ogg,aac,aiff,caf,amr"
)


def read_streams(file: BinaryIO, config: DecodeConfig) -> Clip:
    """Return the first picture stream and the first sound stream of ``file``.

    Raises:
        MediaError: Not decodable, or empty from the start on.
        MediaTooLarge: Over a limit of ``config``.
    """
    options = {"format_whitelist": FORMATS, "probesize": str(PROBED_BYTES)}
    options |= _decoder_options(config)
    try:
        with av.open(file, "r", options=options, metadata_errors="replace") as container:
            return _Reader(container, config).read()
    except av.FFmpegError as error:
        raise MediaError(f"not a file that decodes ({error.strerror}); {ADVICE}") from error


@dataclass
class _Track:
    """One stream of a container, and what is kept of it."""

    stream: VideoStream | AudioStream
    sampler: FrameSampler | SoundSampler
    container: InputContainer
    start_second: int  # from where on the sampler has it
    counted: float = 0.0  # seconds, by the packets so far

    @property
    def told(self) -> float | None:
        """The length of its file in seconds, where the file tells it."""
        return self.container.duration / av.time_base if self.container.duration else None

    @property
    def is_done(self) -> bool:
        """Whether the rest of the file says nothing new."""
        return self.sampler.is_full and self.told is not None

    @property
    def seconds(self) -> float | None:
        """Its length: as decoded, else as told; None where nothing decodes."""
        if self.sampler.is_empty:
            return None
        seconds = self.start_second + self.sampler.seconds
        if not self.sampler.is_full:
            return seconds
        return max(seconds, self.counted if self.told is None else self.told)


class _Reader:
    """Decodes an opened container until enough of its picture and its sound is had."""

    def __init__(self, container: InputContainer, config: DecodeConfig) -> None:
        self.container = container
        self.config = config
        aside = Disposition.attached_pic | Disposition.dependent  # cover art, tiles of a HEIC
        videos = [own for own in container.streams.video if not own.disposition & aside]
        self.video = next((own for own in videos if own.codec_context), None)
        self.audio = next((own for own in container.streams.audio if own.codec_context), None)
        self.pictures = FrameSampler(
            self.video,
            frames_per_step=config.frames_per_step,
            max_steps=config.max_steps,
            short_side=config.short_side,
        )
        self.sound = SoundSampler(rate=SAMPLE_RATE, max_seconds=config.max_steps)
        self.tracks: dict[int, _Track] = {}
        start = config.start_second
        if self.video is not None:
            self.tracks[self.video.index] = _Track(self.video, self.pictures, container, start)
        if self.audio is not None:
            self.tracks[self.audio.index] = _Track(self.audio, self.sound, container, start)
        # When the clip's clock starts; None: with the first frame that comes.
        clock = self.video or (self.audio if start else None)
        self.zero = _seconds(clock, clock.start_time) if clock else None
        self.num_decoded = self.num_failed = 0  # packets

    def read(self) -> Clip:
        self._check_limits()
        self._seek()
        for frame in self._frames() if self.tracks else ():
            if self.zero is None:
                self.zero = frame.time
            origin = self.config.start_second + (self.zero or 0.0)
            start = None if frame.time is None else frame.time - origin
            if isinstance(frame, VideoFrame):
                self.pictures.add(frame, start)
            else:
                self.sound.add(frame, start)
        self.sound.finish()
        if self.num_failed > self.num_decoded:
            raise MediaError(f"damaged: {self.num_failed} packets do not decode; {ADVICE}")
        return self._clip()

    def _seek(self) -> None:
        """Go to before the start; a file that has no way there is decoded from its beginning."""
        if self.config.start_second and self.zero is not None:
            target = self.zero + self.config.start_second - LEAD_SECONDS
            with suppress(av.FFmpegError):
                self.container.seek(int(target * av.time_base))

    def _check_limits(self) -> None:
        """Refuse what is too large; what a header hides, the decoders refuse themselves."""
        if self.video is not None:
            check_pixels(self.video.width, self.video.height, max_pixels=self.config.max_pixels)
        for track in self.tracks.values():
            self._check_length(track.told or 0.0)
            context = track.stream.codec_context
            context.options = _decoder_options(self.config)
            context.thread_count = 1  # callers decode several files at once

    def _check_length(self, seconds: float) -> None:
        if num_steps(seconds) > self.config.max_seconds:
            limit = self.config.max_seconds
            raise MediaTooLarge(f"{seconds:.1f} seconds, of at most {limit}; cut the file")

    def _frames(self) -> Iterator[VideoFrame | AudioFrame]:
        """Yield the frames of all tracks until each has enough and its length is known."""
        streams = [track.stream for track in self.tracks.values()]
        try:
            for packet in self.container.demux(streams):
                track = self.tracks[packet.stream.index]
                self._count(track, packet)
                is_hopeless = self.num_failed > self.num_decoded + MAX_FAILED
                if is_hopeless or all(own.is_done for own in self.tracks.values()):
                    return
                if not track.sampler.is_full:
                    yield from self._decoded(packet)
        except av.FFmpegError as error:  # the file breaks off: take what the decoders still hold
            logger.info("reading stopped early: %s", error)
            for stream in streams:
                with suppress(av.FFmpegError):
                    yield from stream.decode(None)

    def _count(self, track: _Track, packet: "Packet[Any]") -> None:
        if packet.pts is None:
            return
        ticks = packet.pts + (packet.duration or 0)
        end = _seconds(packet.stream, ticks) or 0.0
        track.counted = max(track.counted, end - (self.zero or 0.0))
        self._check_length(track.counted)

    def _decoded(self, packet: "Packet[Any]") -> Sequence[VideoFrame | AudioFrame]:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self.num_failed += 1
            return []
        self.num_decoded += 1
        return frames

    def _clip(self) -> Clip:
        picture, sound = (
            self.tracks[own.index].seconds if own else None for own in (self.video, self.audio)
        )
        if sound is None and picture is None:
            raise MediaError(f"no picture and no sound in it that decodes; {ADVICE}")
        if sound is None and self.pictures.is_single and self.container.duration is None:  # HEIC
            return Clip(self.pictures.steps(1), None, None)
        seconds = _longer(picture, sound)
        left = seconds - self.config.start_second
        if self.config.start_second and left <= TOLERANCE_SECONDS:
            raise MediaError(f"nothing at second {self.config.start_second}: it ends at {seconds}")
        count = min(num_steps(left), self.config.max_steps)
        return Clip(
            None if picture is None else self.pictures.steps(count),
            None if sound is None else self.sound.waveform(count),
            seconds,
        )


def _longer(picture: float | None, sound: float | None) -> float:
    """Return the length of a clip from those of its streams; one of them may be absent."""
    if picture is None or (sound is not None and sound > picture + OUTLAST_SECONDS):
        assert sound is not None
        return sound
    return picture


def _decoder_options(config: DecodeConfig) -> dict[str, str]:
    """Return the limit that decoders hold themselves, with room for the edges they add."""
    return {"max_pixels": str(2 * config.max_pixels)}


def _seconds(stream: Stream, ticks: int | None) -> float | None:
    return float(ticks * stream.time_base) if stream.time_base and ticks is not None else None
