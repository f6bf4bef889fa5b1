//! A running service, its clients, and short ways to write resources and to read refusals.

pub(crate) mod bus;
pub(crate) mod make;

use std::{sync::Arc, time::Duration};

use assay_config::{Ports, Settings, serve};
use assay_platform::{Access, Channel, ChannelOptions, Code, Failure, MockClock, Shutdown, connect_lazy};
use assay_proto::config::v1::{
    self as pb, activation_service_client::ActivationServiceClient,
    experiment_service_client::ExperimentServiceClient, flag_service_client::FlagServiceClient,
    generation_service_client::GenerationServiceClient, holdout_service_client::HoldoutServiceClient,
    layer_service_client::LayerServiceClient, metric_service_client::MetricServiceClient,
    segment_service_client::SegmentServiceClient,
};
use assay_storage::{
    access_store::SqlAccessStore,
    config_bus::{ConfigBus, EmbeddedConfigBus},
    config_store::{ConfigStore, SqlConfigStore},
    sql::Database,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::Status;

/// 2026-09-21T13:46:40Z
pub(crate) const NOW: i64 = 1_790_000_000_000_000;

pub(crate) struct Service {
    pub(crate) flags: FlagServiceClient<Channel>,
    pub(crate) segments: SegmentServiceClient<Channel>,
    pub(crate) metrics: MetricServiceClient<Channel>,
    pub(crate) experiments: ExperimentServiceClient<Channel>,
    pub(crate) layers: LayerServiceClient<Channel>,
    pub(crate) holdouts: HoldoutServiceClient<Channel>,
    pub(crate) activations: ActivationServiceClient<Channel>,
    pub(crate) channel: Channel,
    pub(crate) generations: GenerationServiceClient<Channel>,
    pub(crate) store: Arc<dyn ConfigStore>,
    pub(crate) bus: Arc<dyn ConfigBus>,
    pub(crate) clock: MockClock,
    shutdown: Shutdown,
    serving: Option<JoinHandle<Result<(), assay_config::Error>>>,
}

impl Service {
    /// A service on an embedded truth and bus of its own.
    pub(crate) async fn start() -> Self {
        Self::start_on(store().await, Arc::new(EmbeddedConfigBus::new())).await
    }

    /// A replica: another one may be on the same stores.
    pub(crate) async fn start_on(store: Arc<dyn ConfigStore>, bus: Arc<dyn ConfigBus>) -> Self {
        Self::start_at(store, bus, MockClock::at(NOW)).await
    }

    /// Another replica on the same stores, with the same clock.
    pub(crate) async fn replica(&self) -> Self {
        Self::start_at(self.store.clone(), self.bus.clone(), self.clock.clone()).await
    }

    async fn start_at(store: Arc<dyn ConfigStore>, bus: Arc<dyn ConfigBus>, clock: MockClock) -> Self {
        Self::start_with(store, bus, clock, None).await
    }

    /// A service that asks `analysis` for winner signals.
    pub(crate) async fn start_asking(analysis: Channel) -> Self {
        let bus = Arc::new(EmbeddedConfigBus::new());
        Self::start_with(store().await, bus, MockClock::at(NOW), Some(analysis)).await
    }

    /// A service that callers need a key for. `access` is asked, and `database` holds truth and keys.
    pub(crate) async fn start_guarded(access: Access, database: Database, clock: MockClock) -> Self {
        let ports = Ports {
            store: Arc::new(SqlConfigStore::new(database.clone())),
            bus: Arc::new(EmbeddedConfigBus::new()),
            access: Arc::new(SqlAccessStore::new(database)),
            key_bus: Arc::new(EmbeddedConfigBus::new()),
            analysis: None,
        };
        Self::start_ports(ports, access, clock).await
    }

    async fn start_with(
        store: Arc<dyn ConfigStore>,
        bus: Arc<dyn ConfigBus>,
        clock: MockClock,
        analysis: Option<Channel>,
    ) -> Self {
        let ports = Ports {
            store,
            bus,
            access: Arc::new(SqlAccessStore::new(database().await)),
            key_bus: Arc::new(EmbeddedConfigBus::new()),
            analysis,
        };
        Self::start_ports(ports, Access::open(), clock).await
    }

    async fn start_ports(ports: Ports, access: Access, clock: MockClock) -> Self {
        let (store, bus) = (ports.store.clone(), ports.bus.clone());
        let settings = Settings {
            access,
            reconcile_interval_seconds: 1,
            schedule_interval: Duration::from_millis(10),
            ..Settings::default()
        };
        let shutdown = Shutdown::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(serve(listener, ports, settings, clock.shared(), shutdown.clone()));
        let channel = connect_lazy(&uri, &ChannelOptions::default()).unwrap();
        Self {
            flags: FlagServiceClient::new(channel.clone()),
            segments: SegmentServiceClient::new(channel.clone()),
            metrics: MetricServiceClient::new(channel.clone()),
            layers: LayerServiceClient::new(channel.clone()),
            holdouts: HoldoutServiceClient::new(channel.clone()),
            activations: ActivationServiceClient::new(channel.clone()),
            generations: GenerationServiceClient::new(channel.clone()),
            experiments: ExperimentServiceClient::new(channel.clone()),
            channel,
            store,
            bus,
            clock,
            shutdown,
            serving: Some(serving),
        }
    }

    /// Shuts the service down and waits until it has ended.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.trigger();
        self.serving.take().unwrap().await.unwrap().unwrap();
    }

    pub(crate) async fn flag(&mut self, flag: pb::Flag) -> pb::Flag {
        let created = self
            .flags
            .create_flag(pb::CreateFlagRequest { flag: Some(flag) })
            .await
            .unwrap();
        created.into_inner().flag.unwrap()
    }

    pub(crate) async fn segment(&mut self, segment: pb::Segment) -> pb::Segment {
        let request = pb::CreateSegmentRequest {
            segment: Some(segment),
        };
        self.segments
            .create_segment(request)
            .await
            .unwrap()
            .into_inner()
            .segment
            .unwrap()
    }

    pub(crate) async fn metric(&mut self, metric: pb::Metric) -> pb::Metric {
        let request = pb::CreateMetricRequest { metric: Some(metric) };
        self.metrics
            .create_metric(request)
            .await
            .unwrap()
            .into_inner()
            .metric
            .unwrap()
    }

    pub(crate) async fn try_experiment(
        &mut self,
        experiment: pb::Experiment,
    ) -> Result<pb::CreateExperimentResponse, Status> {
        let request = pb::CreateExperimentRequest {
            experiment: Some(experiment),
            ..Default::default()
        };
        self.experiments
            .create_experiment(request)
            .await
            .map(tonic::Response::into_inner)
    }

    pub(crate) async fn experiment(&mut self, experiment: pb::Experiment) -> pb::Experiment {
        self.try_experiment(experiment).await.unwrap().experiment.unwrap()
    }

    pub(crate) async fn get(&mut self, key: &str) -> pb::Experiment {
        let request = pb::GetExperimentRequest {
            namespace: String::new(),
            key: key.to_owned(),
        };
        self.experiments
            .get_experiment(request)
            .await
            .unwrap()
            .into_inner()
            .experiment
            .unwrap()
    }

    pub(crate) async fn try_start(
        &mut self,
        experiment: &pb::Experiment,
    ) -> Result<pb::StartExperimentResponse, Status> {
        let request = pb::StartExperimentRequest {
            namespace: experiment.namespace.clone(),
            key: experiment.key.clone(),
            version: experiment.version,
            confirm: true,
            ..Default::default()
        };
        self.experiments
            .start_experiment(request)
            .await
            .map(tonic::Response::into_inner)
    }

    /// A running experiment `key` on a flag of its own, with metric `retention_7`.
    pub(crate) async fn running(&mut self, key: &str) -> pb::Experiment {
        if self.try_metric("retention_7").await.is_err() {
            self.metric(make::retention("retention_7")).await;
        }
        let draft = self.experiment(make::ready(key)).await;
        self.try_start(&draft).await.unwrap().experiment.unwrap()
    }

    async fn try_metric(&mut self, key: &str) -> Result<pb::GetMetricResponse, Status> {
        let request = pb::GetMetricRequest {
            namespace: String::new(),
            key: key.to_owned(),
        };
        self.metrics
            .get_metric(request)
            .await
            .map(tonic::Response::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

/// `seconds` after [`NOW`].
pub(crate) fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: NOW / 1_000_000 + seconds,
        nanos: 0,
    })
}

