"""The picture and the sound of a container, decoded until enough is had. Opens PyAV.

The clock of a clip starts with its picture, or with its sound where there is no picture: sound
from before that is dropped, sound that starts later is preceded by silence. The clip is as long
as its picture; a sound that goes on for more than half a second makes it as long as the sound,
and the last frame stays.

What is damaged counts for what is left of it: packets that do not decode are skipped, as long
as they are fewer than those that do.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

import av
import av.subtitles.codeccontext  # PyAV loads both with the first file that it opens or that has
import av.subtitles.stream  # subtitles, when a sandboxed process cannot
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from model.clip import ADVICE, TOLERANCE_SECONDS, Clip, DecodeConfig, num_steps
from model.errors import MediaError, MediaTooLarge
from model.sampling import FrameSampler, SoundSampler, check_pixels, in_seconds

logger = logging.getLogger(__name__)

Track = TypeVar("Track", VideoStream, AudioStream)

MAX_FAILED = 1000  # packets that do not decode beyond frames that do: then the rest is left unread
MAX_WAITING = 1000  # packets of a picture that nobody has needed so far
LEAD_SECONDS = 1.0  # decoded before a later start: sound needs some of it to settle
PROBED_BYTES = 1_000_000  # in which streams are to show; FFmpeg's 5 MB can take it seconds
OUTLAST_SECONDS = 0.5  # sound that ends this much after the picture is padding, not content

# An allow-list, since demuxers for playlists and scripts open what a stranger's file names.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,"
    "wav,w64,mp3,flac,ogg,aac,aiff,caf,amr,ac3,eac3,dts,wv,ape,tta,mpc,mpc8,dsf"
)
# What files of some formats that are not on the list begin with.
UNSUPPORTED = {
    b"#EXTM3U": "M3U",
    b"ffconcat": "ffconcat",
    b"<?xml": "XML",
    b"<svg": "SVG",
    b"%PDF": "PDF",
    b"8BPS": "PSD",
    b"RIFF": "of this RIFF file",
    b"nut/": "NUT",
}


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
    except av.ArgumentError as error:  # what FFmpeg says of a format that is not on the list
        raise MediaError(f"the format {_format(file)} is not supported; {ADVICE}") from error
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
    has_key: bool = False  # a key frame came: packets before it need what was cut off
    num_failed: int = 0  # packets since then that do not decode, and frames that do in part
    num_decoded: int = 0  # frames that do wholly

    def __post_init__(self) -> None:
        length, start = self.container.duration, self.container.start_time or 0
        # In these, length may be the end by a clock that does not start at 0.
        if self.container.format.name in {"matroska,webm", "ogg"} and length and length > start > 0:
            length -= start
        self.told = length / av.time_base if length else None  # the file's length in seconds

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

    @property
    def is_damaged(self) -> bool:
        """Whether most of what is kept of it was made up by the decoder."""
        return self.num_failed > self.num_decoded and not self.sampler.is_empty


class _Reader:
    """Decodes an opened container until enough of its picture and its sound is had."""

    def __init__(self, container: InputContainer, config: DecodeConfig) -> None:
        self.container = container
        self.config = config
        aside = Disposition.attached_pic | Disposition.dependent  # cover art, tiles of a HEIC
        videos = [own for own in container.streams.video if not own.disposition & aside]
        self.video, self.audio = _default(videos), _default(container.streams.audio)
        self.pictures = FrameSampler(
            self.video,
            frames_per_step=config.frames_per_step,
            max_steps=config.max_steps,
            short_side=config.short_side,
            is_squashed=config.is_squashed,
            resample=config.resample,
        )
        self.sound = SoundSampler(rate=config.sample_rate, max_seconds=config.max_steps)
        self.tracks: dict[int, _Track] = {}
        start = config.start_second
        if self.video is not None:
            self.tracks[self.video.index] = _Track(self.video, self.pictures, container, start)
        if self.audio is not None:
            self.tracks[self.audio.index] = _Track(self.audio, self.sound, container, start)
        # When the clip's clock starts; None: with the first frame that comes.
        clock = self.video or (self.audio if start else None)
        self.zero = in_seconds(clock.start_time, clock.time_base) if clock else None
        self.packets_zero: float | None = None  # the same, of packets; None before the first
        self.waiting: list[Packet[Any]] = []  # of the picture: unwanted, but others may refer to it
        self.waits_since = 0.0  # seconds of the clip: when the first of them is on screen
        self.has_gap = False  # packets were left out after those that the decoder has
        # Key frames of streams that are refreshed bit by bit need the frames before them: gaps
        # wait until one, of the time ``key``, has turned out to stand alone.
        self.may_leave_gaps = False
        self.key: int | None = None

    def read(self) -> Clip:
        self._check_limits()
        self._seek()
        for frame in self._frames() if self.tracks else ():
            time = in_seconds(frame.pts, frame.time_base)
            if self.zero is None:
                self.zero = time
            origin = self.config.start_second + (self.zero or 0.0)
            start = None if time is None else time - origin
            if isinstance(frame, VideoFrame):
                if frame.pts == self.key is not None:
                    self.may_leave_gaps = frame.pict_type == PictureType.I
                self.pictures.add(frame, start)
            else:
                self.sound.add(frame, start)
        self.sound.finish()
        if self._num_failed_more > 0 or any(own.is_damaged for own in self.tracks.values()):
            failed = sum(own.num_failed for own in self.tracks.values())
            raise MediaError(f"damaged: {failed} packets do not decode; {ADVICE}")
        return self._clip()

    @property
    def _num_failed_more(self) -> int:
        """How much more of the file does not decode than does."""
        return sum(own.num_failed - own.num_decoded for own in self.tracks.values())

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
            raise MediaTooLarge(
                f"{seconds:.1f} seconds, of at most {limit}; cut the file, or raise max_seconds"
            )

    def _frames(self) -> Iterator[VideoFrame | AudioFrame]:
        """Yield the frames of all tracks until each has enough and its length is known."""
        streams = [track.stream for track in self.tracks.values()]
        try:
            for packet in self.container.demux(streams):
                track = self.tracks[packet.stream.index]
                if packet.has_sidedata("encryption_info"):
                    raise MediaError(f"encrypted; decrypt it, and {ADVICE}")
                self._count(track, packet)
                is_hopeless = self._num_failed_more > MAX_FAILED
                if is_hopeless or all(own.is_done for own in self.tracks.values()):
                    return
                if track.sampler.is_full:
                    continue
                if track.stream is self.video:
                    yield from self._pictures(self.video, packet)
                else:
                    yield from self._decoded(packet)
        except av.FFmpegError as error:  # the file breaks off: take what the decoders still hold
            logger.info("reading stopped early: %s", error)
            if self.video is not None:
                yield from self._catch_up(self.video)
            for stream in streams:
                yield from _drained(stream)

    def _count(self, track: _Track, packet: "Packet[Any]") -> None:
        if packet.pts is None:
            return
        end = in_seconds(packet.pts + (packet.duration or 0), packet.stream.time_base) or 0.0
        if self.packets_zero is None:
            start = in_seconds(packet.pts, packet.stream.time_base) or 0.0
            self.packets_zero = start if self.zero is None else self.zero
        track.counted = max(track.counted, end - self.packets_zero)
        self._check_length(track.counted)

    def _pictures(
        self, video: VideoStream, packet: "Packet[Any]"
    ) -> Iterator[VideoFrame | AudioFrame]:
        """Decode a packet of the picture, or let it wait until one comes that may need it.

        None does where a key frame comes before the next middle of a step, or the end.
        """
        start = None if self.zero is None else in_seconds(packet.pts, packet.time_base)
        if start is not None:
            start -= (self.zero or 0.0) + self.config.start_second
        is_end = start is None and not packet.size
        until = self._last_step() if is_end else start
        needs_none = is_end or (packet.is_keyframe and self.may_leave_gaps)
        middle = self.pictures.middle_from(self.waits_since)
        if self.waiting and needs_none and until is not None and middle >= until:
            self.waiting.clear()
            self.has_gap = True
        if packet.is_keyframe and not self.pictures.is_empty:
            self.key = packet.pts
        seconds = in_seconds(packet.duration, packet.time_base) or 0.0
        if start is not None and self.pictures.passes_over(start, seconds):
            self.waits_since = min(self.waits_since, start) if self.waiting else start
            self.waiting.append(packet)
            if len(self.waiting) < MAX_WAITING:
                return
            packet = self.waiting.pop()
        yield from self._catch_up(video)
        yield from self._decoded(packet)

    def _catch_up(self, video: VideoStream) -> Iterator[VideoFrame | AudioFrame]:
        """Decode the packets that wait, but for frames that no other refers to."""
        if self.has_gap:  # as after seeking
            yield from _drained(video)
            video.codec_context.flush_buffers()
            self.has_gap = False
        if self.waiting:
            video.codec_context.skip_frame = "NONREF"
            for packet in self.waiting:
                yield from self._decoded(packet)
            self.waiting.clear()
            video.codec_context.skip_frame = "DEFAULT"

    def _last_step(self) -> int:
        """Return T of the clip, now that all packets are counted: that many or fewer."""
        left = max(own.counted for own in self.tracks.values()) - self.config.start_second
        return min(num_steps(left), self.config.max_steps)

    def _decoded(self, packet: "Packet[Any]") -> Sequence[VideoFrame | AudioFrame]:
        track = self.tracks[packet.stream.index]
        if packet.is_keyframe and not track.has_key:
            track.has_key, track.num_failed = True, 0
        try:
            frames = packet.decode()
        except av.FFmpegError:
            track.num_failed += 1
            return []
        num_corrupt = sum(frame.is_corrupt for frame in frames)
        track.num_failed += num_corrupt
        track.num_decoded += len(frames) - num_corrupt
        return frames

    def _clip(self) -> Clip:
        picture, sound = (
            self.tracks[own.index].seconds if own else None for own in (self.video, self.audio)
        )
        if sound is None and picture is None:
            raise MediaError(f"no picture and no sound in it that decodes; {ADVICE}")
        if sound is None and self.pictures.is_single and self.container.duration is None:  # HEIC
            return Clip(self.pictures.steps(1), None, None, self.config.sample_rate)
        seconds = _longer(picture, sound)
        left = seconds - self.config.start_second
        if self.config.start_second and left <= TOLERANCE_SECONDS:
            raise MediaError(f"nothing at second {self.config.start_second}: it ends at {seconds}")
        count = min(num_steps(left), self.config.max_steps)
        return Clip(
            None if picture is None else self.pictures.steps(count),
            None if sound is None else self.sound.waveform(count),
            seconds,
            self.config.sample_rate,
        )


def _drained(stream: VideoStream | AudioStream) -> "Sequence[VideoFrame | AudioFrame]":
    """Return the frames that the decoder of ``stream`` still holds."""
    packet: Packet[Any] = Packet()  # an empty one is the last: its frames have their time
    packet.stream = stream
    if stream.time_base is not None:
        packet.time_base = stream.time_base
    try:
        return packet.decode()
    except av.FFmpegError:
        return []


def _format(file: BinaryIO) -> str:
    """Return the name of a format that is not taken, by what its files begin with."""
    file.seek(0)
    start = file.read(512).lstrip()
    names = (name for mark, name in UNSUPPORTED.items() if start.startswith(mark))
    return next(names, "of this file")


def _default(streams: Iterable[Track]) -> Track | None:
    """Return the stream that players take: the first with the default flag, else the first."""
    known = [own for own in streams if own.codec_context]
    flagged = [own for own in known if own.disposition & Disposition.default]
    return next(iter(flagged or known), None)


def _longer(picture: float | None, sound: float | None) -> float:
    """Return the length of a clip from those of its streams; one of them may be absent."""
    if picture is None or (sound is not None and sound > picture + OUTLAST_SECONDS):
        assert sound is not None
        return sound
    return picture


def _decoder_options(config: DecodeConfig) -> dict[str, str]:
    """Return the limit that decoders hold themselves, with room for the edges they add."""
    return {"max_pixels": str(2 * config.max_pixels)}
