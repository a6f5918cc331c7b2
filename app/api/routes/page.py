"""The web page: ``/`` and the files of ``app/web`` below ``/web/``."""

from collections.abc import Mapping
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

FOLDER = Path(__file__).parents[2] / "web"
HEADERS: Mapping[str, str] = {
    # Nothing from other sites is loaded, and no text of an item is ever executed.
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src 'self' blob:",
            "media-src 'self' blob:",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # revalidated each time; the ETag makes that a 304
}


def install(app: FastAPI) -> None:
    """Serve the page. Its links are relative, so it works behind any root path."""
    files = StaticFiles(directory=FOLDER)

    async def answer(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        response = await files.get_response(name, request.scope)
        response.headers.update(HEADERS)
        return response

    app.add_route("/", answer, methods=["GET"], include_in_schema=False)
    app.add_route("/web/{name:path}", answer, methods=["GET"], include_in_schema=False)
