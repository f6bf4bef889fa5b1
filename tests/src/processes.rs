//! The platform as a cluster: four processes of the `assay` binary over etcd, Redis and Postgres.

use std::{process::ExitStatus, time::Duration};

use anyhow::{Context, Result};
use assay_client::{Client, Endpoints};
use tempfile::TempDir;

use crate::{
    port::Port,
    process::Process,
    servers::{Etcd, Postgres, Redis},
};

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);

/// The services, in the order in which they are started.
pub const SERVICES: [&str; 4] = ["config", "assignment", "ingest", "analysis"];

/// Where the cluster's stores are.
#[derive(Debug, Clone)]
pub struct StoreUrls {
    /// An empty Postgres database.
    pub postgres: String,
    /// etcd's client endpoint.
    pub etcd: String,
    /// Redis.
    pub redis: String,
    /// What all keys in etcd and Redis begin with.
    pub prefix: String,
}

impl StoreUrls {
    /// Private servers, with keys that begin with `prefix`.
    pub fn of(postgres: &Postgres, etcd: &Etcd, redis: &Redis, prefix: &str) -> Self {
        Self {
            postgres: postgres.url(),
            etcd: etcd.endpoint(),
            redis: redis.url(),
            prefix: prefix.to_owned(),
        }
    }
}

/// Four running services.
pub struct Processes {
    stores: StoreUrls,
    settings: Vec<(String, String)>,
    data_dir: TempDir,
    nodes: Vec<Node>,
}

struct Node {
    /// Such as `config`; of further replicas `assignment-1`.
    service: String,
    port: Port,
    process: Option<Process>,
}

impl Node {
    fn new(service: &str) -> Result<Self> {
        Ok(Self {
            service: service.to_owned(),
            port: Port::reserve()?,
            process: None,
        })
    }
}

impl Processes {
    /// Starts all four, which nobody needs a key for, and waits until each listens.
    ///
    /// # Errors
    /// When one does not start; with what it wrote.
    pub async fn start(stores: StoreUrls) -> Result<Self> {
        Self::start_with(stores, &[]).await
    }

    /// As [`Processes::start`], with more settings, as environment variables; they win.
    ///
    /// # Errors
    /// When one does not start; with what it wrote.
    pub async fn start_with(stores: StoreUrls, settings: &[(&str, &str)]) -> Result<Self> {
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut cluster = Self::prepare(stores, &SERVICES)?;
        cluster.settings = settings.collect();
        for service in SERVICES {
            cluster.begin(service).await?;
        }
        Ok(cluster)
    }

    /// Has an address for each of `services`; none is started.
    ///
    /// # Errors
    /// When no port is free.
    pub fn prepare(stores: StoreUrls, services: &[&str]) -> Result<Self> {
        Ok(Self {
            stores,
            settings: Vec::new(),
            data_dir: tempfile::tempdir()?,
            nodes: services
                .iter()
                .map(|service| Node::new(service))
                .collect::<Result<_>>()?,
        })
    }

    /// Starts a further replica such as `assignment-1` and says where it answers.
    ///
    /// # Errors
    /// When it does not start; with what it wrote.
    pub async fn add(&mut self, replica: &str) -> Result<String> {
        self.nodes.push(Node::new(replica)?);
        self.begin(replica).await?;
        Ok(format!("http://{}", self.address(replica)))
    }

    fn address(&self, service: &str) -> String {
        let node = self.nodes.iter().find(|node| node.service == service);
        node.map(|node| node.port.addr().to_string()).unwrap_or_default()
    }

