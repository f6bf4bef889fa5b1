//! Fences: when a published generation has taken hold on every replica.
//!
//! Every replica of config looks, without a leader: what it finds is stored once, by whoever finds it first, so a fence outlives any of
//! them and everybody names the same. Replicas of assignment say on the bus what they serve; [`decide`] makes of it what is known.

mod decide;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use assay_core::{key::Namespace, time::Timestamp};
use assay_failpoint::{Point, reach};
use assay_platform::{Backoff, SharedClock, Shutdown, error::chain};
use assay_storage::{
    Error as StoreError,
    config_bus::{ConfigBus, Replica},
    config_store::{ConfigStore, Fence, Publishing},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use crate::{Ports, error::Error};
use decide::{Answered, Standing, decide, hear};

/// Pauses between looks while a fence is open.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// Pause between looks while none is: what another replica of config has left open is found after this, and replicas are counted.
const IDLE: Duration = Duration::from_secs(2);
/// Longest wait for the bus to list replicas.
const BUS_TIMEOUT: Duration = Duration::from_secs(2);
/// How often those who wait look for what other replicas of config have found.
const POLL: Duration = Duration::from_millis(200);
/// How long a replica that fell silent is remembered, and how many are.
const REMEMBERED: Duration = Duration::from_secs(3_600);
const MAX_REMEMBERED: usize = 1_000;

/// How far a generation has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Activation {
    /// The generation that was published: the one that was asked for, or a later one that went out with it.
    pub(crate) generation: u64,
    /// How many replicas serve it.
    pub(crate) replicas: u32,
    /// How long after publishing the last of them did.
    pub(crate) slowest: Duration,
    /// The ids of those that do not, as far as is known.
    pub(crate) unconfirmed: Vec<String>,
    /// The fence; absent until it is known.
    pub(crate) fence: Option<Timestamp>,
}

/// How a replica of assignment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It serves the newest generation.
    Current,
    /// It serves an older one.
    Behind,
    /// It has said nothing for a lease: ended, or cut off from the bus.
    Silent,
}

/// A replica of assignment in one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplicaStanding {
    pub(crate) id: String,
    /// What it serves, and since when; absent while it serves nothing of the namespace.
    pub(crate) served: Option<(u64, Timestamp)>,
    pub(crate) condition: Condition,
    /// For how long what it serves has been out of date, as far as is known.
    pub(crate) age: Duration,
}

/// A replica when it was heard of last.
#[derive(Debug, Clone)]
struct Heard {
    replica: Replica,
    at: Timestamp,
}

/// Who answered which open fence.
type Answers = BTreeMap<(Namespace, u64), Answered>;

/// The fences of all namespaces.
pub(crate) struct Fences {
    store: Arc<dyn ConfigStore>,
    bus: Arc<dyn ConfigBus>,
    clock: SharedClock,
    /// Something was published here.
    opened: Notify,
    /// Counts the fences found here: wakes those who wait.
    found: watch::Sender<u64>,
    heard: Mutex<BTreeMap<String, Heard>>,
}

