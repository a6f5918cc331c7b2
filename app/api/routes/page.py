"""The web page at ``/`` with its files below ``/web/``, and the pages ``/docs`` and ``/redoc``."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from fastapi.staticfiles import StaticFiles

FOLDER = Path(__file__).parents[2] / "web"
# Swagger UI and ReDoc, which FastAPI itself would have browsers load from a CDN.
SCRIPTS = Path(fastapi_offline.__file__).parent / "static"
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
# Both start with an inline script; ReDoc searches in a worker, and shows a logo from elsewhere.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; worker-src blob:; frame-ancestors 'none'"
)
# Keys are optional where the server has none; Swagger UI has an Authorize button for these.
KEYS = {
    "Bearer": {"type": "http", "scheme": "bearer"},
    "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def install(app: FastAPI) -> None:
    """Serve the pages. Their links are relative, so they work behind any root path."""
    files = StaticFiles(directory=FOLDER)

    async def answer(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        response = await files.get_response(name, request.scope)
        response.headers.update(HEADERS)
        return response

    app.add_route("/", answer, methods=["GET"], include_in_schema=False)
    app.add_route("/web/{name:path}", answer, methods=["GET"], include_in_schema=False)
    _install_docs(app)


def _install_docs(app: FastAPI) -> None:
    def describe() -> dict[str, Any]:
        document = FastAPI.openapi(app)  # made once, and kept
        document["components"]["securitySchemes"] = KEYS
        document["security"] = [*({name: []} for name in KEYS), {}]
        return document

    app.openapi = describe  # type: ignore[method-assign]  # as FastAPI's manual does
    schema, icon = "openapi.json", "web/icon.svg"
    pages = {
        "/docs": get_swagger_ui_html(
            openapi_url=schema,
            title=app.title,
            swagger_js_url="docs/files/swagger-ui-bundle.js",
            swagger_css_url="docs/files/swagger-ui.css",
            swagger_favicon_url=icon,
        ),
        "/redoc": get_redoc_html(
            openapi_url=schema,
            title=app.title,
            redoc_js_url="docs/files/redoc.standalone.js",
            redoc_favicon_url=icon,
            with_google_fonts=False,
        ),
    }

    for path, page in pages.items():
        app.add_route(path, _showing(page), methods=["GET"], include_in_schema=False)
    app.mount("/docs/files", StaticFiles(directory=SCRIPTS))


def _showing(page: Response) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        headers = {"Content-Security-Policy": DOCS_POLICY}
        return Response(page.body, headers=headers, media_type="text/html")

    return show
