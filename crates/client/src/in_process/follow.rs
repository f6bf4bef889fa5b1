//! Keeps what decides equal to what assignment serves.

use std::{sync::Arc, time::Duration};

use assay_core::key::Namespace;
use assay_platform::{Backoff, Failure};
use assay_proto::{
    assignment::v1::{WatchConfigRequest, WatchConfigResponse},
    view::View,
};
use tokio::{sync::watch, time::timeout};
use tonic::{Status, Streaming};

use super::{
    Serving,
    copy::{Copy, Taken},
};
use crate::Client;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// A watch that says nothing at all for this long is dead: there is a sign of life every 10 s.
const SILENCE: Duration = Duration::from_secs(30);

type Served = watch::Sender<Option<Arc<Serving>>>;

/// Follows for ever. When the server is away, what came last stays.
pub(super) async fn follow(client: Client, namespace: Namespace, served: Served) {
    let (mut copy, mut backoff) = (Copy::default(), Backoff::new(FIRST_DELAY, MAX_DELAY));
    loop {
        let request = WatchConfigRequest {
            namespace: namespace.to_string(),
            cursor: Some(copy.cursor()),
        };
        let asked = match client.assignments().watch_config(request).await {
            Ok(watch) => {
                let watch = watch.into_inner();
                listen(watch, &mut copy, &mut backoff, &namespace, &served).await
            }
            Err(status) => retry_after(&status),
        };
        tokio::time::sleep(backoff.next_delay().max(asked)).await;
    }
}

/// Takes in what comes until the watch ends; the answer is how long the server asks to be left alone.
async fn listen(
    mut watch: Streaming<WatchConfigResponse>,
    copy: &mut Copy,
    backoff: &mut Backoff,
    namespace: &Namespace,
    served: &Served,
) -> Duration {
    loop {
        let response = match timeout(SILENCE, watch.message()).await {
            Ok(Ok(Some(response))) => response,
            Ok(Err(status)) => return retry_after(&status),
            Ok(Ok(None)) | Err(_) => return Duration::ZERO,
        };
        match copy.take(response) {
            Taken::Part => backoff.reset(),
            Taken::Whole(view) => {
                backoff.reset();
                serve(view, namespace, served).await;
            }
            // Without a reset: a server that says the same again is asked less and less.
            Taken::Broken => return Duration::ZERO,
        }
    }
}

fn retry_after(status: &Status) -> Duration {
    Failure::from_status(status).retry_after.unwrap_or_default()
}

/// Decides from `view` from now on, unless it is older than what decides.
async fn serve(view: View, namespace: &Namespace, served: &Served) {
    let newest = served
        .borrow()
        .as_ref()
        .map(|serving| serving.snapshot.generation());
    if newest.is_some_and(|newest| view.generation < newest) {
        return;
    }
    let namespace = namespace.clone();
    let compiled = tokio::task::spawn_blocking(move || {
        let (snapshot, rejected) = view.compile(&namespace);
        Serving {
            snapshot,
            is_whole: rejected.is_empty(),
        }
    });
    if let Ok(serving) = compiled.await {
        served.send_replace(Some(Arc::new(serving)));
    }
}
