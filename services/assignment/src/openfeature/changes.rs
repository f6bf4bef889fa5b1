//! What streams tell: that the provider is ready, which flags have changed here, that the stream is still there, that it ends.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use assay_core::{
    key::{FlagKey, Namespace},
    snapshot::{Change, Snapshot},
};
use assay_platform::{Principal, Shutdown};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::{
    sync::watch,
    time::{Instant, Interval, interval_at},
};

use super::{Caller, OpenFeature};
use crate::{acknowledge::Serves, error::Refusal, serving::Serving};

/// How often a stream says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What a stream tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// The first of all.
    Ready,
    /// Still there.
    KeepAlive,
    /// This replica answers differently from now on.
    Changed(BTreeMap<FlagKey, Change>),
    /// The last of all: this process ends.
    Shutdown,
}

/// Which namespaces a stream watches.
enum Watched {
    One(Namespace),
    /// All that are the caller's.
    AllOf(Arc<Principal>),
}

impl Watched {
    fn has(&self, namespace: &Namespace) -> bool {
        match self {
            Self::One(one) => one == namespace,
            Self::AllOf(principal) => principal.scope.has(namespace.as_str()),
        }
    }
}

/// A stream of events under way.
struct Telling {
    watched: Watched,
    serving: Arc<Serving>,
    serves: watch::Receiver<Serves>,
    /// What was told of last.
    held: BTreeMap<Namespace, Arc<Snapshot>>,
    due: VecDeque<Event>,
    keep_alive: Interval,
    draining: Shutdown,
    has_ended: bool,
}

impl OpenFeature {
    /// The events of the caller's namespace. Some providers name their namespace with each question and not with the stream, and would
    /// keep for ever what they never hear of: a stream without selector tells of every namespace that is the caller's.
    ///
    /// # Errors
    /// Nothing to answer from.
    pub(crate) fn changes(&self, caller: &Caller) -> Result<BoxStream<'static, Event>, Refusal> {
        let watched = match caller.has_selected {
            true => Watched::One(caller.namespace.clone()),
            false => Watched::AllOf(caller.principal.clone()),
        };
        let serving = self.assignments.serving.clone();
        serving.snapshot(caller.namespace.as_str())?;
        let telling = Telling::new(
            watched,
            serving,
            self.serves.clone(),
            self.draining.clone(),
            KEEP_ALIVE,
        );
        let events = stream::unfold(telling, |mut telling| async {
            let event = telling.next().await?;
            Some((event, telling))
        });
        Ok(events.boxed())
    }
}

impl Telling {
    fn new(
        watched: Watched,
        serving: Arc<Serving>,
        serves: watch::Receiver<Serves>,
        draining: Shutdown,
        keep_alive: Duration,
    ) -> Self {
        let mut telling = Self {
            watched,
            serving,
            serves,
            held: BTreeMap::new(),
            due: VecDeque::new(),
            keep_alive: interval_at(Instant::now() + keep_alive, keep_alive),
            draining,
            has_ended: false,
        };
        // What is served already is no news.
        telling.look();
        telling.due = VecDeque::from([Event::Ready]);
        telling
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Some(event);
            }
            if self.has_ended {
                return None;
            }
            tokio::select! {
                biased;
                () = self.draining.triggered() => {
                    self.has_ended = true;
                    return Some(Event::Shutdown);
                }
                changed = self.serves.changed() => match changed {
                    Ok(()) => self.look(),
                    // Nothing is followed any more: the process ends.
                    Err(_) => self.draining.triggered().await,
                },
                _ = self.keep_alive.tick() => return Some(Event::KeepAlive),
            }
        }
    }

    /// Compares what is served with what was told of.
    fn look(&mut self) {
        let served: Vec<_> = self.serves.borrow_and_update().keys().cloned().collect();
        let mut changes = BTreeMap::new();
        for namespace in served.into_iter().filter(|namespace| self.watched.has(namespace)) {
            let Ok(snapshot) = self.serving.snapshot(namespace.as_str()) else {
                continue;
            };
            match self.held.get(&namespace) {
                Some(held) => changes.extend(
                    snapshot
                        .changes_since(held)
                        .into_iter()
                        .map(|(key, change)| (key.clone(), change)),
                ),
                None => changes.extend(snapshot.flags().map(|key| (key.clone(), Change::Added))),
            }
            self.held.insert(namespace, snapshot);
        }
        if !changes.is_empty() {
            self.due.push_back(Event::Changed(changes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_quiet_stream_says_that_it_is_still_there_until_the_process_ends() {
        let (follower, serves) = watch::channel(Serves::new());
        let draining = Shutdown::new();
        let watched = Watched::One(Namespace::default());
        let serving = Arc::new(Serving::new());
        let beat = Duration::from_millis(1);
        let mut telling = Telling::new(watched, serving, serves, draining.clone(), beat);
        for expected in [Event::Ready, Event::KeepAlive, Event::KeepAlive] {
            assert_eq!(telling.next().await, Some(expected));
        }
        // The follower ends before the doors do.
        drop(follower);
        draining.trigger();
        assert_eq!(telling.next().await, Some(Event::Shutdown));
        assert_eq!(telling.next().await, None);
    }
}
