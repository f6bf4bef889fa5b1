//! What can only be seen in a process of its own: the installed subscriber, and signals.

use std::process::Command;

use assay_platform::shutdown::run_until_signal;
use assay_platform::telemetry::{self, current_traceparent, rpc};
use assay_platform::{TelemetrySettings, install_crypto};

#[tokio::test]
async fn without_a_collector_rpc_spans_are_disabled_at_their_call_site() {
    install_crypto();
    // The dynamic part, `[work]`, keeps the filter from deciding everything at the call sites of logs.
    let log_filter = "trace,[work]=trace,h2=off,mio=off".to_owned();
    let settings = TelemetrySettings {
        log_filter,
        ..TelemetrySettings::default()
    };
    let telemetry = telemetry::init(&settings).unwrap();
    let again = telemetry::init(&settings).unwrap();
    assert!(!tracing::info_span!("work").is_disabled());
    assert!(tracing::info_span!(target: rpc::TARGET, "rpc").is_disabled());
    assert_eq!(current_traceparent(), None);
    telemetry.shutdown().await;
    again.shutdown().await;
}

#[tokio::test]
async fn r2_sigterm_triggers_the_shutdown_and_the_work_ends_it() {
    let work = |shutdown: assay_platform::Shutdown| async move {
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM $PPID"])
            .status()
            .unwrap();
        assert!(sent.success());
        shutdown.triggered().await;
        "flushed"
    };
    assert_eq!(run_until_signal("test", work).await, Ok("flushed"));
}
