//! The bus in etcd.
//!
//! A publication that fits into one transaction is one; a larger one is written in several, of which each holds only while the manifest
//! is still the one that it started from, and the manifest comes last: [`plan`] cuts it. Reads and watches take what they understand and
//! say what they do not, so that a value edited by hand harms itself alone.

mod classify;
mod frame;
mod member;
mod plan;
mod replicas;
mod watch;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use assay_core::key::Namespace;
use assay_failpoint::{Point, reach};
use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Compare, CompareOp, GetOptions, GetResponse, KeyValue, TxnOp};
use futures::stream::BoxStream;

use super::{BusEvent, ConfigBus, KeyBus, Publication, Replica, View};
use crate::Error;
use classify::{STORE, bounded, classify, is_compacted, unavailable};
use frame::{Keys, Name, decode_manifest, decode_value, encode_manifest, encode_value};
use member::{Member, WRITE_LIMIT, connect_options};
use plan::Plan;
use replicas::Leases;

/// How long a quorum may take to answer a read; then one member is asked alone.
const QUORUM_LIMIT: Duration = Duration::from_secs(2);
/// How long one page of a read may take.
const PAGE_LIMIT: Duration = Duration::from_secs(10);
/// Keys in one page of a read.
const PAGE: i64 = 200;
/// How often a read begins anew when its revision is compacted away under it.
const READS: usize = 3;

/// Where etcd is and how to speak with it.
#[derive(Clone)]
pub struct EtcdOptions {
    /// Such as `http://127.0.0.1:2379`, or `https://…` with `tls`; at least one.
    pub endpoints: Vec<String>,
    /// What all keys begin with, such as `/assay`.
    pub prefix: String,
    /// User and password, where etcd asks for them.
    pub user: Option<(String, String)>,
    /// TLS with a private authority or a certificate of our own.
    pub tls: Option<EtcdTls>,
}

/// TLS towards etcd. All texts are PEM.
#[derive(Clone)]
pub struct EtcdTls {
    /// The authority that signs the servers' certificates.
    pub authority: String,
    /// Our certificate and its key, where etcd asks for one.
    pub identity: Option<(String, String)>,
    /// The name that the servers' certificates hold, if it is not that of the endpoint.
    pub domain: Option<String>,
}

impl fmt::Debug for EtcdOptions {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|(user, _)| user);
        f.debug_struct("EtcdOptions")
            .field("endpoints", &self.endpoints)
            .field("prefix", &self.prefix)
            .field("user", &user)
            .field("tls", &self.tls)
            .finish()
    }
}

impl fmt::Debug for EtcdTls {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdTls")
            .field("domain", &self.domain)
            .field("identity", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}

/// The bus in etcd. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct EtcdConfigBus {
    members: Arc<[Member]>,
    keys: Keys,
    leases: Arc<Leases>,
    written: Arc<Mutex<HashMap<Namespace, Written>>>,
}

/// A manifest that was written from here: as long as it stands, the next one need not look for it.
#[derive(Clone)]
struct Written {
    manifest: Bytes,
    generation: u64,
    revision: i64,
    /// The member that wrote it.
    member: usize,
}

impl EtcdConfigBus {
    /// Prepares connections; they are made when needed and remade when lost.
    ///
    /// # Errors
    /// [`Error::Refused`] if `options` are wrong.
    pub async fn connect(options: &EtcdOptions) -> Result<Self, Error> {
        let endpoints = options.endpoints.iter();
        let members: Arc<[Member]> = endpoints
            .map(|endpoint| Member::new(endpoint, connect_options(options)))
            .collect();
        if members.is_empty() {
            return Err(Error::Refused {
                store: STORE,
                source: "no endpoint is given".into(),
            });
        }
        for connected in futures::future::join_all(members.iter().map(Member::clients)).await {
            match connected {
                Err(error) if !error.is_transient() => return Err(error),
                _ => {}
            }
        }
        Ok(Self {
            members,
            keys: Keys::new(&options.prefix),
            leases: Arc::default(),
            written: Arc::default(),
        })
    }

