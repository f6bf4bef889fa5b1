//! Follows the configuration bus: a full read, then every write after it; again from the last position when the connection is lost.

mod compare;

use std::{path::PathBuf, sync::Arc, time::Duration};

use assay_core::{key::Namespace, time::Timestamp};
use assay_platform::{Backoff, Health, SharedClock, error::chain};
use assay_storage::{
    Error,
    config_bus::{BusEvent, ConfigBus, Served, View},
};
use futures::{StreamExt, stream::BoxStream};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, error::Elapsed, interval_at, timeout, timeout_at},
};

use crate::{
    acknowledge::Serves,
    freshness::Freshness,
    serving::Serving,
    settle::Replaced,
    snapshot_file,
    view::{ReplicaView, Saved, Step},
    watch::Views,
};
use compare::{Comparison, Verdict};

/// Longest wait for a full read or for a watch to begin.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// At most this long after the bus answers again we follow it.
const MAX_DELAY: Duration = Duration::from_secs(3);
/// How often it is looked whether an announced generation is still not confirmed; then everything is read again.
const SETTLE_INTERVAL: Duration = Duration::from_secs(2);
/// However often comparisons are asked for.
const MIN_COMPARE_INTERVAL: Duration = Duration::from_secs(1);
/// A watch that says nothing at all for this long is dead: the adapter promises a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(30);

/// Keeps what is served equal to what is published.
pub(crate) struct Follower {
    pub(crate) bus: Arc<dyn ConfigBus>,
    pub(crate) serving: Arc<Serving>,
    /// Told what is served, for those who watch.
    pub(crate) views: Arc<Views>,
    pub(crate) health: Health,
    pub(crate) snapshot_file: PathBuf,
    /// How long the start waits for the bus before it serves the file.
    pub(crate) bus_wait: Duration,
    pub(crate) compare_interval: Duration,
    pub(crate) clock: SharedClock,
    /// Told whether the bus is heard.
    pub(crate) freshness: Arc<Freshness>,
    /// Told what is served, right after it is.
    pub(crate) acknowledged: Arc<watch::Sender<Serves>>,
    /// Told before that what is served no more.
    pub(crate) replaced: Arc<Replaced>,
    /// Told what to keep for a restart.
    pub(crate) saved: watch::Sender<Option<Arc<Saved>>>,
}

type Events = BoxStream<'static, Result<BusEvent, Error>>;

/// Why a watch was left.
enum Left {
    /// Go on from the position.
    Lost(Option<Error>),
    /// Read everything again.
    Relist(&'static str),
    /// Everything was read already.
    Replaced(View),
}

/// What is known so far.
#[derive(Default)]
struct Progress {
    view: ReplicaView,
    /// Where the watch goes on; absent when everything must be read.
    position: Option<u64>,
    n_differences: u64,
}

impl Progress {
    fn count_difference(&mut self, keys: &[(Namespace, String)]) {
        self.n_differences += 1;
        tracing::warn!(
            n_keys = keys.len(),
            n_differences = self.n_differences,
            first = keys.first().map(|(namespace, key)| format!("{namespace}/{key}")),
            "the watch had missed something; replaced by a full read"
        );
    }
}

/// Whether the bus is away, told once.
struct Outage {
    backoff: Backoff,
    lasts: bool,
    freshness: Arc<Freshness>,
    clock: SharedClock,
}

impl Outage {
    fn goes_on(&mut self, error: Option<&Error>) {
        self.freshness.lost();
        if !std::mem::replace(&mut self.lasts, true) {
            let error = error.map(|error| chain(error)).unwrap_or_default();
            tracing::warn!(
                error,
                "the configuration bus is away; what was published last is served on"
            );
        }
    }

    fn is_over(&mut self) {
        self.backoff.reset();
        self.freshness.heard(self.clock.now_micros());
        if std::mem::take(&mut self.lasts) {
            tracing::info!("the configuration bus is followed again");
        }
    }
}

impl Follower {
    /// Follows for ever.
    pub(crate) async fn run(self) {
        let mut progress = self.start().await;
        let mut outage = Outage {
            backoff: Backoff::new(FIRST_DELAY, MAX_DELAY),
            lasts: false,
            freshness: self.freshness.clone(),
            clock: self.clock.clone(),
        };
        loop {
            match self.follow(&mut progress, &mut outage).await {
                Left::Lost(error) => outage.goes_on(error.as_ref()),
                Left::Relist(why) => {
                    tracing::info!(why, "reading the whole configuration again");
                    progress.position = None;
                }
                Left::Replaced(view) => {
                    self.relist(&mut progress, view).await;
                    continue;
                }
            }
            tokio::time::sleep(outage.backoff.next_delay()).await;
        }
    }

