//! A service in this process, on stores that can be cut off.

use std::{
    collections::BTreeMap,
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use assay_assignment::{Doors, OpenFeatureDoors, Ports, Settings, serve};
use assay_core::{key::Namespace, memory::Remembered, record::Exposure};
use assay_platform::{Channel, ChannelOptions, MockClock, Shutdown, connect_lazy};
use assay_proto::{
    assignment::v1::{self as pb, assignment_service_client::AssignmentServiceClient},
    bus::{self, Published},
    common::v1::Unit,
    stream::{self, Records},
};
use assay_storage::{
    Error,
    config_bus::{
        BusEvent, ConfigBus, EmbeddedConfigBus, Manifest, Publication, Replica, Value, View, digest,
    },
    event_log::{Append, EmbeddedLog, Entry, EventLog, Position, Topic},
    unit_store::{EmbeddedUnitStore, Place, UnitStore},
};
use async_trait::async_trait;
use futures::{StreamExt, stream::BoxStream};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};
use tonic::Status;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// 2026-11-21, in microseconds.
pub(crate) const NOW: i64 = 1_795_219_200_000_000;
const PARTITIONS: u32 = 4;

/// Tries `condition` until it holds; panics with the last state seen.
pub(crate) async fn eventually<T, E: Display>(mut condition: impl AsyncFnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        match condition().await {
            Ok(found) => return found,
            Err(state) => assert!(
                Instant::now() < end,
                "not within {DEADLINE:?}; last state seen: {state}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A bus that can be cut off: calls fail and watches end.
#[derive(Default)]
pub(crate) struct Bus {
    inner: EmbeddedConfigBus,
    away: tokio::sync::watch::Sender<bool>,
    /// Whether watches swallow everything but signs of life.
    pub(crate) deaf: Arc<AtomicBool>,
}

impl Bus {
    pub(crate) fn cut(&self, away: bool) {
        self.away.send_replace(away);
    }

    fn check(&self) -> Result<(), Error> {
        if *self.away.borrow() {
            Err(away("configuration bus"))
        } else {
            Ok(())
        }
    }

    /// Ends a replica's lease, cut off or not.
    pub(crate) async fn leave_by_hand(&self, id: &str) {
        self.inner.leave(id).await.unwrap();
    }

    /// Publishes `resources` of the namespace as `generation`: what was there and is not among them is removed.
    pub(crate) async fn publish(&self, namespace: &str, generation: u64, resources: &[Published]) {
        let namespace = Namespace::new(namespace).unwrap();
        let held = self
            .inner
            .read()
            .await
            .unwrap()
            .namespaces
            .remove(&namespace)
            .unwrap_or_default();
        let value = |published: &Published| Value {
            generation,
            bytes: bus::encode(published).into(),
        };
        let puts: BTreeMap<_, _> = resources
            .iter()
            .map(|published| (published.key(), value(published)))
            .collect();
        let manifest = Manifest {
            generation,
            count: puts.len() as u64,
            digest: digest(&puts),
        };
        let deletes = held
            .resources
            .keys()
            .filter(|key| !puts.contains_key(*key))
            .cloned()
            .collect();
        let from = held.manifest.map(|manifest| manifest.generation);
        self.inner
            .publish(Publication {
                namespace,
                from,
                puts,
                deletes,
                manifest,
            })
            .await
            .unwrap();
    }
}

#[async_trait]
impl ConfigBus for Bus {
    async fn publish(&self, publication: Publication) -> Result<(), Error> {
        self.check()?;
        self.inner.publish(publication).await
    }

    async fn read(&self) -> Result<View, Error> {
        self.check()?;
        self.inner.read().await
    }

    async fn watch(&self, revision: u64) -> Result<BoxStream<'static, Result<BusEvent, Error>>, Error> {
        self.check()?;
        let mut is_away = self.away.subscribe();
        let cut = async move {
            let _ = is_away.wait_for(|away| *away).await;
        };
        let deaf = self.deaf.clone();
        let is_heard = move |event: &Result<BusEvent, Error>| {
            let is_sign = matches!(event, Ok(BusEvent::Progress { .. }));
            futures::future::ready(is_sign || !deaf.load(Ordering::SeqCst))
        };
        let events = self.inner.watch(revision).await?;
        Ok(events.filter(is_heard).take_until(Box::pin(cut)).boxed())
    }

    async fn acknowledge(&self, replica: &Replica) -> Result<(), Error> {
        self.check()?;
        self.inner.acknowledge(replica).await
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        self.check()?;
        self.inner.leave(id).await
    }

    async fn replicas(&self) -> Result<Vec<Replica>, Error> {
        self.inner.replicas().await
    }
}

/// A log that can be cut off.
pub(crate) struct Log {
    inner: EmbeddedLog,
    pub(crate) away: AtomicBool,
}

#[async_trait]
impl EventLog for Log {
    fn partitions(&self) -> u32 {
        PARTITIONS
    }

    async fn append(&self, entries: Vec<Append>) -> Vec<Result<Position, Error>> {
        if self.away.load(Ordering::SeqCst) {
            return entries.iter().map(|_| Err(away("log"))).collect();
        }
        self.inner.append(entries).await
    }

    async fn read(
        &self,
        partition: u32,
        topic: Topic,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.inner.read(partition, topic, after, limit).await
    }

    async fn tail(&self, partition: u32, topic: Topic) -> Result<Position, Error> {
        self.inner.tail(partition, topic).await
    }

    async fn trim(&self, partition: u32, topic: Topic, through: Position) -> Result<(), Error> {
        self.inner.trim(partition, topic, through).await
    }
}

fn away(store: &'static str) -> Error {
    Error::Unavailable {
        store,
        source: "cut off by the test".into(),
    }
}

/// The stores, which outlive the service.
/// A unit store that can hang.
pub(crate) struct Units {
    inner: EmbeddedUnitStore,
    pub(crate) hangs: AtomicBool,
}

impl Units {
    async fn check(&self) {
        while self.hangs.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl UnitStore for Units {
    async fn get(&self, places: &[Place]) -> Result<Vec<Option<Remembered>>, Error> {
        self.check().await;
        self.inner.get(places).await
    }

    async fn put_if_absent(&self, firsts: &[(Place, Remembered)]) -> Result<Vec<Remembered>, Error> {
        self.check().await;
        self.inner.put_if_absent(firsts).await
    }
}

pub(crate) struct World {
    pub(crate) bus: Arc<Bus>,
    pub(crate) log: Arc<Log>,
    pub(crate) units: Arc<Units>,
    pub(crate) clock: MockClock,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let inner = EmbeddedLog::connect("sqlite::memory:", PARTITIONS).await.unwrap();
        Self {
            bus: Arc::new(Bus::default()),
            log: Arc::new(Log {
                inner,
                away: AtomicBool::new(false),
            }),
            units: Arc::new(Units {
                inner: EmbeddedUnitStore::connect("sqlite::memory:").await.unwrap(),
                hangs: AtomicBool::new(false),
            }),
            clock: MockClock::at(NOW),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// With `gate` published as generation 1.
    pub(crate) async fn with_gate() -> Self {
        let world = Self::new().await;
        world.bus.publish("default", 1, &crate::fixtures::gate()).await;
        world
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(Settings::default()).await
    }

    pub(crate) async fn start_with(&self, settings: Settings) -> Running {
        self.start_at(OpenFeatureDoors::default(), settings).await
    }

    pub(crate) async fn start_at(&self, openfeature: OpenFeatureDoors, settings: Settings) -> Running {
        let assign = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", assign.local_addr().unwrap());
        let doors = Doors { assign, openfeature };
        let ports = Ports {
            bus: self.bus.clone(),
            log: self.log.clone(),
            units: self.units.clone(),
            data_dir: self.directory.path().to_owned(),
        };
        let shutdown = Shutdown::new();
        let task = tokio::spawn(serve(
            doors,
            ports,
            settings,
            self.clock.shared(),
            shutdown.clone(),
        ));
        let channel = connect_lazy(&uri, &ChannelOptions::default()).unwrap();
        Running {
            uri,
            client: AssignmentServiceClient::new(channel.clone()),
            channel,
            shutdown,
            task,
        }
    }

    /// Another replica on the same stores, serving `generation`.
    pub(crate) async fn serving_beside(&self, generation: u64) -> Running {
        let beside = World {
            bus: self.bus.clone(),
            log: self.log.clone(),
            units: self.units.clone(),
            clock: self.clock.clone(),
            directory: tempfile::tempdir().unwrap(),
        };
        let mut running = beside.start().await;
        running.until(generation).await;
        // The directory outlives the replica.
        let _ = beside.directory.keep();
        running
    }

    /// Starts, and waits until it serves `generation` of the default namespace.
    pub(crate) async fn serving(&self, generation: u64) -> Running {
        let mut running = self.start().await;
        running.until(generation).await;
        running
    }

    /// Every exposure in the log.
    pub(crate) async fn exposures(&self) -> Vec<Exposure> {
        let mut found = Vec::new();
        for partition in 0..PARTITIONS {
            for entry in self
                .log
                .read(partition, Topic::Exposures, Position::START, 1_000_000)
                .await
                .unwrap()
            {
                let batch = stream::decode(&entry.payload).unwrap();
                assert!(batch.producer.starts_with("assignment-"));
                let Records::Exposures(exposures) = batch.records else {
                    panic!("exposures only")
                };
                assert!(exposures.iter().all(|e| assay_core::bucketing::partition(
                    &e.namespace,
                    &e.unit,
                    PARTITIONS
                ) == partition));
                found.extend(exposures);
            }
        }
        found
    }

    /// The units of the exposures in the log once there are `n`, sorted.
    pub(crate) async fn exposed_units(&self, n: usize) -> Vec<String> {
        let exposures = eventually(async || {
            let exposures = self.exposures().await;
            if exposures.len() < n {
                Err(format!("{} exposures", exposures.len()))
            } else {
                Ok(exposures)
            }
        });
        let mut units: Vec<_> = exposures
            .await
            .iter()
            .map(|exposure| exposure.unit.id().to_owned())
            .collect();
        units.sort();
        units
    }
}

/// A service that runs.
pub(crate) struct Running {
    pub(crate) uri: String,
    pub(crate) channel: Channel,
    pub(crate) client: AssignmentServiceClient<Channel>,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), assay_assignment::Error>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
    }

    /// As a kill: nothing is drained, nothing is told to end.
    pub(crate) async fn kill(self) {
        drop((self.client, self.channel));
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn assign(&mut self, request: pb::AssignRequest) -> Result<Vec<pb::Assignment>, Status> {
        self.client
            .assign(request)
            .await
            .map(|response| response.into_inner().assignments)
    }

    /// The only answer for `unit` and `key`.
    pub(crate) async fn one(&mut self, unit: &str, key: &str) -> Result<pb::Assignment, Status> {
        self.assign(request(unit, &[key]))
            .await
            .map(|mut answers| answers.remove(0))
    }

    /// Waits until this generation is served, without an exposure.
    pub(crate) async fn until(&mut self, generation: u64) {
        eventually(async || {
            let peek = pb::AssignRequest {
                exposure: pb::Exposure::Peek.into(),
                ..request("somebody", &["gate"])
            };
            match self.assign(peek).await {
                Ok(answers) if answers[0].generation == generation => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

pub(crate) fn unit(id: &str) -> Option<Unit> {
    Some(Unit {
        kind: String::new(),
        id: id.into(),
    })
}

pub(crate) fn request(id: &str, keys: &[&str]) -> pb::AssignRequest {
    let flag_keys = keys.iter().map(|key| (*key).to_owned()).collect();
    pb::AssignRequest {
        unit: unit(id),
        flag_keys,
        ..pb::AssignRequest::default()
    }
}

pub(crate) fn text(text: &str) -> prost_types::Value {
    prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue(text.into())),
    }
}

pub(crate) fn attributes(pairs: &[(&str, prost_types::Value)]) -> Option<prost_types::Struct> {
    Some(prost_types::Struct {
        fields: pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    })
}
