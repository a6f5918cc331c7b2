"""Authentication of every request, before its body is read, and the policy that it applies."""

import ipaddress
from collections.abc import Collection, Mapping
from enum import Enum
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem
from app.auth.keys import Key, KeyFile
from app.auth.keys import Scope as KeyScope
from app.auth.rate_limit import RateLimit
from app.errors import Forbidden, ServiceError, Unauthorized
from app.settings import Settings
from app.telemetry.logs import current_request
from model.errors import ConfigError

# Served without a key: the web page and the API's pages, which ask for it, and the probes.
OPEN = {"/", "/docs", "/redoc", "/openapi.json", "/livez", "/readyz"}
OPEN_FOLDERS = ("/web/", "/docs/files/")
READING_METHODS = {"GET", "HEAD", "OPTIONS"}
READING_POSTS = {  # these change nothing; they are POST because they have a body
    "/encode",
    "/encode/batch",
    "/search",
    "/search/codes",
    "/compare",
    "/v1/embeddings",
}
ADMIN_FOLDER = "/jobs"  # jobs read folders of the server


class Anonymous(Enum):
    """When a request without a key is served."""

    NEVER = "never"
    UNTIL_KEYS_EXIST = "until keys exist"
    ALWAYS = "always"


def anonymous_policy(settings: Settings, keys: KeyFile) -> Anonymous:
    """Return when requests without a key are served, which depends on the server's address.

    Raises:
        ConfigError: The address is public, no key exists and SRCID_ALLOW_ANONYMOUS is not set.
        StoreUnavailable: The key file is damaged.
    """
    has_keys = bool(keys.all())
    if settings.allow_anonymous:
        return Anonymous.ALWAYS
    if is_loopback(settings.host):
        return Anonymous.UNTIL_KEYS_EXIST
    if not has_keys:
        raise ConfigError(
            f"{settings.host} is reachable from other machines, but there is no API key: create "
            f"one (srcid keys add NAME --data-dir {settings.data_dir}), serve this machine only "
            "(SRCID_HOST=127.0.0.1), or allow everyone (SRCID_ALLOW_ANONYMOUS=true)"
        )
    return Anonymous.NEVER


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(settings: Settings) -> Collection[str]:
    """Return the host names that requests without a key may use; "*" is any."""
    if settings.allowed_hosts or is_loopback(settings.host):
        return {"localhost", settings.host.lower(), *map(str.lower, settings.allowed_hosts)}
    return {"*"}  # a public address was opened to everyone on purpose


def is_open(path: str) -> bool:
    """Return whether ``path`` is served without a key wherever keys are needed."""
    return path in OPEN or path.startswith(OPEN_FOLDERS)


def scope_of(method: str, path: str) -> KeyScope:
    """Return the scope that a call needs. Calls that are not listed here need WRITE."""
    if method in READING_METHODS or path in READING_POSTS:
        return KeyScope.READ
    if path == ADMIN_FOLDER or path.startswith(f"{ADMIN_FOLDER}/"):
        return KeyScope.ADMIN
    return KeyScope.WRITE


def find_key(secret: str, keys: KeyFile, anonymous: Anonymous) -> Key | None:
    """Return the key of a request; None if it has none and needs none.

    A wrong key is rejected even where no key is needed.

    Args:
        secret: What the request sends as its key; empty if it sends none.
        keys: The existing keys.
        anonymous: When a request without a key is served.

    Raises:
        Unauthorized: The key is unknown, or it is missing and needed.
        StoreUnavailable: The key file is damaged.
    """
    keys_exist = keys.exists()
    if secret and keys_exist:
        if key := keys.find(secret):
            return key
        raise Unauthorized(
            f"unknown API key ending in {secret[-4:]!r}: it was revoked or mistyped "
            "(srcid keys list shows the keys, srcid keys add NAME creates one)"
        )
    if anonymous is Anonymous.ALWAYS or (
        anonymous is Anonymous.UNTIL_KEYS_EXIST and not keys_exist
    ):
        return None
    raise Unauthorized(
        "this needs an API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY` "
        "(srcid keys add NAME creates one)"
    )


