"""What the browser's tests share: Chromium, and a real server with a few clips of our own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from app.demo.drawn import DRAWINGS, write_drawing
from model.calibration import Calibration, Logistic, pair, write_calibration
from model.modality import Modality
from tests.media_maker import make_sound, tone

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
CLIPS = [drawing for drawing in DRAWINGS if drawing.tone == "low"][:4]
EVIL = "<script>document.title='taken'</script>"
NewPage = Callable[..., Page]


@pytest.fixture(scope="package")
def calibrated_checkpoint(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint, which takes every text for a match of text, and nothing else."""
    folder = tmp_path_factory.mktemp("calibrated") / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    sure, unsure = Logistic(slope=0, bias=2), Logistic(slope=0, bias=-2)
    matches = {
        pair(query, target, layers="both", kind="mean"): sure if query == target else unsure
        for query in Modality
        for target in Modality
    }
    write_calibration(folder, Calibration(matches=matches, agreement={"1": {"audio ~ video": 0.4}}))
    return folder


@pytest.fixture(scope="package")
def media_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that jobs may read: sounds, and one file that is none."""
    root = tmp_path_factory.mktemp("root")
    (root / "sounds").mkdir()
    for number in range(6):
        sound = make_sound(tone(2, rate=16_000, hertz=200 + 100 * number), rate=16_000)
        (root / "sounds" / f"tone-{number}.wav").write_bytes(sound)
    (root / "sounds" / "broken.wav").write_bytes(b"no sound at all")
    return root


@pytest.fixture(scope="package")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Drawn clips by name, four seconds each."""
    folder = tmp_path_factory.mktemp("clips")
    for drawing in CLIPS:
        write_drawing(folder / f"{drawing.name}.mp4", drawing)
    return {drawing.name: folder / f"{drawing.name}.mp4" for drawing in CLIPS}


def _running(checkpoint: Path, data_dir: Path, **settings: object) -> Iterator[str]:
    """Run ``srcid serve``; yield its address, and kill it at the end."""
    command = [sys.executable, "-m", "app", "serve", "--port", "0"]
    command += ["--checkpoint", str(checkpoint), "--data-dir", str(data_dir)]
    own = {f"SRCID_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **own}
    log = data_dir.with_suffix(".log")
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        while not (found := re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text())):
            assert process.poll() is None, log.read_text()
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        yield found[1]
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="package")
def server(
    calibrated_checkpoint: Path,
    media_root: Path,
    clips: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of a server with four clips, a sound and two sentences, one of them evil."""
    data = tmp_path_factory.mktemp("served") / "data"
    for address in _running(
        calibrated_checkpoint, data, keep_media=True, media_root=media_root, max_decodes=1
    ):
        with httpx2.Client(base_url=address, timeout=60) as client:
            for name, path in clips.items():
                add(client, name, files={"file": path.read_bytes()})
            sound = make_sound(tone(3, rate=16_000), rate=16_000)
            add(client, "a-tone", files={"file": sound})
            for item_id, text in (("said", "a dog barks at night"), ("evil", EVIL)):
                body = {"id": item_id, "text": text, "metadata": {"note": EVIL}}
                client.post("/items", json=body).raise_for_status()
        yield address


def add(client: httpx2.Client, item_id: str, *, files: dict[str, bytes]) -> None:
    """Add media under an id."""
    client.post("/items", files=files, data={"id": item_id}).raise_for_status()


@pytest.fixture(scope="package")
def guarded_server(
    calibrated_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The address of an empty server that wants an API key, and a key."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    command = [sys.executable, "-m", "app", "keys", "add", "tester", "--scope", "admin"]
    made = subprocess.run(
        [*command, "--data-dir", str(data)], capture_output=True, text=True, check=True
    )
    for address in _running(calibrated_checkpoint, data, max_decodes=1):
        yield address, made.stdout.strip()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no Chromium at {CHROMIUM} (make ci-deps installs it)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """Opens pages; what they complain of on the console fails the test, unless it is expected.

    A violation of the content security policy shows there too.
    """
    complaints: list[str] = []
    contexts = []

    def hear(message: ConsoleMessage, expected: str | None) -> None:
        if message.type in {"error", "warning"} and not (expected and expected in message.text):
            complaints.append(message.text)

    def open_page(address: str, *, expected: str | None = None, **options: object) -> Page:
        shown = {"viewport": {"width": 1100, "height": 800}, "locale": "en", **options}
        context = browser.new_context(**shown)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: hear(message, expected))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
