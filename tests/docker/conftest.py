"""A Docker engine, the image built on it, and containers that are gone at the end.

The environment says where: ``DOCKER`` the command (docker), ``BASE_IMAGE`` what the image is built
from (that of the Dockerfile), ``DOCKER_NETWORK`` the network of builds and containers where the
engine has no bridge (host), ``IMAGE`` an image that is there already and is tried instead.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

DOCKER = os.environ.get("DOCKER", "docker")
NETWORK = os.environ.get("DOCKER_NETWORK")
PROJECT = Path(__file__).parents[2]
IMAGE = os.environ.get("IMAGE", "srcid:test")
WAIT = 300  # seconds: far more than a start takes


def docker(*arguments: object, check: bool = True) -> str:
    """Run a command of Docker; return what it prints."""
    command = [DOCKER, *map(str, arguments)]
    environment = os.environ | {"DOCKER_BUILDKIT": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0 or not check, f"{' '.join(command)}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


class Container(NamedTuple):
    """A container that serves."""

    name: str
    url: str
    started: float  # by the clock of ``time.monotonic``

    def wait_until_ready(self) -> float:
        """Wait for /readyz; return the seconds since the start."""
        while True:
            try:
                if httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return time.monotonic() - self.started
            except httpx2.TransportError:
                pass
            assert time.monotonic() - self.started < WAIT, docker("logs", self.name, check=False)
            time.sleep(0.1)

    def start_again(self) -> "Container":
        """Start a container that has ended."""
        docker("start", self.name)
        return self._replace(started=time.monotonic())


class Runner(NamedTuple):
    """How containers are run: read-only, without privileges, on folders of this machine."""

    media: Path
    data: Path

    @property
    def options(self) -> list[str]:
        """What every container gets."""
        return [
            "--read-only",
            "--tmpfs=/tmp",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            f"--volume={self.data}:/data",
            f"--volume={self.media}:/media:ro",
        ]

    def index(self, *arguments: str) -> dict[str, Any]:
        """Index the media, without a network; return the report."""
        run = ["run", "--rm", "--network=none", *self.options, IMAGE, "index", "/media", "--json"]
        found: dict[str, Any] = json.loads(docker(*run, *arguments, check=False))
        return found

    @contextmanager
    def serving(self) -> Iterator[Container]:
        """Run the server."""
        name = f"srcid-test-{uuid.uuid4().hex[:8]}"
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        place = [f"--publish=127.0.0.1:{port}:8000"]
        if NETWORK:
            place = [
                f"--network={NETWORK}",
                f"--env=SRCID_PORT={port}",
                "--env=SRCID_HOST=127.0.0.1",
            ]
        settings = ["--env=SRCID_ALLOW_ANONYMOUS=true", "--env=SRCID_MEDIA_ROOT=/media"]
        started = time.monotonic()
        docker("run", "--detach", f"--name={name}", *place, *settings, *self.options, IMAGE)
        try:
            yield Container(name, f"http://127.0.0.1:{port}", started)
        finally:
            docker("rm", "--force", name, check=False)


@pytest.fixture(scope="session")
def image() -> str:
    """The image, built from this folder unless one is named."""
    engine = shutil.which(DOCKER)
    if engine is None or subprocess.run([engine, "info"], capture_output=True).returncode:
        pytest.skip(f"no Docker engine answers {DOCKER!r} (name another command with DOCKER=)")
    if "IMAGE" in os.environ:
        return IMAGE
    base = os.environ.get("BASE_IMAGE")
    options = [f"--build-arg=BASE_IMAGE={base}"] if base else []
    if NETWORK:
        options.append(f"--network={NETWORK}")
    docker("build", *options, "--tag", IMAGE, PROJECT)
    return IMAGE


@pytest.fixture
def runner(image: str, tmp_path: Path) -> Runner:
    """Folders that the container's user may read and, of the data, write."""
    own = Runner(tmp_path / "media", tmp_path / "data")
    for folder in own:
        folder.mkdir()
    own.data.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    tmp_path.chmod(0o755)
    return own
