"""Only frames that are needed are decoded, and those that are kept are the right ones."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from model.media import DecodeConfig, read_clip
from model.streams import _Reader

RATE, SECONDS, SIZE = 25, 6, 64
CODECS = {
    "one key frame": ("mp4", "libx264", {}),
    "a key frame each half second": ("mp4", "libx264", {"g": "12"}),
    "open groups": ("mkv", "libx264", {"g": "20", "x264-params": "open-gop=1:bframes=3"}),
    "open groups, in a stream": ("ts", "libx264", {"g": "20", "x264-params": "open-gop=1"}),
    "HEVC": ("mp4", "libx265", {"x265-params": "log-level=none:keyint=20:pools=1"}),
    "MPEG-4": ("avi", "mpeg4", {"g": "10"}),
    "VP9": ("webm", "libvpx-vp9", {"g": "20", "deadline": "realtime"}),
    "key frames only": ("mkv", "mjpeg", {}),
}
REFRESHED = "refreshed bit by bit"
INTRA_REFRESH = {"g": "20", "x264-params": "intra-refresh=1"}


SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND


def film(kind: str, *, size: int = SIZE, seconds: int = SECONDS) -> bytes:
    """Return a video whose frames all differ."""
    container, codec, options = CODECS.get(kind, ("ts", "libx264", INTRA_REFRESH))
    formats = {"mkv": "matroska", "ts": "mpegts"}
    file = io.BytesIO()
    base = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    with av.open(file, "w", format=formats.get(container, container)) as output:
        stream = output.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height = 2 * size, size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(seconds * RATE):
            pixels = np.roll(base, number // 3, 1) // 2 + number % 100
            pixels = np.kron(pixels.astype(np.uint8), np.ones((size // 8, size // 4, 1), np.uint8))
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def on_screen(data: bytes, middles: list[float]) -> list[NDArray[np.uint8]]:
    """Decode all of it; return the frames that a player shows at some times."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    zero = frames[0].time
    return [
        pixels_of([own for own in frames if own.time - zero <= middle][-1], SIZE)
        for middle in middles
    ]


def pixels_of(frame: av.VideoFrame, size: int) -> NDArray[np.uint8]:
    """Return ``[size, 2 * size, 3]`` of what is ``size`` high, or higher."""
    return frame.reformat(2 * size, size, "rgb24", interpolation=SCALING, threads=1).to_ndarray()


@pytest.fixture
def num_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the packets that are decoded."""
    sizes: list[int] = []
    decoded = _Reader._decoded

    def counted(self: _Reader, packet: "av.Packet") -> object:
        sizes.append(packet.size)
        return decoded(self, packet)

    monkeypatch.setattr(_Reader, "_decoded", counted)
    return sizes


@pytest.mark.parametrize(
    ("kind", "start"),
    [(kind, start) for kind in CODECS for start in (0, 2)]
    + [(REFRESHED, 0)],  # there is no way to begin later: no frame stands alone
)
def test_the_frames_are_those_on_screen_at_the_middles_of_steps(kind: str, start: int) -> None:
    data = film(kind)
    clip = read_clip(data, DecodeConfig(short_side=SIZE, start_second=start))
    assert clip.frames is not None
    expected = on_screen(data, [second + 0.5 for second in range(start, SECONDS)])
    assert len(clip.frames) == len(expected)
    for found, own in zip(clip.frames[:, 0], expected, strict=True):
        np.testing.assert_array_equal(found, own)


def test_what_ends_at_a_key_frame_is_not_decoded(num_decoded: list[int]) -> None:
    """Of 25 frames a second, 13 lie between a middle and the key frame after it."""
    read_clip(film("a key frame each half second"), DecodeConfig(short_side=SIZE))
    few = len(num_decoded)
    num_decoded.clear()
    read_clip(film("key frames only"), DecodeConfig(short_side=SIZE))
    assert len(num_decoded) < few < 0.7 * SECONDS * RATE


def test_what_comes_after_the_last_middle_is_not_decoded(num_decoded: list[int]) -> None:
    clip = read_clip(film("one key frame", seconds=1), DecodeConfig(short_side=SIZE))
    assert clip.duration_seconds == 1
    assert len(num_decoded) < 0.8 * RATE


def test_a_rest_of_a_second_is_decoded_where_it_is_a_step() -> None:
    data = film("one key frame")
    with av.open(io.BytesIO(data)) as container:
        packets = [own for own in container.demux(video=0) if own.dts is not None]
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as output:
            stream = output.add_stream_from_template(container.streams.video[0])
            for packet in packets[: 3 * RATE + 5]:
                packet.stream = stream
                output.mux(packet)
    clip = read_clip(file.getvalue(), DecodeConfig(short_side=SIZE))
    assert clip.frames is not None
    assert len(clip.frames) == 4
    (last,) = on_screen(file.getvalue(), [3.5])
    np.testing.assert_array_equal(clip.frames[3, 0], last)


@pytest.mark.parametrize(("size", "is_left_out"), [(SIZE, False), (2 * SIZE, True)])
def test_the_loop_filter_is_left_out_where_pictures_shrink(size: int, is_left_out: bool) -> None:
    """It makes a difference to the pixels of coarse codes, a small one once they have shrunk."""
    data = film("one key frame", size=size, seconds=2)
    clip = read_clip(data, DecodeConfig(short_side=SIZE))
    assert clip.frames is not None
    assert clip.frames.shape == (2, 1, SIZE, 2 * SIZE, 3)
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(video=0))
    difference = np.abs(clip.frames[0, 0].astype(int) - pixels_of(frames[12], SIZE)).mean()
    assert (difference > 0.05) == is_left_out
    assert difference < 6
