"""How many files of this project a warm request enters: how far a reader has to go.

    python -m benchmarks.hops            one line for each path
    python -m benchmarks.hops --files    with the names of the files

The app runs in this process. uvicorn and the decode workers' processes do not count.
"""

import contextlib
import io
import os
import sys
import tempfile
import threading
import time
import wave
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NamedTuple

import numpy as np
import typer

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("app", "model", "training")
SETTLE_SECONDS = 0.3  # for threads to finish what follows a response
WARM_UP = "warm-up"  # the thread that compiles what searches need


class Hops(NamedTuple):
    """What one call entered."""

    functions: dict[str, set[str]]  # by file

    @property
    def num_lines(self) -> int:
        """Lines of the files."""
        return sum(len((ROOT / name).read_text().splitlines()) for name in self.functions)

    def __str__(self) -> str:
        count = sum(map(len, self.functions.values()))
        return f"{len(self.functions)} files, {count} functions, {self.num_lines} lines"


class Recorder:
    """Notes the project's functions that any thread calls. Threads must start after ``install``."""

    def __init__(self) -> None:
        self._functions: dict[str, set[str]] | None = None

    def install(self) -> None:
        """Start to watch this thread and those that will be started."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def of(self, call: Callable[[], object]) -> Hops:
        """Return what ``call`` enters when it is made the second time."""
        call()
        for thread in threading.enumerate():
            if thread.name == WARM_UP:
                thread.join()
        time.sleep(SETTLE_SECONDS)
        self._functions = functions = defaultdict(set)
        call()
        time.sleep(SETTLE_SECONDS)
        self._functions = None
        return Hops(dict(functions))

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        functions = self._functions
        if functions is None or event != "call":
            return
        code = frame.f_code
        with contextlib.suppress(ValueError):
            path = Path(code.co_filename).relative_to(ROOT)
            if path.parts[0] in PACKAGES:
                functions[str(path)].add(code.co_qualname)


def sound() -> bytes:
    """Return two seconds of a tone as a wav file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        samples = 8000 * np.sin(np.arange(32_000) / 20)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def requests(recorder: Recorder) -> Iterator[tuple[str, Hops]]:
    """Yield the hops of requests."""
    from starlette.testclient import TestClient

    from app.main import create_app
    from app.settings import load_settings

    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            data_dir=Path(folder), device="cpu", max_decodes=1, network_threads=1
        )
        with TestClient(create_app(settings), base_url="http://localhost") as client:
            numbers = iter(range(1000))
            text = {"text": "a dog barks"}
            wav = {"content": sound(), "headers": {"content-type": "audio/wav"}}

            def add_text() -> object:
                return client.post("/items", json={"id": f"t{next(numbers)}", **text})

            def add_wav() -> object:
                return client.post("/items", params={"id": f"w{next(numbers)}"}, **wav)

            yield "POST /encode, a sentence", recorder.of(lambda: client.post("/encode", json=text))
            yield "POST /encode, a wav", recorder.of(lambda: client.post("/encode", **wav))
            yield "POST /items, a sentence", recorder.of(add_text)
            yield "POST /items, a wav", recorder.of(add_wav)
            yield "POST /search, a sentence", recorder.of(lambda: client.post("/search", json=text))


@contextmanager
def bulk_index() -> Iterator[Callable[[], object]]:
    """Yield a call that indexes one more wav file, as ``srcid index`` does."""
    from app.indexing.bulk import BulkIndex
    from app.indexing.run import files_below, index_files
    from app.main import open_engine, open_items
    from app.settings import load_settings

    with tempfile.TemporaryDirectory() as folder:
        media = Path(folder, "media")
        media.mkdir()
        settings = load_settings(data_dir=Path(folder, "data"), device="cpu", max_decodes=1)
        engine = open_engine(settings)
        with closing(open_items(settings, engine)) as items, engine:
            bulk = BulkIndex(engine, items)
            numbers = iter(range(1000))

            def index_one() -> None:
                number = next(numbers)
                (media / f"{number}.wav").write_bytes(sound() + bytes(2 * number))
                run = index_files(bulk, files_below(media), workers=1, stop=threading.Event())
                assert {outcome.kind for outcome in run} <= {"indexed", "unchanged"}

            yield index_one


def main(
    files: Annotated[bool, typer.Option("--files", help="Print the names of the files.")] = False,
) -> None:
    """Print the hops of each path."""
    recorder = Recorder()
    recorder.install()

    def show(name: str, hops: Hops) -> None:
        print(f"{name}: {hops}", flush=True)
        if files:
            print("   " + " ".join(sorted(hops.functions)))

    for name, hops in requests(recorder):
        show(name, hops)
    with bulk_index() as index_one:
        show("batch indexing, a wav", recorder.of(index_one))
    os._exit(0)  # profiled threads may outlive the interpreter


if __name__ == "__main__":
    typer.run(main)
