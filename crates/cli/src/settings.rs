//! The settings of every verb, from one file and the environment.

use std::{
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use assay_client::Endpoints;
use assay_platform::{Check, ObserveSettings, Observed, Secret, TelemetrySettings, error::chain, settings};
use assay_storage::{event_log::RedisLog, sql::Database};
use serde::Deserialize;

use crate::error::Error;

/// Fewest characters of a key that an operator makes.
const MIN_KEY: usize = 32;
const PARTITIONS: RangeInclusive<u32> = 1..=1_024;
/// Connections to Postgres.
const CONNECTIONS: RangeInclusive<u32> = 1..=1_000;

/// All settings, one section for each service, one for OpenFeature, and four that they share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// The config service.
    pub(crate) config: assay_config::Settings,
    /// The assignment service.
    pub(crate) assignment: assay_assignment::Settings,
    /// The doors of assignment for OpenFeature.
    pub(crate) openfeature: assay_assignment::OpenFeatureSettings,
    /// The ingest service.
    pub(crate) ingest: assay_ingest::Settings,
    /// The analysis service.
    pub(crate) analysis: assay_analysis::Settings,
    /// Who may call.
    pub(crate) auth: Auth,
    /// Where data are.
    pub(crate) stores: Stores,
    /// Where the operator's verbs find the services.
    pub(crate) client: ClientSettings,
    /// Logs and traces.
    pub(crate) telemetry: TelemetrySettings,
    /// Metrics, health and status for people.
    pub(crate) observe: ObserveSettings,
}

/// Who may call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// `open`: everyone may do everything; `keys`: callers need an API key. When not set: open while everything runs in one process
    /// and listens on loopback only, else keys.
    pub(crate) mode: Option<AuthMode>,
    /// What the services know each other by, at least 32 characters; in a cluster with keys every service needs the same. As `file:/path` it is
    /// read anew within 5 s when the file changes, and so is `admin_key`.
    pub(crate) service_key: Secret,
    /// A key of an administrator that is valid while it stands here, at least 32 characters. Without it the first start of config makes one.
    pub(crate) admin_key: Secret,
    /// Where the first start writes the administrator's key, readable by its owner alone. When not set: `admin.key` in `stores.data_dir`.
    pub(crate) admin_key_file: Option<PathBuf>,
}

/// Whether callers need keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AuthMode {
    /// They do not.
    Open,
    /// They do.
    Keys,
}

impl Auth {
    fn check(&self) -> Check {
        let mut check = Check::section("auth");
        for (name, key) in [("service_key", &self.service_key), ("admin_key", &self.admin_key)] {
            if let Some(problem) = key_problem(key) {
                check.refuse(name, problem);
            }
        }
        check
    }
}

/// What is wrong with a key that an operator made.
pub(crate) fn key_problem(key: &Secret) -> Option<String> {
    let length = key.expose().len();
    let is_good = length >= MIN_KEY && key.expose().bytes().all(|byte| byte.is_ascii_graphic());
    let problem = || {
        format!(
            "has {length} characters, or others than visible ASCII; give at least {MIN_KEY}, such as from `openssl rand -hex 32`"
        )
    };
    (!key.is_empty() && !is_good).then(problem)
}

/// Where data are.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Stores {
    /// Directory of this process's own files; embedded, of everything. Not empty.
    pub(crate) data_dir: PathBuf,
    /// Postgres, such as `postgres://assay:secret@db/assay`; needed by config and analysis.
    pub(crate) postgres_url: Secret,
    /// Most connections to Postgres of one process, 1 to 1000.
    pub(crate) postgres_connections: u32,
    /// The members of etcd, such as `http://etcd:2379`, each once; needed by config and assignment.
    pub(crate) etcd_endpoints: Vec<String>,
    /// What every key in etcd begins with: a slash and up to 199 visible ASCII characters, the last no slash.
    pub(crate) etcd_prefix: String,
    /// Redis, such as `redis://redis:6379`; needed by assignment, ingest and analysis.
    pub(crate) redis_url: Secret,
    /// What every key in Redis begins with: 1 to 200 visible ASCII characters, no braces.
    pub(crate) redis_prefix: String,
    /// Number of partitions of the log, 1 to 1024, fixed for its life.
    pub(crate) partitions: u32,
}

impl Default for Stores {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./assay-data"),
            postgres_url: Secret::default(),
            postgres_connections: 10,
            etcd_endpoints: Vec::new(),
            etcd_prefix: "/assay".to_owned(),
            redis_url: Secret::default(),
            redis_prefix: "assay".to_owned(),
            partitions: 16,
        }
    }
}

/// Where the operator's verbs find the services; each an address such as `http://config:7071`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientSettings {
    /// The config service.
    pub(crate) config: String,
    /// The assignment service.
    pub(crate) assignment: String,
    /// The ingest service.
    pub(crate) ingest: String,
    /// The analysis service.
    pub(crate) analysis: String,
    /// The API key to present: from the environment, or `file:/path`. Not needed where access is open.
    pub(crate) api_key: Secret,
}

impl Default for ClientSettings {
    fn default() -> Self {
        let Endpoints {
            config,
            assignment,
            ingest,
            analysis,
        } = Endpoints::default();
        Self {
            config,
            assignment,
            ingest,
            analysis,
            api_key: Secret::default(),
        }
    }
}

