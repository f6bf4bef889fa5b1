#![doc = include_str!("../README.md")]
//!
//! Calls that find a service away ([`Code::Unavailable`]) are repeated a few times, each a little later; whatever else goes wrong is
//! returned at once as an [`Error`] with the server's reason, its sentence and the fields that are wrong. Everything the typed calls do
//! not cover is there through the generated clients, such as [`Client::experiments`].
//!
//! Read [`Client`], then [`resource`] (flags, segments, metrics, experiments), [`command`] (the lifecycle), [`generation`] (history, whole namespaces), [`record`] and [`decide`].
//! A service that serves variants wants a [`Decider`].
#![warn(missing_docs)]

pub mod activation;
pub mod command;
pub mod decide;
pub mod decider;
mod error;
pub mod generation;
mod in_process;
mod install_id;
mod pool;
pub mod record;
pub mod resource;

use std::{future::Future, num::NonZero, time::Duration};

use assay_platform::{
    Backoff, Channel, ChannelOptions, Code, Failure, channel::as_one_request, connect_lazy,
};
use assay_proto::{
    analysis::v1::analysis_service_client::AnalysisServiceClient,
    assignment::v1::assignment_service_client::AssignmentServiceClient,
    config::v1::{
        access_service_client::AccessServiceClient, activation_service_client::ActivationServiceClient,
        audit_service_client::AuditServiceClient, experiment_service_client::ExperimentServiceClient,
        flag_service_client::FlagServiceClient, generation_service_client::GenerationServiceClient,
        holdout_service_client::HoldoutServiceClient, layer_service_client::LayerServiceClient,
        metric_service_client::MetricServiceClient, segment_service_client::SegmentServiceClient,
    },
    ingest::v1::ingest_service_client::IngestServiceClient,
};
use tonic::{Response, Status};

use pool::Pool;

pub use decider::{Decider, DeciderOptions};
pub use error::Error;
pub use in_process::DecisionCounts;
pub use install_id::{InstallId, InstallIdError};

/// Largest answer that is read, in bytes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// How often a call is made at most.
const ATTEMPTS: usize = 5;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(2);
/// A service that asks for a longer pause is not waited for.
const MAX_ASKED: Duration = Duration::from_secs(5);

/// Where the services answer, such as `http://127.0.0.1:7071`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Flags, segments, metrics, experiments.
    pub config: String,
    /// Who gets what.
    pub assignment: String,
    /// Events and exposures.
    pub ingest: String,
    /// Results.
    pub analysis: String,
}

impl Default for Endpoints {
    /// The default ports on this machine.
    fn default() -> Self {
        let local = |port: u16| format!("http://127.0.0.1:{port}");
        Self {
            assignment: local(7070),
            config: local(7071),
            ingest: local(7072),
            analysis: local(7073),
        }
    }
}

/// A client of all services. Connects on first use; cheap to clone, clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    config: Channel,
    assignment: Pool,
    ingest: Channel,
    analysis: Channel,
}

impl Client {
    /// A client of the services at `endpoints`, connected when first used.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when an address is none.
    pub fn connect(endpoints: &Endpoints) -> Result<Self, Error> {
        Self::connect_with(endpoints, &ChannelOptions::default())
    }

    /// As [`Client::connect`], with timeouts, TLS and an API key of your own.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when an address is none, or TLS cannot be set up.
    pub fn connect_with(endpoints: &Endpoints, options: &ChannelOptions) -> Result<Self, Error> {
        Self::connect_pooled(endpoints, options, NonZero::<usize>::MIN)
    }

    /// As [`Client::connect_with`], with several connections to assignment, which take turns. A replica answers each connection on one of
    /// its cores, so one connection is answered by one core, however many calls it carries.
    ///
    /// # Errors
    /// As [`Client::connect_with`].
    pub fn connect_pooled(
        endpoints: &Endpoints,
        options: &ChannelOptions,
        connections: NonZero<usize>,
    ) -> Result<Self, Error> {
        Ok(Self {
            config: connect_lazy(&endpoints.config, options)?,
            assignment: Pool::connect(&endpoints.assignment, options, connections)?,
            ingest: connect_lazy(&endpoints.ingest, options)?,
            analysis: connect_lazy(&endpoints.analysis, options)?,
        })
    }

