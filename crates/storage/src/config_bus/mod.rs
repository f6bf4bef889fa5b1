//! The projection of the published configuration that assignment replicas follow: etcd, or memory when embedded.

use std::collections::BTreeMap;

use assay_core::key::Namespace;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sha2::{Digest as _, Sha256};

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
    /// [`Digest`] of the resources.
    pub digest: [u8; 32],
}

/// What a manifest says of all its resources: the sum, modulo 2²⁵⁶, of the SHA-256 of each (length-delimited key, generation, bytes).
///
/// A sum, so that a change costs what has changed and not what there is. It finds what was lost, torn or mixed up; it does not prove who
/// wrote it, and whoever may write resources may write manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest([u64; 4]);

impl Digest {
    /// Takes a resource in.
    pub fn add(&mut self, key: &str, value: &Value) {
        let mut carry = false;
        for (limb, term) in self.0.iter_mut().zip(term(key, value)) {
            let (sum, over) = limb.overflowing_add(term);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, over || over_again);
        }
    }

    /// Takes a resource out that was taken in.
    pub fn remove(&mut self, key: &str, value: &Value) {
        let mut borrow = false;
        for (limb, term) in self.0.iter_mut().zip(term(key, value)) {
            let (rest, under) = limb.overflowing_sub(term);
            let (rest, under_again) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, under || under_again);
        }
    }

    /// The one that stands in a manifest.
    pub fn of(manifest: &Manifest) -> Self {
        let mut limbs = [0; 4];
        for (limb, bytes) in limbs.iter_mut().zip(manifest.digest.chunks_exact(8)) {
            *limb = number(bytes);
        }
        Self(limbs)
    }

    /// As it stands in a manifest: little-endian.
    pub fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (place, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            place.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }
}

/// The hash of one resource, as limbs of a number.
fn term(key: &str, value: &Value) -> [u64; 4] {
    let mut hash = Sha256::new();
    hash.update((key.len() as u64).to_be_bytes());
    hash.update(key);
    hash.update(value.generation.to_be_bytes());
    hash.update((value.bytes.len() as u64).to_be_bytes());
    hash.update(&value.bytes);
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(hash.finalize().chunks_exact(8)) {
        *limb = number(bytes);
    }
    limbs
}

/// Of eight bytes, the lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The [`Digest`] of resources that are known all at once.
pub fn digest<'a>(resources: impl IntoIterator<Item = (&'a String, &'a Value)>) -> [u8; 32] {
    let mut digest = Digest::default();
    for (key, value) in resources {
        digest.add(key, value);
    }
    digest.bytes()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn value(generation: u64, bytes: &'static str) -> Value {
        Value {
            generation,
            bytes: Bytes::from_static(bytes.as_bytes()),
        }
    }

    #[test]
    fn a_digest_depends_on_what_there_is_and_not_on_the_way_there() {
        let all: Vec<_> = (0..100).map(|i| (format!("flag/{i}"), value(i, "x"))).collect();
        let whole = digest(all.iter().map(|(key, value)| (key, value)));
        let mut digest = Digest::default();
        for (key, _) in all.iter().rev() {
            digest.add(key, &value(1_000, "older"));
        }
        for (key, value_now) in &all {
            digest.remove(key, &value(1_000, "older"));
            digest.add(key, value_now);
        }
        assert_eq!(digest.bytes(), whole);
        let manifest = Manifest {
            generation: 1,
            count: 100,
            digest: whole,
        };
        assert_eq!(Digest::of(&manifest), digest);
        for (key, value) in &all {
            digest.remove(key, value);
        }
        assert_eq!(digest, Digest::default());
    }

    #[test]
    fn a_digest_tells_key_generation_and_bytes_apart() {
        let of = |key: &str, generation, bytes| digest([(&key.to_owned(), &value(generation, bytes))]);
        let one = of("flag/a", 1, "x");
        for other in [
            of("flag/b", 1, "x"),
            of("flag/a", 2, "x"),
            of("flag/a", 1, "y"),
            of("flag/ax", 1, ""),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_digest_is_the_same_for_ever() {
        let three = [("flag/a", 1, "x"), ("flag/b", 2, "y"), ("segment/s@1", 3, "")];
        let three = three.map(|(key, generation, bytes)| (key.to_owned(), value(generation, bytes)));
        assert_eq!(
            hex::encode(digest(three.iter().map(|(key, value)| (key, value)))),
            "fa97737f782805c5b925d7a8e951ed0489221e2d1adf0b0866e7210b91ea0c38"
        );
    }
}
