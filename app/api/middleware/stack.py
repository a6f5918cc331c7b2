"""The middleware that every request passes through before it reaches a route, in order."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.api.middleware.auth import Auth, anonymous_policy, hosts_of
from app.api.middleware.forward import Forward
from app.api.middleware.http_rules import BodyLimit, HttpRules, InflightBytes
from app.api.middleware.observe import Observe
from app.auth.keys import KeyFile
from app.auth.rate_limit import RateLimit
from app.settings import Settings
from app.telemetry.metrics import Metrics


def install(
    app: FastAPI, settings: Settings, *, metrics: Metrics, writer_url: str | None = None
) -> None:
    """Wrap ``app`` in its middleware.

    Args:
        app: The app.
        settings: Limits, origins and hosts.
        metrics: Counts requests.
        writer_url: The process that changes are forwarded to; None: this one.

    Raises:
        ConfigError: The address is public and there is no API key.
    """
    keys = KeyFile(settings.data_dir)
    # A request passes through the middleware added last first.
    app.add_middleware(HttpRules)
    app.add_middleware(InflightBytes, max_bytes=settings.max_inflight_bytes)
    app.add_middleware(
        Auth,
        keys=keys,
        anonymous=anonymous_policy(settings, keys),
        rate_limit=RateLimit(settings.max_requests_per_minute),
        origins=settings.cors_origins,
        hosts=hosts_of(settings),
    )
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes)
    app.add_middleware(Observe, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Location", "Retry-After", "X-Request-ID", "Content-Range"],
        )
    if writer_url is not None:
        app.add_middleware(Forward, writer_url=writer_url)
