//! The bus in memory, for services that run in one process. What it holds ends with the process; the publisher writes it anew from SQL.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use assay_core::key::Namespace;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::{sync::watch, time::Instant};

use super::{BusEvent, ConfigBus, KeyBus, LEASE, NamespaceView, Publication, Replica, View};
use crate::Error;

/// Events that are kept for watchers unless said otherwise.
const HISTORY: usize = 10_000;

/// How often a watcher is told that the bus is alive.
const PROGRESS: Duration = Duration::from_secs(5);

/// The bus in memory.
#[derive(Debug, Clone)]
pub struct EmbeddedConfigBus {
    state: Arc<Mutex<State>>,
    /// The newest revision: wakes watchers.
    newest: watch::Sender<u64>,
    history: usize,
    replicas: Arc<Mutex<BTreeMap<String, Leased>>>,
}

/// A replica and when it is gone unless it says more.
#[derive(Debug)]
struct Leased {
    replica: Replica,
    until: Instant,
}

/// Everything, under one lock that is held for memory accesses only.
#[derive(Debug, Default)]
struct State {
    namespaces: BTreeMap<Namespace, NamespaceView>,
    /// Number of events ever written; the last one's revision.
    revision: u64,
    /// The latest events, oldest first: those with revisions up to `revision`.
    events: VecDeque<BusEvent>,
    /// What services must know of API keys.
    keys: Option<Bytes>,
}

impl Default for EmbeddedConfigBus {
    fn default() -> Self {
        Self::with_history(HISTORY)
    }
}

impl EmbeddedConfigBus {
    /// An empty bus.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty bus that keeps at most `events` for watchers that come late or are slow; they get [`BusEvent::Relist`] beyond.
    pub fn with_history(events: usize) -> Self {
        Self {
            state: Arc::default(),
            newest: watch::Sender::new(0),
            history: events,
            replicas: Arc::default(),
        }
    }

    /// A panic while the lock was held cannot leave half a write: what panics is done before the first of them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The replicas whose lease lasts. As with [`Self::lock`] a panic cannot leave half a change.
    fn leased(&self) -> MutexGuard<'_, BTreeMap<String, Leased>> {
        let mut leased = self.replicas.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        leased.retain(|_, leased| leased.until > now);
        leased
    }

    /// The events after `revision`, or that they cannot be told.
    fn after(&self, revision: u64) -> Vec<BusEvent> {
        let state = self.lock();
        let kept_after = state.revision.saturating_sub(state.events.len() as u64);
        if revision < kept_after || revision > state.revision {
            return vec![BusEvent::Relist];
        }
        let known = usize::try_from(revision.saturating_sub(kept_after)).unwrap_or(usize::MAX);
        state.events.iter().skip(known).cloned().collect()
    }
}

impl State {
    fn apply(&mut self, publication: Publication) {
        let Publication {
            namespace,
            puts,
            deletes,
            manifest,
            ..
        } = publication;
        for (key, value) in puts {
            self.view(&namespace).resources.insert(key.clone(), value.clone());
            self.append(|revision| BusEvent::Put {
                namespace: namespace.clone(),
                key,
                value,
                revision,
            });
        }
        for key in deletes {
            if self.view(&namespace).resources.remove(&key).is_some() {
                self.append(|revision| BusEvent::Delete {
                    namespace: namespace.clone(),
                    key,
                    revision,
                });
            }
        }
        self.view(&namespace).manifest = Some(manifest.clone());
        self.append(|revision| BusEvent::Manifest {
            namespace: namespace.clone(),
            manifest,
            revision,
        });
    }

    fn view(&mut self, namespace: &Namespace) -> &mut NamespaceView {
        self.namespaces.entry(namespace.clone()).or_default()
    }

    fn append(&mut self, event: impl FnOnce(u64) -> BusEvent) {
        self.revision = self.revision.saturating_add(1);
        self.events.push_back(event(self.revision));
    }
}

#[async_trait]
impl KeyBus for EmbeddedConfigBus {
    async fn put_keys(&self, keys: Bytes) -> Result<(), Error> {
        self.lock().keys = Some(keys);
        Ok(())
    }

    async fn keys(&self) -> Result<Option<Bytes>, Error> {
        Ok(self.lock().keys.clone())
    }
}

#[async_trait]
impl ConfigBus for EmbeddedConfigBus {
    async fn publish(&self, publication: Publication) -> Result<(), Error> {
        publication.check()?;
        let revision = {
            let mut state = self.lock();
            let found = state
                .namespaces
                .get(&publication.namespace)
                .and_then(|view| view.manifest.as_ref());
            let found = found.map(|manifest| manifest.generation);
            if found != publication.from {
                return Err(Error::Stale {
                    what: format!("manifest of namespace {}", publication.namespace),
                    expected: publication.from.unwrap_or(0),
                    found: found.unwrap_or(0),
                });
            }
            state.apply(publication);
            let surplus = state.events.len().saturating_sub(self.history);
            state.events.drain(..surplus);
            state.revision
        };
        self.newest.send_if_modified(|newest| {
            let later = revision > *newest;
            *newest = revision.max(*newest);
            later
        });
        Ok(())
    }

    async fn read(&self) -> Result<View, Error> {
        let state = self.lock();
        Ok(View {
            namespaces: state.namespaces.clone(),
            revision: state.revision,
        })
    }

    async fn watch(&self, revision: u64) -> Result<BoxStream<'static, Result<BusEvent, Error>>, Error> {
        let watcher = Watcher {
            newest: self.newest.subscribe(),
            bus: self.clone(),
            position: revision,
            buffer: VecDeque::from([BusEvent::Progress { revision }]),
            ended: false,
        };
        Ok(stream::unfold(watcher, |mut watcher| async {
            watcher.next().await.map(|event| (Ok(event), watcher))
        })
        .boxed())
    }

    async fn acknowledge(&self, replica: &Replica) -> Result<(), Error> {
        replica.check()?;
        let leased = Leased {
            replica: replica.clone(),
            until: Instant::now() + LEASE,
        };
        self.leased().insert(replica.id.clone(), leased);
        Ok(())
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        self.leased().remove(id);
        Ok(())
    }

    async fn replicas(&self) -> Result<Vec<Replica>, Error> {
        Ok(self
            .leased()
            .values()
            .map(|leased| leased.replica.clone())
            .collect())
    }
}

/// One watch. It keeps the bus, and so the sender that wakes it, alive.
struct Watcher {
    newest: watch::Receiver<u64>,
    bus: EmbeddedConfigBus,
    /// Everything up to here is yielded or in `buffer`.
    position: u64,
    buffer: VecDeque<BusEvent>,
    ended: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<BusEvent> {
        loop {
            if let Some(event) = self.buffer.pop_front() {
                self.ended = event == BusEvent::Relist;
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.newest.borrow_and_update();
            self.buffer.extend(self.bus.after(self.position));
            match self.buffer.back() {
                Some(
                    BusEvent::Put { revision, .. }
                    | BusEvent::Delete { revision, .. }
                    | BusEvent::Manifest { revision, .. },
                ) => {
                    self.position = *revision;
                }
                Some(BusEvent::Progress { .. } | BusEvent::Relist) => {}
                None => {
                    if tokio::time::timeout(PROGRESS, self.newest.changed())
                        .await
                        .is_err()
                    {
                        return Some(BusEvent::Progress {
                            revision: self.position,
                        });
                    }
                }
            }
        }
    }
}
