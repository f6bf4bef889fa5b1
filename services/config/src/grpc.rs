//! The wire: decode → call → encode, no rules.

mod access;
mod activation;
mod audit;
mod contents;
mod experiments;
mod flags;
mod generations;
mod holdouts;
mod layers;
mod mask;
mod metrics;
mod request;
mod segments;

use std::sync::Arc;

use assay_proto::config::v1::{
    access_service_server::{self, AccessServiceServer},
    activation_service_server::{self, ActivationServiceServer},
    audit_service_server::{self, AuditServiceServer},
    experiment_service_server::{self, ExperimentServiceServer},
    flag_service_server::{self, FlagServiceServer},
    generation_service_server::{self, GenerationServiceServer},
    holdout_service_server::{self, HoldoutServiceServer},
    layer_service_server::{self, LayerServiceServer},
    metric_service_server::{self, MetricServiceServer},
    segment_service_server::{self, SegmentServiceServer},
};
use tonic::service::Routes;

use crate::{access::Keys, fence::Fences, idempotency, signal::Signals, truth::Truth};
pub(crate) use access::keyring;
pub use access::keys_of;

/// Largest request, in bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// The full names of what is served.
pub(crate) const SERVICES: [&str; 10] = [
    access_service_server::SERVICE_NAME,
    activation_service_server::SERVICE_NAME,
    audit_service_server::SERVICE_NAME,
    flag_service_server::SERVICE_NAME,
    segment_service_server::SERVICE_NAME,
    metric_service_server::SERVICE_NAME,
    experiment_service_server::SERVICE_NAME,
    layer_service_server::SERVICE_NAME,
    holdout_service_server::SERVICE_NAME,
    generation_service_server::SERVICE_NAME,
];

/// The services on `truth` and `keys`, with winner signals from `signals`; what was done under an idempotency key is done once.
pub(crate) fn routes(truth: &Truth, signals: &Signals, fences: &Arc<Fences>, keys: &Keys) -> Routes {
    let access = AccessServiceServer::new(access::AccessGrpc { keys: keys.clone() });
    let audit = AuditServiceServer::new(audit::AuditGrpc {
        store: keys.store.clone(),
    });
    let flags = FlagServiceServer::new(flags::Flags { truth: truth.clone() });
    let segments = SegmentServiceServer::new(segments::Segments { truth: truth.clone() });
    let metrics = MetricServiceServer::new(metrics::Metrics { truth: truth.clone() });
    let experiments = ExperimentServiceServer::new(experiments::Experiments {
        truth: truth.clone(),
        signals: signals.clone(),
        fences: fences.clone(),
    });
    let layers = LayerServiceServer::new(layers::Layers { truth: truth.clone() });
    let holdouts = HoldoutServiceServer::new(holdouts::Holdouts { truth: truth.clone() });
    let activations = ActivationServiceServer::new(activation::Activations(fences.clone()));
    let generations = GenerationServiceServer::new(generations::Generations { truth: truth.clone() });
    let routes = Routes::new(flags.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(segments.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(metrics.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(generations.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(layers.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(holdouts.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(experiments.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(activations.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(access.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(audit.max_decoding_message_size(MAX_MESSAGE_BYTES));
    let once = idempotency::OnceLayer::new(keys.store.clone());
    Routes::from(routes.into_axum_router().layer(once))
}
