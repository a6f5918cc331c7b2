"""Requests made to do harm: forms and JSON that are not what they say."""

import base64
import json
from typing import NamedTuple


class Body(NamedTuple):
    """What is sent to ``POST path``."""

    path: str
    content_type: str
    content: bytes


def _part(name: str, value: str = "x", *, headers: str = "") -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n{headers}\r\n'
    return f"{head}{value}\r\n".encode()


def _forms() -> dict[str, bytes]:
    end = b"--b--\r\n"
    nested = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n"
    return {
        "form of 10^4 fields": b"".join(_part(f"f{n}") for n in range(10**4)) + end,
        "form of 10^4 files": b"".join(
            _part("file", headers=f'X: "{n}"\r\n').replace(b'"file"', b'"file"; filename="a"')
            for n in range(10**4)
        )
        + end,
        "form with a head of 1 MB": _part("file", headers=f"X-Long: {'a' * 2**20}\r\n") + end,
        "form with 10^4 heads": _part("file", headers="X: y\r\n" * 10**4) + end,
        "form in a form": b'--b\r\nContent-Disposition: form-data; name="file"\r\n' + nested + end,
        "form without an end": _part("file"),
        "form without names": b"--b\r\n\r\nx\r\n" + end,
        "form of noise": bytes(range(256)) * 99,
        "form with a null in a name": _part("fi\0le") + end,
        "form with a path for a name": b'--b\r\nContent-Disposition: form-data; name="file"; '
        b'filename="../../etc/passwd"\r\n\r\nx\r\n' + end,
        "form with another encoding": _part("id", headers="Content-Type: a/b; charset=utf-7\r\n")
        + end,
    }


def _documents() -> dict[str, tuple[str, bytes]]:
    bomb = base64.b64encode(bytes(3 * 2**20))
    return {
        "json 10^5 deep": ("/search", b'{"text":' * 10**5),
        "json lists 10^5 deep": ("/encode", b'{"text": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"),
        "json with a huge integer": ("/search", b'{"text": "a", "k": ' + b"9" * 10**5 + b"}"),
        "json with a huge exponent": ("/search", b'{"text": "a", "k": 1e999999}'),
        "json with NaN": ("/search", b'{"text": "a", "threshold": NaN}'),
        "json with half a surrogate": ("/search", b'{"text": "\\ud800"}'),
        "json in UTF-16": ("/search", '{"text": "a"}'.encode("utf-16")),
        "json with the same name twice": ("/search", b'{"text": "a", "text": 3}'),
        "json with a prototype": ("/search", b'{"text": "a", "__proto__": {"k": 1}}'),
        "json with 10^5 names": (
            "/search",
            json.dumps({"text": "a", **{f"n{n}": n for n in range(10**5)}}).encode(),
        ),
        "json with deep filters": (
            "/search",
            b'{"text": "a", "where": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
        ),
        "json with 10^5 filters": (
            "/search",
            json.dumps({"text": "a", "where": {"a": {"any_of": list(range(10**5))}}}).encode(),
        ),
        "json with 10^4 parts": (
            "/search",
            json.dumps({"text": "a", "plus": ["dog"] * 10**4}).encode(),
        ),
        "base64 of zeros": ("/encode", b'{"media": "' + bomb + b'"}'),
        "base64 that is none": ("/encode", b'{"media": "' + b"=" * 10**5 + b'"}'),
        "base64 in a data URI of HTML": ("/encode", b'{"media": "data:text/html;base64,PGI+"}'),
        "a batch of 10^4": (
            "/encode/batch",
            json.dumps({"items": [{"text": "a"}] * 10**4}).encode(),
        ),
        "a pattern of 10^5": (
            "/search/codes",
            json.dumps({"pattern": [[1] * 10**5]}).encode(),
        ),
        "an id that is a folder above": ("/items", b'{"id": "..", "text": "a dog"}'),
        "an id with NUL": ("/items", b'{"id": "a\\u0000b", "text": "a dog"}'),
    }


def refused() -> dict[str, Body]:
    """Return, by name, requests that must be answered with 4xx."""
    form = "multipart/form-data; boundary=b"
    forms = {name: Body("/encode", form, content) for name, content in _forms().items()}
    documents = {
        name: Body(path, "application/json", content)
        for name, (path, content) in _documents().items()
    }
    odd = {
        "form without a boundary": Body("/encode", "multipart/form-data", b"--b\r\n\r\n--b--"),
        "form with a boundary of 10^4": Body(
            "/encode", f"multipart/form-data; boundary={'b' * 10**4}", b"--b--"
        ),
        "form that is urlencoded": Body(
            "/encode", "application/x-www-form-urlencoded", b"file=" + b"%00" * 10**4
        ),
        "a body of an unknown type": Body("/encode", "application/x-python-pickle", b"cos\n"),
    }
    return forms | documents | odd
