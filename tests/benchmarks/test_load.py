"""The load generator, against a server that refuses every other request."""

import itertools
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load import Load, Shot, closed_loop, open_loop
from benchmarks.wire import Call


@pytest.fixture
def call() -> Iterator[Call]:
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert body == b'{"text":"a dog"}'
            is_refused = next(numbers) % 2
            self.send_response(503 if is_refused else 200)
            self.send_header("Content-Length", "0")
            if is_refused:
                self.send_header("Retry-After", "7")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Call(f"http://127.0.0.1:{server.server_address[1]}/", text="a dog")
        server.shutdown()
        thread.join()


def test_each_client_sends_at_least_one_request(call: Call) -> None:
    load = closed_loop([call], clients=4, seconds=0)
    assert len(load.shots) == 4
    assert len(load.answered(200)) == len(load.answered(503)) == 2
    assert {shot.retry_after for shot in load.shots} == {None, "7"}
    assert all(0 < shot.seconds <= load.seconds for shot in load.shots)


def test_an_open_load_sends_at_its_rate_whatever_is_answered(call: Call) -> None:
    load = open_loop([call], per_second=100, seconds=0.2)
    assert load.seconds >= 0.19
    assert len(load.answered(503)) == 10
    assert len(load.answered(200)) + load.num_late == 10  # none is lost, the last ones are late


def test_the_rate_is_of_what_was_served() -> None:
    shots = [
        Shot(0.0, seconds, status, None) for seconds, status in [(0.5, 200), (1, 200), (1, 503)]
    ]
    assert Load(shots, 4.0).per_second == 0.5
    assert Load(shots, 4.0).answered(200) == [0.5, 1]
