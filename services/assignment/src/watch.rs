//! Use case: hand a namespace's configuration over, generation by generation, to those who decide in process.
//!
//! Nothing is queued for a watcher: it is asked for its next response when the last one has gone out, and then gets what leads from the
//! generation that it holds to the one that is served. So a slow one passes generations over, and costs a reference to the one it holds.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use assay_core::key::Namespace;
use assay_platform::Shutdown;
use assay_proto::{assignment::v1 as pb, view::View};
use futures::{Stream, stream};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use crate::{error::Refusal, view::Told};

/// Most watches at once; each holds a configuration.
const MAX_WATCHES: usize = 1_000;
/// How many generations of a namespace are kept for those who come back.
const RECENT: usize = 32;
/// A response has no more entries once they are this large together.
const RESPONSE_BYTES: usize = 256 * 1024;
/// How often something is said at least.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// A generation that is or was served.
pub(crate) struct Version {
    view: View,
    /// Computed when somebody is to be told.
    digest: OnceLock<[u8; 32]>,
}

impl Version {
    fn new(view: View) -> Self {
        Self {
            digest: OnceLock::new(),
            view,
        }
    }

    fn digest(&self) -> [u8; 32] {
        *self.digest.get_or_init(|| self.view.digest())
    }

    fn generation(&self) -> u64 {
        self.view.generation
    }
}

/// What is served of all namespaces, as watchers get it.
pub(crate) struct Views {
    /// By namespace, the latest last.
    recent: Mutex<HashMap<Namespace, VecDeque<Arc<Version>>>>,
    /// Told whenever something newer is served.
    changed: watch::Sender<()>,
    n_watches: Arc<AtomicUsize>,
    sign_of_life: Duration,
}

impl Views {
    pub(crate) fn new() -> Self {
        Self::with_sign_of_life(SIGN_OF_LIFE)
    }

    fn with_sign_of_life(sign_of_life: Duration) -> Self {
        Self {
            sign_of_life,
            recent: Mutex::default(),
            changed: watch::Sender::new(()),
            n_watches: Arc::default(),
        }
    }

    /// Serves what is `told` from now on.
    pub(crate) fn publish(&self, namespace: &Namespace, told: Told) {
        let view = match told {
            Told::Whole(view) => view,
            Told::Changed(generation, entries) => {
                // A change always follows the whole that it changes.
                let Some(latest) = self.latest(namespace) else {
                    return;
                };
                let mut view = latest.view.clone();
                view.generation = generation;
                for (key, bytes) in entries {
                    match bytes {
                        Some(bytes) => view.entries.insert(key, bytes),
                        None => view.entries.remove(&key),
                    };
                }
                view
            }
        };
        let version = Arc::new(Version::new(view));
        let mut all = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = all.entry(namespace.clone()).or_default();
        recent.push_back(version);
        if recent.len() > RECENT {
            recent.pop_front();
        }
        drop(all);
        self.changed.send_replace(());
    }

    fn latest(&self, namespace: &Namespace) -> Option<Arc<Version>> {
        let all = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(namespace)?.back().cloned()
    }

    fn at(&self, namespace: &Namespace, generation: u64) -> Option<Arc<Version>> {
        let all = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut recent = all.get(namespace)?.iter().rev();
        recent.find(|version| version.generation() == generation).cloned()
    }

    /// What leads from `cursor` to what is served, and on, until `draining`.
    ///
    /// # Errors
    /// [`Refusal::TooManyWatches`].
    pub(crate) fn watch(
        self: &Arc<Self>,
        namespace: Namespace,
        cursor: pb::ConfigCursor,
        draining: Shutdown,
    ) -> Result<impl Stream<Item = pb::WatchConfigResponse> + Send + 'static + use<>, Refusal> {
        let place = Place::take(&self.n_watches)?;
        let mut signs = interval_at(Instant::now() + self.sign_of_life, self.sign_of_life);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watcher = Watcher {
            views: self.clone(),
            changed: self.changed.subscribe(),
            held: Held::Nothing,
            transfer: None,
            namespace,
            signs,
            _place: place,
        };
        watcher.resume(cursor);
        Ok(stream::unfold(
            (watcher, draining),
            |(mut watcher, draining)| async move {
                let response = draining.or_done(watcher.next()).await?;
                Some((response, (watcher, draining)))
            },
        ))
    }
}

