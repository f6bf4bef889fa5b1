//! Decisions made in this process.

mod copy;
mod follow;
mod outbox;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use assay_core::{
    assign::{Assignment, Keep, Reason, assign},
    key::{Namespace, Unit},
    snapshot::Snapshot,
    time::Timestamp,
    value::Attributes,
};
use assay_platform::{SharedClock, Shutdown};
use assay_proto::{
    assignment::v1 as pb,
    convert::{assignment, attributes_to_struct, timestamp, unit as unit_message, value_to},
};
use tokio::{sync::watch, task::JoinSet};

use crate::{Client, DeciderOptions};
pub use outbox::DecisionCounts;
use outbox::Outbox;

/// What decides now.
pub(crate) struct Serving {
    snapshot: Snapshot,
    /// Whether all of the configuration could be compiled here. A client that is older than its servers may not know a kind of resource.
    is_whole: bool,
}

/// Follows the configuration of a namespace and decides from it.
pub(crate) struct InProcess {
    serving: watch::Receiver<Option<Arc<Serving>>>,
    outbox: Arc<Outbox>,
    clock: SharedClock,
    drain_deadline: Duration,
    stop: Shutdown,
    /// Dropped, it ends its tasks.
    tasks: Mutex<JoinSet<()>>,
}

/// Answers of one generation that are not given yet.
pub(crate) struct Local {
    answers: Vec<pb::Assignment>,
    exposures: Vec<pb::Decision>,
    /// Whether none of them depends on what only assignment knows.
    is_whole: bool,
}

impl Local {
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

impl InProcess {
    pub(crate) fn start(client: &Client, namespace: &Namespace, options: &DeciderOptions) -> Arc<Self> {
        let (served, serving) = watch::channel(None);
        let outbox = Arc::new(Outbox::new(options.max_pending));
        let (stop, mut tasks) = (Shutdown::new(), JoinSet::new());
        tasks.spawn(follow::follow(client.clone(), namespace.clone(), served));
        let shipped = outbox.clone();
        let (client, namespace, interval, stopped) = (
            client.clone(),
            namespace.clone(),
            options.ship_interval,
            stop.clone(),
        );
        tasks.spawn(async move { shipped.ship(&client, &namespace, interval, &stopped).await });
        Arc::new(Self {
            serving,
            outbox,
            clock: options.clock.clone(),
            drain_deadline: options.drain_deadline,
            stop,
            tasks: Mutex::new(tasks),
        })
    }

    pub(crate) async fn ready(&self, limit: Duration) -> bool {
        let mut serving = self.serving.clone();
        let ready = serving.wait_for(Option::is_some);
        matches!(tokio::time::timeout(limit, ready).await, Ok(Ok(_)))
    }

    pub(crate) fn generation(&self) -> Option<u64> {
        let serving = self.serving.borrow();
        serving.as_ref().map(|serving| serving.snapshot.generation())
    }

    pub(crate) fn counts(&self) -> DecisionCounts {
        self.outbox.counts()
    }

    pub(crate) async fn close(&self) -> DecisionCounts {
        self.stop.trigger();
        let drained = self.outbox.drained();
        // What is left in time is pending.
        let _ = tokio::time::timeout(self.drain_deadline, drained).await;
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .abort_all();
        self.counts()
    }

    /// What is decided here; nothing until there is a configuration.
    pub(crate) fn decide(
        &self,
        unit: Option<&Unit>,
        attributes: &Attributes,
        flags: &[String],
        exposure: pb::Exposure,
    ) -> Option<Local> {
        let serving = self.serving.borrow().clone()?;
        let all;
        let keys = match flags {
            [] => {
                all = all_flags(&serving.snapshot);
                &all
            }
            named => named,
        };
        let asked = Asked {
            serving: &serving,
            unit,
            attributes,
            records: match exposure {
                pb::Exposure::Unspecified => flags.len() == 1,
                pb::Exposure::Record => true,
                pb::Exposure::Peek => false,
            },
            remembers: exposure != pb::Exposure::Peek,
            now: Timestamp::from_micros(self.clock.now_micros()),
        };
        let mut local = Local {
            answers: Vec::with_capacity(keys.len()),
            exposures: Vec::new(),
            is_whole: true,
        };
        for key in keys {
            asked.decide(key, &mut local);
        }
        Some(local)
    }

    /// Gives the answers: their exposures are sent.
    pub(crate) fn give(&self, local: Local) -> Vec<pb::Assignment> {
        local
            .exposures
            .into_iter()
            .for_each(|exposure| self.outbox.push(exposure));
        local.answers
    }
}

fn all_flags(snapshot: &Snapshot) -> Vec<String> {
    let mut keys: Vec<_> = snapshot.flags().map(ToString::to_string).collect();
    keys.sort_unstable();
    keys
}

/// A question.
struct Asked<'a> {
    serving: &'a Serving,
    unit: Option<&'a Unit>,
    attributes: &'a Attributes,
    records: bool,
    remembers: bool,
    now: Timestamp,
}

impl Asked<'_> {
    fn decide(&self, key: &str, local: &mut Local) {
        let snapshot = &self.serving.snapshot;
        let decided = assign(snapshot, key, self.unit, self.attributes, self.now);
        // A first assignment that nobody remembers could be another one later.
        let is_stored = decided.needs.is_some() || self.remembers && decided.keep != Keep::No;
        let may_be_known = decided.reason == Reason::UnknownFlag && !self.serving.is_whole;
        local.is_whole &= !is_stored && !may_be_known;
        if is_stored {
            local.answers.push(degraded(snapshot, key, &decided));
            return;
        }
        local.answers.push(assignment(key, &decided));
        if self.records && decided.exposes {
            let exposure = self.unit.and_then(|unit| self.exposure(&decided, unit));
            local.exposures.extend(exposure);
        }
    }

    fn exposure(&self, decided: &Assignment<'_>, unit: &Unit) -> Option<pb::Decision> {
        let carried: Attributes = decided
            .segmenting_of(self.attributes)
            .map(|(name, attribute)| (name.clone(), attribute.clone()))
            .collect();
        Some(pb::Decision {
            experiment_key: decided.experiment?.to_string(),
            variant_key: decided.variant?.to_string(),
            cohort: decided.cohort,
            generation: decided.generation,
            unit: Some(unit_message(unit)),
            time: Some(timestamp(self.now)),
            attributes: (!carried.is_empty()).then(|| attributes_to_struct(&carried)),
        })
    }
}

/// What is served where stored data is needed and out of reach.
fn degraded(snapshot: &Snapshot, key: &str, decided: &Assignment<'_>) -> pb::Assignment {
    pb::Assignment {
        flag_key: key.to_owned(),
        experiment_key: decided.experiment.map(ToString::to_string).unwrap_or_default(),
        value: snapshot.default_of(key).map(value_to),
        reason: pb::Reason::Degraded.into(),
        generation: decided.generation,
        ..Default::default()
    }
}
