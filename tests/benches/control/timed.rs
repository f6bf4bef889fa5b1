//! The bus in etcd that knows when each generation was given to it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use assay_core::time::Timestamp;
use assay_platform::{Clock as _, SystemClock};
use assay_storage::{
    Error,
    config_bus::{BusEvent, ConfigBus, EtcdConfigBus, Publication, Replica, View},
};
use futures::stream::BoxStream;

pub(crate) struct Timed {
    bus: EtcdConfigBus,
    published: Mutex<BTreeMap<u64, Timestamp>>,
}

impl Timed {
    pub(crate) fn new(bus: EtcdConfigBus) -> Self {
        Self {
            bus,
            published: Mutex::default(),
        }
    }

    /// When the publisher began to write `generation`.
    pub(crate) fn published(&self, generation: u64) -> Option<Timestamp> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.get(&generation).copied()
    }
}

#[tonic::async_trait]
impl ConfigBus for Timed {
    async fn publish(&self, publication: Publication) -> Result<(), Error> {
        let now = Timestamp::from_micros(SystemClock.now_micros());
        let generation = publication.manifest.generation;
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(generation, now);
        self.bus.publish(publication).await
    }

    async fn read(&self) -> Result<View, Error> {
        self.bus.read().await
    }

    async fn watch(&self, revision: u64) -> Result<BoxStream<'static, Result<BusEvent, Error>>, Error> {
        self.bus.watch(revision).await
    }

    async fn acknowledge(&self, replica: &Replica) -> Result<(), Error> {
        self.bus.acknowledge(replica).await
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        self.bus.leave(id).await
    }

    async fn replicas(&self) -> Result<Vec<Replica>, Error> {
        self.bus.replicas().await
    }
}
