"""The compose file: what starts by default, what only when it is named, and that it does."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from benchmarks.media import moving_clip
from tests.docker.conftest import IMAGE, PROJECT, WAIT, docker

FILE = PROJECT / "docker-compose.yml"
WRITERS = {"serve", "gpu", "index", "gpu-index"}  # of the volume `data`


def services() -> dict[str, dict[str, Any]]:
    """Return the services with their anchors resolved."""
    return yaml.safe_load(FILE.read_text())["services"]


def test_only_the_server_on_a_cpu_starts_by_default() -> None:
    assert "version" not in yaml.safe_load(FILE.read_text())
    assert [name for name, own in services().items() if not own.get("profiles")] == ["serve"]


def test_what_writes_to_one_index_is_known_and_servers_share_a_port() -> None:
    found = services()
    writers = {name for name, own in found.items() if "data:/data" in own.get("volumes", ())}
    assert writers == WRITERS | {"cluster-index"}  # which writes to Milvus
    assert found["serve"]["ports"] == found["gpu"]["ports"]  # the second one cannot start
    assert found["cluster-index"]["environment"]["SRCID_STORE_URL"]


@pytest.mark.parametrize(("name", "like"), [("gpu", "serve"), ("gpu-index", "index")])
def test_a_service_on_a_gpu_differs_in_the_gpu_alone(name: str, like: str) -> None:
    on_gpu, on_cpu = services()[name], services()[like]
    (device,) = on_gpu.pop("deploy")["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert on_gpu["environment"].pop("SRCID_DEVICE") == "cuda"
    for own in (on_gpu, on_cpu):
        own.pop("profiles", None)
    assert on_gpu == on_cpu


class Compose:
    """docker-compose on a copy of the file: ports and networks are the host's where one is set."""

    def __init__(self, folder: Path, command: str, port: int) -> None:
        self.file, self.command, self.port = folder / "docker-compose.yml", command, port
        content = yaml.safe_load(FILE.read_text())
        for own in content["services"].values():
            own.pop("build", None)
            if own["image"] == "srcid":
                own["image"] = IMAGE
                if os.environ.get("DOCKER_NETWORK") == "host":
                    own.pop("ports", None)
                    own["network_mode"] = "host"
                    own["environment"] |= {"SRCID_HOST": "127.0.0.1", "SRCID_PORT": str(port)}
        self.file.write_text(yaml.safe_dump(content))
        self.environment = os.environ | {"PORT": str(port), "MEDIA": str(folder / "media")}

    def __call__(self, *arguments: str, check: bool = True) -> str:
        command = [self.command, "--file", str(self.file), "--project-name", "srcid-test"]
        ran = subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )
        assert ran.returncode == 0 or not check, f"{arguments}:\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout + ran.stderr

    def get(self, path: str) -> Any:
        """Return what the server answers, once it is ready."""
        deadline = time.monotonic() + WAIT
        while True:
            try:
                answer = httpx2.get(f"http://127.0.0.1:{self.port}{path}", timeout=60)
                if answer.status_code == 200:
                    return answer.json()
            except httpx2.TransportError:
                pass
            assert time.monotonic() < deadline, self("logs", check=False)
            time.sleep(0.2)


@pytest.fixture
def compose(image: str, tmp_path: Path) -> Iterator[Compose]:
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not there")
    (tmp_path / "media").mkdir()
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = Compose(tmp_path, command, port)
    yield own
    own("down", "--volumes", "--remove-orphans", check=False)


@pytest.mark.docker
@pytest.mark.slow
def test_up_alone_serves_what_the_indexer_wrote(compose: Compose, tmp_path: Path) -> None:
    (tmp_path / "media" / "a.mp4").write_bytes(moving_clip(2))
    compose("run", "--rm", "index", "/media")
    compose("up", "--detach")
    assert [item["id"] for item in compose.get("/items")["items"]] == ["a.mp4"]
    running = docker("ps", "--format={{.Names}}", "--filter=name=srcid-test").split()
    assert len(running) == 1
    assert "serve" in running[0]
    second = compose("run", "--rm", "index", "/media", check=False)
    assert "another process" in second
    assert "Traceback" not in second


@pytest.mark.docker
@pytest.mark.slow
def test_up_gpu_starts_the_gpu_or_fails_but_never_the_cpu(compose: Compose) -> None:
    told = compose("up", "--detach", "gpu", check=False)
    names = docker("ps", "--all", "--format={{.Names}}", "--filter=name=srcid-test").split()
    assert names
    assert all("gpu" in name for name in names)
    if "gpu" in docker("ps", "--format={{.Names}}", "--filter=name=srcid-test"):
        assert compose.get("/readyz")
    else:
        assert "capabilities: [[gpu]]" in told


@pytest.mark.docker
@pytest.mark.slow
def test_the_image_has_the_extras_that_the_pages_name(image: str) -> None:
    code = "import huggingface_hub, pyarrow.parquet, pymilvus, timm, torchvision, transformers"
    docker(
        "run", "--rm", "--network=none", "--entrypoint=python3", image, "-W", "ignore", "-c", code
    )
    place = docker("run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", "echo $HF_HOME")
    assert place.strip() == "/data/huggingface"