/// An embedded truth in memory.
pub(crate) async fn store() -> Arc<dyn ConfigStore> {
    Arc::new(SqlConfigStore::new(database().await))
}

/// A database in memory.
pub(crate) async fn database() -> Database {
    let database = Database::connect("sqlite::memory:", 1).await.unwrap();
    database.migrate().await.unwrap();
    database
}

/// What a refused call says.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Status>, code: Code, reason: &str) -> Failure {
    let failure = Failure::from_status(&result.err().expect("the call is refused"));
    assert_eq!(
        (failure.code, &*failure.reason),
        (code, reason),
        "{failure}: {:?}",
        failure.violations
    );
    failure
}

/// The call is refused for these fields and rules, each with a plain sentence: the rule is in `reason` alone.
#[track_caller]
pub(crate) fn invalid<T>(result: Result<T, Status>, fields: &[(&str, &str)]) -> Failure {
    let failure = refused(result, Code::InvalidArgument, "INVALID_ARGUMENT");
    assert_violations(&failure, fields);
    failure
}

#[track_caller]
pub(crate) fn assert_violations(failure: &Failure, fields: &[(&str, &str)]) {
    let found: Vec<_> = failure
        .violations
        .iter()
        .map(|v| (v.field.as_str(), v.reason.as_str()))
        .collect();
    assert_eq!(found, fields, "{failure}");
    for violation in &failure.violations {
        let sentence = &violation.description;
        assert!(
            sentence.len() > 10 && !sentence.contains(&violation.reason),
            "{violation:?}"
        );
    }
}

/// The fact of this name.
#[track_caller]
pub(crate) fn fact<'a>(failure: &'a Failure, name: &str) -> &'a str {
    let found = failure.metadata.iter().find(|(key, _)| key == name);
    found
        .map(|(_, value)| value.as_str())
        .unwrap_or_else(|| panic!("{name} in {:?}", failure.metadata))
}

/// Waits until `condition` holds, at most ten seconds.
pub(crate) async fn eventually<F: Future<Output = Result<(), String>>>(mut condition: impl FnMut() -> F) {
    let mut last = String::new();
    for _ in 0..500 {
        match condition().await {
            Ok(()) => return,
            Err(state) => last = state,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 10 s; last seen: {last}");
}

/// Waits until the experiment is as `wanted` says, and returns it.
pub(crate) async fn until(
    service: &Service,
    key: &str,
    wanted: impl Fn(&pb::Experiment) -> bool,
) -> pb::Experiment {
    let get = || {
        let mut client = service.experiments.clone();
        let request = pb::GetExperimentRequest {
            key: key.to_owned(),
            ..Default::default()
        };
        async move {
            client
                .get_experiment(request)
                .await
                .unwrap()
                .into_inner()
                .experiment
                .unwrap()
        }
    };
    eventually(|| async {
        let found = get().await;
        if wanted(&found) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
    get().await
}
