"""The engine's events as Prometheus metrics."""

from pathlib import Path

from app.telemetry.engine_observer import EngineObserver
from app.telemetry.metrics import Metrics


def test_the_engines_events_are_counted_by_part() -> None:
    metrics = Metrics()
    observer: EngineObserver = metrics
    observer.decoded(0.2)
    observer.waited("device", 0.01)
    observer.waited("decoder", 5.0)
    observer.ran("device", items=3, seconds=0.5)
    observer.ran("device", items=1, seconds=0.25)
    observer.ran("decoder", items=1, seconds=5.0)
    observer.restarted("decoder")
    text = metrics.render().decode()
    for line in (
        "srcid_decode_seconds_sum 0.2",
        "srcid_queue_seconds_sum 0.01",
        "srcid_device_seconds_sum 0.75",
        "srcid_batch_items_sum 4.0",
        'srcid_batch_items_bucket{le="1.0"} 1.0',
        'srcid_restarts_total{part="decoder"} 1.0',
    ):
        assert line in text.splitlines()


def test_a_value_is_read_when_it_is_asked_for() -> None:
    metrics = Metrics()
    waiting = [1, 2]
    metrics.queue_length.set_function(lambda: len(waiting))
    waiting.append(3)
    assert "srcid_queue_length 3.0" in metrics.render().decode().splitlines()


def test_what_runs_is_a_label() -> None:
    metrics = Metrics()
    metrics.describe(version="1.2", fingerprint="abc")
    assert 'srcid_build_info{fingerprint="abc",version="1.2"} 1.0' in metrics.render().decode()


def test_every_metric_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
    names = {
        line.split()[2]
        for line in Metrics().render().decode().splitlines()
        if line.startswith("# HELP srcid_") and not line.split()[2].endswith("_created")
    }
    assert len(names) == 12
    assert [name for name in names if f"`{name}`" not in page] == []
