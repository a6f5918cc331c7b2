"""Files that are whole but odd: as formats allow them, and as people have them."""

import struct
import zlib
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from av.stream import Disposition
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from model.errors import MediaError
from model.media import SAMPLE_RATE, Clip, DecodeConfig, read_clip
from model.sampling import FrameSampler
from tests.media_maker import colours, make_sound, make_video, tone

SMALL = DecodeConfig(short_side=32)
CORNER = np.zeros((64, 96, 3), np.uint8)
CORNER[:32, :48] = 255  # white at the top left; turned by orientation 6, at the top right


def picture_of(clip: Clip) -> NDArray[np.uint8]:
    assert clip.frames is not None
    return clip.frames[0, 0]


def jpeg(exif: bytes) -> bytes:
    file = BytesIO()
    Image.fromarray(CORNER).save(file, "JPEG", exif=exif, quality=95)
    return file.getvalue()


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return EXIF of entries: tag, type, count, and four bytes of value."""
    packed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4)


SIDEWAYS = (0x0112, 3, 1, struct.pack("<HH", 6, 0))  # of SHORT: orientation 6
ODD_EXIF = {
    "an unknown type": exif((0x010F, 200, 1, b"abcd"), SIDEWAYS),
    "a value far outside": exif((0x010F, 2, 99, struct.pack("<I", 2**31)), SIDEWAYS),
    "a negative rational": exif(SIDEWAYS, (0x011A, 10, 1, struct.pack("<I", 0))),
}


@pytest.mark.parametrize("metadata", ODD_EXIF.values(), ids=ODD_EXIF)
def test_of_exif_only_the_orientation_matters(metadata: bytes) -> None:
    clip = read_clip(jpeg(metadata), DecodeConfig(short_side=64))
    shown = np.rot90(CORNER, -1)
    assert picture_of(clip).shape == shown.shape
    assert np.abs(picture_of(clip).astype(int) - shown).mean() < 5


@pytest.mark.parametrize(
    "orientation",
    [exif((0x0112, 10, 1, bytes(4))), exif((0x0112, 3, 1, b"\x09\0\0\0")), b"Exif\0\0"],
)
def test_an_orientation_that_is_none_turns_nothing(orientation: bytes) -> None:
    picture = picture_of(read_clip(jpeg(orientation), DecodeConfig(short_side=64)))
    assert picture.shape == CORNER.shape
    assert np.abs(picture.astype(int) - CORNER).mean() < 5


def test_a_text_chunk_that_is_no_profile_matters_to_nobody() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Raw profile type exif", "\nexif\n    12\nnot hexadecimal\n")
    file = BytesIO()
    Image.fromarray(CORNER).save(file, "PNG", pnginfo=chunks)
    np.testing.assert_array_equal(
        picture_of(read_clip(file.getvalue(), DecodeConfig(short_side=64))), CORNER
    )


@pytest.mark.parametrize(
    ("greys", "white"),
    [
        (np.float32, 1.0),
        (np.float32, 255.0),
        (np.float32, 3e6),
        (np.int32, 255),
        (np.int32, 65_535),
        (np.int32, 2**31 - 1),
    ],
)
def test_greys_of_32_bits_keep_their_brightness(greys: type[np.number], white: float) -> None:
    ramp = np.broadcast_to(np.linspace(0, white, 64), (64, 64)).astype(greys)
    file = BytesIO()
    Image.fromarray(ramp).save(file, "TIFF")
    picture = picture_of(read_clip(file.getvalue(), SMALL))
    assert picture.mean() == pytest.approx(127.5, abs=2)
    assert picture.max() >= 250


def test_a_transparent_grey_of_16_bits_is_white() -> None:
    """As PNG's chunk tRNS names it, which Pillow leaves to others."""
    grey = np.full((40, 40), 0x4000, ">u2")
    grey[:, 20:] = 0x1234

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 16, 0, 0, 0, 0))
    png += chunk(b"tRNS", b"\x12\x34") + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    picture = picture_of(read_clip(png, DecodeConfig(short_side=40)))
    assert (picture[:, :19] == 0x40).all()
    assert (picture[:, 21:] == 255).all()


