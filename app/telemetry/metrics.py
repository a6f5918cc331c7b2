"""What Prometheus is told, by each app in a registry of its own."""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
ITEMS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counts what is answered, and is an ``EngineObserver`` of what the engine does.

    Label values are routes, methods, statuses and kinds of problems, all from lists that are
    fixed: whoever sends odd requests makes no new time series.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        route = ("method", "route")

        def durations(name: str, about: str, labels: tuple[str, ...] = ()) -> Histogram:
            return Histogram(name, about, labels, buckets=SECONDS, registry=registry)

        self._requests = Counter(
            "srcid_requests", "Requests answered", (*route, "status"), registry=registry
        )
        self._problems = Counter(
            "srcid_problems", "Problems answered with, by their kind", ("kind",), registry=registry
        )
        self._request_seconds = durations(
            "srcid_request_seconds",
            "From the first byte of a request to the last of the answer",
            route,
        )
        self._build = Info("srcid_build", "What runs", registry=registry)
        self.in_flight = Gauge(
            "srcid_requests_in_flight", "Requests being answered", registry=registry
        )
        # Whoever owns these says by `set_function` where to read them.
        self.items = Gauge("srcid_items", "Items in the index", registry=registry)
        self.queue_length = Gauge(
            "srcid_queue_length", "Requests accepted and not yet encoded", registry=registry
        )
        self._decode_seconds = durations("srcid_decode_seconds", "Decoding one upload")
        self._queue_seconds = durations(
            "srcid_queue_seconds", "What one item waited for the network"
        )
        self._device_seconds = durations("srcid_device_seconds", "One batch in the network")
        self._batch_items = Histogram(
            "srcid_batch_items", "Items in a batch", buckets=ITEMS, registry=registry
        )
        self._restarts = Counter(
            "srcid_restarts", "Parts that died and were replaced", ("part",), registry=registry
        )

    def answered(
        self, *, method: str, route: str, status: int, seconds: float | None, problem: str | None
    ) -> None:
        """Count one answer. ``seconds`` is None where a connection stays open on purpose."""
        labels = {"method": method if method in METHODS else "other", "route": route}
        self._requests.labels(**labels, status=str(status)).inc()
        if seconds is not None:
            self._request_seconds.labels(**labels).observe(seconds)
        if problem:
            self._problems.labels(kind=problem).inc()

    def decoded(self, seconds: float) -> None:
        """Count one decoded upload."""
        self._decode_seconds.observe(seconds)

    def waited(self, seconds: float) -> None:
        """Count what one item waited for the network."""
        self._queue_seconds.observe(seconds)

    def ran(self, *, items: int, seconds: float) -> None:
        """Count one batch."""
        self._batch_items.observe(items)
        self._device_seconds.observe(seconds)

    def restarted(self, part: str) -> None:
        """Count one part of the engine that was replaced."""
        self._restarts.labels(part=part).inc()

    def describe(self, **labels: str) -> None:
        """Report what runs: version, checkpoint."""
        self._build.info(labels)

    def render(self) -> bytes:
        """Return all of it in Prometheus's text format."""
        return generate_latest(self.registry)
