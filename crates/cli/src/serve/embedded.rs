//! Every service in one process: SQLite stands behind the stores, memory behind the bus.

use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc};

use assay_client::Endpoints;
use assay_platform::{ChannelOptions, SharedClock, Shutdown, connect_lazy, error::BoxError, server::bind};
use assay_storage::{
    access_store::SqlAccessStore,
    analysis_store::SqlAnalysisStore,
    config_bus::EmbeddedConfigBus,
    config_store::SqlConfigStore,
    event_log::{EmbeddedLog, EventLog},
    sql::Database,
    unit_store::{EmbeddedUnitStore, UnitStore},
};
use tokio::net::TcpListener;

use super::{auth::Door, data_dir::DataDir, reachable};
use crate::{error::Error, settings::Settings};

/// Connections that read the database at the same time.
const READERS: u32 = 8;

/// Where each service is to be reached.
#[derive(Debug)]
pub(crate) struct Listeners {
    config: TcpListener,
    assignment: TcpListener,
    ingest: TcpListener,
    analysis: TcpListener,
    flagd: Option<TcpListener>,
    ofrep: Option<TcpListener>,
}

/// Listens at `address`, where there is one.
pub(super) async fn bind_open(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Error> {
    Ok(match address {
        Some(address) => Some(bind(&address.to_string()).await?),
        None => None,
    })
}

impl Listeners {
    /// Listens where the settings say.
    pub(crate) async fn bind(settings: &Settings) -> Result<Self, Error> {
        Ok(Self {
            config: bind(&settings.config.listen.to_string()).await?,
            assignment: bind(&settings.assignment.listen.to_string()).await?,
            ingest: bind(&settings.ingest.listen.to_string()).await?,
            analysis: bind(&settings.analysis.listen.to_string()).await?,
            flagd: bind_open(settings.openfeature.flagd_listen).await?,
            ofrep: bind_open(settings.openfeature.ofrep_listen).await?,
        })
    }

    /// The addresses that were bound.
    pub(crate) fn doors(&self) -> Result<Doors, Error> {
        let address = |listener: &TcpListener| listener.local_addr().map_err(Error::internal);
        let open = |listener: &Option<TcpListener>| listener.as_ref().map(address).transpose();
        Ok(Doors {
            config: address(&self.config)?,
            assignment: address(&self.assignment)?,
            ingest: address(&self.ingest)?,
            analysis: address(&self.analysis)?,
            flagd: open(&self.flagd)?,
            ofrep: open(&self.ofrep)?,
        })
    }
}

/// The addresses of the services.
#[derive(Debug, Clone)]
pub(crate) struct Doors {
    config: SocketAddr,
    assignment: SocketAddr,
    ingest: SocketAddr,
    analysis: SocketAddr,
    flagd: Option<SocketAddr>,
    ofrep: Option<SocketAddr>,
}

impl Doors {
    /// Each with its name and what it is for.
    pub(crate) fn list(&self) -> Vec<(&'static str, SocketAddr, &'static str)> {
        let services = [
            ("config", self.config, "flags, segments, metrics, experiments"),
            ("assignment", self.assignment, "who gets what"),
            ("ingest", self.ingest, "events and exposures"),
            ("analysis", self.analysis, "results"),
        ];
        let open = [
            ("flagd", self.flagd, "OpenFeature providers of flagd"),
            ("ofrep", self.ofrep, "OpenFeature providers of OFREP (HTTP)"),
        ];
        let open = open
            .into_iter()
            .filter_map(|(name, address, what)| Some((name, address?, what)));
        services.into_iter().chain(open).collect()
    }

    /// Whether all listen on loopback only.
    pub(crate) fn are_local(&self) -> bool {
        self.list()
            .iter()
            .all(|(_, address, _)| address.ip().is_loopback())
    }

    /// For a client in this process or on this machine.
    pub(crate) fn endpoints(&self) -> Endpoints {
        Endpoints {
            config: reachable(self.config),
            assignment: reachable(self.assignment),
            ingest: reachable(self.ingest),
            analysis: reachable(self.analysis),
        }
    }
}

/// The stores of an embedded platform.
pub(crate) struct Platform {
    store: Arc<SqlConfigStore>,
    access: Arc<SqlAccessStore>,
    analysis: Arc<SqlAnalysisStore>,
    bus: Arc<EmbeddedConfigBus>,
    log: Arc<dyn EventLog>,
    units: Arc<dyn UnitStore>,
    assignment_dir: PathBuf,
    _data_dir: DataDir,
}

impl Platform {
    /// Opens the stores in the data directory, and makes what is missing.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Error> {
        let data_dir = DataDir::open(&settings.stores.data_dir)?;
        let (file, url) = data_dir.sqlite("assay.db")?;
        let database = database(&url)
            .await
            .map_err(|source| Error::Database { path: file, source })?;
        // The log has a file of its own, for SQLite has one writer a file.
        let (file, url) = data_dir.sqlite("log.db")?;
        let log = EmbeddedLog::connect(&url, settings.stores.partitions)
            .await
            .map_err(|source| Error::Database { path: file, source })?;
        let (file, url) = data_dir.sqlite("units.db")?;
        let units = EmbeddedUnitStore::connect(&url)
            .await
            .map_err(|source| Error::Database { path: file, source })?;
        Ok(Self {
            units: Arc::new(units),
            store: Arc::new(SqlConfigStore::new(database.clone())),
            access: Arc::new(SqlAccessStore::new(database.clone())),
            analysis: Arc::new(SqlAnalysisStore::new(database)),
            bus: Arc::new(EmbeddedConfigBus::new()),
            log: Arc::new(log),
            assignment_dir: data_dir.path().join("assignment"),
            _data_dir: data_dir,
        })
    }

    /// Makes the administrator's key, where one is needed and none was ever made.
    pub(super) async fn first_key(
        &self,
        door: &Door,
        settings: &Settings,
        clock: &SharedClock,
    ) -> Result<(), Error> {
        door.first_key(settings, &*self.access, clock).await
    }

    /// Serves until `shutdown`; services call each other as `between` says. When one service ends, all do; the error is that of the first.
    pub(crate) async fn serve(
        self,
        mut settings: Settings,
        between: &ChannelOptions,
        listeners: Listeners,
        clock: SharedClock,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        settings.reflect_by_default();
        let doors = listeners.doors()?;
        let (config_door, analysis_door) = (reachable(doors.config), reachable(doors.analysis));
        let config = assay_config::Ports {
            store: self.store,
            bus: self.bus.clone(),
            access: self.access,
            key_bus: self.bus.clone(),
            analysis: Some(connect_lazy(&analysis_door, between)?),
        };
        // The bus begins empty: assignment must not find less there than its snapshot file may lack.
        assay_config::publish(&config).await?;
        let assignment = assay_assignment::Ports {
            bus: self.bus,
            log: self.log.clone(),
            units: self.units,
            data_dir: self.assignment_dir,
        };
        let ingest = assay_ingest::Ports {
            log: self.log.clone(),
        };
        let analysis = assay_analysis::Ports {
            log: self.log,
            store: self.analysis,
            config: connect_lazy(&config_door, between)?,
        };
        // Tracking calls come with the key of their caller, not with ours.
        let tracked = connect_lazy(&reachable(doors.ingest), &ChannelOptions::default())?;
        let assigning = assay_assignment::Doors {
            assign: listeners.assignment,
            openfeature: assay_assignment::OpenFeatureDoors {
                flagd: listeners.flagd,
                ofrep: listeners.ofrep,
                cors_origins: settings.openfeature.cors_origins,
                ingest: Some(tracked),
            },
        };
        let (time, stop) = (|| clock.clone(), || shutdown.clone());
        let (one, two, three, four) = tokio::join!(
            ends_all(
                "config",
                &shutdown,
                assay_config::serve(listeners.config, config, settings.config, time(), stop())
            ),
            ends_all(
                "assignment",
                &shutdown,
                assay_assignment::serve(assigning, assignment, settings.assignment, time(), stop())
            ),
            ends_all(
                "ingest",
                &shutdown,
                assay_ingest::serve(listeners.ingest, ingest, settings.ingest, time(), stop())
            ),
            ends_all(
                "analysis",
                &shutdown,
                assay_analysis::serve(listeners.analysis, analysis, settings.analysis, time(), stop())
            ),
        );
        one.and(two).and(three).and(four)
    }
}

