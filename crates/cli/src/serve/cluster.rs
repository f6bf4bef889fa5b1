//! One service in this process: Postgres, etcd and Redis stand behind the stores.

use std::{sync::Arc, time::Duration};

use assay_platform::{
    Backoff, ChannelOptions, Secret, Shutdown, SystemClock, connect_lazy,
    error::{BoxError, chain},
    server::bind,
};
use assay_storage::{
    access_store::SqlAccessStore,
    analysis_store::SqlAnalysisStore,
    config_bus::{EtcdConfigBus, EtcdOptions},
    config_store::SqlConfigStore,
    event_log::{Durability, EventLog, RedisLog},
    sql::Database,
    unit_store::{RedisUnitStore, UnitStore},
};

use super::{auth::Door, data_dir::DataDir, embedded::bind_open};
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
pub(super) async fn serve(service: Service, mut settings: Settings, shutdown: Shutdown) -> Result<(), Error> {
    let clock = SystemClock::shared();
    let door = Door::cluster(&settings.auth, name(service), &clock, &shutdown)?;
    door.guard(&mut settings);
    let between = door.channel_options();
    let stores = &settings.stores;
    match service {
        Service::Config => {
            let listener = bind(&settings.config.listen.to_string()).await?;
            let Some(database) = database(stores, "config", &shutdown).await? else {
                return Ok(());
            };
            let bus = bus(stores, "config").await?;
            let ports = assay_config::Ports {
                store: Arc::new(SqlConfigStore::new(database.clone())),
                bus: bus.clone(),
                access: Arc::new(SqlAccessStore::new(database)),
                key_bus: bus,
                analysis: Some(connect_lazy(&settings.config.analysis_endpoint, &between)?),
            };
            door.first_key(&settings, &*ports.access, &clock).await?;
            say("config", &listener)?;
            ended(
                "config",
                assay_config::serve(listener, ports, settings.config, clock, shutdown).await,
            )
        }
        Service::Assignment => {
            let listener = bind(&settings.assignment.listen.to_string()).await?;
            let flagd = bind_open(settings.openfeature.flagd_listen).await?;
            let ofrep = bind_open(settings.openfeature.ofrep_listen).await?;
            // Tracking calls come with the key of their caller, not with ours.
            let ingest = connect_lazy(&settings.openfeature.ingest_endpoint, &ChannelOptions::default())?;
            let data_dir = DataDir::open(&stores.data_dir)?;
            let bus = bus(stores, "assignment").await?;
            let keys = data_dir.path().join("keys");
            door.follow_bus(bus.clone(), keys, shutdown.clone());
            let ports = assay_assignment::Ports {
                bus,
                log: log(stores, "assignment").await?,
                units: units(stores, "assignment")?,
                data_dir: data_dir.path().join("assignment"),
            };
            for (name, listener) in [("openfeature flagd", &flagd), ("openfeature ofrep", &ofrep)] {
                if let Some(listener) = listener {
                    say(name, listener)?;
                }
            }
            say("assignment", &listener)?;
            let doors = assay_assignment::Doors {
                assign: listener,
                openfeature: assay_assignment::OpenFeatureDoors {
                    flagd,
                    ofrep,
                    cors_origins: settings.openfeature.cors_origins,
                    ingest: Some(ingest),
                },
            };
            let served = assay_assignment::serve(doors, ports, settings.assignment, clock, shutdown).await;
            drop(data_dir);
            ended("assignment", served)
        }
        Service::Ingest => {
            let listener = bind(&settings.ingest.listen.to_string()).await?;
            let config = connect_lazy(&settings.ingest.config_endpoint, &between)?;
            door.follow_config(config, shutdown.clone());
            let ports = assay_ingest::Ports {
                log: log(stores, "ingest").await?,
            };
            say("ingest", &listener)?;
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
            let config = connect_lazy(&settings.analysis.config_endpoint, &between)?;
            door.follow_config(config.clone(), shutdown.clone());
            let ports = assay_analysis::Ports {
                log: log(stores, "analysis").await?,
                store: Arc::new(SqlAnalysisStore::new(database)),
                config,
            };
            say("analysis", &listener)?;
            ended(
                "analysis",
                assay_analysis::serve(listener, ports, settings.analysis, clock, shutdown).await,
            )
        }
    }
}

