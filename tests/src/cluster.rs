//! All services in this process, on embedded stores in memory, with real channels between them and a clock of your choice.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use assay_client::{Client, Endpoints};
use assay_platform::{ChannelOptions, SharedClock, Shutdown, connect_lazy, server::bind};
use assay_storage::{
    access_store::SqlAccessStore, analysis_store::SqlAnalysisStore, config_bus::EmbeddedConfigBus,
    config_store::SqlConfigStore, event_log::EmbeddedLog, sql::Database, unit_store::EmbeddedUnitStore,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinSet};

/// How often assignment says who asks for what: sooner than outside of tests.
const CALLERS_INTERVAL: Duration = Duration::from_millis(100);

/// How many partitions the log has.
pub const PARTITIONS: u32 = 4;

/// What a platform keeps.
pub struct Stores {
    database: Database,
    /// The log.
    pub log: Arc<EmbeddedLog>,
}

impl Stores {
    /// Opens the SQLite databases of the truth and of the log.
    ///
    /// # Errors
    /// When a store is not to be had.
    pub async fn open(truth_url: &str, log_url: &str) -> Result<Self> {
        let database = Database::connect(truth_url, 2).await?;
        database.migrate().await?;
        let log = Arc::new(EmbeddedLog::connect(log_url, PARTITIONS).await?);
        Ok(Self { database, log })
    }
}

/// A running platform.
pub struct Cluster {
    /// Where its services answer.
    pub endpoints: Endpoints,
    shutdown: Shutdown,
    services: JoinSet<Result<()>>,
    _data_dir: TempDir,
}

impl Cluster {
    /// Starts all services on free ports, on stores in memory.
    ///
    /// # Errors
    /// When a port or a store is not to be had.
    pub async fn start(clock: SharedClock) -> Result<Self> {
        Self::start_on(Stores::open("sqlite::memory:", "sqlite::memory:").await?, clock).await
    }

    /// Starts all services on free ports, on `stores`.
    ///
    /// # Errors
    /// When a port is not to be had.
    pub async fn start_on(stores: Stores, clock: SharedClock) -> Result<Self> {
        assay_platform::install_crypto();
        let data_dir = tempfile::tempdir()?;
        let Stores { database, log } = stores;
        let bus = Arc::new(EmbeddedConfigBus::default());
        let store = Arc::new(SqlConfigStore::new(database.clone()));
        let access = Arc::new(SqlAccessStore::new(database.clone()));
        let analysis_store = Arc::new(SqlAnalysisStore::new(database));
        let shutdown = Shutdown::new();
        let mut services = JoinSet::new();

        let (listener, config) = door().await?;
        let (analysis_listener, analysis) = door().await?;
        let ports = assay_config::Ports {
            store,
            bus: bus.clone(),
            access,
            key_bus: bus.clone(),
            analysis: Some(connect_lazy(&analysis, &ChannelOptions::default())?),
        };
        assay_config::publish(&ports).await?;
        services.spawn(config_service(listener, ports, clock.clone(), shutdown.clone()));

        let (listener, assignment) = door().await?;
        let ports = assay_assignment::Ports {
            bus,
            log: log.clone(),
            units: Arc::new(EmbeddedUnitStore::connect("sqlite::memory:").await?),
            data_dir: data_dir.path().into(),
        };
        services.spawn(assignment_service(
            listener,
            ports,
            clock.clone(),
            shutdown.clone(),
        ));

        let (listener, ingest) = door().await?;
        let ports = assay_ingest::Ports { log: log.clone() };
        services.spawn(ingest_service(listener, ports, clock.clone(), shutdown.clone()));

        let channel = connect_lazy(&config, &ChannelOptions::default())?;
        let ports = assay_analysis::Ports {
            log,
            store: analysis_store,
            config: channel,
        };
        services.spawn(analysis_service(
            analysis_listener,
            ports,
            clock,
            shutdown.clone(),
        ));

        let endpoints = Endpoints {
            config,
            assignment,
            ingest,
            analysis,
        };
        Ok(Self {
            endpoints,
            shutdown,
            services,
            _data_dir: data_dir,
        })
    }

    /// A client of all services.
    ///
    /// # Errors
    /// Never for addresses that [`Cluster::start`] made.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.endpoints)?)
    }

    /// Stops all services and says what went wrong in any of them.
    ///
    /// # Errors
    /// The first service's error.
    pub async fn stop(mut self) -> Result<()> {
        self.shutdown.trigger();
        while let Some(ended) = self.services.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn door() -> Result<(TcpListener, String)> {
    let listener = bind("127.0.0.1:0").await?;
    let uri = format!("http://{}", listener.local_addr()?);
    Ok((listener, uri))
}

async fn config_service(
    listener: TcpListener,
    ports: assay_config::Ports,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<()> {
    Ok(assay_config::serve(
        listener,
        ports,
        assay_config::Settings::default(),
        clock,
        shutdown,
    )
    .await?)
}

async fn assignment_service(
    listener: TcpListener,
    ports: assay_assignment::Ports,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<()> {
    Ok(assay_assignment::serve(
        listener,
        ports,
        assay_assignment::Settings {
            callers_interval: CALLERS_INTERVAL,
            ..Default::default()
        },
        clock,
        shutdown,
    )
    .await?)
}

async fn ingest_service(
    listener: TcpListener,
    ports: assay_ingest::Ports,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<()> {
    Ok(assay_ingest::serve(
        listener,
        ports,
        assay_ingest::Settings::default(),
        clock,
        shutdown,
    )
    .await?)
}

async fn analysis_service(
    listener: TcpListener,
    ports: assay_analysis::Ports,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<()> {
    Ok(assay_analysis::serve(
        listener,
        ports,
        assay_analysis::Settings::default(),
        clock,
        shutdown,
    )
    .await?)
}