    /// The file is taken up in any case, so that nothing older than what it holds is ever served; it is served when the bus does not
    /// answer in time.
    async fn start(&self) -> Progress {
        // What a file has is as old as this start, at least.
        self.freshness.heard(self.clock.now_micros());
        self.freshness.lost();
        let mut progress = Progress::default();
        let path = self.snapshot_file.clone();
        let read = tokio::task::spawn_blocking(move || snapshot_file::read(&path)).await;
        let mut from_file = Vec::new();
        match read {
            Ok(Ok(Some(saved))) => from_file = progress.view.restore(saved),
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::warn!(
                    error = chain(&error),
                    "the snapshot file is not used; the configuration bus is needed to start"
                );
            }
        }
        match timeout(self.bus_wait, self.bus.read()).await {
            Ok(Ok(view)) => {
                self.freshness.heard(self.clock.now_micros());
                progress.position = Some(view.revision);
                self.serving.heard(self.now());
                let steps = progress.view.relist(view);
                from_file.extend(steps);
            }
            _ if from_file.is_empty() => tracing::warn!(
                "the configuration bus does not answer, and there is no snapshot file to serve"
            ),
            _ => tracing::warn!("the configuration bus does not answer; the snapshot file is served"),
        }
        // Of a namespace in both, the read comes last and replaces what the file had.
        self.serve(&progress, from_file).await;
        progress
    }

    /// Reads what must be read and watches until something is wrong.
    async fn follow(&self, progress: &mut Progress, outage: &mut Outage) -> Left {
        let position = match progress.position {
            Some(position) => position,
            None => match bounded(self.bus.read()).await {
                Ok(view) => self.relist(progress, view).await,
                Err(error) => return Left::Lost(Some(error)),
            },
        };
        match bounded(self.bus.watch(position)).await {
            Ok(events) => self.watch(progress, outage, position, events).await,
            Err(error) => Left::Lost(Some(error)),
        }
    }

    /// Takes in `events`, which begin behind `position`.
    async fn watch(
        &self,
        progress: &mut Progress,
        outage: &mut Outage,
        mut position: u64,
        mut events: Events,
    ) -> Left {
        let mut compare = interval_at(Instant::now() + self.jittered(), self.period());
        let mut settle = interval_at(Instant::now() + SETTLE_INTERVAL, SETTLE_INTERVAL);
        settle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut comparison = Comparison::default();
        let mut was_unsettled = false;
        let mut last_sign = Instant::now();
        loop {
            let event = tokio::select! {
                event = timeout_at(last_sign + SILENCE, events.next()) => event,
                _ = settle.tick() => {
                    let was_unsettled = std::mem::replace(&mut was_unsettled, progress.view.is_unsettled());
                    if was_unsettled && progress.view.is_unsettled() {
                        return Left::Relist("a published generation is not confirmed by what was told");
                    }
                    continue;
                }
                _ = compare.tick() => {
                    // A bus that does not answer is found out by the watch.
                    if let Ok(view) = bounded(self.bus.read()).await {
                        comparison.begin(view, &progress.view);
                    }
                    continue;
                }
            };
            let event = match heard(event) {
                Ok(event) => event,
                Err(left) => return left,
            };
            outage.is_over();
            last_sign = Instant::now();
            self.serving.heard(self.now());
            position = position.max(revision(&event).unwrap_or(position));
            progress.position = Some(position);
            comparison.saw(&event);
            self.apply(progress, event).await;
            if let Verdict::Differs(view, keys) = comparison.verdict(&progress.view) {
                progress.count_difference(&keys);
                return Left::Replaced(view);
            }
        }
    }

    /// Takes up a full read; the answer is its position.
    async fn relist(&self, progress: &mut Progress, view: View) -> u64 {
        self.freshness.heard(self.clock.now_micros());
        let revision = view.revision;
        self.serving.heard(self.now());
        let steps = compute(progress, move |replica| replica.relist(view)).await;
        progress.position = Some(revision);
        self.serve(progress, steps).await;
        revision
    }

