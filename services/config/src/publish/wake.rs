use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Most traces that one round is linked to.
const MAX_TRACES: usize = 128;

/// How a use case tells the publisher of this process that something has changed. Changes of other replicas are
/// published by them, or found when everything is compared.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    notify: Notify,
    traces: Mutex<Vec<String>>,
}

impl Wake {
    /// A change has been made by the request of this trace; the empty text is none.
    pub(crate) fn changed(&self, traceparent: &str) {
        let mut traces = self.traces();
        if !traceparent.is_empty() && traces.len() < MAX_TRACES {
            traces.push(traceparent.to_owned());
        }
        drop(traces);
        self.notify.notify_one();
    }

    /// Resolves once for all changes since it last did.
    pub(super) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// The traces of the changes since they were last taken.
    pub(super) fn take_traces(&self) -> Vec<String> {
        std::mem::take(&mut self.traces())
    }

    fn traces(&self) -> MutexGuard<'_, Vec<String>> {
        // A list of texts is whole whatever happened to who held it.
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
