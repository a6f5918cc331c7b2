"""``srcid backbone fetch``, and that no other command downloads unasked."""

import ast
from pathlib import Path

import pytest

import app
from model.checkpoint import push_to_hub, write_checkpoint
from model.encoder import Encoder
from model.errors import ConfigError
from model.srcid import SRCID
from tests.app.cli.running import Run
from tests.loopback_hub import LoopbackHub, files_of
from tests.pretrained_configs import AUDIO, VIDEO, config_of, tower

NAME = "me/tiny"


def test_a_model_is_fetched_and_its_place_is_printed(run: Run, hub: LoopbackHub) -> None:
    commit = hub.commit("acme/clip", {"config.json": b"{}", "model.safetensors": b"weights"})
    ran = run("backbone", "fetch", "hf:acme/clip")
    assert ran.code == 0, ran.err
    first, folder, digest = ran.out.splitlines()
    assert first == f"hf:acme/clip@{commit}"
    assert Path(folder.split()[1], "model.safetensors").read_bytes() == b"weights"
    assert len(digest.split()[1]) == 64


def test_a_model_that_is_missing_is_one_sentence(run: Run, hub: LoopbackHub) -> None:
    ran = run("backbone", "fetch", "hf:acme/none")
    assert ran.code == 2
    assert ran.err.startswith(f"srcid: {hub.url} has no model acme/none, or it is private")
    assert "Traceback" not in ran.err


def test_a_checkpoint_on_embedded_backbones_needs_nothing(run: Run) -> None:
    assert run("backbone", "fetch", "default").out == "default needs no model of the Hub\n"


def test_a_checkpoint_is_pushed_and_loaded_by_its_name(
    hub: LoopbackHub, tiny_checkpoint: Path
) -> None:
    commit = push_to_hub(tiny_checkpoint, NAME)
    assert hub.repos[NAME][commit] == files_of(tiny_checkpoint)
    here, there = (Encoder.from_pretrained(own) for own in (tiny_checkpoint, NAME))
    assert there.fingerprint == here.fingerprint
    assert (there.encode("a dog")["text"] == here.encode("a dog")["text"]).all()
    pinned = SRCID.from_pretrained(f"hf:{NAME}@{commit}", download=False)
    assert pinned.config == here.config


def test_a_checkpoint_on_a_folder_of_this_machine_is_not_pushed(
    hub: LoopbackHub, tmp_path: Path
) -> None:
    here = tower("clip", VIDEO).model_copy(update={"source": "/my/clip", "commit": None})
    write_checkpoint(tmp_path, config_of({VIDEO: [here]}), {})
    with pytest.raises(ConfigError, match="built on the folder /my/clip, which nobody else has"):
        push_to_hub(tmp_path, NAME)
    assert hub.requests == []


def test_the_models_of_a_checkpoint_are_fetched_at_its_commits(
    run: Run, hub: LoopbackHub, tmp_path: Path
) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"weights"}
    commits = {name: hub.commit(f"acme/{name}", files) for name in ("clip", "clap")}
    hub.commit("acme/clip", files | {"model.safetensors": b"newer"})
    towers = {
        m: [tower(name, m).model_copy(update={"commit": commits[name]})]
        for m, name in ((VIDEO, "clip"), (AUDIO, "clap"))
    }
    write_checkpoint(tmp_path, config_of(towers), {})
    ran = run("backbone", "fetch", tmp_path)
    assert ran.code == 0, ran.err
    assert [line for line in ran.out.splitlines() if line.startswith("hf:")] == [
        f"hf:acme/{name}@{commits[name]}" for name in ("clip", "clap")
    ]
    commit = push_to_hub(tmp_path, NAME)
    hub.requests.clear()
    assert run("backbone", "fetch", f"hf:{NAME}@{commit}").out.count("hf:") == 3
    assert [request for request in hub.requests if "acme" in request] == []  # they are cached


def test_a_folder_comes_before_a_name_of_the_hub(
    hub: LoopbackHub, tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "me").mkdir()
    (tmp_path / NAME).symlink_to(tiny_checkpoint)
    monkeypatch.chdir(tmp_path)
    SRCID.from_pretrained(NAME)
    assert hub.requests == []


@pytest.mark.parametrize(
    "words",
    [("serve", "--port", 0), ("search", "a dog"), ("index", "."), ("encode", "--text", "a")],
)
def test_a_checkpoint_that_is_not_here_is_not_downloaded(
    words: tuple[object, ...], run: Run, hub: LoopbackHub, tiny_checkpoint: Path
) -> None:
    hub.commit(NAME, files_of(tiny_checkpoint))
    ran = run(*words, "--checkpoint", NAME)
    assert ran.code == 2
    assert f"run `srcid backbone fetch hf:{NAME}` where there is a network" in ran.err
    assert hub.requests == []


def test_every_checkpoint_that_the_app_loads_is_local() -> None:
    """``from_pretrained`` downloads by default, for Python; no part of the app may."""
    for path in Path(app.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "from_pretrained":
                assert "download" in {own.arg for own in node.keywords}, f"{path}:{node.lineno}"