def test_side_data_that_pyav_does_not_know_is_no_obstacle() -> None:
    """EXIF in the frames of an MJPEG: FFmpeg tells it as a type of its own, and the turn in it."""
    file = BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for number in range(2):
            packet = av.Packet(jpeg(exif(SIDEWAYS)))
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1), True
            output.mux(packet)
    shown = np.rot90(CORNER, -1)
    picture = picture_of(read_clip(file.getvalue(), DecodeConfig(short_side=64)))
    assert picture.shape == shown.shape
    assert np.abs(picture.astype(int) - shown).mean() < 8


@pytest.mark.parametrize(
    ("container", "codec"), [("mpegts", "aac"), ("matroska", "libopus"), ("ogg", "libopus")]
)
def test_the_length_of_a_sound_is_its_end_minus_its_start(container: str, codec: str) -> None:
    """Of a part of a broadcast the clock starts at whatever it was then."""
    rate, file = 48_000, BytesIO()
    with av.open(file, "w", format=container) as output:
        sound = output.add_stream(codec, rate=rate, layout="mono")
        samples = tone(3, rate)
        for start in range(0, len(samples), 960):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], "fltp", "mono")
            frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
            frame.pts = 4000 * rate + start
            output.mux(sound.encode(frame))
        output.mux(sound.encode())
    clip = read_clip(file.getvalue())
    assert clip.duration_seconds == pytest.approx(3, abs=0.1)
    assert clip.waveform is not None
    assert len(clip.waveform) == pytest.approx(3 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)


@pytest.mark.parametrize("flagged", [0, 1])
def test_of_several_tracks_the_default_is_taken(flagged: int) -> None:
    file = BytesIO()
    with av.open(file, "w", format="matroska") as output:
        pictures = [output.add_stream("libx264", rate=10) for _ in range(2)]
        sounds = [output.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in range(2)]
        for picture in pictures:
            picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        for kind in (pictures, sounds):
            for number, stream in enumerate(kind):
                stream.disposition = Disposition.default if number == flagged else Disposition(0)
        for number, picture in enumerate(pictures):
            for index in range(10):
                pixels = np.full((64, 96, 3), 60 + 100 * number, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 10)
                output.mux(picture.encode(frame))
            output.mux(picture.encode())
        for number, sound in enumerate(sounds):
            samples = np.full((1, SAMPLE_RATE), 10_000 * number, np.int16)
            block = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            block.sample_rate, block.pts, block.time_base = SAMPLE_RATE, 0, Fraction(1, SAMPLE_RATE)
            output.mux([*sound.encode(block), *sound.encode()])
    clip = read_clip(file.getvalue(), SMALL)
    assert picture_of(clip).mean() == pytest.approx(60 + 100 * flagged, abs=3)
    assert clip.waveform is not None
    assert clip.waveform.max() == pytest.approx(10_000 / 2**15 * flagged, abs=0.01)


