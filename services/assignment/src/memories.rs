//! What is remembered of units: looked up when an answer depends on it, written behind the answers that do not wait for it.

mod cache;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use assay_core::memory::Remembered;
use assay_platform::{Backoff, error::chain};
use assay_storage::{
    Error,
    unit_store::{MAX_BATCH, Place, UnitStore},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use cache::Cache;

/// Most first assignments that wait to be written; beyond, they are not remembered and counted.
const MAX_WAITING: usize = 65_536;
/// Most first assignments of one write.
const MAX_WRITE: usize = 512;
const FIRST_DELAY: Duration = Duration::from_millis(50);
const MAX_DELAY: Duration = Duration::from_secs(3);

/// What became of first assignments that are written behind the answers: `offered = kept + forgotten + waiting` at any time.
#[derive(Debug, Default)]
struct Counts {
    offered: AtomicU64,
    kept: AtomicU64,
    /// Not taken, for too many waited.
    forgotten: AtomicU64,
}

/// What goes to the store behind the answers, in order.
enum Step {
    /// A first assignment.
    Write(Place, Remembered),
    /// All that came before is written.
    Tell(oneshot::Sender<()>),
}

/// The unit store, what is known of it here, and what is on the way to it.
pub(crate) struct Memories {
    store: Arc<dyn UnitStore>,
    cache: Arc<Mutex<Cache>>,
    waiting: mpsc::Sender<Step>,
    counts: Arc<Counts>,
}

/// Tells when what has been offered is written; keeps nothing going.
pub(crate) struct Written(mpsc::WeakSender<Step>);

impl Written {
    /// Waits until all that was offered before is written, for as long as the store is away. False when that will not come any more.
    pub(crate) async fn all(&self) -> bool {
        let Some(waiting) = self.0.upgrade() else {
            return false;
        };
        let (tell, told) = oneshot::channel();
        let asked = waiting.send(Step::Tell(tell)).await.is_ok();
        drop(waiting);
        asked && told.await.is_ok()
    }
}

/// The writer behind the answers.
pub(crate) struct Writer {
    task: JoinHandle<()>,
    counts: Arc<Counts>,
}

impl Memories {
    /// Begins to write behind the answers, until all handles are dropped and all that waits is written.
    pub(crate) fn start(store: Arc<dyn UnitStore>) -> (Self, Writer) {
        let (waiting, taken) = mpsc::channel(MAX_WAITING);
        let (cache, counts) = (
            Arc::new(Mutex::new(Cache::default())),
            Arc::new(Counts::default()),
        );
        let task = tokio::spawn(write(store.clone(), taken, cache.clone(), counts.clone()));
        let memories = Self {
            store,
            cache,
            waiting,
            counts: counts.clone(),
        };
        (memories, Writer { task, counts })
    }

    /// See [`Written`].
    pub(crate) fn written(&self) -> Written {
        Written(self.waiting.downgrade())
    }

    /// Remembers `first` some time from now. Never waits: when too much waits already it is counted and not remembered.
    pub(crate) fn later(&self, place: Place, first: Remembered) {
        if lock(&self.cache).get(&place).is_some() {
            return;
        }
        self.counts.offered.fetch_add(1, Ordering::Relaxed);
        match self.waiting.try_send(Step::Write(place.clone(), first.clone())) {
            Ok(()) => lock(&self.cache).put(place, first),
            Err(_) => {
                if self.counts.forgotten.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!("first assignments come faster than they can be remembered; some are not");
                }
            }
        }
    }

    /// What is remembered in `places`.
    pub(crate) async fn find(&self, places: Vec<Place>) -> Result<Vec<(Place, Option<Remembered>)>, Error> {
        let mut found = Vec::with_capacity(places.len());
        let mut missing = Vec::new();
        for place in places {
            let cached = lock(&self.cache).get(&place).cloned();
            match cached {
                Some(known) => found.push((place, Some(known))),
                None => missing.push(place),
            }
        }
        for batch in missing.chunks(MAX_BATCH) {
            let remembered = self.store.get(batch).await?;
            found.extend(batch.iter().cloned().zip(remembered));
        }
        self.learn(
            found
                .iter()
                .filter_map(|(place, known)| Some((place, known.as_ref()?))),
        );
        Ok(found)
    }

    /// Remembers `firsts` now, and says what is remembered in their places afterwards.
    pub(crate) async fn put(
        &self,
        firsts: BTreeMap<Place, Remembered>,
    ) -> Result<Vec<(Place, Remembered)>, Error> {
        let firsts: Vec<_> = firsts.into_iter().collect();
        let mut kept = Vec::with_capacity(firsts.len());
        for batch in firsts.chunks(MAX_BATCH) {
            let remembered = self.store.put_if_absent(batch).await?;
            kept.extend(batch.iter().map(|(place, _)| place.clone()).zip(remembered));
        }
        self.learn(kept.iter().map(|(place, known)| (place, known)));
        Ok(kept)
    }

    fn learn<'k>(&self, known: impl Iterator<Item = (&'k Place, &'k Remembered)>) {
        let mut cache = lock(&self.cache);
        for (place, remembered) in known {
            cache.put(place.clone(), remembered.clone());
        }
    }
}

impl Writer {
    /// Waits until all is written, at most for `deadline`, and logs what became of it. All [`Memories`] must be gone.
    pub(crate) async fn drain(mut self, deadline: Duration) {
        let in_time = tokio::time::timeout(deadline, &mut self.task).await.is_ok();
        self.task.abort();
        let [offered, kept, forgotten] = [&self.counts.offered, &self.counts.kept, &self.counts.forgotten]
            .map(|count| count.load(Ordering::Relaxed));
        if offered > 0 {
            tracing::info!(
                offered,
                kept,
                forgotten,
                in_time,
                "first assignments are remembered"
            );
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(cache: &Mutex<Cache>) -> std::sync::MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes what comes, again and again until the store takes it.
async fn write(
    store: Arc<dyn UnitStore>,
    mut taken: mpsc::Receiver<Step>,
    cache: Arc<Mutex<Cache>>,
    counts: Arc<Counts>,
) {
    let mut steps = Vec::new();
    while taken.recv_many(&mut steps, MAX_WRITE).await > 0 {
        let (mut firsts, mut tell) = (Vec::new(), Vec::new());
        for step in steps.drain(..) {
            match step {
                Step::Write(place, first) => firsts.push((place, first)),
                Step::Tell(told) => tell.push(told),
            }
        }
        if !firsts.is_empty() {
            let kept = put(&*store, &firsts).await;
            counts.kept.fetch_add(firsts.len() as u64, Ordering::Relaxed);
            let mut cache = lock(&cache);
            for ((place, _), remembered) in firsts.into_iter().zip(kept) {
                cache.put(place, remembered);
            }
        }
        for told in tell {
            // Who has gone does not want to know.
            let _ = told.send(());
        }
    }
}

/// Puts `firsts` until the store takes them; the answer is what is remembered in their places.
async fn put(store: &dyn UnitStore, firsts: &[(Place, Remembered)]) -> Vec<Remembered> {
    let mut delays = Backoff::new(FIRST_DELAY, MAX_DELAY);
    loop {
        match store.put_if_absent(firsts).await {
            Ok(kept) => return kept,
            Err(error) => {
                let delay = delays.next_delay();
                tracing::warn!(
                    error = chain(&error),
                    ?delay,
                    "first assignments wait to be remembered"
                );
                tokio::time::sleep(delay).await;
            }
        }
    }
}