    /// Starts `service`, which is not running.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn begin(&mut self, service: &str) -> Result<()> {
        self.begin_with(service, &[]).await
    }

    /// The same with more of an environment, which beats what it has of us.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn begin_with(&mut self, service: &str, more: &[(&str, &str)]) -> Result<()> {
        let config = format!("http://{}", self.address("config"));
        let analysis = format!("http://{}", self.address("analysis"));
        let (kind, _) = service.split_once('-').unwrap_or((service, ""));
        let listen = format!("ASSAY__{}__LISTEN", kind.to_uppercase());
        let address = self.address(service);
        let etcd = format!("[{:?}]", self.stores.etcd);
        let etcd_prefix = format!("/{}", self.stores.prefix);
        let data_dir = self.data_dir.path().join(service).display().to_string();
        let mut env = vec![
            (listen.as_str(), address.as_str()),
            ("ASSAY__STORES__POSTGRES_URL", self.stores.postgres.as_str()),
            ("ASSAY__STORES__ETCD_ENDPOINTS", &etcd),
            ("ASSAY__STORES__ETCD_PREFIX", &etcd_prefix),
            ("ASSAY__STORES__REDIS_URL", &self.stores.redis),
            ("ASSAY__STORES__REDIS_PREFIX", &self.stores.prefix),
            ("ASSAY__AUTH__MODE", "open"),
            ("ASSAY__OPENFEATURE__FLAGD_LISTEN", "off"),
            ("ASSAY__OPENFEATURE__OFREP_LISTEN", "off"),
            ("ASSAY__STORES__PARTITIONS", "4"),
            ("ASSAY__STORES__DATA_DIR", &data_dir),
            ("ASSAY__ANALYSIS__CONFIG_ENDPOINT", &config),
            ("ASSAY__INGEST__CONFIG_ENDPOINT", &config),
            ("ASSAY__CONFIG__ANALYSIS_ENDPOINT", &analysis),
        ];
        let ours = self.settings.iter();
        env.extend(ours.map(|(name, value)| (name.as_str(), value.as_str())));
        env.extend(more);
        let process = Process::assay(&["serve", kind], &env)?;
        // Here before it listens: one that ends at once can be asked how.
        let process = self.node(service)?.process.insert(process);
        process.wait_for_line("listens on", START).await.map(drop)
    }

    fn node(&mut self, service: &str) -> Result<&mut Node> {
        self.nodes
            .iter_mut()
            .find(|node| node.service == service)
            .with_context(|| format!("no service {service}"))
    }

    /// How `service` ended by itself, if it has; then it can begin again.
    ///
    /// # Errors
    /// When it was never started.
    pub fn ended(&mut self, service: &str) -> Result<Option<ExitStatus>> {
        let node = self.node(service)?;
        let process = node.process.as_mut();
        let status = process
            .with_context(|| format!("{service} is not running"))?
            .status()?;
        if status.is_some() {
            node.process = None;
        }
        Ok(status)
    }

    /// What `service` has written, line by line.
    ///
    /// # Errors
    /// When it is not running.
    pub fn output(&mut self, service: &str) -> Result<Vec<String>> {
        Ok(self.process(service)?.output())
    }

    /// The process id of `service`.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pid(&mut self, service: &str) -> Result<u32> {
        Ok(self.process(service)?.pid())
    }

    /// Stops the clock of `service`: its connections stay open, it does nothing.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pause(&mut self, service: &str) -> Result<()> {
        self.process(service)?.pause()
    }

    /// Lets a paused `service` go on.
    ///
    /// # Errors
    /// When it is not running.
    pub fn resume(&mut self, service: &str) -> Result<()> {
        self.process(service)?.resume()
    }

    fn process(&mut self, service: &str) -> Result<&mut Process> {
        let process = self.node(service)?.process.as_mut();
        process.with_context(|| format!("{service} is not running"))
    }

    /// Kills `service` as a crash would.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&mut self, service: &str) -> Result<()> {
        let node = self.node(service)?;
        node.process
            .take()
            .with_context(|| format!("{service} is not running"))?
            .kill()?;
        Ok(())
    }

    /// Asks `service` to end and waits until it has ended in order.
    ///
    /// # Errors
    /// When it does not end in time, or says that something went wrong; with what it wrote.
    pub async fn stop(&mut self, service: &str) -> Result<()> {
        let node = self.node(service)?;
        let mut process = node
            .process
            .take()
            .with_context(|| format!("{service} is not running"))?;
        let status = process.terminate(STOP).await?;
        anyhow::ensure!(
            status.success(),
            "{service} ended with {status}:\n{}",
            process.output().join("\n")
        );
        Ok(())
    }

    /// Stops all services in order, the last started first.
    ///
    /// # Errors
    /// The first that does not end in order.
    pub async fn stop_all(mut self) -> Result<()> {
        let services: Vec<_> = self.nodes.iter().map(|node| node.service.clone()).collect();
        for service in services.iter().rev() {
            self.stop(service).await?;
        }
        Ok(())
    }

    /// A client of all services.
    ///
    /// # Errors
    /// Never for addresses that [`Processes::start`] made.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.endpoints())?)
    }

    /// A client of all services and of `replica` for assignment, such as `assignment-1`.
    ///
    /// # Errors
    /// Never for addresses that [`Processes::start`] made.
    pub fn client_of(&self, replica: &str) -> Result<Client> {
        Ok(Client::connect(&Endpoints {
            assignment: format!("http://{}", self.address(replica)),
            ..self.endpoints()
        })?)
    }

    /// Where the services answer.
    pub fn endpoints(&self) -> Endpoints {
        let uri = |service| format!("http://{}", self.address(service));
        Endpoints {
            config: uri("config"),
            assignment: uri("assignment"),
            ingest: uri("ingest"),
            analysis: uri("analysis"),
        }
    }
}
