//! The settings of every verb, from one file and the environment.

use std::path::{Path, PathBuf};

use assay_client::Endpoints;
use assay_platform::{Secret, TelemetrySettings, settings};
use serde::Deserialize;

use crate::error::Error;

/// Most partitions of the log.
const MAX_PARTITIONS: u32 = 1_024;

/// All settings, one section for each service and three that they share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// The config service.
    pub(crate) config: assay_config::Settings,
    /// The assignment service.
    pub(crate) assignment: assay_assignment::Settings,
    /// The ingest service.
    pub(crate) ingest: assay_ingest::Settings,
    /// The analysis service.
    pub(crate) analysis: assay_analysis::Settings,
    /// Where data are.
    pub(crate) stores: Stores,
    /// Where the operator's verbs find the services.
    pub(crate) client: ClientSettings,
    /// Logs and traces.
    pub(crate) telemetry: TelemetrySettings,
}

/// Where data are.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Stores {
    /// Directory of this process's own files; embedded, of everything.
    pub(crate) data_dir: PathBuf,
    /// Postgres, such as `postgres://assay:secret@db/assay`; needed by config and analysis.
    pub(crate) postgres_url: Secret,
    /// Most connections to Postgres of one process, at least 1.
    pub(crate) postgres_connections: u32,
    /// etcd, such as `http://etcd:2379`; needed by config and assignment.
    pub(crate) etcd_endpoints: Vec<String>,
    /// What every key in etcd begins with.
    pub(crate) etcd_prefix: String,
    /// Redis, such as `redis://redis:6379`; needed by assignment, ingest and analysis.
    pub(crate) redis_url: Secret,
    /// What every key in Redis begins with.
    pub(crate) redis_prefix: String,
    /// Number of partitions of the log, fixed for its life.
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

/// Where the operator's verbs find the services.
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
        }
    }
}

impl ClientSettings {
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
        settings.check()?;
        Ok(settings)
    }

    /// What holds for the settings together with the stores.
    fn check(&self) -> Result<(), Error> {
        let partitions = self.stores.partitions;
        if (1..=MAX_PARTITIONS).contains(&partitions) {
            return Ok(());
        }
        let problem =
            format!("is {partitions}; give 1 to {MAX_PARTITIONS}. It is fixed for the life of the log");
        Err(Error::Setting {
            key: "stores.partitions",
            problem,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_listen_on_loopback_and_the_verbs_find_them() {
        let settings: Settings = settings::load_from(None, []).unwrap();
        let listen = [
            settings.config.listen,
            settings.assignment.listen,
            settings.ingest.listen,
            settings.analysis.listen,
        ];
        assert!(
            listen.iter().all(|address| address.ip().is_loopback()),
            "{listen:?}"
        );
        let client = [
            settings.client.config,
            settings.client.assignment,
            settings.client.ingest,
            settings.client.analysis,
        ];
        assert_eq!(listen.map(|address| format!("http://{address}")), client);
    }

    #[test]
    fn a_number_of_partitions_that_cannot_be_is_refused_with_64() {
        for (partitions, ok) in [(0, false), (1, true), (1_024, true), (1_025, false)] {
            let mut settings = Settings::default();
            settings.stores.partitions = partitions;
            assert_eq!(settings.check().is_ok(), ok, "{partitions}");
        }
        let mut settings = Settings::default();
        settings.stores.partitions = 0;
        let error = settings.check().unwrap_err();
        assert_eq!(error.exit(), assay_platform::Exit::Settings);
        assert!(error.to_string().contains("stores.partitions"), "{error}");
    }

    #[test]
    fn unknown_keys_stop_the_start_with_64() {
        let set = [("ASSAY__STORES__DATADIR".to_owned(), "x".to_owned())];
        let error = Error::from(settings::load_from::<Settings>(None, set).unwrap_err());
        assert_eq!(error.exit(), assay_platform::Exit::Settings);
        assert!(error.to_string().contains("ASSAY__STORES__DATADIR"), "{error}");
    }
}
