//! Traces: exports spans to an OpenTelemetry collector, with the feature `otel` and `OTEL_EXPORTER_OTLP_ENDPOINT` set.

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use super::Error;

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Returns the layer that exports spans by OTLP over HTTP, as protobuf, without TLS; `None` if no collector is named.
///
/// # Errors
/// The settings in the environment (`OTEL_EXPORTER_OTLP_*`) are invalid.
pub(super) fn layer<S>() -> Result<Option<OpenTelemetryLayer<S, SdkTracer>>, Error>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_none() {
        return Ok(None);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build();
    let exporter = exporter.map_err(|error| Error::Failed(format!("OpenTelemetry: {error}")))?;
    let resource = Resource::builder();
    // A name set here would override the environment.
    let resource = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => resource.build(),
        None => resource.with_service_name(env!("CARGO_PKG_NAME")).build(),
    };
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let _ = PROVIDER.set(provider);
    Ok(Some(tracing_opentelemetry::layer().with_tracer(tracer)))
}

/// Exports the remaining spans; waits a few seconds at most.
pub(super) fn finish() {
    if let Some(provider) = PROVIDER.get() {
        let _ = provider.shutdown();
    }
}
