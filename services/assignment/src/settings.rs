//! What can be set, and what holds when it is not.

use std::{net::SocketAddr, num::NonZero, ops::RangeInclusive, time::Duration};

use assay_platform::{
    Access, Check, Limits, Observed, server::DRAIN_DEADLINE, settings::duration, shutdown::WORK_DEADLINE,
};
use serde::{Deserialize, Deserializer, de::Error as _};

const WORKERS: RangeInclusive<usize> = 0..=256;
const SPOOL_WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);
const BUS_WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
const CALLERS_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3_600);
const COMPARE_INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
/// At least what one request may record, so that no request is too large for an empty spool or buffer.
const SPOOL_BYTES: RangeInclusive<u64> = (4 << 20)..=(1 << 40);
const SEGMENT_BYTES: RangeInclusive<u64> = (64 << 10)..=(1 << 30);
const BUFFER_BYTES: RangeInclusive<u64> = (4 << 20)..=(4 << 30);
const SHIP_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(10);
/// What is left for it when the server's calls have taken all of their time to end.
const DRAIN: RangeInclusive<Duration> =
    Duration::from_millis(100)..=WORK_DEADLINE.saturating_sub(DRAIN_DEADLINE);

/// Settings of assignment.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether to answer gRPC reflection. When not set: while one process runs every service, and not in a cluster.
    pub reflection: Option<bool>,
    /// Threads that answer calls, 0 to 256, each on a core of its own at best; 0 shares those of the process.
    pub workers: usize,
    /// What it takes at most.
    pub limits: Limits,
    /// Where it tells of itself.
    #[serde(skip)]
    pub observed: Observed,
    /// Who may call; everyone, unless `auth` of the process says otherwise.
    #[serde(skip)]
    pub access: Access,
    /// How long a start waits for the configuration bus before it serves the snapshot file, such as `1s`, in 0s to 1m.
    #[serde(deserialize_with = "duration")]
    pub bus_wait: Duration,
    /// How often a full read of the bus is compared with what the watch has built, such as `5m`, in 1s to 24h; jittered.
    #[serde(deserialize_with = "duration")]
    pub compare_interval: Duration,
    /// How often it is put on the log who has asked for what, such as `60s`, in 10ms to 1h.
    #[serde(deserialize_with = "duration")]
    pub callers_interval: Duration,
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
    /// How much the spool, or the memory in its place, may hold, in bytes, 4 MiB to 1 TiB; beyond, the newest are dropped
    /// and counted.
    pub spool_bytes: u64,
    /// Size of one file of the spool, in bytes, 64 KiB to 1 GiB and at most `spool_bytes`.
    pub spool_segment_bytes: u64,
    /// How much may wait to be written to the spool, in bytes, 4 MiB to 4 GiB; beyond, the newest are dropped and counted.
    pub buffer_bytes: usize,
    /// How long an answer waits at most for its exposures to be spooled, such as `2ms`, in 1ms to 1s; then it goes out, and its exposures are
    /// counted as unspooled: a process that is killed loses them.
    #[serde(deserialize_with = "duration")]
    pub spool_wait: Duration,
    /// How long they are gathered before they are sent, such as `5ms`, in 1ms to 10s.
    #[serde(deserialize_with = "duration")]
    pub ship_interval: Duration,
    /// How long the end of the process waits for the log to take what is left, such as `3s`, in 100ms to 4s, because the process
    /// must be gone soon; what is spooled is sent by the next start.
    #[serde(deserialize_with = "duration")]
    pub drain_deadline: Duration,
}

impl Settings {
    /// What is wrong with the values.
    pub fn check(&self) -> Check {
        let mut check = Check::section("assignment");
        check.number("workers", self.workers, &WORKERS);
        check.duration("bus_wait", self.bus_wait, &BUS_WAIT);
        check.duration("compare_interval", self.compare_interval, &COMPARE_INTERVAL);
        check.duration("callers_interval", self.callers_interval, &CALLERS_INTERVAL);
        check.join(self.exposures.check());
        check.join(self.limits.check("assignment.limits"));
        check
    }
}

impl ExposureSettings {
    fn check(&self) -> Check {
        let mut check = Check::section("assignment.exposures");
        check.bytes("spool_bytes", self.spool_bytes, &SPOOL_BYTES);
        check.bytes("spool_segment_bytes", self.spool_segment_bytes, &SEGMENT_BYTES);
        if self.spool_segment_bytes > self.spool_bytes {
            let problem = format!(
                "is {}, more than `spool_bytes` ({}); give less, or raise that",
                self.spool_segment_bytes, self.spool_bytes
            );
            check.refuse("spool_segment_bytes", problem);
        }
        let buffer_bytes = u64::try_from(self.buffer_bytes).unwrap_or(u64::MAX);
        check.bytes("buffer_bytes", buffer_bytes, &BUFFER_BYTES);
        check.duration("spool_wait", self.spool_wait, &SPOOL_WAIT);
        check.duration("ship_interval", self.ship_interval, &SHIP_INTERVAL);
        check.duration("drain_deadline", self.drain_deadline, &DRAIN);
        check
    }
}

/// Settings of the doors for OpenFeature.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenFeatureSettings {
    /// Where to listen for flagd's protocol, over gRPC and Connect; `off` for nowhere.
    #[serde(deserialize_with = "listen")]
    pub flagd_listen: Option<SocketAddr>,
    /// Where to listen for OFREP; `off` for nowhere.
    #[serde(deserialize_with = "listen")]
    pub ofrep_listen: Option<SocketAddr>,
    /// From which origins browsers may ask, such as `https://shop.example`; `*` is all.
    pub cors_origins: Vec<String>,
    /// Where tracking calls go: the ingest service, such as `http://ingest:7072`. In one process it is known.
    pub ingest_endpoint: String,
}

impl OpenFeatureSettings {
    /// What is wrong with the values.
    pub fn check(&self) -> Check {
        let mut check = Check::section("openfeature");
        for origin in &self.cors_origins {
            let is_origin = origin
                .split_once("://")
                .is_some_and(|(_, host)| !host.contains('/'));
            if origin != "*" && !is_origin {
                let problem =
                    format!("has `{origin}`; give origins such as https://shop.example, or `*` for all");
                check.refuse("cors_origins", problem);
            }
        }
        check.server("ingest_endpoint", &self.ingest_endpoint);
        check
    }
}

impl Default for OpenFeatureSettings {
    fn default() -> Self {
        Self {
            flagd_listen: Some(SocketAddr::from(([127, 0, 0, 1], 8013))),
            ofrep_listen: Some(SocketAddr::from(([127, 0, 0, 1], 8016))),
            cors_origins: vec!["*".to_owned()],
            ingest_endpoint: "http://127.0.0.1:7072".to_owned(),
        }
    }
}

/// An address, or `off`.
fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "off" {
        return Ok(None);
    }
    let address = text.parse().map(Some);
    address.map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is no address; give one like 127.0.0.1:8013, or `off`"
        ))
    })
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            reflection: None,
            workers: std::thread::available_parallelism().map_or(1, NonZero::get),
            limits: Limits::default(),
            observed: Observed::default(),
            access: Access::open(),
            bus_wait: Duration::from_secs(1),
            compare_interval: Duration::from_secs(300),
            callers_interval: Duration::from_secs(60),
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
            spool_wait: Duration::from_millis(2),
            ship_interval: Duration::from_millis(5),
            drain_deadline: Duration::from_secs(3),
        }
    }
}
