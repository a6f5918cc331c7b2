"""``srcid demo``: a small corpus, indexed and served, to try everything out."""

import shlex
import shutil
import socket
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import JsonValue

from app.cli.options import CheckpointOption
from app.settings import load_settings
from model.errors import ConfigError

if TYPE_CHECKING:  # loads torch, which `srcid --help` should not
    from app.demo.corpus import Corpus
    from app.service.async_service import AsyncRetrievalService

PORTS_TRIED = 20


def demo(
    folder: Annotated[
        Path, typer.Option(help="Folder of the corpus and its index, reused by the next run.")
    ] = Path(".demo"),
    port: Annotated[int, typer.Option(help="First port to try.", min=1, max=65535)] = 8000,
    checkpoint: CheckpointOption = None,
) -> None:
    """Index a small corpus, serve it on this machine, and print commands to try."""
    from app.demo.corpus import prepare
    from app.server.process import run
    from model.checkpoint import fingerprint, locate

    settings = load_settings(host="127.0.0.1", checkpoint=checkpoint)
    # An index belongs to its checkpoint: after training another one, the demo makes its own.
    index = folder / f"index-{fingerprint(locate(settings.checkpoint))}"
    settings = settings.model_copy(update={"data_dir": index, "keep_media": True})
    corpus = prepare(folder, say=_say)
    _say(f"{len(corpus.clips)} clips: {corpus.about}")

    with _listen_from(settings.host, port) as listener:
        _say("loading the checkpoint")

        async def index_and_print(service: "AsyncRetrievalService") -> None:
            await _index(service, corpus, folder)
            _print_commands(listener, corpus, folder)

        try:
            run(settings, listener, on_ready=index_and_print, log_level="warning")
        except KeyboardInterrupt:
            _say("stopped; the index is kept for the next run")


def _listen_from(host: str, first: int) -> socket.socket:
    """Return a socket that listens on ``first``, or on the next port that is free."""
    from app.server.process import listen

    for port in range(first, first + PORTS_TRIED):
        try:
            return listen(host, port)
        except ConfigError as error:
            taken = error
            _say(f"port {port} is in use")
    raise taken


async def _index(service: "AsyncRetrievalService", corpus: "Corpus", folder: Path) -> None:
    """Index the clips that are missing. Ctrl-C takes effect after each."""
    from tqdm import tqdm

    from app.errors import NotFound
    from app.schemas.sources import Subject

    missing = []
    for clip in corpus.clips:
        try:
            await service.get(clip.id)
        except NotFound:
            missing.append(clip)
    for clip in tqdm(missing, desc="indexing", unit="clip", leave=False, disable=not missing):
        metadata: dict[str, JsonValue] = {"title": clip.title, "source": clip.source}
        path = folder / "clips" / f"{clip.id}.mp4"
        await service.add(clip.id, Subject(path), metadata=metadata)


def _print_commands(listener: socket.socket, corpus: "Corpus", folder: Path) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://{host}:{port}"
    clip = folder / "clips" / f"{corpus.example.clip}.mp4"
    sentence = corpus.example.sentence
    srcid = shlex.quote(sys.argv[0])
    body = f'-H \'Content-Type: application/json\' -d \'{{"text": "{sentence}", "k": 3}}\''
    with_curl = [
        f"curl -s {address}/search {body}",
        f"curl -s {address}/encode -F file=@{clip}",
    ]
    without = [
        f'{srcid} search "{sentence}" -k 3 --url {address}',
        f"{srcid} encode {clip} --url {address}",
    ]
    commands = with_curl if shutil.which("curl") else without
    commands.append(f"{srcid} search --file {clip} --target audio -k 3 --url {address}")
    print(f"\nOpen {address} in a browser. API docs: {address}/docs. Or try in a terminal:\n")
    print(*(f"  {command}\n" for command in commands), sep="")
    print("Press Ctrl-C to stop.", flush=True)


def _say(sentence: str) -> None:
    print(textwrap.fill(f"demo: {sentence}", width=100, subsequent_indent="      "), flush=True)