fn name(service: Service) -> &'static str {
    match service {
        Service::Config => "config",
        Service::Assignment => "assignment",
        Service::Ingest => "ingest",
        Service::Analysis => "analysis",
    }
}

/// Names the address that was bound: the settings may ask for any free port.
fn say(service: &str, listener: &tokio::net::TcpListener) -> Result<(), Error> {
    let address = listener.local_addr().map_err(Error::internal)?;
    output::note(format!("assay {service} listens on {address}"));
    Ok(())
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
                tracing::warn!(
                    place = place(url),
                    cause = chain(&error),
                    "the database cannot be reached yet"
                );
            }
            Err(source) => {
                return Err(Error::StoreAt {
                    key: "stores.postgres_url",
                    place: place(url),
                    source,
                });
            }
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

async fn bus(stores: &Stores, service: &str) -> Result<Arc<EtcdConfigBus>, Error> {
    if stores.etcd_endpoints.is_empty() {
        return Err(missing("stores.etcd_endpoints", service));
    }
    let options = EtcdOptions {
        endpoints: stores.etcd_endpoints.clone(),
        prefix: stores.etcd_prefix.clone(),
        user: None,
        tls: None,
    };
    let bus = EtcdConfigBus::connect(&options)
        .await
        .map_err(|source| Error::StoreAt {
            key: "stores.etcd_endpoints",
            place: stores.etcd_endpoints.join(", "),
            source,
        })?;
    Ok(Arc::new(bus))
}

async fn log(stores: &Stores, service: &str) -> Result<Arc<dyn EventLog>, Error> {
    let url = url(&stores.redis_url, "stores.redis_url", service)?;
    let log = RedisLog::connect(url, &stores.redis_prefix, stores.partitions, Durability::Memory)
        .await
        .map_err(|source| Error::StoreAt {
            key: "stores.redis_url",
            place: place(url),
            source,
        })?;
    Ok(Arc::new(log))
}

fn units(stores: &Stores, service: &str) -> Result<Arc<dyn UnitStore>, Error> {
    let url = url(&stores.redis_url, "stores.redis_url", service)?;
    let units = RedisUnitStore::connect(url, &stores.redis_prefix).map_err(|source| Error::StoreAt {
        key: "stores.redis_url",
        place: place(url),
        source,
    })?;
    Ok(Arc::new(units))
}

/// Host and port of a url that has been checked: what may be told of one with a secret in it.
fn place(url: &str) -> String {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host {
        "" => "its default address".to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_no_secret() {
        for (url, told) in [
            (
                "postgres://assay:hunter2@db:5432/assay?sslmode=disable",
                "db:5432",
            ),
            ("postgres://db/assay", "db"),
            ("redis://:hunter2%40@[::1]:6379/0", "[::1]:6379"),
            ("postgres:///assay?host=/run/pg", "its default address"),
        ] {
            assert_eq!(place(url), told, "{url}");
        }
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_used_is_told_with_its_place_and_setting() {
        let stores = Stores {
            redis_url: Secret::new("redis://u:hunter2@127.0.0.1:1/x/y"),
            etcd_endpoints: vec!["http://bad host:1".to_owned()],
            ..Stores::default()
        };
        let text = bus(&stores, "config").await.err().unwrap().to_string();
        assert!(
            text.starts_with("the store at http://bad host:1 cannot be used: etcd "),
            "{text}"
        );
        assert!(text.ends_with("setting `stores.etcd_endpoints`"), "{text}");
        let text = log(&stores, "ingest").await.err().unwrap().to_string();
        assert!(
            text.starts_with("the store at 127.0.0.1:1 cannot be used: redis "),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}