impl ClientSettings {
    fn check(&self) -> Check {
        let mut check = Check::section("client");
        for (key, address) in [
            ("config", &self.config),
            ("assignment", &self.assignment),
            ("ingest", &self.ingest),
            ("analysis", &self.analysis),
        ] {
            check.server(key, address);
        }
        check
    }

    /// For the client.
    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints {
            config: self.config.clone(),
            assignment: self.assignment.clone(),
            ingest: self.ingest.clone(),
            analysis: self.analysis.clone(),
        }
    }
}

impl Settings {
    /// From defaults, `file` and the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Error> {
        let settings: Self = settings::load(file)?;
        settings.check().done()?;
        Ok(settings)
    }

    /// Everything that is wrong with the values, at once.
    fn check(&self) -> Check {
        let mut check = self.config.check();
        for other in [
            self.assignment.check(),
            self.openfeature.check(),
            self.ingest.check(),
            self.analysis.check(),
            self.auth.check(),
            self.stores.check(),
            self.client.check(),
            self.telemetry.check(),
        ] {
            check.join(other);
        }
        check
    }

    /// Lets every service tell of itself at `observed`.
    pub(crate) fn observed_by(&mut self, observed: &Observed) {
        self.config.observed = observed.clone();
        self.assignment.observed = observed.clone();
        self.ingest.observed = observed.clone();
        self.analysis.observed = observed.clone();
    }

    /// Reflection is on when one process runs every service, for people who try it, unless the settings say otherwise.
    pub(crate) fn reflect_by_default(&mut self) {
        for reflection in [
            &mut self.config.reflection,
            &mut self.assignment.reflection,
            &mut self.ingest.reflection,
            &mut self.analysis.reflection,
        ] {
            reflection.get_or_insert(true);
        }
    }

    /// What else must hold when one process runs every service: two cannot listen on one address.
    pub(crate) fn check_one_process(&self) -> Result<(), Error> {
        let services = [
            ("config.listen", self.config.listen),
            ("assignment.listen", self.assignment.listen),
            ("ingest.listen", self.ingest.listen),
            ("analysis.listen", self.analysis.listen),
        ];
        let open = [
            ("openfeature.flagd_listen", self.openfeature.flagd_listen),
            ("openfeature.ofrep_listen", self.openfeature.ofrep_listen),
        ];
        let open = open
            .into_iter()
            .filter_map(|(key, address)| Some((key, address?)));
        let listen: Vec<_> = services.into_iter().chain(open).collect();
        let mut check = Check::default();
        for (n, (key, address)) in listen.iter().enumerate() {
            if let Some((other, _)) = listen.iter().take(n).find(|(_, other)| collide(*other, *address)) {
                let problem = format!("is {address}, where `{other}` listens, too; give another port");
                check.refuse(key, problem);
            }
        }
        Ok(check.done()?)
    }
}

/// Whether both cannot be listened on. Port 0 is any free one; an unspecified address is all of the machine's.
fn collide(one: SocketAddr, two: SocketAddr) -> bool {
    let all = one.ip().is_unspecified() || two.ip().is_unspecified();
    one.port() != 0 && one.port() == two.port() && (all || one.ip() == two.ip())
}

impl Stores {
    fn check(&self) -> Check {
        let mut check = Check::section("stores");
        if self.data_dir.as_os_str().is_empty() {
            check.refuse("data_dir", "is empty; give a directory, such as ./assay-data");
        }
        check.number("partitions", self.partitions, &PARTITIONS);
        check.number("postgres_connections", self.postgres_connections, &CONNECTIONS);
        if !self.postgres_url.is_empty()
            && let Err(error) = Database::check_postgres_url(self.postgres_url.expose())
        {
            let example = "postgres://assay:secret@db/assay";
            let problem = format!("cannot be used ({}); give one like {example}", chain(&error));
            check.refuse("postgres_url", problem);
        }
        self.check_etcd(&mut check);
        check.word("redis_prefix", &self.redis_prefix);
        if self.redis_prefix.contains(['{', '}']) {
            let problem = "has a brace, which says where Redis keeps a key; give one without";
            check.refuse("redis_prefix", problem);
        }
        if !self.redis_url.is_empty()
            && let Err(error) = RedisLog::check_url(self.redis_url.expose())
        {
            let problem = format!(
                "cannot be used ({}); give one like redis://redis:6379",
                chain(&error)
            );
            check.refuse("redis_url", problem);
        }
        check
    }

    fn check_etcd(&self, check: &mut Check) {
        for (n, endpoint) in self.etcd_endpoints.iter().enumerate() {
            check.server("etcd_endpoints", endpoint);
            if self.etcd_endpoints.iter().take(n).any(|other| other == endpoint) {
                let problem = format!("has `{endpoint}` twice; give each member once");
                check.refuse("etcd_endpoints", problem);
            }
        }
        check.word("etcd_prefix", &self.etcd_prefix);
        if !self.etcd_prefix.is_empty()
            && (!self.etcd_prefix.starts_with('/') || self.etcd_prefix.ends_with('/'))
        {
            let prefix = &self.etcd_prefix;
            let problem =
                format!("is `{prefix}`; give one that begins with a slash and does not end with one");
            check.refuse("etcd_prefix", problem);
        }
    }
}

#[cfg(test)]
mod tests;
