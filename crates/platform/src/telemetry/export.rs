use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use super::{TelemetryError, TelemetrySettings};

/// How long the last flush may take.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(2);

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How many finished spans may wait for export; beyond, they are dropped and counted.
const MAX_QUEUE_SPANS: usize = 4_096;

/// The crates on the export's own path: with their spans, each export would cause the next.
const OWN_PATH: [&str; 5] = ["h2", "hyper", "tonic", "tower", "opentelemetry"];

/// Where spans go, if they go anywhere.
pub(super) fn provider(settings: &TelemetrySettings) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = settings
        .otlp_endpoint
        .as_deref()
        .filter(|endpoint| !endpoint.is_empty())
    else {
        return Ok(None);
    };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_QUEUE_SPANS)
        .build();
    let batches = BatchSpanProcessor::builder(exporter(endpoint)?)
        .with_batch_config(config)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(batches)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            settings.sample_ratio,
        ))))
        .with_resource(
            Resource::builder()
                .with_service_name(settings.service_name.clone())
                .build(),
        )
        .build();
    Ok(Some(provider))
}

fn exporter(endpoint: &str) -> Result<SpanExporter, TelemetryError> {
    let error = |source| TelemetryError::Endpoint {
        endpoint: endpoint.to_owned(),
        source,
    };
    if !endpoint.starts_with("http://") {
        return Err(error("it does not begin with `http://`".into()));
    }
    let builder = SpanExporter::builder().with_tonic();
    let exporter = builder
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build();
    exporter.map_err(|source| error(source.into()))
}

/// The layer that turns `tracing` spans into exported ones. Without a provider its filter lets nothing through, which
/// disables spans that no log wants at their call site; a missing layer would let everything through.
pub(super) fn layer<S>(provider: Option<&SdkTracerProvider>) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let off = OWN_PATH.map(|target| (target, LevelFilter::OFF));
    let filter = match provider {
        Some(_) => Targets::new().with_default(LevelFilter::INFO).with_targets(off),
        None => Targets::new(),
    };
    let layer = provider.map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("assay"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
    });
    layer.with_filter(filter)
}

/// Flushes on a thread of its own: the exporter needs this runtime to go on while it waits, and a thread (unlike a
/// blocking task) cannot hold up the exit.
pub(super) async fn flush(provider: SdkTracerProvider) {
    let (done, flushed) = tokio::sync::oneshot::channel();
    let work = move || done.send(provider.shutdown_with_timeout(FLUSH_DEADLINE));
    if let Err(error) = std::thread::Builder::new().name("flush".to_owned()).spawn(work) {
        return tracing::warn!(%error, "no thread to flush telemetry with");
    }
    match tokio::time::timeout(FLUSH_DEADLINE, flushed).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were not exported"),
        Ok(Err(_)) | Err(_) => tracing::warn!("the last spans were not exported in time"),
    }
}
