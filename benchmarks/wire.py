"""HTTP with as little as can be: who measures a server should not take its processors.

Requests are made once and sent as they are; of an answer, the status and a header are read.
"""

import asyncio
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

HEAD_END = b"\r\n\r\n"


class Call(NamedTuple):
    """One request: a form with a file, or a sentence as JSON."""

    url: str
    file: bytes | None = None
    text: str | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it goes."""
        parts = urlsplit(self.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    @property
    def wire(self) -> bytes:
        """What is sent."""
        if self.file is not None:
            request = httpx2.Request("POST", self.url, files={"file": self.file})
        else:
            request = httpx2.Request("POST", self.url, json={"text": self.text})
        lines = [f"POST {urlsplit(self.url).path} HTTP/1.1".encode()]
        lines += [name + b": " + value for name, value in request.headers.raw]
        return b"\r\n".join(lines) + HEAD_END + request.read()


class Answer(NamedTuple):
    """What is read of an answer."""

    status: int
    retry_after: str | None


class Caller:
    """Sends the same call again and again over a connection that stays open, and waits."""

    def __init__(self, call: Call) -> None:
        self._wire = call.wire
        self._socket = socket.create_connection(call.address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __call__(self) -> None:
        """Send once; an answer other than 200 is a mistake."""
        self._socket.sendall(self._wire)
        got = b""
        while HEAD_END not in got:
            got += self._received()
        head, _, body = got.partition(HEAD_END)
        answer, length = _read(head)
        while len(body) < length:
            body += self._received()
        assert answer.status == 200, body

    def _received(self) -> bytes:
        data = self._socket.recv(2**16)
        assert data, "the server has closed the connection"
        return data


class Connections:
    """Connections to one server: as many as there are requests at the same time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, wire: bytes) -> Answer:
        """Send a request and return what came of it."""
        while self._idle and self._idle[-1][0].at_eof():  # the server has closed it
            self._idle.pop()[1].close()
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        )
        writer.write(wire)
        answer, length = _read(await reader.readuntil(HEAD_END))
        await reader.readexactly(length)
        self._idle.append((reader, writer))
        return answer

    def close(self) -> None:
        """Close all."""
        for _, writer in self._idle:
            writer.close()


def _read(head: bytes) -> tuple[Answer, int]:
    """Return what the head of an answer says, and how long its body is."""
    status, *lines = head.lower().split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines if line)
    retry_after = fields.get(b"retry-after")
    answer = Answer(int(status.split()[1]), retry_after.decode() if retry_after else None)
    return answer, int(fields[b"content-length"])
