//! Logs and traces. Recording never blocks, fails or ends anything: queues are bounded, and a collector that is away
//! costs spans, not requests.
//!
//! Logs go to stderr. Traces go to an OTLP collector if one is configured; without one the trace layers of [`rpc`] cost
//! one disabled check per call and allocate nothing. Context travels as W3C `traceparent`, in headers and in stream
//! entries ([`current_traceparent`], [`link_span`]).

mod context;
mod export;
pub mod rpc;

use std::io::IsTerminal;

use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::Deserialize;
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::settings::Check;
pub use context::{current_trace_id, current_traceparent, link_span};
pub use export::FLUSH_DEADLINE;

/// What is recorded, and where it goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// `service.name` of the spans, such as `assay-assignment`: 1 to 200 visible ASCII characters.
    pub service_name: String,
    /// The OTLP/gRPC collector, such as `http://collector:4317`. None, or empty: no traces.
    pub otlp_endpoint: Option<String>,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Which log lines are written: `info`, or by module, `info,assay_storage=debug`.
    pub log_filter: String,
    /// The share of traces that is recorded, in 0..=1. A caller's decision has precedence.
    pub sample_ratio: f64,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one object per line.
    Json,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            service_name: "assay".to_owned(),
            otlp_endpoint: None,
            log_format: LogFormat::Text,
            log_filter: "info,sea_orm_migration=warn,sqlx=warn".to_owned(),
            sample_ratio: 1.0,
        }
    }
}

impl TelemetrySettings {
    /// What is wrong with the values.
    pub fn check(&self) -> Check {
        let mut check = Check::section("telemetry");
        check.word("service_name", &self.service_name);
        check.number("sample_ratio", self.sample_ratio, &(0.0..=1.0));
        match self.otlp_endpoint.as_deref() {
            None | Some("") => {}
            Some(endpoint) => check.server("otlp_endpoint", endpoint),
        }
        if let Err(error) = EnvFilter::builder().parse(&self.log_filter) {
            let filter = &self.log_filter;
            let problem = format!(
                "is `{filter}`, which cannot be read ({error}); write one like `info,assay_storage=debug`"
            );
            check.refuse("log_filter", problem);
        }
        check
    }
}

/// Settings with which nothing could be recorded as asked.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter cannot be read.
    #[error("log filter `{filter}` cannot be read; write one like `info,assay_storage=debug`")]
    Filter {
        /// What was given.
        filter: String,
        /// Why.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The ratio is not one.
    #[error("sample ratio {ratio} is not between 0 and 1")]
    Ratio {
        /// What was given.
        ratio: f64,
    },
    /// The collector's address cannot be used.
    #[error("`{endpoint}` is not an OTLP endpoint; write one like `http://collector:4317`")]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// Why.
        #[source]
        source: crate::error::BoxError,
    },
}

/// What is to be flushed at the end.
#[derive(Debug)]
#[must_use = "spans are lost without a shutdown"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Installs logs and traces for the process. Call it once, within a tokio runtime; later calls install nothing and
/// change nothing.
///
/// # Errors
/// [`TelemetryError`] if the settings are wrong. A collector that is away is not an error.
pub fn init(settings: &TelemetrySettings) -> Result<Telemetry, TelemetryError> {
    let (subscriber, telemetry) = build(settings)?;
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("telemetry was installed before");
    }
    Ok(telemetry)
}

impl Telemetry {
    /// Exports what is still queued, within [`FLUSH_DEADLINE`]; what does not get through by then is lost.
    pub async fn shutdown(self) {
        if let Some(provider) = self.provider {
            export::flush(provider).await;
        }
    }
}

/// The subscriber that [`init`] installs; tests install it for one thread.
pub(crate) fn build(
    settings: &TelemetrySettings,
) -> Result<(impl Subscriber + Send + Sync + use<>, Telemetry), TelemetryError> {
    if !(0.0..=1.0).contains(&settings.sample_ratio) {
        return Err(TelemetryError::Ratio {
            ratio: settings.sample_ratio,
        });
    }
    let provider = export::provider(settings)?;
    let subscriber = tracing_subscriber::registry()
        .with(log_layer(settings)?)
        .with(export::layer(provider.as_ref()));
    Ok((subscriber, Telemetry { provider }))
}

fn log_layer<S>(settings: &TelemetrySettings) -> Result<impl Layer<S> + use<S>, TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::builder().parse(&settings.log_filter);
    let filter = filter.map_err(|source| TelemetryError::Filter {
        filter: settings.log_filter.clone(),
        source,
    })?;
    // RPC spans are for traces alone: formatting them for every log line would cost more than most calls.
    let filter = filter.and(filter_fn(|metadata| metadata.target() != rpc::TARGET));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
    };
    Ok(lines.with_filter(filter))
}

#[cfg(test)]
mod tests;
