"""Models of the Hub, against a Hub on the loopback address."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from model.errors import ConfigError
from model.hub import Snapshot, find_snapshot, parse_id, push_folder
from tests.loopback_hub import LoopbackHub

WEIGHTS = bytes(range(256)) * 400
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "README.md": b"A model."}
NAME = "acme/clip"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf:acme/clip", ("acme/clip", "main")),
        ("hf:a/b.c-d_e@v1.0", ("a/b.c-d_e", "v1.0")),
        ("hf:a/b@refs/pr/1", ("a/b", "refs/pr/1")),
    ],
)
def test_an_id_is_a_repository_and_a_revision(source: str, expected: tuple[str, str]) -> None:
    assert parse_id(source) == expected


@pytest.mark.parametrize("source", ["hf:", "hf:clip", "hf:a/b/c", "hf:a/../b", "hf:a/b@", "hf:ä/b"])
def test_a_malformed_id_shows_how_one_is_written(source: str) -> None:
    with pytest.raises(ConfigError, match=r"write hf:OWNER/NAME, such as"):
        find_snapshot(source, download=True)


def test_a_model_is_downloaded_once_and_then_found_without_a_request(hub: LoopbackHub) -> None:
    commit = hub.commit(NAME, FILES | {"onnx/model.onnx": b"x", "onnx/config.json": b"x"})
    snapshot = find_snapshot(f"hf:{NAME}", download=True)
    assert snapshot == Snapshot(snapshot.folder, NAME, commit, sha(WEIGHTS))
    names = {path.name for path in snapshot.folder.rglob("*")}
    assert names == {"config.json", "model.safetensors", "README.md"}
    hub.requests.clear()
    assert find_snapshot(f"hf:{NAME}") == snapshot
    assert find_snapshot(f"hf:{NAME}", commit=commit, download=True) == snapshot
    assert hub.requests == []


def test_a_pinned_commit_stays_when_main_moves_on(hub: LoopbackHub) -> None:
    old = hub.commit(NAME, FILES)
    pinned = find_snapshot(f"hf:{NAME}", download=True)
    new = hub.commit(NAME, FILES | {"model.safetensors": b"new"})
    assert find_snapshot(f"hf:{NAME}", download=True).commit == new
    assert find_snapshot(f"hf:{NAME}", commit=old) == pinned
    assert find_snapshot(f"hf:{NAME}@{old}") == pinned
    assert find_snapshot(f"hf:{NAME}").sha256 == sha(b"new")


def test_pickles_are_downloaded_only_where_there_are_no_safetensors(hub: LoopbackHub) -> None:
    hub.commit(NAME, FILES | {"pytorch_model.bin": b"pickle"})
    both = find_snapshot(f"hf:{NAME}", download=True)
    assert not (both.folder / "pytorch_model.bin").exists()
    assert both.sha256 == sha(WEIGHTS)
    hub.commit("acme/old", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    old = find_snapshot("hf:acme/old", download=True)
    assert old.sha256 == sha(b"pickle")
    assert find_snapshot("hf:acme/old") == old


def test_the_digest_of_several_files_is_what_sha256sum_says_of_them(tmp_path: Path) -> None:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"dense")
    listed = subprocess.run(
        f"sha256sum {' '.join(names)} 2_Dense/model.safetensors | sha256sum",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert find_snapshot(str(tmp_path)).sha256 == listed.stdout.split()[0]


def test_the_modules_of_sentence_transformers_come_along(hub: LoopbackHub) -> None:
    parts = {"modules.json": b"[]", "1_Pooling/config.json": b"{}", "2_Dense/config.json": b"{}"}
    dense = {"2_Dense/pytorch_model.bin": b"dense"}
    hub.commit(NAME, FILES | parts | dense)
    folder = find_snapshot(f"hf:{NAME}", download=True).folder
    assert all((folder / name).is_file() for name in (*FILES, *parts, *dense))


def test_a_folder_needs_no_hub(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    assert find_snapshot(str(tmp_path)) == Snapshot(tmp_path, None, None, sha(WEIGHTS))
    with pytest.raises(ConfigError, match=r"no folder '.*/none'; a model of the Hub is written hf"):
        find_snapshot(str(tmp_path / "none"))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigError, match="holds no weights that can be read"):
        find_snapshot(str(tmp_path))


def test_what_is_not_cached_is_not_downloaded_unasked(hub: LoopbackHub) -> None:
    commit = hub.commit(NAME, FILES)
    with pytest.raises(ConfigError) as caught:
        find_snapshot(f"hf:{NAME}", commit=commit)
    assert str(caught.value) == (
        f"{NAME} at {commit} is not on this machine: run `srcid backbone fetch "
        f"hf:{NAME}@{commit}` where there is a network, or name a folder that holds the model"
    )
    assert hub.requests == []


def test_a_model_that_is_missing_or_private(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.commit(NAME, FILES)
    with pytest.raises(ConfigError, match=r"has no model acme/none, or it is private: .*HF_TOKEN"):
        find_snapshot("hf:acme/none", download=True)
    hub.tokens[NAME] = "hf_secret"
    with pytest.raises(ConfigError, match=r"has no model acme/clip, or it is private: .*HF_TOKEN"):
        find_snapshot(f"hf:{NAME}", download=True)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert find_snapshot(f"hf:{NAME}", download=True).sha256 == sha(WEIGHTS)


@pytest.mark.parametrize("revision", ["v9", "b" * 40])
def test_a_revision_that_is_missing(hub: LoopbackHub, revision: str) -> None:
    hub.commit(NAME, FILES)
    with pytest.raises(ConfigError, match=f"{NAME} has no revision '{revision}': take a branch"):
        find_snapshot(f"hf:{NAME}@{revision}", download=True)


def test_terms_that_are_not_accepted(hub: LoopbackHub) -> None:
    hub.commit(NAME, FILES)
    hub.gated.add(NAME)
    with pytest.raises(ConfigError, match=f"consent to its terms: accept them on {hub.url}/{NAME}"):
        find_snapshot(f"hf:{NAME}", download=True)


def test_a_connection_that_breaks_is_taken_up_where_it_ended(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 100)
    commit = hub.commit(NAME, FILES)
    hub.breaks["model.safetensors"] = [1000]
    assert find_snapshot(f"hf:{NAME}", download=True).sha256 == sha(WEIGHTS)
    path = f"GET /{NAME}/resolve/{commit}/model.safetensors"
    assert [own for own in hub.requests if own.startswith(path)] == [path, f"{path} bytes=1000-"]


def test_a_connection_that_keeps_breaking_says_to_run_the_command_again(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.commit(NAME, FILES)
    hub.breaks["model.safetensors"] = [1000] + [0] * 9
    with pytest.raises(ConfigError, match="run the command again, files that arrived are kept"):
        find_snapshot(f"hf:{NAME}", download=True)
    with pytest.raises(ConfigError, match="is only in part on this machine: run `srcid backbone"):
        find_snapshot(f"hf:{NAME}")
    hub.breaks.clear()
    assert find_snapshot(f"hf:{NAME}", download=True).sha256 == sha(WEIGHTS)


def test_without_a_network_what_is_cached_still_serves(hub: LoopbackHub) -> None:
    hub.commit(NAME, FILES)
    snapshot = find_snapshot(f"hf:{NAME}", download=True)
    hub.stop()
    assert find_snapshot(f"hf:{NAME}", download=True) == snapshot
    with pytest.raises(ConfigError, match=f"{hub.url} cannot be reached .*HF_ENDPOINT"):
        find_snapshot("hf:acme/other", download=True)


def test_a_network_that_goes_between_listing_and_download_is_said_so(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    many = {f"{n}_Dense/config.json": b"{}" for n in range(8)}
    commit = hub.commit(NAME, FILES | many)
    snapshot = find_snapshot(f"hf:{NAME}", download=True)
    hub.stop()
    shutil.rmtree(snapshot.folder.parents[1] / "snapshots")
    shutil.rmtree(snapshot.folder.parents[1] / "blobs")
    with pytest.raises(ConfigError, match=f"{NAME} at {commit}.* cannot be reached"):
        find_snapshot(f"hf:{NAME}", commit=commit, download=True)


def test_offline_mode_names_its_variable(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.commit(NAME, FILES)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigError, match="HF_HUB_OFFLINE forbids to download it: unset"):
        find_snapshot(f"hf:{NAME}", download=True)


def test_a_folder_is_pushed_and_comes_back(hub: LoopbackHub, tmp_path: Path) -> None:
    files = FILES | {"calibration.json": b"{}"}
    for name, data in (files | {"notes.txt": b"mine"}).items():
        (tmp_path / name).write_bytes(data)
    commit = push_folder(tmp_path, NAME)
    assert hub.repos[NAME] == {commit: files}
    assert find_snapshot(f"hf:{NAME}@{commit}", download=True).sha256 == sha(WEIGHTS)


def test_a_folder_of_the_hub_is_not_imported_for_a_folder_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    code = (
        "import sys; from model.hub import find_snapshot; find_snapshot(sys.argv[1]); "
        "sys.exit('huggingface_hub' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
