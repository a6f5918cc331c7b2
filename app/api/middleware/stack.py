"""What every request passes before it comes to a route, in this order."""

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.api.middleware.auth import Auth
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.forward import Forward
from app.api.middleware.inflight import InflightBytes
from app.api.middleware.observe import Observe
from app.auth.access import anonymous_policy, hosts_of
from app.auth.keys import KeyFile
from app.auth.rate_limit import RateLimit
from app.settings import Settings
from app.telemetry.metrics import Metrics


def install(
    app: FastAPI, settings: Settings, *, metrics: Metrics, writer_url: str | None = None
) -> None:
    """Put the middlewares around ``app``.

    Args:
        app: The app.
        settings: What they are told.
        metrics: What they count with.
        writer_url: Where changes are passed on to; None: they are made here.

    Raises:
        ConfigError: The address is public, but there is no API key.
    """
    keys = KeyFile(settings.data_dir)
    # The one that is added last is the first that a request meets.
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