def check_scope(key: Key, method: str, path: str) -> None:
    """Raise ``Forbidden`` if the scope of ``key`` does not include a call."""
    needed = scope_of(method, path)
    if not key.scope.includes(needed):
        raise Forbidden(
            f"the API key {key.name!r} has scope {key.scope}, but {method} {path} needs {needed}: "
            f"use another key, or create one (srcid keys add NAME --scope {needed})"
        )


def check_origin(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Reject requests that browsers send for pages of other sites.

    Browsers send forms to any server and connect WebSockets anywhere, with the cookies of that
    server.

    Args:
        headers: Of the request, names in lower case.
        allowed: Origins of other sites that may call; "*" is any.

    Raises:
        Forbidden: The page is from another origin.
    """
    origin = headers.get("origin")
    if not origin or "*" in allowed or origin in allowed:
        return
    if urlsplit(origin).netloc != headers.get("host"):
        raise Forbidden(
            f"web pages from {origin[:100]!r} may not call this service: list that origin in "
            "SRCID_CORS_ORIGINS"
        )


def check_host(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Reject requests by host names that point here without our knowledge (DNS rebinding).

    To a browser, a page under such a name has the same origin as the service and may read all
    responses. Only names can be rebound, so addresses are always allowed.

    Args:
        headers: Of the request, names in lower case.
        allowed: Host names in lower case; "*" is any.

    Raises:
        Forbidden: The name is not allowed.
    """
    if "*" in allowed or "host" not in headers:  # browsers always send Host
        return
    host = urlsplit(f"//{headers['host']}").hostname or ""
    if host in allowed or _is_address(host):
        return
    raise Forbidden(
        f"host name {host[:100]!r} is not allowed without a key: use the IP address, add the "
        "name to SRCID_ALLOWED_HOSTS, or send a key"
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


COOKIE = "srcid_key"  # how the web page sends its key for pictures, players and /live


class Auth:
    """Passes on requests that the policy allows; answers the others with 401, 403 or 429.

    A key comes as ``Authorization: Bearer KEY``, as ``X-API-Key: KEY`` or in the cookie of the
    web page.

    Args:
        app: The app to protect.
        keys: The existing keys.
        anonymous: When a request without a key is served.
        rate_limit: How often each key may be used.
        origins: Origins of other sites whose pages may call without a key; "*" is any.
        hosts: Host names that requests without a key may use; "*" is any.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyFile,
        anonymous: Anonymous,
        rate_limit: RateLimit,
        origins: Collection[str] = (),
        hosts: Collection[str] = ("*",),
    ) -> None:
        self.app = app
        self.keys = keys
        self.anonymous = anonymous
        self.rate_limit = rate_limit
        self.origins = origins
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] in {"http", "websocket"}:
            try:
                self._check(scope)
            except ServiceError as error:
                await problem(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        path = path_of_call(scope)
        if is_open(path):
            return
        headers = Headers(scope=scope)
        is_socket = scope["type"] == "websocket"
        method = "GET" if is_socket else scope["method"]  # our WebSockets only read
        key = find_key(_secret(headers), self.keys, self.anonymous)
        if is_socket or (key is None and method not in READING_METHODS):
            check_origin(headers, self.origins)  # a page of another site may have sent a cookie
        if key is None:
            check_host(headers, self.hosts)
            return
        if (context := current_request.get()) is not None:
            context.key_name = key.name
        check_scope(key, method, path)
        self.rate_limit.admit(key.name)


def path_of_call(scope: Scope) -> str:
    """Return the path as routes see it: without the prefix that a proxy may have left on."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _secret(headers: Headers) -> str:
    """Return the key that a request sends, or an empty string."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return bearer.strip()
    if key := headers.get("x-api-key"):
        return key.strip()
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
