"""OpenTelemetry traces of every request; needs the extra ``srcid[tracing]``."""

from typing import TYPE_CHECKING

from model.errors import ConfigError

if TYPE_CHECKING:
    from fastapi import FastAPI
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

UNTRACED = "livez,readyz,metrics"


def trace(app: "FastAPI", *, processor: "SpanProcessor | None" = None) -> "TracerProvider":
    """Make ``app`` report a span per request; return the provider, to be shut down with it.

    Args:
        app: Before its first request.
        processor: Receives the spans. The default sends them to an OTLP collector over HTTP, set
            by the standard variables: ``OTEL_EXPORTER_OTLP_ENDPOINT`` for its URL,
            ``OTEL_SERVICE_NAME``, and the sampling ones.

    Raises:
        ConfigError: The packages are not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"SRCID_TRACING is true, but {error.name} is not installed: pip install "
            "'srcid[tracing]', or leave SRCID_TRACING out"
        ) from None
    resource = Resource({"service.name": "srcid"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider, excluded_urls=UNTRACED)
    return provider
