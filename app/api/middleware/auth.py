"""Who may ask for what: API keys, checked before anything of a request's body is read."""

import ipaddress
from collections.abc import Collection
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
from app.telemetry.request_context import current_request
from model.errors import ConfigError

COOKIE = "srcid_key"  # how the web page brings its key along for pictures, players and /live
OPEN = {"/", "/livez", "/readyz"}  # answered without a key; so is what lies below OPEN_FOLDER
OPEN_FOLDER = "/web/"  # the page itself, which has to ask for the key
READING_METHODS = {"GET", "HEAD", "OPTIONS"}
READING_POSTS = {  # these change nothing, and are POST for their bodies
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
    """Return when requests without a key are served, which the address decides.

    Raises:
        ConfigError: The address is public, no key exists and SRCID_ALLOW_ANONYMOUS is not set.
        StoreUnavailable: The file of keys is damaged.
    """
    known = keys.all()
    if settings.allow_anonymous:
        return Anonymous.ALWAYS
    if is_loopback(settings.host):
        return Anonymous.UNTIL_KEYS_EXIST
    if not known:
        raise ConfigError(
            f"{settings.host} is reached from other machines, but there is no API key: make one "
            f"(srcid keys add NAME --data-dir {settings.data_dir}), serve this machine only "
            "(SRCID_HOST=127.0.0.1), or let everybody in (SRCID_ALLOW_ANONYMOUS=true)"
        )
    return Anonymous.NEVER


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hosts_of(settings: Settings) -> Collection[str]:
    """Return the names by which requests without a key may call the service; "*" is any."""
    if settings.allowed_hosts or is_loopback(settings.host):
        return {"localhost", settings.host.lower(), *map(str.lower, settings.allowed_hosts)}
    return {"*"}  # whoever opens a public address to all has chosen so


def scope_of(method: str, path: str) -> KeyScope:
    """Return what a key needs for a call. A call that is not known here changes something."""
    if method in READING_METHODS or path in READING_POSTS:
        return KeyScope.READ
    if path == ADMIN_FOLDER or path.startswith(f"{ADMIN_FOLDER}/"):
        return KeyScope.ADMIN
    return KeyScope.WRITE


class Auth:
    """Passes on what its key allows; answers the rest with 401, 403 or 429.

    A key comes as ``Authorization: Bearer KEY``, as ``X-API-Key: KEY`` or in the cookie of the
    web page. One that is wrong is refused even where none is needed.

    Args:
        app: What is guarded.
        keys: The keys that there are.
        anonymous: When a request without a key is served.
        rate_limit: How often each key may ask.
        origins: Web pages that may ask without a key, beside the service's own.
        hosts: Names that the service may be called by without a key; "*" is any.
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
        """Pass the request on, or refuse it."""
        if scope["type"] in {"http", "websocket"}:
            try:
                self._check(scope)
            except ServiceError as error:
                await problem(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        path = path_of_call(scope)
        if path in OPEN or path.startswith(OPEN_FOLDER):
            return
        headers = Headers(scope=scope)
        key = self._key(headers)
        if key is None:
            self._check_host(headers)
            if scope["type"] == "http" and scope["method"] not in READING_METHODS:
                self._check_origin(headers)  # /live does so itself, and can say so to a page
            return
        if (context := current_request.get()) is not None:
            context.key_name = key.name
        method = scope.get("method", "GET")  # of which a socket has none; ours only read
        needed = scope_of(method, path)
        if not key.scope.includes(needed):
            raise Forbidden(
                f"the API key {key.name!r} may {key.scope}, but {method} {path} needs {needed}: "
                f"use another key, or make one (srcid keys add NAME --scope {needed})"
            )
        self.rate_limit.admit(key.name)

    def _check_origin(self, headers: Headers) -> None:
        """Keep pages of other sites from using a service that their reader needs no key for.

        They could not read the answer, but a form sent to this machine would be obeyed.
        """
        origin = headers.get("origin")
        if not origin or "*" in self.origins or origin in self.origins:
            return
        if urlsplit(origin).netloc == headers.get("host"):
            return
        raise Forbidden(
            f"a web page from {origin!r} may not call without an API key: list that origin in "
            "SRCID_CORS_ORIGINS, or send a key"
        )

    def _check_host(self, headers: Headers) -> None:
        """Keep pages of other sites out whose name was made to point to this machine.

        To a browser such a page is of the same origin as the service, and may read all answers.
        An address cannot be made to point elsewhere, only a name can.
        """
        if "*" in self.hosts or "host" not in headers:  # which every browser sends
            return
        host = urlsplit(f"//{headers['host']}").hostname or ""
        if host in self.hosts or _is_address(host):
            return
        raise Forbidden(
            f"this service does not go by the name {host[:100]!r}: call it by its address, list "
            "the name in SRCID_ALLOWED_HOSTS, or send a key"
        )

    def _key(self, headers: Headers) -> Key | None:
        """Return the key of a request; None where it needs none and has none."""
        secret = _secret(headers)
        keys_exist = self.keys.exists()
        if secret and keys_exist:
            if key := self.keys.find(secret):
                return key
            raise Unauthorized(
                f"the API key that ends in {secret[-4:]!r} is not known here: it was revoked or "
                "mistyped (srcid keys list shows the keys, srcid keys add NAME makes one)"
            )
        if self.anonymous is Anonymous.ALWAYS:
            return None
        if self.anonymous is Anonymous.UNTIL_KEYS_EXIST and not keys_exist:
            return None
        raise Unauthorized(
            "this needs an API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY` "
            "(srcid keys add NAME makes one)"
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def path_of_call(scope: Scope) -> str:
    """Return the path as routes see it: without the prefix that a proxy may have left on."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _secret(headers: Headers) -> str:
    """Return the key that a request brings along, or an empty text."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return bearer.strip()
    if key := headers.get("x-api-key"):
        return key.strip()
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
