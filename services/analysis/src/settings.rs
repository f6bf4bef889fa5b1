//! What can be set, and what holds when it is not.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use assay_platform::{Access, Check, Limits, Observed};
use serde::Deserialize;

const READERS: RangeInclusive<usize> = 1..=1_024;
const BATCH_ENTRIES: RangeInclusive<usize> = 1..=1_024;
const POLL_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
/// Never nothing: a record is stamped before it is in the log.
const SETTLE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(3_600);
const TRIM_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);

/// Settings of analysis.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the config service answers, such as `http://config:7071`.
    pub config_endpoint: String,
    /// How many partitions are read at the same time, 1 to 1024; never more than there are.
    pub readers: usize,
    /// Most entries read at once from each log of a partition, 1 to 1024.
    pub batch_entries: usize,
    /// How long to wait after a round that found nothing; grows to five times that while nothing comes. In 10ms to 1m.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub poll_interval: Duration,
    /// How long a record may be on its way to the log: an empty log counts as complete up to this long ago.
    /// In 100ms to 1h.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub settle: Duration,
    /// How often entries that every reader has counted are removed from the log, in 1s to 24h.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub trim_interval: Duration,
    /// Whether to answer gRPC reflection. When not set: while one process runs every service, and not in a cluster.
    pub reflection: Option<bool>,
    /// What it takes at most.
    pub limits: Limits,
    /// Where it tells of itself.
    #[serde(skip)]
    pub observed: Observed,
    /// Who may call; everyone, unless `auth` of the process says otherwise.
    #[serde(skip)]
    pub access: Access,
}

impl Settings {
    /// What is wrong with the values.
    pub fn check(&self) -> Check {
        let mut check = Check::section("analysis");
        check.server("config_endpoint", &self.config_endpoint);
        check.number("readers", self.readers, &READERS);
        check.number("batch_entries", self.batch_entries, &BATCH_ENTRIES);
        check.duration("poll_interval", self.poll_interval, &POLL_INTERVAL);
        check.duration("settle", self.settle, &SETTLE);
        check.duration("trim_interval", self.trim_interval, &TRIM_INTERVAL);
        check.join(self.limits.check("analysis.limits"));
        check
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7073)),
            config_endpoint: "http://127.0.0.1:7071".into(),
            readers: 2,
            batch_entries: 64,
            poll_interval: Duration::from_millis(200),
            settle: Duration::from_secs(1),
            trim_interval: Duration::from_secs(10),
            reflection: None,
            limits: Limits::default(),
            observed: Observed::default(),
            access: Access::open(),
        }
    }
}
