//! When a change has taken hold everywhere.

use std::time::{Duration, Instant};

use assay_proto::config::v1 as pb;

use crate::{Client, Error, retry};

/// Longest wait of one call: less than a call may take at most.
const STEP: Duration = Duration::from_secs(2);

impl Client {
    /// Waits until the fence of `generation` is known, at most for `limit`, and says how far the generation has come: without
    /// `fence_time` the limit was too short.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn wait_for_generation(
        &self,
        namespace: &str,
        generation: u64,
        limit: Duration,
    ) -> Result<pb::Activation, Error> {
        let begun = Instant::now();
        loop {
            let left = limit
                .saturating_sub(begun.elapsed())
                .max(Duration::from_millis(1));
            let request = pb::WaitForGenerationRequest {
                namespace: namespace.to_owned(),
                generation,
                wait: Some(message(left.min(STEP))),
            };
            let found = retry(|| {
                let (mut service, request) = (self.activations(), request.clone());
                async move { service.wait_for_generation(request).await }
            });
            let found = found
                .await?
                .activation
                .ok_or(Error::Incomplete { what: "activation" })?;
            if found.fence_time.is_some() || begun.elapsed() >= limit {
                return Ok(found);
            }
        }
    }

    /// The replicas of assignment, and the newest generation of the namespace.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub async fn replicas(&self, namespace: &str) -> Result<pb::ListReplicasResponse, Error> {
        let request = pb::ListReplicasRequest {
            namespace: namespace.to_owned(),
        };
        retry(|| {
            let (mut service, request) = (self.activations(), request.clone());
            async move { service.list_replicas(request).await }
        })
        .await
    }
}

/// Whole milliseconds: what the server takes.
fn message(duration: Duration) -> assay_proto::Duration {
    assay_proto::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_millis() * 1_000_000).unwrap_or(0),
    }
}