@pytest.mark.parametrize(
    ("container", "codec"), [("ac3", "ac3"), ("eac3", "eac3"), ("wv", "wavpack"), ("tta", "tta")]
)
def test_sounds_of_rarer_formats_are_read(container: str, codec: str) -> None:
    file = BytesIO()
    rate = 48_000
    with av.open(file, "w", format=container) as output:
        sound = output.add_stream(codec, rate=rate, layout="mono")
        resampler = av.AudioResampler(sound.codec_context.codec.audio_formats[0], "mono", rate)
        block = av.AudioFrame.from_ndarray(tone(2, rate)[None], "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = rate, 0, Fraction(1, rate)
        for frame in [*resampler.resample(block), *resampler.resample(None)]:
            output.mux(sound.encode(frame))
        output.mux(sound.encode())
    clip = read_clip(file.getvalue())
    assert clip.waveform is not None
    assert len(clip.waveform) >= 1.9 * SAMPLE_RATE
    assert np.abs(clip.waveform).max() == pytest.approx(0.5, abs=0.1)


UNSUPPORTED = {
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
    "NUT": make_sound(tone(1), container="nut"),
    "ffconcat": b"ffconcat version 1.0\nfile /etc/passwd\n",
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_reads_not_like_what_is_damaged(name: str) -> None:
    with pytest.raises(MediaError, match=f"the format {name} is not supported; send a whole mp4"):
        read_clip(UNSUPPORTED[name])


# --- frames that nobody wants ------------------------------------------------------------------


def read_counting(data: bytes) -> tuple[Clip, int]:
    """Return the clip, and how many frames were decoded for it."""
    count, add = 0, FrameSampler.add

    def counting(self: FrameSampler, frame: av.VideoFrame, start: float | None) -> None:
        nonlocal count
        count += 1
        add(self, frame, start)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrameSampler, "add", counting)
        return read_clip(data, SMALL), count


def test_frames_that_are_left_undecoded_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a video with frames that no other refers to, what is kept and the length stay."""
    blocks = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype(np.uint8)
    pattern = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
    data = make_video(np.stack([np.roll(pattern, number, 1) for number in range(77)]), 25)
    some, num_some = read_counting(data)
    monkeypatch.setattr(FrameSampler, "passes_over", lambda *_: False)
    all_of_them, num_all = read_counting(data)
    assert num_all == 77
    assert num_some < 60
    np.testing.assert_array_equal(some.frames, all_of_them.frames)
    assert some.duration_seconds == all_of_them.duration_seconds
    assert some.duration_seconds == pytest.approx(77 / 25, abs=0.01)


def test_slow_pictures_are_all_decoded() -> None:
    """Five frames a second: none of them is surely off screen at the middle of a second."""
    clip = read_clip(make_video(colours(4, 5), 5), SMALL)
    assert clip.frames is not None
    assert [round(own.mean() / 10) * 10 for own in clip.frames] == [20, 40, 60, 80]


def remuxed(data: bytes, container: str, options: dict[str, str] | None = None) -> bytes:
    """Return the packets of a file in another container."""
    file = BytesIO()
    with av.open(BytesIO(data)) as source, av.open(file, "w", container, options=options) as output:
        tracks = {own.index: output.add_stream_from_template(own) for own in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream.index]
                output.mux(packet)
    return file.getvalue()


def film(seconds: int) -> bytes:
    """Return noise with a tone: no packet of it is empty."""
    frames = np.random.default_rng(0).integers(0, 256, (10 * seconds, 64, 96, 3), np.uint8)
    return make_video(frames, 10, tone(seconds, 44_100))


def test_encrypted_media_are_called_so() -> None:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0f" * 16}
    with pytest.raises(MediaError, match="encrypted"):
        read_clip(remuxed(film(2), "mp4", key | {"encryption_kid": "01" * 16}), SMALL)


def test_a_picture_that_the_decoder_makes_up_is_damaged_though_the_sound_is_whole() -> None:
    """As protection by patterns leaves it: 16 of each 160 bytes are encrypted."""
    data, rng = bytearray(film(3)), np.random.default_rng(0)
    with av.open(BytesIO(data)) as source:
        packets = [(p.pos, p.size) for p in source.demux(video=0) if p.size]
    for start, size in packets:
        for at in range(start + 64, start + size - 16, 160):
            data[at : at + 16] = rng.bytes(16)
    with pytest.raises(MediaError, match="damaged"):
        read_clip(bytes(data), SMALL)


def test_a_broadcast_that_begins_between_key_frames_is_not_damaged() -> None:
    """Frames of x264 have a key frame each 250: most before the second one cannot be decoded."""
    data = remuxed(film(30), "mpegts")
    cut = data[len(data) // 8 // 188 * 188 :]
    clip = read_clip(cut, SMALL)
    assert clip.frames is not None
    assert clip.waveform is not None
