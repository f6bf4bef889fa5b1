//! The publisher: makes the bus equal to the truth, after each change and again and again.
//!
//! Any number of replicas do this at once, without a leader. What is to be published is a function of the truth at one
//! generation, and the manifest, written last by compare-and-set, is what makes it count: of two publishers one wins,
//! and the other reads again and finds nothing, or only what is newer, left to do.

mod plan;
mod view;
mod wake;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use assay_core::key::Namespace;
use assay_failpoint::{Point, reach};
use assay_platform::{Backoff, Shutdown, error::chain, telemetry::link_span};
use assay_storage::{
    Error,
    config_bus::{ConfigBus, Publication, View},
    config_store::{ConfigStore, Unreadable},
};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::Instrument;

use crate::{Ports, fence::Fences};
use plan::{Plan, plan, plan_small};
pub(crate) use wake::Wake;

/// What errors of our own call the bus.
const BUS: &str = "configuration bus";

/// Longest wait for one call of the bus: beyond what its adapters allow themselves. What was written by then counts for the next attempt.
const BUS_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait between two attempts while the bus or the store is away: well below the 10 s in which the bus is to equal the truth
/// once it answers.
const MAX_DELAY: Duration = Duration::from_secs(3);
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// How often a namespace is tried again at once when another publisher is faster.
const MAX_RACES: u32 = 8;

/// For what a shutdown leaves to be published.
const LAST_ROUND: Duration = Duration::from_secs(2);

/// Which namespaces a round looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Those with outbox rows, against what is known of the bus.
    Changed,
    /// All, against what the bus really holds.
    All,
}

/// Makes the bus equal to the truth, once.
pub(crate) async fn once(ports: &Ports) -> Result<(), Error> {
    Publisher::new(ports, Arc::default(), None, MAX_DELAY)
        .publish_all(Scope::All)
        .await
}

/// Publishes until told to stop.
pub(crate) struct Publisher {
    store: Arc<dyn ConfigStore>,
    bus: Arc<dyn ConfigBus>,
    wake: Arc<Wake>,
    /// Told what is on the bus.
    fences: Option<Arc<Fences>>,
    interval: Duration,
    /// What the bus held when it was last read, and what we have written since.
    known: Option<View>,
    /// Namespaces in which that is the whole truth of its generation.
    equal: BTreeSet<Namespace>,
    outage: bool,
    /// What could not be read of the truth when it was last looked at.
    quarantined: BTreeMap<Namespace, BTreeSet<String>>,
}

impl Publisher {
    pub(crate) fn new(
        ports: &Ports,
        wake: Arc<Wake>,
        fences: Option<Arc<Fences>>,
        interval: Duration,
    ) -> Self {
        Self {
            store: ports.store.clone(),
            bus: ports.bus.clone(),
            wake,
            fences,
            interval,
            known: None,
            equal: BTreeSet::new(),
            outage: false,
            quarantined: BTreeMap::new(),
        }
    }

