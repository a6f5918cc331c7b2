"""A Hugging Face Hub on the loopback address: the routes that downloads and uploads use.

Repositories are dictionaries of files. It can ask for a token, guard a model by terms, break a
connection in the middle of a file, and take commits.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


def files_of(folder: Path) -> Files:
    """Return the files below a folder by their relative paths."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class LoopbackHub:
    """The server. ``requests`` are those that it got: "GET /api/models/..."."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, Files]] = {}  # commits in their order; main is the last
        self.gated: set[str] = set()
        self.tokens: dict[str, str] = {}  # of private repositories
        self.breaks: dict[str, list[int]] = {}  # bytes of a file after which a connection ends
        self.requests: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "LoopbackHub":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take no more connections."""
        self.server.shutdown()
        self.server.server_close()

    def commit(self, repo: str, files: Mapping[str, bytes]) -> str:
        """Make a commit of these files on main; return its 40 hex digits."""
        commits = self.repos.setdefault(repo, {})
        sha = hashlib.sha1(f"{repo} {len(commits)}".encode()).hexdigest()
        commits[sha] = dict(files)
        return sha


def _handler(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            part = self.headers.get("Range")
            hub.requests.append(f"{self.command} {path}" + (f" {part}" if part else ""))
            if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                return self.file(*found.groups())
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
                return self.tree(*found.groups())
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
                return self.about(found[1], found[2] or "main")
            return self.error(404, "EntryNotFound")

        def do_POST(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append(f"POST {path}")
            body = self.body()
            if path == "/api/repos/create":
                asked = json.loads(body)
                repo = f"{asked['organization']}/{asked['name']}"
                code = 409 if repo in hub.repos else 200
                hub.repos.setdefault(repo, {})
                return self.answer(code, {"url": f"{hub.url}/{repo}", "id": repo, "name": repo})
            if path == "/api/validate-yaml":
                return self.answer(200, {"errors": [], "warnings": []})
            if re.fullmatch(r"/api/models/[^/]+/[^/]+/preupload/[^/]+", path):
                modes = [
                    {"path": own["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for own in json.loads(body)["files"]
                ]
                return self.answer(200, {"files": modes})
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", path):
                rows = [json.loads(line) for line in body.splitlines() if line]
                files = {
                    row["value"]["path"]: base64.b64decode(row["value"]["content"])
                    for row in rows
                    if row["key"] == "file"
                }
                sha = hub.commit(found[1], files)
                url = f"{hub.url}/{found[1]}/commit/{sha}"
                return self.answer(200, {"success": True, "commitOid": sha, "commitUrl": url})
            return self.error(404, "EntryNotFound")

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def files(self, repo: str, revision: str) -> tuple[str, Files] | None:
            """Return a commit and its files, or answer why there are none."""
            token = hub.tokens.get(repo)
            if token and self.headers.get("Authorization") != f"Bearer {token}":
                return self.error(401, "RepoNotFound")
            commits = hub.repos.get(repo)
            if not commits:
                return self.error(404, "RepoNotFound")
            sha = list(commits)[-1] if revision == "main" else revision
            if sha not in commits:
                return self.error(404, "RevisionNotFound")
            return sha, commits[sha]

        def about(self, repo: str, revision: str) -> None:
            if found := self.files(repo, revision):
                siblings = [{"rfilename": name} for name in found[1]]
                gated = "manual" if repo in hub.gated else False
                self.answer(
                    200, {"id": repo, "sha": found[0], "gated": gated, "siblings": siblings}
                )

        def tree(self, repo: str, revision: str) -> None:
            if found := self.files(repo, revision):
                rows = [
                    {
                        "type": "file",
                        "path": name,
                        "size": len(data),
                        "oid": hashlib.sha1(data).hexdigest(),
                    }
                    for name, data in found[1].items()
                ]
                self.answer(200, rows)

        def file(self, repo: str, revision: str, name: str) -> None:
            if repo in hub.gated:
                return self.error(403, "GatedRepo")
            found = self.files(repo, revision)
            if found is None:
                return None
            sha, files = found
            if name not in files:
                return self.error(404, "EntryNotFound")
            data = files[name]
            about = {
                "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                "X-Repo-Commit": sha,
                "Accept-Ranges": "bytes",
            }
            wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(wanted[1]) if wanted else 0
            if wanted:
                about["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            breaks = self.command == "GET" and hub.breaks.get(name)
            cut = breaks.pop(0) if breaks else None
            return self.answer(206 if wanted else 200, data[start:], about, cut=cut)

        def answer(
            self,
            code: int,
            body: object,
            headers: Mapping[str, str] | None = None,
            *,
            cut: int | None = None,
        ) -> None:
            """Send an answer; end the connection after ``cut`` bytes of its body."""
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")  # no server is left when it stops
            for name, value in (headers or {"Content-Type": "application/json"}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[:cut])

        def error(self, code: int, kind: str) -> None:
            headers = {"X-Error-Code": kind, "X-Error-Message": kind}
            self.answer(code, {"error": kind}, headers)

    return Handler