/// The database at `url`, up to date.
async fn database(url: &str) -> Result<Database, assay_storage::Error> {
    let database = Database::connect(url, READERS).await?;
    database.migrate().await?;
    Ok(database)
}

/// Runs one service; when it ends for whatever reason, the others are to end, too.
async fn ends_all<E: Into<BoxError>>(
    service: &'static str,
    shutdown: &Shutdown,
    serving: impl Future<Output = Result<(), E>>,
) -> Result<(), Error> {
    let served = serving.await;
    shutdown.trigger();
    served.map_err(|error| Error::Serve {
        service,
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use assay_platform::Exit;

    use super::*;

    async fn open(directory: &std::path::Path) -> Result<Platform, Error> {
        let mut settings = Settings::default();
        settings.stores.data_dir = directory.to_owned();
        Platform::open(&settings).await
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named_with_a_way_out() {
        for name in ["assay.db", "log.db", "units.db"] {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join(name);
            std::fs::write(
                &file,
                "these are letters to a friend, not a database. ".repeat(100),
            )
            .unwrap();
            let error = open(directory.path()).await.err().unwrap();
            assert_eq!(error.exit(), Exit::CannotCreate, "{error}");
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("database `{}` cannot be used: ", file.display())),
                "{text}"
            );
            assert!(
                text.contains("not a database") && text.contains("--data-dir"),
                "{text}"
            );
        }
    }

    #[tokio::test]
    async fn a_directory_of_any_name_holds_its_own_files() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["größe 1", "100%41", "a?mode=memory", "b#c", ":memory:"] {
            let directory = parent.path().join(name);
            drop(open(&directory).await.unwrap());
            assert!(
                directory.join("assay.db").is_file() && directory.join("log.db").is_file(),
                "{name}"
            );
        }
    }
}
