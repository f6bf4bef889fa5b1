//! `ActivationService`, and what commands say of their own activation.

use std::{sync::Arc, time::Duration};

use assay_proto::{
    config::v1::{self as pb, activation_service_server::ActivationService},
    convert::{duration, duration_from, timestamp},
};
use tonic::{Request, Response, Status};

use super::request::open;
use crate::{
    error::Error,
    fence::{Activation, Condition, Fences, ReplicaStanding},
};

/// Longest wait that may be asked for.
const MAX_WAIT: Duration = Duration::from_secs(30);
const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// The service on the wire.
pub(super) struct Activations(pub(super) Arc<Fences>);

#[tonic::async_trait]
impl ActivationService for Activations {
    async fn wait_for_generation(
        &self,
        request: Request<pb::WaitForGenerationRequest>,
    ) -> Result<Response<pb::WaitForGenerationResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let wait = wait_from(request.wait)?.unwrap_or(DEFAULT_WAIT);
        let newest = self.0.newest(&call.namespace).await?;
        if !(1..=newest).contains(&request.generation) {
            let message = match (request.generation, newest) {
                (0, _) => "is missing; give that of a changed resource".to_owned(),
                (asked, newest) => format!("is {asked}; the newest is {newest}"),
            };
            return Err(Error::field("generation", "UNKNOWN_GENERATION", message).into());
        }
        let found = self.0.wait(&call.namespace, request.generation, wait).await?;
        Ok(Response::new(pb::WaitForGenerationResponse {
            activation: Some(activation(found)),
        }))
    }

    async fn list_replicas(
        &self,
        request: Request<pb::ListReplicasRequest>,
    ) -> Result<Response<pb::ListReplicasResponse>, Status> {
        let (caller, request) = open(request);
        let call = caller.to(&request.namespace)?;
        let replicas = self.0.replicas(&call.namespace).await?;
        Ok(Response::new(pb::ListReplicasResponse {
            replicas: replicas.into_iter().map(replica).collect(),
            generation: self.0.newest(&call.namespace).await?,
        }))
    }
}

/// How long a caller waits; not at all when it does not say so.
pub(super) fn wait_from(wait: Option<prost_types::Duration>) -> Result<Option<Duration>, Error> {
    let wait = wait.map(|wait| duration_from(wait, "wait")).transpose()?;
    match wait {
        Some(wait) if wait > MAX_WAIT => {
            let message = format!("is {wait:?}; wait at most 30 s, and go on with WaitForGeneration");
            Err(Error::field("wait", "RANGE", message))
        }
        wait => Ok(wait),
    }
}

pub(super) fn activation(found: Activation) -> pb::Activation {
    pb::Activation {
        generation: found.generation,
        replicas: found.replicas,
        slowest: Some(duration(found.slowest)),
        unconfirmed: found.unconfirmed,
        fence_time: found.fence.map(timestamp),
    }
}

fn replica(standing: ReplicaStanding) -> pb::Replica {
    let state = match standing.condition {
        Condition::Current => pb::ReplicaState::Current,
        Condition::Behind => pb::ReplicaState::Behind,
        Condition::Silent => pb::ReplicaState::Silent,
    };
    pb::Replica {
        id: standing.id,
        generation: standing.served.map_or(0, |(generation, _)| generation),
        serving_since: standing.served.map(|(_, since)| timestamp(since)),
        state: state.into(),
        age: Some(duration(standing.age)),
    }
}
