//! What can be set, and what holds when it is not.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;

/// Settings of analysis.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the config service answers.
    pub config_endpoint: String,
    /// How many partitions are read at the same time, at least 1.
    pub readers: usize,
    /// Most entries read at once from each log of a partition, at least 1.
    pub batch_entries: usize,
    /// How long to wait after a round that found nothing; grows to five times that while nothing comes.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub poll_interval: Duration,
    /// How long a record may be on its way to the log: an empty log counts as complete up to this long ago.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub settle: Duration,
    /// How often entries that every reader has counted are removed from the log.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub trim_interval: Duration,
    /// Whether to answer gRPC reflection.
    pub reflection: bool,
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
            reflection: true,
        }
    }
}