    async fn apply(&self, progress: &mut Progress, event: BusEvent) {
        let regressed = progress.view.n_regressed();
        let mut step = None;
        if let Some(namespace) = progress.view.take_in(event) {
            step = progress.view.settle_small(&namespace);
            if step.is_none() {
                step = compute(progress, move |replica| replica.settle(&namespace)).await;
            }
        }
        if progress.view.n_regressed() > regressed {
            tracing::warn!(
                n_regressed = progress.view.n_regressed(),
                "the bus names a generation older than the one served; ignored"
            );
        }
        self.serve(progress, step).await;
    }

    async fn serve(&self, progress: &Progress, steps: impl IntoIterator<Item = Step>) {
        let steps: Vec<_> = steps.into_iter().collect();
        if steps.is_empty() {
            return;
        }
        for step in &steps {
            let (namespace, generation) = (step.snapshot.namespace(), step.snapshot.generation());
            tracing::info!(%namespace, generation, n_rejected = step.rejected.len(), "configuration is served");
            for rejected in &step.rejected {
                let (resource, reason) = (&rejected.resource, &rejected.reason);
                tracing::warn!(%namespace, generation, resource, reason, "a resource is rejected; its last good version stays");
            }
        }
        let generations: Vec<_> = steps
            .iter()
            .map(|step| (step.snapshot.namespace().clone(), step.snapshot.generation()))
            .collect();
        let (snapshots, told): (Vec<_>, Vec<_>) =
            steps.into_iter().map(|step| (step.snapshot, step.told)).unzip();
        let replaced = self.serving.replace(snapshots);
        self.replaced.add(replaced);
        let since = self.now();
        self.acknowledged.send_modify(|served| {
            for (namespace, generation) in generations.clone() {
                let settled = served.get(&namespace).map_or(0, |before| before.settled);
                let here = Served {
                    generation,
                    since,
                    settled,
                };
                served.insert(namespace, here);
            }
        });
        // After all who wait for it know that it is hot: this costs what there is, not what has changed.
        for ((namespace, _), told) in generations.iter().zip(told) {
            self.views.publish(namespace, told);
        }
        self.health.ready().await;
        self.saved.send_replace(Some(Arc::new(progress.view.save())));
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// Time between comparisons; never zero.
    fn period(&self) -> Duration {
        self.compare_interval.max(MIN_COMPARE_INTERVAL)
    }

    /// Time to the first comparison, moved by up to a tenth so that replicas do not read at once.
    fn jittered(&self) -> Duration {
        self.period().mul_f64(0.9 + 0.2 * rand::random::<f64>())
    }
}

/// Runs `change` on a thread that may compute for long.
async fn compute<T: Send + 'static>(
    progress: &mut Progress,
    change: impl FnOnce(&mut ReplicaView) -> T + Send + 'static,
) -> T {
    let mut view = std::mem::take(&mut progress.view);
    let computed = tokio::task::spawn_blocking(move || {
        let result = change(&mut view);
        (view, result)
    });
    match computed.await {
        Ok((view, result)) => {
            progress.view = view;
            result
        }
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The event, or why the watch is left.
fn heard(event: Result<Option<Result<BusEvent, Error>>, Elapsed>) -> Result<BusEvent, Left> {
    match event {
        Ok(Some(Ok(BusEvent::Relist))) => Err(Left::Relist("the history after our position is gone")),
        Ok(Some(Ok(event))) => Ok(event),
        Ok(Some(Err(error))) => Err(Left::Lost(Some(error))),
        Ok(None) | Err(_) => Err(Left::Lost(None)),
    }
}

async fn bounded<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(result) => result,
        Err(elapsed) => Err(Error::Unavailable {
            store: "configuration bus",
            source: elapsed.into(),
        }),
    }
}

fn revision(event: &BusEvent) -> Option<u64> {
    match event {
        BusEvent::Put { revision, .. }
        | BusEvent::Delete { revision, .. }
        | BusEvent::Manifest { revision, .. }
        | BusEvent::Progress { revision } => Some(*revision),
        BusEvent::Relist => None,
    }
}