    /// Publishes each change that [`Wake`] tells of, compares everything each interval, and ends with `stop`.
    pub(crate) async fn run(mut self, stop: &Shutdown) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let scope = tokio::select! {
                () = stop.triggered() => break,
                _ = ticks.tick() => Scope::All,
                () = self.wake.woken() => Scope::Changed,
            };
            if stop.or_done(self.until_done(scope)).await.is_none() {
                break;
            }
        }
        // Dropped in the middle of a write, the bus may hold more than we know: read it again.
        let last = timeout(LAST_ROUND, self.round(Scope::All)).await;
        if !matches!(last, Ok(Ok(()))) {
            tracing::warn!(
                "the last changes may not be published; another replica or the next start does it"
            );
        }
    }

    /// One round, repeated with growing delays until it has gone through.
    async fn until_done(&mut self, scope: Scope) {
        let mut backoff = Backoff::new(FIRST_DELAY, MAX_DELAY);
        let mut scope = scope;
        while let Err(error) = self.round(scope).await {
            self.failed(&error);
            tokio::time::sleep(backoff.next_delay()).await;
            scope = Scope::All;
        }
        if std::mem::take(&mut self.outage) {
            tracing::info!("configuration is published again");
        }
    }

    /// Warns once for each outage.
    fn failed(&mut self, error: &Error) {
        let error = chain(error);
        if std::mem::replace(&mut self.outage, true) {
            tracing::debug!(error, "configuration is still not published");
        } else {
            tracing::warn!(
                error,
                "configuration cannot be published; changes wait in the outbox"
            );
        }
    }

    /// Publishes what `scope` covers. A namespace that fails holds up no other; the first error is returned.
    async fn round(&mut self, scope: Scope) -> Result<(), Error> {
        let span = tracing::info_span!("publish configuration", ?scope);
        for traceparent in self.wake.take_traces() {
            link_span(&span, &traceparent);
        }
        self.publish_all(scope).instrument(span).await
    }

    async fn publish_all(&mut self, scope: Scope) -> Result<(), Error> {
        if scope == Scope::All {
            self.forget();
        }
        // The bus is read before the truth: whatever was published by then is then in the truth, unless the truth was set back.
        let known: BTreeSet<_> = self.known().await?.namespaces.keys().cloned().collect();
        let mut result = Ok(());
        for namespace in self.namespaces(scope, known).await? {
            let published = self.publish(&namespace).await;
            result = result.and(published);
        }
        result
    }

    async fn namespaces(
        &self,
        scope: Scope,
        known: BTreeSet<Namespace>,
    ) -> Result<BTreeSet<Namespace>, Error> {
        if scope == Scope::Changed {
            let changed = self.store.unpublished().await?;
            return Ok(changed
                .into_iter()
                .map(|unpublished| unpublished.namespace)
                .collect());
        }
        let mut all = known;
        all.extend(
            self.store
                .namespaces()
                .await?
                .into_iter()
                .map(|(namespace, _)| namespace),
        );
        Ok(all)
    }

    /// Makes the bus equal to the truth in one namespace, and then clears its outbox.
    async fn publish(&mut self, namespace: &Namespace) -> Result<(), Error> {
        let mut races = Backoff::new(Duration::from_millis(5), FIRST_DELAY);
        for _ in 0..MAX_RACES {
            match self.attempt(namespace).await {
                Ok(Some(generation)) => {
                    reach(Point::ConfigBeforeOutboxDelete);
                    self.store.mark_published(namespace, generation).await?;
                    reach(Point::ConfigAfterOutboxDelete);
                    return Ok(());
                }
                Ok(None) | Err(Error::Stale { .. }) => {
                    self.forget();
                    tokio::time::sleep(races.next_delay()).await;
                }
                Err(error) => {
                    // It may have been written in part.
                    self.forget();
                    return Err(error);
                }
            }
        }
        let source = format!("{namespace} is still not published after {MAX_RACES} attempts").into();
        Err(Error::Unavailable { store: BUS, source })
    }

    /// Nothing is known of the bus any more.
    fn forget(&mut self) {
        self.known = None;
        self.equal.clear();
    }

    /// The publication of what has changed since the bus was equal to the truth, if that was so, and if the change is a small one.
    async fn small(&mut self, namespace: &Namespace) -> Result<Option<Publication>, Error> {
        let known = self.known.as_ref().filter(|_| self.equal.contains(namespace));
        let Some(held) = known.and_then(|known| known.namespaces.get(namespace)) else {
            return Ok(None);
        };
        let since = held.manifest.as_ref().map_or(0, |manifest| manifest.generation);
        let changed = self.store.changed(namespace, since).await?;
        let changed = changed.filter(|changed| changed.generation > since);
        Ok(changed.and_then(|changed| plan_small(namespace, held, changed)))
    }

    /// The generation that the bus holds now, equal to the truth; none when the truth had to be raised first.
    async fn attempt(&mut self, namespace: &Namespace) -> Result<Option<u64>, Error> {
        if let Some(publication) = self.small(namespace).await? {
            return self.published(namespace, publication).await.map(Some);
        }
        self.equal.remove(namespace);
        let held = self
            .known()
            .await?
            .namespaces
            .get(namespace)
            .cloned()
            .unwrap_or_default();
        let truth = self.store.published(namespace).await?;
        self.quarantine(namespace, &truth.unreadable);
        let generation = truth.generation;
        let is_whole = truth.unreadable.is_empty();
        match plan(&held, truth) {
            Plan::Nothing => {
                if let Some(fences) = &self.fences
                    && generation > 0
                {
                    fences.ensure(namespace, generation).await?;
                }
                self.is_equal(namespace, is_whole);
                Ok(Some(generation))
            }
            Plan::Raise { to } => {
                tracing::warn!(%namespace, generation, to, "the bus is ahead of the truth; going on above it");
                self.store.raise_generation(namespace, to).await?;
                Ok(None)
            }
            Plan::Publish(publication) => {
                let generation = self.published(namespace, publication).await?;
                self.is_equal(namespace, is_whole);
                Ok(Some(generation))
            }
        }
    }

    /// What is known of the bus is the truth there, unless that could not be read whole.
    fn is_equal(&mut self, namespace: &Namespace, is_whole: bool) {
        if is_whole {
            self.equal.insert(namespace.clone());
        }
    }

    /// Writes `publication`; the answer is its generation.
    async fn published(&mut self, namespace: &Namespace, publication: Publication) -> Result<u64, Error> {
        let generation = publication.manifest.generation;
        self.write(namespace, generation, publication.clone()).await?;
        view::apply(self.known().await?, publication);
        tracing::debug!(%namespace, generation, "configuration published");
        Ok(generation)
    }

    /// Tells once of each resource that cannot be read, and once when it can again.
    fn quarantine(&mut self, namespace: &Namespace, unreadable: &[Unreadable]) {
        let known = self.quarantined.remove(namespace).unwrap_or_default();
        let mut now = BTreeSet::new();
        for Unreadable { kind, key, detail } in unreadable {
            let resource = format!("{}/{key}", kind.name());
            if !known.contains(&resource) {
                tracing::error!(%namespace, resource, error = detail, "a stored resource cannot be read; its last good version stays published");
            }
            now.insert(resource);
        }
        for resource in known.difference(&now) {
            tracing::info!(%namespace, resource, "the resource is mended or gone");
        }
        if !now.is_empty() {
            self.quarantined.insert(namespace.clone(), now);
        }
    }

    /// Writes `publication`, and opens the fence of its generation when it is on the bus or may be. Those who are to take it up are asked
    /// before: where the bus does not even tell them, nothing was written.
    async fn write(
        &self,
        namespace: &Namespace,
        generation: u64,
        publication: Publication,
    ) -> Result<(), Error> {
        reach(Point::ConfigBeforePublish);
        let Some(fences) = self.fences.as_ref().filter(|_| generation > 0) else {
            return bounded(self.bus.publish(publication)).await;
        };
        let expected = bounded(fences.expected()).await?;
        let written = bounded(self.bus.publish(publication)).await;
        reach(Point::ConfigAfterPublish);
        if matches!(written, Ok(()) | Err(Error::Unavailable { .. })) {
            fences.open(namespace, generation, expected).await?;
        }
        written
    }

    /// What the bus holds, as far as we know; read when we do not.
    async fn known(&mut self) -> Result<&mut View, Error> {
        let view = match self.known.take() {
            Some(view) => view,
            None => bounded(self.bus.read()).await?,
        };
        Ok(self.known.insert(view))
    }
}

/// A call of the bus that ends in time.
async fn bounded<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(BUS_TIMEOUT, call)
        .await
        .unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> Error {
    let source = format!("no answer within {} s", BUS_TIMEOUT.as_secs()).into();
    Error::Unavailable { store: BUS, source }
}
