"""Texts and programs in the place of media: what a demuxer may follow, and what it may not."""

import pickle


def naming(url: str) -> dict[str, bytes]:
    """Return playlists, scripts and drawings that name ``url``; each must be refused."""
    return {
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n".encode(),
        "m3u8 of streams": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n{url}\n".encode(),
        "m3u8 with a key": (
            f'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n'
            f"#EXTINF:9,\n{url}\n"
        ).encode(),
        "ffconcat": f"ffconcat version 1.0\nfile '{url}'\nduration 9\n".encode(),
        "concat": f"concat:{url}|{url}".encode(),
        "subfile": f"subfile,,start,0,end,99,,:{url}".encode(),
        "pls": f"[playlist]\nNumberOfEntries=1\nFile1={url}\n".encode(),
        "asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>'.encode(),
        "xspf": (
            '<?xml version="1.0"?><playlist version="1" xmlns="http://xspf.org/ns/0/"><trackList>'
            f"<track><location>{url}</location></track></trackList></playlist>"
        ).encode(),
        "mpd": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            f'mediaPresentationDuration="PT9S"><Period><BaseURL>{url}</BaseURL><AdaptationSet '
            'mimeType="video/mp4"><Representation id="1" bandwidth="9"><SegmentTemplate media="x" '
            'duration="1"/></Representation></AdaptationSet></Period></MPD>'
        ).encode(),
        "sdp": (
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"a=control:{url}\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
        ).encode(),
        "svg": (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
            f'<image xlink:href="{url}" href="{url}" width="9" height="9"/></svg>'
        ).encode(),
        "xml with an entity": (
            f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "{url}">]><svg>&e;</svg>'
        ).encode(),
        "ass": f"[Script Info]\nScriptType: v4.00+\n[Fonts]\nfontname: {url}\n".encode(),
        "quicktime reference": b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
        + b"\0\0\0\x90moov\0\0\0\x88rmra\0\0\0\x80rmda\0\0\0\x78rdrfurl \0\0\0\0"
        + url.encode().ljust(104, b"\0"),
        "the url itself": url.encode(),
    }


class _Calls:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return eval, ("1/0",)


def refused() -> dict[str, bytes]:
    """Return, by name, what is no media at all."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return {
        "one byte": b"\0",
        "zeros": bytes(10**6),
        "text": b"hello\n" * 500,
        "html": b"<!doctype html><script>alert(1)</script>" * 50,
        "json": b'{"a": [' * 500,
        "elf": b"\x7fELF\x02\x01\x01" + bytes(900),
        "windows program": b"MZ\x90\0" + bytes(900),
        "pickle": pickle.dumps(_Calls()),
        "zip": b"PK\x03\x04" + bytes(900),
        "gzip": b"\x1f\x8b\x08" + bytes(900),
        "pdf": b"%PDF-1.7\n" + bytes(900),
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n" * 9,
        "a billion laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]><svg>&l11;</svg>'.encode(),
        "srt subtitles": b"1\n00:00:00,000 --> 99:00:00,000\nhello\n\n" * 500,
        **{f"{name} of a file": data for name, data in naming("file:///etc/passwd").items()},
    }