    /// The generated client of `assay.config.v1.FlagService`.
    pub fn flags(&self) -> FlagServiceClient<Channel> {
        FlagServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.SegmentService`.
    pub fn segments(&self) -> SegmentServiceClient<Channel> {
        SegmentServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.MetricService`.
    pub fn metrics(&self) -> MetricServiceClient<Channel> {
        MetricServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.ExperimentService`.
    pub fn experiments(&self) -> ExperimentServiceClient<Channel> {
        ExperimentServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.LayerService`.
    pub fn layers(&self) -> LayerServiceClient<Channel> {
        LayerServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.HoldoutService`.
    pub fn holdouts(&self) -> HoldoutServiceClient<Channel> {
        HoldoutServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.GenerationService`.
    pub fn generations(&self) -> GenerationServiceClient<Channel> {
        GenerationServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.ActivationService`.
    pub fn activations(&self) -> ActivationServiceClient<Channel> {
        ActivationServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.AccessService`.
    pub fn access(&self) -> AccessServiceClient<Channel> {
        AccessServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.config.v1.AuditService`.
    pub fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.assignment.v1.AssignmentService`.
    pub fn assignments(&self) -> AssignmentServiceClient<Channel> {
        AssignmentServiceClient::new(self.assignment.next()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.ingest.v1.IngestService`.
    pub fn ingest(&self) -> IngestServiceClient<Channel> {
        IngestServiceClient::new(self.ingest.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The generated client of `assay.analysis.v1.AnalysisService`.
    pub fn analysis(&self) -> AnalysisServiceClient<Channel> {
        AnalysisServiceClient::new(self.analysis.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

/// Makes `call`, again and a little later each time while the service is away. All attempts carry one idempotency key, so that a change is
/// made once.
///
/// # Errors
/// [`Error::Call`] with what the last attempt met.
pub async fn retry<T, F>(call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    as_one_request(attempts(call)).await
}

async fn attempts<T, F>(mut call: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut delays = Backoff::new(FIRST_DELAY, MAX_DELAY).take(ATTEMPTS - 1);
    loop {
        let failure = match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => Failure::from_status(&status),
        };
        match delays.next() {
            Some(delay) if may_repeat(&failure) => {
                let asked = failure.retry_after.unwrap_or_default();
                tokio::time::sleep(delay.max(asked)).await;
            }
            _ => return Err(failure.into()),
        }
    }
}

/// Whether the call is made again: the service is away, or has reached a limit and says when it will be below; never sooner than it asks,
/// and not at all when that is too long to wait for.
fn may_repeat(failure: &Failure) -> bool {
    let asks = match failure.code {
        Code::Unavailable => Some(failure.retry_after.unwrap_or_default()),
        Code::ResourceExhausted => failure.retry_after,
        _ => None,
    };
    asks.is_some_and(|delay| delay <= MAX_ASKED)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn only_what_is_away_is_tried_again() {
        let calls = Cell::new(0);
        let away_twice = retry(|| {
            calls.set(calls.get() + 1);
            let answer = if calls.get() < 3 {
                Err(Status::unavailable("away"))
            } else {
                Ok(Response::new(calls.get()))
            };
            async { answer }
        });
        assert_eq!(away_twice.await.unwrap(), 3);

        calls.set(0);
        let refused = retry(|| {
            calls.set(calls.get() + 1);
            async { Err::<Response<()>, _>(Status::already_exists("flag `gate` exists already")) }
        });
        let error = refused.await.unwrap_err();
        assert_eq!((calls.get(), error.code()), (1, Some(Code::AlreadyExists)));
        assert_eq!(error.to_string(), "flag `gate` exists already");

        calls.set(0);
        let gone = retry(|| {
            calls.set(calls.get() + 1);
            async { Err::<Response<()>, _>(Status::unavailable("away")) }
        });
        assert_eq!(gone.await.unwrap_err().code(), Some(Code::Unavailable));
        assert_eq!(calls.get(), ATTEMPTS);
    }

    #[tokio::test]
    async fn the_pause_that_a_service_asks_for_is_kept() {
        let calls = Cell::new(0);
        let (begun, pause) = (tokio::time::Instant::now(), Duration::from_millis(200));
        let limited = retry(|| {
            calls.set(calls.get() + 1);
            let answer = match calls.get() {
                1 => Err(Failure::new(Code::ResourceExhausted, "FULL", "full")
                    .with_retry_after(pause)
                    .into()),
                _ => Ok(Response::new(())),
            };
            async { answer }
        });
        limited.await.unwrap();
        assert!(
            (2, true) == (calls.get(), begun.elapsed() >= pause),
            "{:?}",
            begun.elapsed()
        );
        for failure in [
            Failure::new(Code::ResourceExhausted, "FULL", "full"),
            Failure::unavailable("AWAY", "away", Duration::from_secs(3_600)),
        ] {
            calls.set(0);
            let status = Status::from(failure);
            let given_up = retry(|| {
                calls.set(calls.get() + 1);
                let status = status.clone();
                async { Err::<Response<()>, _>(status) }
            });
            given_up.await.unwrap_err();
            assert_eq!(calls.get(), 1, "{status:?}");
        }
    }

    #[tokio::test]
    async fn a_wrong_address_says_what_to_write() {
        let endpoints = Endpoints {
            config: "localhost:7071".into(),
            ..Endpoints::default()
        };
        let error = Client::connect(&endpoints).unwrap_err().to_string();
        assert!(error.contains("write one like"), "{error}");
    }
}
