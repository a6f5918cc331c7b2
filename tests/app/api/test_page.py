"""The web page as the server sends it; tests/e2e/test_web.py looks at it in a browser."""

import re

import pytest
from starlette.testclient import TestClient

from app.api.routes.page import FOLDER
from app.main import create_app
from app.settings import Settings


def test_the_root_is_the_page(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == (FOLDER / "index.html").read_text()


def test_every_file_that_a_page_file_names_is_served(client: TestClient) -> None:
    named = re.findall(r'(?:href|src)="(web/[^"]+)"', client.get("/").text)
    for script in FOLDER.glob("*.js"):
        named += [f"web/{name}" for name in re.findall(r'from "\./([^"]+)"', script.read_text())]
    assert len(named) > 20
    for name in named:
        assert client.get(f"/{name}").status_code == 200, name


def test_nothing_from_elsewhere_is_named_or_allowed(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for file in FOLDER.iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", file.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, file.name


def test_a_page_that_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    for path in ("/", "/web/main.js"):
        first = client.get(path)
        assert first.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/web/", "/web/nothing.js", "/web/../api/page.py", "/web/%2e%2e/main.py"]
)
def test_only_the_files_of_the_page_are_served(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_path_of_the_page_begins_at_the_root_of_the_host(settings: Settings) -> None:
    """So that it works below the prefix of a proxy."""
    app = create_app(settings.model_copy(update={"root_path": "/srcid"}))
    with TestClient(app, root_path="/srcid") as client:
        assert client.get("/").status_code == 200
        assert client.get("/web/main.js").status_code == 200
    for file in FOLDER.iterdir():
        assert not re.search(r"""(href|src|action)=["']/|fetch\(["'`]/""", file.read_text())
