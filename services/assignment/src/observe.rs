//! What a replica tells of itself: what it serves and how old that is, and where its exposures are.

use std::{fmt, sync::Arc};

use assay_core::time::Timestamp;
use assay_platform::{
    SharedClock,
    observe::prometheus_client::{
        collector::Collector,
        encoding::{DescriptorEncoder, EncodeMetric},
        metrics::{counter::ConstCounter, gauge::ConstGauge},
    },
};
use serde_json::{Value, json};

use crate::{record::queue::Queue, serving::Serving};

/// Looks at what is served and at the counts of exposures, each time it is asked.
#[derive(Clone)]
pub(crate) struct Observer {
    pub(crate) serving: Arc<Serving>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) clock: SharedClock,
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

impl Observer {
    /// How long ago the bus was heard of last, in seconds; none before it ever was.
    fn age(&self) -> Option<f64> {
        let now = Timestamp::from_micros(self.clock.now_micros());
        self.serving.age(now).map(|age| age.as_secs_f64())
    }

    pub(crate) fn status(&self) -> Value {
        let generations: Vec<_> = self
            .serving
            .generations()
            .into_iter()
            .map(|(namespace, generation)| json!({"namespace": namespace.as_str(), "generation": generation}))
            .collect();
        let now = Timestamp::from_micros(self.clock.now_micros());
        let state = match (generations.is_empty(), self.serving.is_stale(now)) {
            (true, _) => "NO_CONFIGURATION",
            (false, true) => "STALE",
            (false, false) => "CURRENT",
        };
        let counts = self.queue.counts();
        json!({
            "state": state,
            "config_age_seconds": self.age(),
            "serving": generations,
            "exposures": {
                "offered": counts.offered,
                "stored": counts.acknowledged,
                "dropped": counts.dropped(),
                "pending": counts.pending,
                "unspooled": counts.unspooled,
                "recovered": counts.recovered,
            },
        })
    }
}

impl Collector for Observer {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.queue.counts();
        let mut count = |name: &str, help: &str, n: u64| {
            let counter = ConstCounter::new(n);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        };
        count(
            "assay_exposures_offered",
            "Exposures of answers that were given",
            counts.offered,
        )?;
        count(
            "assay_exposures_stored",
            "Exposures that the log has acknowledged",
            counts.acknowledged,
        )?;
        count(
            "assay_exposures_unspooled",
            "Exposures whose answer went out before they were spooled",
            counts.unspooled,
        )?;
        count(
            "assay_exposures_recovered",
            "Exposures of earlier lives of this process that were stored in this one",
            counts.recovered,
        )?;
        let any = ConstCounter::new(0_u64);
        let mut family = encoder.encode_descriptor(
            "assay_exposures_dropped",
            "Exposures that are in no result: there was no room, or the spool failed",
            None,
            any.metric_type(),
        )?;
        for (reason, n) in [
            ("buffer_full", counts.dropped_buffer_full),
            ("spool_full", counts.dropped_spool_full),
            ("spool_failed", counts.dropped_spool_failed),
        ] {
            ConstCounter::new(n).encode(family.encode_family(&[("reason", reason)])?)?;
        }
        let pending = ConstGauge::new(i64::try_from(counts.pending).unwrap_or(i64::MAX));
        let family = encoder.encode_descriptor(
            "assay_exposures_pending",
            "Exposures on their way: offered = stored + dropped + pending",
            None,
            pending.metric_type(),
        )?;
        pending.encode(family)?;
        if let Some(age) = self.age() {
            let age = ConstGauge::new(age);
            let family = encoder.encode_descriptor(
                "assay_config_age_seconds",
                "How long ago the configuration bus was heard of last",
                None,
                age.metric_type(),
            )?;
            age.encode(family)?;
        }
        let any = ConstGauge::new(0_i64);
        let mut family = encoder.encode_descriptor(
            "assay_config_generation",
            "The generation that is served",
            None,
            any.metric_type(),
        )?;
        for (namespace, generation) in self.serving.generations() {
            let generation = ConstGauge::new(i64::try_from(generation).unwrap_or(i64::MAX));
            generation.encode(family.encode_family(&[("namespace", namespace.as_str())])?)?;
        }
        Ok(())
    }
}