    /// Asks all members at once; the first answer, and who gave it.
    async fn first<'a>(
        &'a self,
        limit: Duration,
        key: &[u8],
        options: &GetOptions,
    ) -> Result<(GetResponse, &'a Member), Error> {
        let ask = async |member: &'a Member| {
            let mut kv = member.clients().await?.kv.clone();
            let answer = bounded(limit, kv.get(key, Some(options.clone()))).await?;
            Ok((answer, member))
        };
        let asked = self.members.iter().map(|member| Box::pin(ask(member)));
        futures::future::select_ok(asked).await.map(|(first, _)| first)
    }

    /// Everything at one revision; nothing if that was compacted away meanwhile.
    async fn try_read(&self) -> Result<Option<View>, Error> {
        let root = self.keys.root();
        let options = GetOptions::new().with_range(end_of(root)).with_limit(PAGE);
        let quorum = self.first(QUORUM_LIMIT, root.as_bytes(), &options).await;
        let (options, (mut page, member)) = match quorum {
            Ok(first) => (options, first),
            Err(error) if error.is_transient() => {
                let alone = options.with_serializable();
                let first = self.first(PAGE_LIMIT, root.as_bytes(), &alone).await?;
                tracing::warn!(%error, "no quorum of etcd answers: read from one member, which may be behind");
                (alone, first)
            }
            Err(error) => return Err(error),
        };
        let revision = page.header().map_or(0, etcd_client::ResponseHeader::revision);
        let mut view = View {
            revision: position(revision),
            ..View::default()
        };
        loop {
            for kv in page.kvs() {
                self.add(&mut view, kv);
            }
            let Some(last) = page.kvs().last().filter(|_| page.more()) else {
                return Ok(Some(view));
            };
            let start = [last.key(), &[0]].concat();
            let mut kv = member.clients().await?.kv.clone();
            let next = kv.get(start, Some(options.clone().with_revision(revision)));
            page = match tokio::time::timeout(PAGE_LIMIT, next).await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) if is_compacted(&error) => return Ok(None),
                Ok(Err(error)) => return Err(classify(error)),
                Err(_) => return Err(unavailable("a read was not finished in time")),
            };
        }
    }

    fn add(&self, view: &mut View, kv: &KeyValue) {
        match name(&self.keys, kv) {
            Some(Name::Manifest(namespace)) => {
                view.namespaces.entry(namespace).or_default().manifest =
                    understood(kv, decode_manifest(kv.value()));
            }
            Some(Name::Resource(namespace, key)) => {
                if let Some(value) = understood(kv, decode_value(kv.value())) {
                    view.namespaces
                        .entry(namespace)
                        .or_default()
                        .resources
                        .insert(key, value);
                }
            }
            None => {}
        }
    }
}

impl EtcdConfigBus {
    /// Each change is one call of the map, which a panic cannot leave half done.
    fn written(&self) -> MutexGuard<'_, HashMap<Namespace, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes `publication` through `member`, as long as the manifest `stands`.
    async fn write(
        &self,
        publication: &Publication,
        member: &Member,
        stands: Vec<Compare>,
    ) -> Result<(), Error> {
        let namespace: &Namespace = &publication.namespace;
        let manifest = self.keys.manifest(namespace);
        let puts = publication
            .puts
            .iter()
            .map(|(key, value)| (self.keys.resource(namespace, key), encode_value(value)));
        let deletes = publication
            .deletes
            .iter()
            .map(|key| self.keys.resource(namespace, key));
        let Plan {
            before,
            puts,
            deletes,
            after,
        } = plan::plan(puts.collect(), deletes.collect());
        let put = |(key, value): (String, Bytes)| TxnOp::put(key, value, None);
        let delete = |key: String| TxnOp::delete(key, None);
        for chunk in before {
            let operations = chunk.into_iter().map(put).collect();
            member
                .guarded(publication, &manifest, stands.clone(), operations)
                .await?;
            reach(Point::ConfigWithinPublish);
        }
        let encoded = encode_manifest(&publication.manifest);
        let last = TxnOp::put(manifest.as_str(), encoded.clone(), None);
        let operations = puts
            .into_iter()
            .map(put)
            .chain(deletes.into_iter().map(delete))
            .chain([last])
            .collect();
        let revision = member.guarded(publication, &manifest, stands, operations).await?;
        let stands = vec![Compare::mod_revision(
            manifest.as_str(),
            CompareOp::Equal,
            revision,
        )];
        for chunk in after {
            let operations = chunk.into_iter().map(delete).collect();
            member
                .guarded(publication, &manifest, stands.clone(), operations)
                .await?;
        }
        let by = self.members.iter().position(|one| std::ptr::eq(one, member));
        if let Some(by) = by {
            let written = Written {
                manifest: encoded,
                generation: publication.manifest.generation,
                revision,
                member: by,
            };
            self.written().insert(namespace.clone(), written);
        }
        Ok(())
    }
}

