//! What is measured: experiments and metrics, asked of the config service and kept for a while.
//!
//! A record must be folded with the definitions of its time. A pause that begins at `t` is stored before `t` is over, so definitions asked
//! for after a record was received know every pause that the record may lie in. [`Definitions::as_of`] keeps that order. The fence of a
//! start, from which an experiment counts, becomes known a moment after it: until then [`Counting::Awaited`] holds its records back.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use assay_core::{
    experiment::{Experiment, ExperimentMetric},
    fold::MetricFold,
    key::{ExperimentKey, MetricKey, Namespace},
    metric::Metric,
    segment::RuleError,
    time::Timestamp,
};
use assay_platform::{Channel, SharedClock};
use assay_proto::{
    config::v1::{
        self as pb, ExperimentState, GetExperimentRequest, ListExperimentsRequest, ListMetricsRequest,
        experiment_service_client::ExperimentServiceClient, metric_service_client::MetricServiceClient,
    },
    convert::optional_timestamp_from,
    field::FieldErrors,
};
use tokio::sync::Mutex;

/// Why definitions could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// The config service is away.
    #[error("the config service did not answer")]
    Config(#[source] Box<tonic::Status>),
    /// The config service answered something that cannot be understood.
    #[error("the config service answered something that cannot be understood")]
    Answer(#[from] FieldErrors),
    /// A metric has a filter that cannot be evaluated.
    #[error("metric `{metric}` has a filter that cannot be evaluated")]
    Filter {
        /// The metric.
        metric: MetricKey,
        /// What is wrong with it.
        #[source]
        source: RuleError,
    },
}

impl From<tonic::Status> for DefinitionsError {
    fn from(status: tonic::Status) -> Self {
        Self::Config(Box::new(status))
    }
}

/// From when exposures of an experiment count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Counting {
    /// All of them: it has no fence, as what was decided elsewhere.
    Always,
    /// It is not known yet: nothing of it can be counted.
    Awaited,
    /// From the fence of its start on.
    From {
        /// The fence. It never changes.
        time: Timestamp,
        /// The replicas that had not answered by then.
        unconfirmed: Vec<String>,
    },
}

impl Counting {
    fn of(message: &pb::Experiment) -> Result<Self, FieldErrors> {
        let time = optional_timestamp_from(message.counting_from, "counting_from")?;
        Ok(match time {
            Some(time) => Self::From {
                time,
                unconfirmed: message.unconfirmed_replicas.clone(),
            },
            None if message.counting_awaited => Self::Awaited,
            None => Self::Always,
        })
    }
}

/// An experiment with its metrics in full.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) experiment: Experiment,
    pub(crate) counting: Counting,
    pub(crate) metrics: Vec<Measured>,
}

/// A metric as an experiment has it.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) listed: ExperimentMetric,
    pub(crate) metric: Metric,
    pub(crate) fold: MetricFold,
}

impl Measured {
    pub(crate) fn new(listed: ExperimentMetric, metric: Metric) -> Result<Self, DefinitionsError> {
        let fold = MetricFold::new(&metric.kind).map_err(|source| DefinitionsError::Filter {
            metric: metric.key.clone(),
            source,
        })?;
        Ok(Self { listed, metric, fold })
    }
}

/// All experiments of a namespace that may have records.
#[derive(Debug, Default)]
pub(crate) struct NamespaceDefinitions {
    pub(crate) experiments: HashMap<ExperimentKey, Definition>,
}

/// The definitions, by namespace.
pub(crate) struct Definitions {
    config: Channel,
    clock: SharedClock,
    kept: Mutex<HashMap<Namespace, (Timestamp, Arc<NamespaceDefinitions>)>>,
}

const PAGE: i32 = 100;
/// Largest page that is read, in bytes: a hundred of the largest experiments fit.
const MAX_PAGE_BYTES: usize = 256 * 1024 * 1024;
const STATES: [ExperimentState; 6] = [
    ExperimentState::Scheduled,
    ExperimentState::Running,
    ExperimentState::Paused,
    ExperimentState::Completed,
    ExperimentState::Ended,
    ExperimentState::Archived,
];