/// One of [`MAX_WATCHES`].
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>) -> Result<Self, Refusal> {
        let place = Self(taken.clone());
        match taken.fetch_add(1, Ordering::Relaxed) {
            n if n < MAX_WATCHES => Ok(place),
            _ => Err(Refusal::TooManyWatches { limit: MAX_WATCHES }),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a watcher holds whole.
enum Held {
    Nothing,
    /// A generation that this replica has not served yet: it comes from another.
    Ahead(u64),
    Version(Arc<Version>),
}

impl Held {
    fn generation(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Ahead(generation) => *generation,
            Self::Version(version) => version.generation(),
        }
    }
}

/// Entries on their way.
struct Transfer {
    base: u64,
    target: Arc<Version>,
    entries: Vec<(String, Option<Arc<[u8]>>)>,
    position: usize,
}

impl Transfer {
    fn new(held: &Held, target: Arc<Version>) -> Self {
        let nothing = View::default();
        let (base, view) = match held {
            Held::Version(version) => (version.generation(), &version.view),
            Held::Nothing | Held::Ahead(_) => (0, &nothing),
        };
        Self {
            base,
            entries: target.view.since(view),
            target,
            position: 0,
        }
    }

    /// The next response. There is one even when there is nothing to say but that the generation is whole.
    fn next(&mut self) -> pb::WatchConfigResponse {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some((key, resource)) = self.entries.get(self.position) {
            if bytes >= RESPONSE_BYTES {
                break;
            }
            let resource = resource.as_deref().unwrap_or_default().to_vec();
            bytes += key.len() + resource.len();
            entries.push(pb::ConfigEntry {
                key: key.clone(),
                resource,
            });
            self.position += 1;
        }
        let complete = self.is_complete();
        pb::WatchConfigResponse {
            base: self.base,
            generation: self.target.generation(),
            entries,
            position: self.position as u64,
            complete,
            digest: if complete {
                self.target.digest().to_vec()
            } else {
                Vec::new()
            },
        }
    }

    fn is_complete(&self) -> bool {
        self.position == self.entries.len()
    }
}

struct Watcher {
    views: Arc<Views>,
    namespace: Namespace,
    changed: watch::Receiver<()>,
    held: Held,
    transfer: Option<Transfer>,
    signs: Interval,
    _place: Place,
}

impl Watcher {
    /// Takes up where the watcher has come to, as far as that is still known here.
    fn resume(&mut self, cursor: pb::ConfigCursor) {
        let at = |generation| self.views.at(&self.namespace, generation);
        let newest = self
            .views
            .latest(&self.namespace)
            .map_or(0, |latest| latest.generation());
        self.held = match (cursor.base, at(cursor.base)) {
            (0, _) => Held::Nothing,
            (_, Some(version)) => Held::Version(version),
            (base, None) if base > newest => Held::Ahead(base),
            (_, None) => return,
        };
        let Some(target) = (cursor.generation > cursor.base)
            .then(|| at(cursor.generation))
            .flatten()
        else {
            return;
        };
        let mut transfer = Transfer::new(&self.held, target);
        match usize::try_from(cursor.position) {
            Ok(position) if transfer.base == cursor.base && position < transfer.entries.len() => {
                transfer.position = position;
                self.transfer = Some(transfer);
            }
            _ => {}
        }
    }

    async fn next(&mut self) -> pb::WatchConfigResponse {
        loop {
            self.changed.mark_unchanged();
            if let Some(response) = self.due() {
                return response;
            }
            tokio::select! {
                // The sender lives as long as the views, which are ours, too.
                _ = self.changed.changed() => {}
                _ = self.signs.tick() => return self.sign_of_life(),
            }
        }
    }

    /// The response that is due, if any.
    fn due(&mut self) -> Option<pb::WatchConfigResponse> {
        if self.transfer.is_none() {
            let latest = self.views.latest(&self.namespace);
            // A namespace without configuration is empty, and that is said, too.
            let latest = latest.or_else(|| {
                matches!(self.held, Held::Nothing).then(|| Arc::new(Version::new(View::default())))
            })?;
            let is_newer = matches!(self.held, Held::Nothing) || latest.generation() > self.held.generation();
            self.transfer = is_newer.then(|| Transfer::new(&self.held, latest));
        }
        let transfer = self.transfer.as_mut()?;
        let response = transfer.next();
        if transfer.is_complete() {
            self.held = Held::Version(transfer.target.clone());
            self.transfer = None;
        }
        self.signs.reset();
        Some(response)
    }

    fn sign_of_life(&self) -> pb::WatchConfigResponse {
        let generation = self.held.generation();
        pb::WatchConfigResponse {
            base: generation,
            generation,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests;