#[async_trait]
impl ConfigBus for EtcdConfigBus {
    async fn publish(&self, publication: Publication) -> Result<(), Error> {
        publication.check()?;
        let namespace: &Namespace = &publication.namespace;
        let known = self.written().remove(namespace);
        let known = known.filter(|known| Some(known.generation) == publication.from);
        if let Some(known) = known
            && let Some(member) = self.members.get(known.member)
        {
            let name = self.keys.manifest(namespace);
            let stands = [
                Compare::mod_revision(name.as_str(), CompareOp::Equal, known.revision),
                Compare::value(name, CompareOp::Equal, known.manifest),
            ];
            match self.write(&publication, member, stands.into()).await {
                // Another has written meanwhile: maybe the same.
                Err(Error::Stale { .. }) => {}
                done => return done,
            }
        }
        let manifest = self.keys.manifest(namespace);
        let (answer, member) = self
            .first(WRITE_LIMIT, manifest.as_bytes(), &GetOptions::new())
            .await?;
        let (found, revision) = stored(answer.kvs());
        if found != publication.from {
            return Err(stale(&publication, found));
        }
        let stands = Compare::mod_revision(manifest, CompareOp::Equal, revision);
        self.write(&publication, member, vec![stands]).await
    }

    async fn read(&self) -> Result<View, Error> {
        for _ in 0..READS {
            if let Some(view) = self.try_read().await? {
                return Ok(view);
            }
        }
        Err(unavailable("etcd is compacted faster than it can be read"))
    }

    async fn watch(&self, revision: u64) -> Result<BoxStream<'static, Result<BusEvent, Error>>, Error> {
        let options = GetOptions::new().with_count_only();
        let (_, member) = self
            .first(QUORUM_LIMIT, self.keys.root().as_bytes(), &options)
            .await?;
        watch::open(
            member.clients().await?.watches.clone(),
            self.keys.clone(),
            revision,
        )
        .await
    }

    async fn acknowledge(&self, replica: &Replica) -> Result<(), Error> {
        replicas::acknowledge(self, replica).await
    }

    async fn leave(&self, id: &str) -> Result<(), Error> {
        replicas::leave(self, id).await
    }

    async fn replicas(&self) -> Result<Vec<Replica>, Error> {
        replicas::list(self).await
    }
}

#[async_trait]
impl KeyBus for EtcdConfigBus {
    async fn put_keys(&self, keys: Bytes) -> Result<(), Error> {
        let name = self.keys.keyring();
        let (held, member) = self
            .first(WRITE_LIMIT, name.as_bytes(), &GetOptions::new())
            .await?;
        if held.kvs().first().is_some_and(|kv| kv.value() == keys) {
            return Ok(());
        }
        let mut kv = member.clients().await?.kv.clone();
        bounded(WRITE_LIMIT, kv.put(name, keys, None)).await.map(drop)
    }

    async fn keys(&self) -> Result<Option<Bytes>, Error> {
        let name = self.keys.keyring();
        let quorum = self
            .first(QUORUM_LIMIT, name.as_bytes(), &GetOptions::new())
            .await;
        let (held, _) = match quorum {
            Err(error) if error.is_transient() => {
                let alone = GetOptions::new().with_serializable();
                self.first(QUORUM_LIMIT, name.as_bytes(), &alone).await?
            }
            other => other?,
        };
        Ok(held.kvs().first().map(|kv| Bytes::copy_from_slice(kv.value())))
    }
}

/// The generation of the manifest in `kvs`, none if it cannot be understood, and its revision, 0 if there is none.
fn stored(kvs: &[KeyValue]) -> (Option<u64>, i64) {
    match kvs.first() {
        Some(kv) => (
            understood(kv, decode_manifest(kv.value())).map(|manifest| manifest.generation),
            kv.mod_revision(),
        ),
        None => (None, 0),
    }
}

fn stale(publication: &Publication, found: Option<u64>) -> Error {
    Error::Stale {
        what: format!("manifest of namespace {}", publication.namespace),
        expected: publication.from.unwrap_or(0),
        found: found.unwrap_or(0),
    }
}

/// What the key names; nothing, with a warning, if it is none of ours.
fn name(keys: &Keys, kv: &KeyValue) -> Option<Name> {
    let name = keys.parse(kv.key());
    if name.is_none() {
        tracing::warn!(key = %kv.key().escape_ascii(), "a key under the prefix is none of ours: ignored");
    }
    name
}

/// What was decoded; nothing, with a warning, if it cannot be understood.
fn understood<T>(kv: &KeyValue, decoded: Result<T, &'static str>) -> Option<T> {
    decoded.inspect_err(|reason| tracing::warn!(key = %kv.key().escape_ascii(), reason, "a value in {STORE} is corrupt: ignored")).ok()
}

/// The first key after all that begin with `root`, which ends with a slash.
fn end_of(root: &str) -> Vec<u8> {
    let mut end = root.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = b'/' + 1;
    }
    end
}

/// A revision of etcd as a position.
fn position(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}
