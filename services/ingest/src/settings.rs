//! What can be set, and what holds when it is not.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use assay_platform::{Access, Check, Limits, Observed};
use serde::Deserialize;

/// One minute to a year.
const LATENESS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(365 * 24 * 3600);

/// Settings of ingest.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the config service answers, such as `http://config:7071`: it knows the API keys.
    pub config_endpoint: String,
    /// Whether imports (records that keep the times they give, and exposures decided elsewhere) are permitted.
    /// When not set: only on a loopback address or where callers have keys. A caller with a key needs the role `importer` besides.
    pub imports: Option<bool>,
    /// How late an event may come and still count, such as `72h`, in 1m to 8760h. Later ones are kept and counted apart.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub lateness_allowance: Duration,
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7072)),
            config_endpoint: "http://127.0.0.1:7071".into(),
            imports: None,
            lateness_allowance: Duration::from_secs(72 * 3600),
            reflection: None,
            limits: Limits::default(),
            observed: Observed::default(),
            access: Access::open(),
        }
    }
}

impl Settings {
    /// What is wrong with the values.
    pub fn check(&self) -> Check {
        let mut check = Check::section("ingest");
        check.server("config_endpoint", &self.config_endpoint);
        check.duration("lateness_allowance", self.lateness_allowance, &LATENESS);
        check.join(self.limits.check("ingest.limits"));
        check
    }

    /// Whether imports are permitted.
    pub(crate) fn imports_permitted(&self) -> bool {
        self.imports
            .unwrap_or_else(|| self.listen.ip().is_loopback() || !self.access.is_open())
    }
}
