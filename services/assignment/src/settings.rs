//! What can be set, and what holds when it is not.

use std::{net::SocketAddr, time::Duration};

use assay_platform::settings::duration;
use serde::Deserialize;

/// Settings of assignment.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether to answer gRPC reflection.
    pub reflection: bool,
    /// How long a start waits for the configuration bus before it serves the snapshot file, such as `1s`.
    #[serde(deserialize_with = "duration")]
    pub bus_wait: Duration,
    /// How often a full read of the bus is compared with what the watch has built, such as `5m`; jittered.
    #[serde(deserialize_with = "duration")]
    pub compare_interval: Duration,
    /// What becomes of exposures.
    pub exposures: ExposureSettings,
}

/// Settings of the way of exposures to the log.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExposureSettings {
    /// Whether they are written to a file before the answer goes out, so that the death of the process loses none. Off, for read-only
    /// disks: they wait in memory.
    pub spool: bool,
    /// How much the spool, or the memory in its place, may hold, in bytes; beyond, the newest are dropped and counted.
    pub spool_bytes: u64,
    /// Size of one file of the spool, in bytes.
    pub spool_segment_bytes: u64,
    /// How much may wait to be written to the spool, in bytes; beyond, the newest are dropped and counted.
    pub buffer_bytes: usize,
    /// How long they are gathered before they are sent, such as `5ms`.
    #[serde(deserialize_with = "duration")]
    pub ship_interval: Duration,
    /// How long the end of the process waits for the log to take what is left, such as `3s`; what is spooled is sent by the next start.
    #[serde(deserialize_with = "duration")]
    pub drain_deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            reflection: true,
            bus_wait: Duration::from_secs(1),
            compare_interval: Duration::from_secs(300),
            exposures: ExposureSettings::default(),
        }
    }
}

impl Default for ExposureSettings {
    fn default() -> Self {
        Self {
            spool: true,
            spool_bytes: 256 << 20,
            spool_segment_bytes: 8 << 20,
            buffer_bytes: 32 << 20,
            ship_interval: Duration::from_millis(5),
            drain_deadline: Duration::from_secs(3),
        }
    }
}