impl Definitions {
    pub(crate) fn new(config: Channel, clock: SharedClock) -> Self {
        Self {
            config,
            clock,
            kept: Mutex::default(),
        }
    }

    /// The definitions of `namespace`, asked for no earlier than `time`, or just now.
    ///
    /// # Errors
    /// [`DefinitionsError`] when the config service is needed and does not answer.
    pub(crate) async fn as_of(
        &self,
        namespace: &Namespace,
        time: Timestamp,
    ) -> Result<Arc<NamespaceDefinitions>, DefinitionsError> {
        let mut kept = self.kept.lock().await;
        if let Some((asked_at, definitions)) = kept.get(namespace)
            && *asked_at >= time
        {
            return Ok(definitions.clone());
        }
        let asked_at = Timestamp::from_micros(self.clock.now_micros());
        let definitions = Arc::new(self.ask(namespace).await?);
        kept.insert(namespace.clone(), (asked_at, definitions.clone()));
        Ok(definitions)
    }

    /// Asks anew next time, whatever is kept: something that it awaits may have become known.
    pub(crate) async fn forget(&self, namespace: &Namespace) {
        self.kept.lock().await.remove(namespace);
    }

    /// One experiment as it is now, drafts included.
    ///
    /// # Errors
    /// The config service's own status, `NOT_FOUND` among them.
    pub(crate) async fn one(
        &self,
        namespace: &Namespace,
        key: &ExperimentKey,
    ) -> Result<Definition, DefinitionsError> {
        let request = GetExperimentRequest {
            namespace: namespace.to_string(),
            key: key.to_string(),
        };
        let response = self
            .experiment_client()
            .get_experiment(request)
            .await?
            .into_inner();
        let message = response.experiment.unwrap_or_default();
        let counting = Counting::of(&message)?;
        let experiment = Experiment::try_from(message)?;
        let metrics = self.metrics(namespace).await?;
        define(experiment, counting, &metrics)
    }

    fn experiment_client(&self) -> ExperimentServiceClient<Channel> {
        ExperimentServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_PAGE_BYTES)
    }

    fn metric_client(&self) -> MetricServiceClient<Channel> {
        MetricServiceClient::new(self.config.clone()).max_decoding_message_size(MAX_PAGE_BYTES)
    }

    async fn ask(&self, namespace: &Namespace) -> Result<NamespaceDefinitions, DefinitionsError> {
        let metrics = self.metrics(namespace).await?;
        let mut client = self.experiment_client();
        let mut experiments = HashMap::new();
        let mut page_token = String::new();
        loop {
            let request = ListExperimentsRequest {
                namespace: namespace.to_string(),
                page_size: PAGE,
                page_token,
                states: STATES.map(i32::from).to_vec(),
                ..Default::default()
            };
            let response = client.list_experiments(request).await?.into_inner();
            for message in response.experiments {
                let counting = Counting::of(&message)?;
                let experiment = Experiment::try_from(message)?;
                experiments.insert(experiment.key.clone(), define(experiment, counting, &metrics)?);
            }
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(NamespaceDefinitions { experiments });
            }
        }
    }

    async fn metrics(&self, namespace: &Namespace) -> Result<BTreeMap<MetricKey, Metric>, DefinitionsError> {
        let mut client = self.metric_client();
        let mut metrics = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let request = ListMetricsRequest {
                namespace: namespace.to_string(),
                page_size: PAGE,
                page_token,
            };
            let response = client.list_metrics(request).await?.into_inner();
            for message in response.metrics {
                let metric = Metric::try_from(message)?;
                metrics.insert(metric.key.clone(), metric);
            }
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(metrics);
            }
        }
    }
}

/// A metric that an experiment names exists: it cannot be deleted while it is named.
fn define(
    experiment: Experiment,
    counting: Counting,
    metrics: &BTreeMap<MetricKey, Metric>,
) -> Result<Definition, DefinitionsError> {
    let named = experiment.metrics.iter();
    let metrics = named
        .filter_map(|listed| Some((listed, metrics.get(&listed.metric)?)))
        .map(|(listed, metric)| Measured::new(listed.clone(), metric.clone()))
        .collect::<Result<_, _>>()?;
    Ok(Definition {
        experiment,
        counting,
        metrics,
    })
}
