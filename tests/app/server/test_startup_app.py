"""What is answered while the checkpoint is loaded."""

import subprocess
import sys

from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from app.server.process import StartupApp


def test_a_service_that_starts_is_alive_and_asks_to_come_back() -> None:
    client = TestClient(StartupApp())
    alive = client.get("/livez")
    assert (alive.status_code, alive.json()) == (200, {"status": "alive"})
    for method, path in (("GET", "/readyz"), ("POST", "/search"), ("GET", "/")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["title"]) == (503, "Starting")
        assert int(answer.headers["Retry-After"]) >= 1


def test_everything_goes_to_the_app_once_it_is_there() -> None:
    startup_app = StartupApp()
    startup_app.switch_to(PlainTextResponse("mine"))
    for path in ("/livez", "/readyz", "/search"):
        assert TestClient(startup_app).get(path).text == "mine"


def test_what_answers_first_does_not_load_torch() -> None:
    code = "import sys, app.cli.serve, app.server.process; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
