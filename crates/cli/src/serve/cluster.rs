//! One service in this process: Postgres, etcd and Redis stand behind the stores.

use std::{sync::Arc, time::Duration};

use assay_platform::{
    Backoff, ChannelOptions, Secret, Shutdown, SystemClock, connect_lazy,
    error::{BoxError, chain},
    server::bind,
};
use assay_storage::{
    analysis_store::SqlAnalysisStore,
    config_bus::{ConfigBus, EtcdConfigBus, EtcdOptions},
    config_store::SqlConfigStore,
    event_log::{Durability, EventLog, RedisLog},
    sql::Database,
};

use super::data_dir::DataDir;
use crate::{
    args::Service,
    error::Error,
    output,
    settings::{Settings, Stores},
};

/// How long a start waits for the database: pods start in any order.
const DATABASE_WAIT: Duration = Duration::from_secs(30);
const FIRST_DELAY: Duration = Duration::from_millis(200);
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Serves one service until `shutdown`.
pub(super) async fn serve(service: Service, settings: Settings, shutdown: Shutdown) -> Result<(), Error> {
    let clock = SystemClock::shared();
    let stores = &settings.stores;
    match service {
        Service::Config => {
            let listener = bind(&settings.config.listen.to_string()).await?;
            let Some(database) = database(stores, "config", &shutdown).await? else {
                return Ok(());
            };
            let ports = assay_config::Ports {
                store: Arc::new(SqlConfigStore::new(database)),
                bus: bus(stores, "config").await?,
            };
            say("config", settings.config.listen);
            ended(
                "config",
                assay_config::serve(listener, ports, settings.config, clock, shutdown).await,
            )
        }
        Service::Assignment => {
            let listener = bind(&settings.assignment.listen.to_string()).await?;
            let data_dir = DataDir::open(&stores.data_dir)?;
            let ports = assay_assignment::Ports {
                bus: bus(stores, "assignment").await?,
                log: log(stores, "assignment").await?,
                data_dir: data_dir.path().join("assignment"),
            };
            say("assignment", settings.assignment.listen);
            let served = assay_assignment::serve(listener, ports, settings.assignment, clock, shutdown).await;
            drop(data_dir);
            ended("assignment", served)
        }
        Service::Ingest => {
            let listener = bind(&settings.ingest.listen.to_string()).await?;
            let ports = assay_ingest::Ports {
                log: log(stores, "ingest").await?,
            };
            say("ingest", settings.ingest.listen);
            ended(
                "ingest",
                assay_ingest::serve(listener, ports, settings.ingest, clock, shutdown).await,
            )
        }
        Service::Analysis => {
            let listener = bind(&settings.analysis.listen.to_string()).await?;
            let Some(database) = database(stores, "analysis", &shutdown).await? else {
                return Ok(());
            };
            let ports = assay_analysis::Ports {
                log: log(stores, "analysis").await?,
                store: Arc::new(SqlAnalysisStore::new(database)),
                config: connect_lazy(&settings.analysis.config_endpoint, &ChannelOptions::default())?,
            };
            say("analysis", settings.analysis.listen);
            ended(
                "analysis",
                assay_analysis::serve(listener, ports, settings.analysis, clock, shutdown).await,
            )
        }
    }
}

fn say(service: &str, address: std::net::SocketAddr) {
    output::note(format!("assay {service} listens on {address}"));
}

fn ended<E: Into<BoxError>>(service: &'static str, served: Result<(), E>) -> Result<(), Error> {
    served.map_err(|error| Error::Serve {
        service,
        source: error.into(),
    })
}

fn missing(key: &'static str, service: &str) -> Error {
    Error::Setting {
        key,
        problem: format!("is missing; `assay serve {service}` needs it"),
    }
}

fn url<'s>(secret: &'s Secret, key: &'static str, service: &str) -> Result<&'s str, Error> {
    if secret.is_empty() {
        Err(missing(key, service))
    } else {
        Ok(secret.expose())
    }
}

/// The database, up to date; nothing when `shutdown` came first.
async fn database(stores: &Stores, service: &str, shutdown: &Shutdown) -> Result<Option<Database>, Error> {
    let url = url(&stores.postgres_url, "stores.postgres_url", service)?;
    let mut delays = Backoff::new(FIRST_DELAY, MAX_DELAY);
    let give_up = tokio::time::Instant::now() + DATABASE_WAIT;
    loop {
        let opened = async {
            let database = Database::connect(url, stores.postgres_connections).await?;
            database.migrate().await.map(|()| database)
        };
        let Some(opened) = shutdown.or_done(opened).await else {
            return Ok(None);
        };
        match opened {
            Ok(database) => return Ok(Some(database)),
            Err(error) if error.is_transient() && tokio::time::Instant::now() < give_up => {
                tracing::warn!(cause = chain(&error), "the database cannot be reached yet");
            }
            Err(error) => return Err(error.into()),
        }
        if shutdown
            .or_done(tokio::time::sleep(delays.next_delay()))
            .await
            .is_none()
        {
            return Ok(None);
        }
    }
}

async fn bus(stores: &Stores, service: &str) -> Result<Arc<dyn ConfigBus>, Error> {
    if stores.etcd_endpoints.is_empty() {
        return Err(missing("stores.etcd_endpoints", service));
    }
    let options = EtcdOptions {
        endpoints: stores.etcd_endpoints.clone(),
        prefix: stores.etcd_prefix.clone(),
        user: None,
        tls: None,
    };
    Ok(Arc::new(EtcdConfigBus::connect(&options).await?))
}

async fn log(stores: &Stores, service: &str) -> Result<Arc<dyn EventLog>, Error> {
    let url = url(&stores.redis_url, "stores.redis_url", service)?;
    let log = RedisLog::connect(url, &stores.redis_prefix, stores.partitions, Durability::Memory).await?;
    Ok(Arc::new(log))
}