impl Fences {
    pub(crate) fn new(ports: &Ports, clock: SharedClock) -> Self {
        Self {
            store: ports.store.clone(),
            bus: ports.bus.clone(),
            clock,
            opened: Notify::new(),
            found: watch::Sender::new(0),
            heard: Mutex::default(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// The ids of the replicas that are to take up what is published next.
    ///
    /// # Errors
    /// The bus's own.
    pub(crate) async fn expected(&self) -> Result<Vec<String>, StoreError> {
        let live = self.bus.replicas().await?;
        Ok(live.into_iter().map(|replica| replica.id).collect())
    }

    /// The generation is on the bus, or may be: the wait for `expected` and whoever joins begins here, unless it did before.
    ///
    /// # Errors
    /// The store's own.
    pub(crate) async fn open(
        &self,
        namespace: &Namespace,
        generation: u64,
        expected: Vec<String>,
    ) -> Result<(), StoreError> {
        let publishing = Publishing {
            namespace: namespace.clone(),
            generation,
            published_at: self.now(),
            expected,
        };
        self.store.open_fence(&publishing).await?;
        self.opened.notify_one();
        Ok(())
    }

    /// Opens the fence of a generation that is on the bus already, if whoever put it there could not.
    ///
    /// # Errors
    /// The store's or the bus's own.
    pub(crate) async fn ensure(&self, namespace: &Namespace, generation: u64) -> Result<(), StoreError> {
        let known = self.store.fence(namespace, generation).await?;
        match known {
            Some((publishing, _)) if publishing.generation == generation => Ok(()),
            _ => {
                let expected = self.expected().await?;
                self.open(namespace, generation, expected).await
            }
        }
    }

    /// Looks for ever: at once when something is published, and soon again until its fence is known.
    pub(crate) async fn run(&self, stop: &Shutdown) {
        let mut answers = Answers::new();
        let mut delays = Backoff::new(FIRST_LOOK, LAST_LOOK);
        let mut outage = false;
        let mut delay = Duration::ZERO;
        loop {
            let pause = async {
                tokio::select! {
                    () = self.opened.notified() => true,
                    () = sleep(delay) => false,
                }
            };
            match stop.or_done(pause).await {
                None => return,
                Some(true) => delays.reset(),
                Some(false) => {}
            }
            let Some(looked) = stop.or_done(self.look(&mut answers)).await else {
                return;
            };
            outage &= looked.is_err();
            delay = match looked {
                Ok(true) => delays.next_delay(),
                Ok(false) => IDLE,
                Err(error) => {
                    if !std::mem::replace(&mut outage, true) {
                        tracing::warn!(error = chain(&error), "fences wait until the store answers again");
                    }
                    IDLE
                }
            };
        }
    }

    /// Looks at every open fence; whether any stays open.
    async fn look(&self, answers: &mut Answers) -> Result<bool, StoreError> {
        let open = self.store.open_fences().await?;
        let live = self.live().await.ok();
        let mut awaited = Answers::new();
        for publishing in &open {
            let (namespace, generation) = (&publishing.namespace, publishing.generation);
            let key = (namespace.clone(), generation);
            let mut answered = answers.remove(&key).unwrap_or_default();
            hear(publishing, &mut answered, live.as_deref().unwrap_or_default());
            match decide(publishing, &answered, live.as_deref(), self.now()) {
                Standing::Known(fence) => {
                    reach(Point::ConfigBeforeFence);
                    self.store.close_fence(namespace, generation, &fence).await?;
                    reach(Point::ConfigAfterFence);
                    report(publishing, &fence);
                    self.found.send_modify(|n| *n = n.wrapping_add(1));
                }
                Standing::Awaits(_) => {
                    awaited.insert(key, answered);
                }
            }
        }
        *answers = awaited;
        Ok(!answers.is_empty())
    }

    /// The replicas that are there, each remembered.
    async fn live(&self) -> Result<Vec<Replica>, StoreError> {
        let live = match timeout(BUS_TIMEOUT, self.bus.replicas()).await {
            Ok(live) => live?,
            Err(elapsed) => {
                return Err(StoreError::Unavailable {
                    store: "configuration bus",
                    source: elapsed.into(),
                });
            }
        };
        let now = self.now();
        let mut heard = self.heard();
        for replica in &live {
            let replica = replica.clone();
            heard.insert(replica.id.clone(), Heard { replica, at: now });
        }
        heard.retain(|_, heard| now.since(heard.at) < REMEMBERED);
        while heard.len() > MAX_REMEMBERED {
            let oldest = heard
                .iter()
                .min_by_key(|(_, heard)| heard.at)
                .map(|(id, _)| id.clone());
            oldest.and_then(|id| heard.remove(&id));
        }
        Ok(live)
    }

    /// Each change is one call of the map, which a panic cannot leave half done.
    fn heard(&self) -> MutexGuard<'_, BTreeMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the fence of `generation` is known, at most for `limit`, and says how far it has come.
    ///
    /// # Errors
    /// The store's own.
    pub(crate) async fn wait(
        &self,
        namespace: &Namespace,
        generation: u64,
        limit: Duration,
    ) -> Result<Activation, Error> {
        let end = Instant::now() + limit;
        let mut found = self.found.subscribe();
        loop {
            found.borrow_and_update();
            let known = self.store.fence(namespace, generation).await?;
            if let Some((publishing, Some(fence))) = known {
                return Ok(activation(publishing.generation, fence));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self
                    .so_far(namespace, generation, known.map(|(publishing, _)| publishing))
                    .await;
            }
            // Nobody but us has the sender.
            let _ = timeout(left.min(POLL), found.changed()).await;
        }
    }

    /// Whether `generation` is served everywhere and nothing of an earlier one is on its way to the unit store any more, as far as those
    /// replicas say that are there. False while nobody knows.
    ///
    /// # Errors
    /// The store's own.
    pub(crate) async fn is_settled(&self, namespace: &Namespace, generation: u64) -> Result<bool, Error> {
        let known = self.store.fence(namespace, generation).await?;
        if !matches!(known, Some((_, Some(_)))) {
            return Ok(false);
        }
        let live = self.live().await.inspect_err(|error| {
            tracing::debug!(error = chain(error), "nobody knows who has settled");
        });
        let settled = |replica: &Replica| {
            let served = replica.served.get(namespace);
            served.is_some_and(|served| served.settled >= generation)
        };
        Ok(live.is_ok_and(|live| live.iter().all(settled)))
    }

    /// How far a generation has come whose fence is not known.
    async fn so_far(
        &self,
        namespace: &Namespace,
        generation: u64,
        publishing: Option<Publishing>,
    ) -> Result<Activation, Error> {
        let publishing = publishing.unwrap_or_else(|| Publishing {
            namespace: namespace.clone(),
            generation,
            published_at: self.now(),
            expected: Vec::new(),
        });
        let live = self.live().await.unwrap_or_default();
        let mut answered = Answered::new();
        hear(&publishing, &mut answered, &live);
        let there = live.iter().map(|replica| &replica.id);
        let all: BTreeSet<_> = publishing.expected.iter().chain(there).collect();
        let last = answered
            .values()
            .max()
            .copied()
            .unwrap_or(publishing.published_at);
        Ok(Activation {
            generation: publishing.generation,
            replicas: u32::try_from(answered.len()).unwrap_or(u32::MAX),
            slowest: last.since(publishing.published_at),
            unconfirmed: all
                .into_iter()
                .filter(|id| !answered.contains_key(*id))
                .cloned()
                .collect(),
            fence: None,
        })
    }

    /// The replicas of assignment in order of id, with those that fell silent within the hour. While the bus is away all are silent.
    ///
    /// # Errors
    /// The store's own.
    pub(crate) async fn replicas(&self, namespace: &Namespace) -> Result<Vec<ReplicaStanding>, Error> {
        let live: BTreeSet<String> = match self.live().await {
            Ok(live) => live.into_iter().map(|replica| replica.id).collect(),
            Err(error) => {
                tracing::debug!(
                    error = chain(&error),
                    "replicas are listed as they were heard of last"
                );
                BTreeSet::new()
            }
        };
        let newest = self.newest(namespace).await?;
        let heard: Vec<_> = self.heard().values().cloned().collect();
        let mut standings = Vec::with_capacity(heard.len());
        for Heard { replica, at } in heard {
            let served = replica.served.get(namespace).map(|s| (s.generation, s.since));
            let generation = served.map_or(0, |(generation, _)| generation);
            let (condition, since) = match () {
                () if !live.contains(&replica.id) => (Condition::Silent, Some(at)),
                () if generation >= newest => (Condition::Current, None),
                () => {
                    let next = self.store.fence(namespace, generation.saturating_add(1)).await?;
                    (
                        Condition::Behind,
                        next.map(|(publishing, _)| publishing.published_at),
                    )
                }
            };
            standings.push(ReplicaStanding {
                id: replica.id,
                served,
                condition,
                age: since.map_or(Duration::ZERO, |since| self.now().since(since)),
            });
        }
        Ok(standings)
    }

    /// The newest generation of the namespace, 0 when nothing was ever changed.
    ///
    /// # Errors
    /// The store's own.
    pub(crate) async fn newest(&self, namespace: &Namespace) -> Result<u64, Error> {
        Ok(self.store.generation(namespace).await?)
    }
}

fn activation(generation: u64, fence: Fence) -> Activation {
    Activation {
        generation,
        replicas: fence.replicas,
        slowest: fence.slowest,
        unconfirmed: fence.unconfirmed,
        fence: Some(fence.at),
    }
}

fn report(publishing: &Publishing, fence: &Fence) {
    let (namespace, generation) = (&publishing.namespace, publishing.generation);
    let (replicas, slowest_ms) = (fence.replicas, fence.slowest.as_millis());
    if fence.unconfirmed.is_empty() {
        tracing::info!(%namespace, generation, replicas, slowest_ms, "a generation is served everywhere");
    } else {
        let unconfirmed = fence.unconfirmed.join(", ");
        tracing::warn!(%namespace, generation, replicas, slowest_ms, unconfirmed, "a generation is not confirmed by every replica");
    }
}
