"""Prometheus metrics; each app has its own registry."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from app.telemetry.engine_observer import EngineObserver, Part

METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ITEMS = (1, 2, 4, 8, 16, 32, 64)


class Metrics(EngineObserver):
    """Counts requests and observes the engine.

    All label values (routes, methods, statuses, kinds of problems) come from fixed lists, so
    unusual requests cannot create time series.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        route = ("method", "route")

        def durations(name: str, description: str, labels: tuple[str, ...] = ()) -> Histogram:
            return Histogram(name, description, labels, buckets=SECONDS, registry=registry)

        self._requests = Counter(
            "srcid_requests", "Requests answered", (*route, "status"), registry=registry
        )
        self._problems = Counter(
            "srcid_problems", "Problems answered, by kind", ("kind",), registry=registry
        )
        self._request_seconds = durations(
            "srcid_request_seconds",
            "From the first byte of a request to the last of the answer",
            route,
        )
        self._build = Info("srcid_build", "Version and checkpoint", registry=registry)
        self.in_flight = Gauge(
            "srcid_requests_in_flight", "Requests being answered", registry=registry
        )
        # Their owners call `set_function`.
        self.items = Gauge("srcid_items", "Items in the index", registry=registry)
        self.queue_length = Gauge(
            "srcid_queue_length", "Requests accepted and not yet encoded", registry=registry
        )
        self._decode_seconds = durations("srcid_decode_seconds", "Decoding one upload")
        self._queue_seconds = durations(
            "srcid_queue_seconds", "Time that one item waited for the network"
        )
        self._device_seconds = durations("srcid_device_seconds", "One batch in the network")
        self._batch_items = Histogram(
            "srcid_batch_items", "Items in a batch", buckets=ITEMS, registry=registry
        )
        self._restarts = Counter(
            "srcid_restarts",
            "Worker processes and threads that were replaced",
            ("part",),
            registry=registry,
        )

    def answered(
        self, *, method: str, route: str, status: int, seconds: float | None, problem: str | None
    ) -> None:
        """Count one answer. ``seconds`` is None for a connection that stays open on purpose."""
        labels = {"method": method if method in METHODS else "other", "route": route}
        self._requests.labels(**labels, status=str(status)).inc()
        if seconds is not None:
            self._request_seconds.labels(**labels).observe(seconds)
        if problem:
            self._problems.labels(kind=problem).inc()

    def decoded(self, seconds: float) -> None:
        """Record one decoded file."""
        self._decode_seconds.observe(seconds)

    def waited(self, part: Part, seconds: float) -> None:
        """Record the time that one item waited for the network."""
        if part == "device":
            self._queue_seconds.observe(seconds)

    def ran(self, part: Part, *, items: int, seconds: float) -> None:
        """Record one batch of the network."""
        if part == "device":
            self._batch_items.observe(items)
            self._device_seconds.observe(seconds)

    def restarted(self, part: Part) -> None:
        """Count one replaced worker or thread."""
        self._restarts.labels(part=part).inc()

    def describe(self, **labels: str) -> None:
        """Publish version and checkpoint."""
        self._build.info(labels)

    def render(self) -> bytes:
        """Return all metrics in Prometheus text format."""
        return generate_latest(self.registry)
