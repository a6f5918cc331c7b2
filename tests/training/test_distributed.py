"""Two processes with half of each batch are one process with the whole of it."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.errors import ConfigError
from training.config import TrainConfig
from training.data.batches import Batches
from training.recipes import override
from training.train import train

from .rank import NUM_STEPS, Taken, take_steps

ROOT = Path(__file__).parents[2]
RANKS = 2


def variants(config: TrainConfig) -> dict[str, TrainConfig]:
    """Configurations that differ in what ranks have to agree on; dropout would differ by rank."""
    still = override(config, {"model.dropout": 0})
    learned = {"model.quantizer": {"kind": "prototypes", "codebook_size": 8}}
    for layer in ("objective.layers.0.", "objective.layers.1."):
        learned |= {layer + "commitment": 0, layer + "transport": 1, layer + "interchange": 1}
    return {"step-mmema": still, "step-prototypes": override(still, learned)}


def short(config: TrainConfig) -> TrainConfig:
    """One epoch."""
    return override(variants(config)["step-mmema"], {"epochs": 1})


@pytest.fixture(scope="module")
def together(tiny_run: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what two ranks made: steps of each variant, and a whole run."""
    out = tmp_path_factory.mktemp("together")
    for name, config in variants(tiny_run).items():
        (out / f"{name}.json").write_text(config.model_dump_json())
    (out / "run.json").write_text(short(tiny_run).model_dump_json())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(RANKS), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.training.rank", str(out / "run.json"), str(out)]
    started = []
    for n in range(RANKS):
        own = os.environ | common | {"RANK": str(n), "LOCAL_RANK": str(n)}
        with (out / f"stderr-{n}").open("w") as file:
            started.append(subprocess.Popen(command, cwd=ROOT, env=own, stderr=file))
    wait_for(started)
    errors = "".join((out / f"stderr-{n}").read_text() for n in range(RANKS))
    assert [process.returncode for process in started] == [0] * RANKS, errors
    return out


def wait_for(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until all end; where one fails, or a minute or two pass, end the others too."""
    late = time.monotonic() + 120
    while any(process.poll() is None for process in processes):
        if time.monotonic() > late or any(process.returncode for process in processes):
            for process in processes:
                process.kill()
        time.sleep(0.05)


def taken(folder: Path, name: str, rank: int) -> Taken:
    return Taken(*torch.load(folder / f"{name}-rank{rank}.pt", weights_only=True))


@pytest.mark.parametrize("name", ["step-mmema", "step-prototypes"])
def test_two_ranks_take_the_steps_of_one(name: str, together: Path, tiny_run: TrainConfig) -> None:
    """Losses, codebooks and weights after 20 steps, layer 2 joining on the way."""
    alone, both = take_steps(variants(tiny_run)[name]), taken(together, name, 0)
    assert len(both.terms) == NUM_STEPS
    for ours, theirs in zip(both.terms, alone.terms, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-7, abs=1e-9)
    for key, tensor in alone.tensors.items():
        torch.testing.assert_close(both.tensors[key], tensor, rtol=1e-7, atol=1e-9, msg=key)


@pytest.mark.parametrize("name", ["step-mmema", "step-prototypes"])
def test_all_ranks_hold_the_same_bits(name: str, together: Path) -> None:
    first, second = (taken(together, name, rank) for rank in range(RANKS))
    assert first.terms == second.terms
    assert all(torch.equal(first.tensors[key], second.tensors[key]) for key in first.tensors)


def test_codes_were_revived_on_the_way(together: Path, tiny_run: TrainConfig) -> None:
    """Else the tests above would not see that ranks draw alike."""
    config = override(variants(tiny_run)["step-mmema"], {"model.quantizer.revive_after": 1000})
    vectors = "layers.0.quantizer.codebook.vectors"
    moved = taken(together, "step-mmema", 0).tensors[vectors] != take_steps(config).tensors[vectors]
    assert moved.any()


def test_a_whole_run_of_two_ranks_is_that_of_one(
    together: Path, tiny_run: TrainConfig, tmp_path: Path
) -> None:
    """Data, log and checkpoint as well; float32, so only nearly."""
    checkpoint = train(short(tiny_run), tmp_path / "alone")
    lines = [
        [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        for out in (together / "run", tmp_path / "alone")
    ]
    assert len(lines[0]) == len(lines[1])
    assert lines[0][0] == pytest.approx(lines[1][0], rel=1e-4, abs=1e-5)
    ours = load_file(together / "run" / "checkpoint" / "model.safetensors")
    theirs = load_file(checkpoint / "model.safetensors")
    for key in ("layers.0.general.audio.project.weight", "layers.0.decoder.video.project.weight"):
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-2, atol=1e-3)


def test_a_batch_that_cannot_be_shared_out_is_refused(
    tiny_run: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.batches.num_ranks", lambda: 3)
    with pytest.raises(ConfigError, match="batch_size 8 is not divisible by 3"):
        Batches(range(50), tiny_run, pin_memory=False)
