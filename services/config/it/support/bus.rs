//! A bus that tests can take away, fill by hand and look into.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use assay_core::key::Namespace;
use assay_storage::{
    Error,
    config_bus::{BusEvent, ConfigBus, EmbeddedConfigBus, NamespaceView, Publication, Replica, View, digest},
};
use async_trait::async_trait;
use futures::stream::BoxStream;

/// The bus; clones are the same bus.
#[derive(Clone, Default)]
pub(crate) struct HandBus {
    view: Arc<Mutex<View>>,
    /// Those who follow.
    replicas: EmbeddedConfigBus,
    away: Arc<AtomicBool>,
    /// Calls while it was away.
    pub(crate) refused: Arc<AtomicUsize>,
    pub(crate) reads: Arc<AtomicUsize>,
    pub(crate) writes: Arc<AtomicUsize>,
}

impl HandBus {
    /// From now on every call fails, or none.
    pub(crate) fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Changes what it holds, past all rules.
    pub(crate) fn edit(&self, edit: impl FnOnce(&mut View)) {
        edit(&mut self.view.lock().unwrap());
    }

    pub(crate) fn namespace(&self, name: &str) -> NamespaceView {
        let namespaces = &self.view.lock().unwrap().namespaces;
        namespaces
            .get(&Namespace::new(name).unwrap())
            .cloned()
            .unwrap_or_default()
    }

    fn answer(&self) -> Result<(), Error> {
        if self.away.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(Error::Unavailable {
                store: "etcd",
                source: "connection refused".into(),
            });
        }
        Ok(())
    }
}

/// Why a namespace of the bus is not at `generation`, whole and confirmed by its manifest.
pub(crate) fn is_whole(held: &NamespaceView, generation: u64) -> Result<(), String> {
    let manifest = held.manifest.as_ref().ok_or("no manifest")?;
    if manifest.generation != generation {
        return Err(format!("generation {}, not {generation}", manifest.generation));
    }
    if manifest.count != held.resources.len() as u64 || manifest.digest != digest(&held.resources) {
        return Err(format!("the manifest does not fit: {:?}", held.resources.keys()));
    }
    Ok(())
}

#[async_trait]
impl ConfigBus for HandBus {
    async fn publish(&self, publication: Publication) -> Result<(), Error> {
        self.answer()?;
        let mut view = self.view.lock().unwrap();
        let held = view.namespaces.entry(publication.namespace).or_default();
        let found = held.manifest.as_ref().map(|manifest| manifest.generation);
        if found != publication.from {
            let (expected, found) = (publication.from.unwrap_or(0), found.unwrap_or(0));
            return Err(Error::Stale {
                what: "manifest".to_owned(),
                expected,
                found,
            });
        }
        self.writes.fetch_add(1, Ordering::SeqCst);
        held.resources.extend(publication.puts);
        held.resources.retain(|key, _| !publication.deletes.contains(key));
        held.manifest = Some(publication.manifest);
        Ok(())
    }

    async fn read(&self) -> Result<View, Error> {
        self.answer()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(self.view.lock().unwrap().clone())
    }

    async fn watch(&self, _: u64) -> Result<BoxStream<'static, Result<BusEvent, Error>>, Error> {
        Ok(Box::pin(futures::stream::pending()))
    }

    async fn acknowledge(&self, replica: &Replica) -> Result<(), Error> {
        self.answer()?;
        self.replicas.acknowledge(replica).await
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        self.answer()?;
        self.replicas.leave(id).await
    }

    async fn replicas(&self) -> Result<Vec<Replica>, Error> {
        self.answer()?;
        self.replicas.replicas().await
    }
}
