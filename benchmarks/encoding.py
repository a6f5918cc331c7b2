"""Encoding before and after a change: two checkouts take turns on the same clips and sentences.

    python -m benchmarks.encoding --before REVISION_OR_FOLDER --out benchmarks/results/...

Each checkout encodes in a process of its own, on one thread; what counts is the processor time of
the whole request: decoding, backbones, codes. This checkout's parts are also held against what
they are made of: a bare session of ONNX Runtime on the same tensors, and a bare loop over PyAV
that leaves out the same frames.
"""

import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import av
import torch
import typer

from benchmarks.goals import Goal
from benchmarks.media import filmed_clip
from benchmarks.processes import Others
from model.compiled import Compiled
from model.encoder import Encoder
from model.media import DecodeConfig, read_clip
from model.modality import Modality

PROJECT = Path(__file__).parents[1]
CHILD = Path(__file__).with_name("encoding_child.py")
SENTENCES = (
    "rain",
    "a dog barks at the helicopter",
    "people sing and clap in a large hall at night",
)
HEIGHTS = {720: 0.5, 360: 0.45, 240: 0.45}  # of clips, and the share of before that is the goal
CLIP_SECONDS = 5
CONFIG = DecodeConfig(max_steps=60)


def main(
    before: Annotated[str, typer.Option(help="A revision of git, or the folder of a checkout.")],
    checkpoint: Annotated[str, typer.Option(help="That both checkouts know.")] = "compact",
    clips: Annotated[Path | None, typer.Option(help="A folder of further clips.")] = None,
    rounds: Annotated[int, typer.Option(help="In which each encodes everything once.")] = 9,
    out: Annotated[Path | None, typer.Option(help="Also write the report here.")] = None,
) -> None:
    """Measure, and print the report."""
    with ExitStack() as stack:
        media = Path(stack.enter_context(TemporaryDirectory()))
        tasks = {"sentence": [{"text": text} for text in SENTENCES]}
        for height in HEIGHTS:
            path = media / f"{height}.mp4"
            path.write_bytes(filmed_clip(height, CLIP_SECONDS, seed=height))
            tasks[f"clip of {height}p"] = [{"path": str(path)}]
        if clips:
            paths = sorted(path for path in clips.iterdir() if path.suffix == ".mp4")
            tasks[f"clips of {clips.name}"] = [{"path": str(path)} for path in paths]
        others = Others()
        folder = stack.enter_context(_checkout(before))
        askers = [stack.enter_context(_child(own, checkpoint)) for own in (folder, PROJECT)]
        lines = [f"# Encoding, {before} against this checkout", ""]
        lines += [*_compared(tasks, askers, rounds), "", *_parts(media, rounds), ""]
        lines.append(f"Others took {others.processors:.1f} of {os.cpu_count()} processors.")
    print("\n".join(lines))
    if out:
        out.write_text("\n".join(lines) + "\n", encoding="utf-8")


Ask = Callable[[dict[str, str]], dict[str, Any]]


def _compared(
    tasks: dict[str, list[dict[str, str]]], askers: list[Ask], rounds: int
) -> Iterator[str]:
    """Yield a table of both checkouts' processor times, and the goals."""
    yield "| | before, ms | after, ms | after / before | codes that differ |"
    yield "|---|---|---|---|---|"
    shares = {}
    for name, own in tasks.items():
        took: tuple[list[float], list[float]] = ([], [])
        differ = count = 0
        for number in range(1 + rounds if len(own) < 10 else 1):
            for task in own:
                old, new = (ask(task) for ask in askers)
                if number or len(own) >= 10:  # the first round warms up
                    took[0].append(old["seconds"])
                    took[1].append(new["seconds"])
                pairs = list(zip(_flat(old["codes"]), _flat(new["codes"]), strict=True))
                differ, count = differ + sum(a != b for a, b in pairs), count + len(pairs)
        # Of different clips the sum, since their times differ; of one the median.
        middle = sum if len(own) >= 10 else statistics.median
        old_ms, new_ms = (1000 * middle(times) for times in took)
        shares[name] = new_ms / old_ms
        yield f"| {name} | {old_ms:.1f} | {new_ms:.1f} | {shares[name]:.2f} | {differ} of {count} |"
    yield ""
    goals = {"sentence": 0.5} | {f"clip of {own}p": share for own, share in HEIGHTS.items()}
    for name, share in goals.items():
        yield _goal(f"{name}, after / before", shares[name], share)


