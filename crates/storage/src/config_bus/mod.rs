//! The projection of the published configuration that assignment replicas follow: etcd, or memory when embedded.

use std::collections::BTreeMap;

use assay_core::key::Namespace;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};

use crate::Error;

mod embedded;
mod etcd;
#[cfg(any(test, feature = "laws"))]
pub mod laws;
mod replica;

pub use embedded::EmbeddedConfigBus;
pub use etcd::{EtcdConfigBus, EtcdOptions, EtcdTls};
pub use replica::{LEASE, Replica, Served};

/// One published resource: opaque bytes and the generation that wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The generation that wrote it.
    pub generation: u64,
    /// The encoded resource.
    pub bytes: Bytes,
}

/// What a complete generation consists of: written last, it makes the generation true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The generation.
    pub generation: u64,
    /// Number of resources.
    pub count: u64,
    /// [`digest`] of the resources.
    pub digest: [u8; 32],
}

/// SHA-256 over all resources in order of key: length-delimited key, generation, bytes.
pub fn digest<'a>(resources: impl IntoIterator<Item = (&'a String, &'a Value)>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (key, value) in resources {
        hash.update((key.len() as u64).to_be_bytes());
        hash.update(key);
        hash.update(value.generation.to_be_bytes());
        hash.update((value.bytes.len() as u64).to_be_bytes());
        hash.update(&value.bytes);
    }
    hash.finalize().into()
}

/// Everything the bus holds of one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamespaceView {
    /// The manifest, if one was written.
    pub manifest: Option<Manifest>,
    /// Resources by key such as `flag/gate`. Some may be newer than the manifest: a publication under way.
    pub resources: BTreeMap<String, Value>,
}

/// A full read, and where to watch from.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// By namespace.
    pub namespaces: BTreeMap<Namespace, NamespaceView>,
    /// The position of this read, for [`ConfigBus::watch`].
    pub revision: u64,
}

/// A step from one manifest to the next.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The namespace.
    pub namespace: Namespace,
    /// The generation of the manifest that this step starts from; absent when there is none.
    pub from: Option<u64>,
    /// Resources to write.
    pub puts: BTreeMap<String, Value>,
    /// Keys to remove. They are removed together with the manifest's write or after it, never before.
    pub deletes: Vec<String>,
    /// The manifest to write last. Its generation is at least `from`.
    pub manifest: Manifest,
}

impl Publication {
    /// Checks what can be checked without the bus: no key is written and removed, and the generation does not go back.
    ///
    /// # Errors
    /// [`Error::Refused`] says what is wrong.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refused = |why: String| Error::Refused {
            store: "config bus",
            source: why.into(),
        };
        if let Some(key) = self.deletes.iter().find(|key| self.puts.contains_key(*key)) {
            return Err(refused(format!("{key} is both written and removed")));
        }
        match self.from {
            Some(from) if from > self.manifest.generation => Err(refused(format!(
                "generation {} would follow {from}",
                self.manifest.generation
            ))),
            _ => Ok(()),
        }
    }
}

/// What a watch sees, in the order of writing. `revision` is where a watch can begin that misses nothing after this event: the position
/// of the write itself, or, for one that was made together with later events, the position before all of them. A watch from the
/// `revision` of a manifest yields exactly what comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusEvent {
    /// A resource was written.
    Put {
        /// Where.
        namespace: Namespace,
        /// Which.
        key: String,
        /// What.
        value: Value,
        /// Where to go on from.
        revision: u64,
    },
    /// A resource was removed.
    Delete {
        /// Where.
        namespace: Namespace,
        /// Which.
        key: String,
        /// Where to go on from.
        revision: u64,
    },
    /// A manifest was written: the generation is complete.
    Manifest {
        /// Where.
        namespace: Namespace,
        /// What.
        manifest: Manifest,
        /// Where to go on from.
        revision: u64,
    },
    /// The bus is alive, and has yielded what it has up to this position. Comes first, and at least every 15 s.
    Progress {
        /// The position.
        revision: u64,
    },
    /// What was asked for cannot be told as steps, since the history is gone, the bus was restored or a manifest was taken away by hand:
    /// read everything again. The stream ends here.
    Relist,
}

/// How configuration reaches assignment, and how assignment says that it has.
///
/// Guarantees: a publication's manifest is written last, by compare-and-set on the manifest it started from; a watch yields every write
/// after its position once and in order, or [`BusEvent::Relist`]; a reader that applies a view and then the watch's events, and believes
/// only what a manifest's digest confirms, sees whole generations only. A publisher that loses a race in the middle of a publication which
/// is too large for one step may leave resources that fit no manifest: nobody believes them, and the next publication corrects them.
/// What replicas say of themselves stands beside all that: neither reads nor watches see it.
#[async_trait]
pub trait ConfigBus: Send + Sync {
    /// Writes `publication`.
    ///
    /// # Errors
    /// [`Error::Stale`] when the manifest is not the one it starts from: read again. [`Error::Unavailable`] (it may be published in part
    /// or whole: read again), [`Error::Full`], [`Error::Refused`].
    async fn publish(&self, publication: Publication) -> Result<(), Error>;

    /// Reads everything that can be understood; what cannot is left out with a warning.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn read(&self) -> Result<View, Error>;

    /// Follows all writes after `revision`. The stream ends with an error when the connection is lost; open a new one from the last
    /// position seen. A silent connection is found out and ended by the adapter within 15 s.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn watch(&self, revision: u64) -> Result<BoxStream<'static, Result<BusEvent, Error>>, Error>;

    /// Lets `replica` stand among [`ConfigBus::replicas`], as it says of itself, for one [`LEASE`] from now. Say it again at each change,
    /// and at least three times in a lease; said again unchanged it costs no more than its renewal.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Full`], [`Error::Refused`] (the id is none).
    async fn acknowledge(&self, replica: &Replica) -> Result<(), Error>;

    /// Takes the replica out of the list at once: it has ended. No error if it does not stand there.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; it goes when its lease ends.
    async fn leave(&self, id: &str) -> Result<(), Error>;

    /// The replicas whose lease has not ended, in order of id, as each said last.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn replicas(&self) -> Result<Vec<Replica>, Error>;
}

/// How what services must know of API keys reaches assignment: one opaque value beside the configuration, in no namespace.
///
/// Guarantees: a read sees the last write, or, while the bus has no quorum, an older one.
#[async_trait]
pub trait KeyBus: Send + Sync {
    /// Replaces the value, if it is another.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Full`].
    async fn put_keys(&self, keys: Bytes) -> Result<(), Error>;

    /// The value; nothing until one was written.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn keys(&self) -> Result<Option<Bytes>, Error>;
}
