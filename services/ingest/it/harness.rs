//! A running ingest service and what it wrote.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use assay_ingest::{Ports, Settings, serve};
use assay_platform::{ChannelOptions, MockClock, Shutdown, connect_lazy, server::bind};
use assay_proto::{
    common::v1::Unit,
    ingest::v1::{Event, ingest_service_client::IngestServiceClient},
    stream::{self, Records},
};
use assay_storage::{
    Error,
    event_log::{Append, EmbeddedLog, Entry, EventLog, Position, Topic},
};
use async_trait::async_trait;
use tokio::task::JoinHandle;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600_000_000;
pub(crate) const PARTITIONS: u32 = 4;

pub(crate) struct Harness {
    pub(crate) client: IngestServiceClient<assay_platform::Channel>,
    pub(crate) log: Arc<Switch>,
    shutdown: Shutdown,
    served: JoinHandle<()>,
}

/// The embedded log, which can be taken away.
pub(crate) struct Switch {
    inner: EmbeddedLog,
    pub(crate) away: AtomicBool,
    /// Only this partition is away, when it is not `u32::MAX`.
    pub(crate) away_partition: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl EventLog for Switch {
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }

    async fn append(&self, entries: Vec<Append>) -> Vec<Result<Position, Error>> {
        let mut results = Vec::new();
        for entry in entries {
            let gone = self.away.load(Ordering::SeqCst)
                || self.away_partition.load(Ordering::SeqCst) == entry.partition;
            if gone {
                results.push(Err(Error::Unavailable {
                    store: "log",
                    source: "switched off".into(),
                }));
            } else {
                results.extend(self.inner.append(vec![entry]).await);
            }
        }
        results
    }

    async fn read(&self, p: u32, topic: Topic, after: Position, limit: usize) -> Result<Vec<Entry>, Error> {
        self.inner.read(p, topic, after, limit).await
    }

    async fn tail(&self, p: u32, topic: Topic) -> Result<Position, Error> {
        self.inner.tail(p, topic).await
    }

    async fn trim(&self, p: u32, topic: Topic, through: Position) -> Result<(), Error> {
        self.inner.trim(p, topic, through).await
    }
}

impl Harness {
    pub(crate) async fn start(edit: impl FnOnce(&mut Settings)) -> Self {
        let log = Arc::new(Switch {
            inner: EmbeddedLog::connect("sqlite::memory:", PARTITIONS).await.unwrap(),
            away: AtomicBool::new(false),
            away_partition: u32::MAX.into(),
        });
        let mut settings = Settings::default();
        edit(&mut settings);
        let listener = bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let shutdown = Shutdown::new();
        let ports = Ports { log: log.clone() };
        let serving = serve(
            listener,
            ports,
            settings,
            MockClock::at(NOW).shared(),
            shutdown.clone(),
        );
        let served = tokio::spawn(async move { serving.await.unwrap() });
        let channel = connect_lazy(&uri, &ChannelOptions::default()).unwrap();
        Self {
            client: IngestServiceClient::new(channel),
            log,
            shutdown,
            served,
        }
    }

    /// All records of a topic, by partition.
    pub(crate) async fn records(&self, topic: Topic) -> Vec<(u32, Records)> {
        let mut records = Vec::new();
        for partition in 0..PARTITIONS {
            for entry in self
                .log
                .read(partition, topic, Position::START, 10_000)
                .await
                .unwrap()
            {
                records.push((partition, stream::decode(&entry.payload).unwrap().records));
            }
        }
        records
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        self.served.await.unwrap();
    }
}

pub(crate) fn unit(id: &str) -> Option<Unit> {
    Some(Unit {
        kind: String::new(),
        id: id.into(),
    })
}

pub(crate) fn event(id: &str, unit_id: &str) -> Event {
    Event {
        event_id: id.into(),
        unit: unit(unit_id),
        name: "purchase".into(),
        value: Some(1.5),
        ..Event::default()
    }
}