def _goal(what: str, value: float, bound: float) -> str:
    return str(Goal("encoding", what, value, bound, is_least=False))


def _flat(codes: dict[str, list[list[int]]]) -> list[int]:
    return [code for _, rows in sorted(codes.items()) for row in rows for code in row]


def _parts(media: Path, rounds: int) -> Iterator[str]:
    """Yield what this checkout's parts take over what they are made of."""
    torch.set_num_threads(1)
    encoder = Encoder.from_pretrained("default")
    clip = read_clip(media / "360.mp4", CONFIG)
    prepared = encoder.prepare(clip) | encoder.prepare(SENTENCES[1])
    for m, item in prepared.items():
        runs = _bare_runs(encoder, m, item)
        alone, bare = _medians(partial(encoder.features, [(m, item)]), runs, rounds)
        yield f"{m}: backbone {alone:.2f} ms, bare sessions {bare:.2f} ms"
        yield _goal(f"{m}, backbone / bare sessions", alone / bare, 1.15)
    for height in HEIGHTS:
        path = media / f"{height}.mp4"
        ours, bare = _medians(partial(read_clip, path, CONFIG), partial(_bare_loop, path), rounds)
        yield f"{height}p: decoding {ours:.1f} ms, a bare loop {bare:.1f} ms"
        yield _goal(f"{height}p, decoding / bare loop", ours / bare, 1.15)


def _bare_runs(encoder: Encoder, modality: Modality, item: torch.Tensor) -> Callable[[], None]:
    """Return what runs the backbone's sessions on the tensors that the backbone gives them."""
    calls: list[tuple[Compiled, torch.Tensor]] = []
    hooks = [
        module.register_forward_pre_hook(lambda own, given: calls.append((own, given[0].clone())))
        for module in encoder.backbones[modality].modules()
        if isinstance(module, Compiled)
    ]
    encoder.features([(modality, item)])
    for hook in hooks:
        hook.remove()
    inputs = [(own._session, {"x": given.numpy()}) for own, given in calls]

    def run() -> None:
        for session, given in inputs:
            session.run(None, given)

    return run


def _bare_loop(path: Path) -> None:
    """Decode all sound, and the frames that others refer to."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        video.codec_context.thread_count = 1
        video.codec_context.skip_frame = "NONREF"
        for packet in container.demux(video, audio):
            packet.decode()


def _medians(
    one: Callable[[], object], other: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Return the medians of what each takes, in ms of processor time, taking turns."""
    took: tuple[list[float], list[float]] = ([], [])
    for number in range(1 + rounds):
        for times, run in zip(took, (one, other), strict=True):
            began = time.process_time()
            run()
            if number:
                times.append(time.process_time() - began)
    return 1000 * statistics.median(took[0]), 1000 * statistics.median(took[1])


@contextmanager
def _checkout(before: str) -> Iterator[Path]:
    """Yield the folder of a checkout; that of a revision is made, and removed."""
    if Path(before).is_dir():
        yield Path(before).absolute()
        return
    archive = subprocess.run(
        ["git", "archive", before], cwd=PROJECT, check=True, capture_output=True
    ).stdout
    with TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
        yield Path(folder)


@contextmanager
def _child(checkout: Path, checkpoint: str) -> Iterator[Ask]:
    """Yield what has a process of ``checkout`` encode."""
    with subprocess.Popen(
        [sys.executable, "-P", str(CHILD), checkpoint],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def ask(task: dict[str, str]) -> dict[str, Any]:
            stdin.write(json.dumps(task) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

        yield ask
        stdin.close()


if __name__ == "__main__":
    typer.run(main)
