"""Spans of requests, into memory."""

import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.telemetry.tracing import trace
from model.errors import ConfigError


def test_a_request_is_a_span_that_goes_on_from_the_callers(settings: Settings) -> None:
    exporter = InMemorySpanExporter()
    app = create_app(settings)
    provider = trace(app, processor=SimpleSpanProcessor(exporter))
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with TestClient(app) as client:
        client.post("/encode", json={"text": "a dog"}, headers={"traceparent": parent})
        client.get("/livez")
    provider.shutdown()
    spans = exporter.get_finished_spans()
    assert {span.context.trace_id for span in spans} == {0x0AF7651916CD43DD8448EB211C80319C}
    assert "POST /encode" in {span.name for span in spans}
    assert {span.resource.attributes["service.name"] for span in spans} == {"srcid"}


def test_without_the_packages_it_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ConfigError, match=r"pip install 'srcid\[tracing\]'"):
        create_app(settings.model_copy(update={"tracing": True}))
