//! The configuration as use cases see it: typed reads, and changes that are audited and wake the publisher.

use std::sync::Arc;

use assay_core::{
    experiment::Experiment,
    flag::{Flag, Meta},
    holdout::Holdout,
    key::Namespace,
    layer::Layer,
    metric::Metric,
    segment::Segment,
    time::Timestamp,
};
use assay_platform::clock::SharedClock;
use assay_storage::config_store::{
    Audit, Change, Committed, ConfigStore, DueMark, Expect, Filter, Generation, Kind, Page, Published,
    Resource, Start, Write,
};

use crate::{error::Error, idempotency, publish::Wake, stage::Stage};

/// Who calls, and where: what a use case is told besides its own arguments.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) namespace: Namespace,
    pub(crate) actor: String,
    pub(crate) traceparent: String,
    /// From where; empty for what the clock has done.
    pub(crate) peer: String,
}

/// What is done to what, and why: the audit row but for the caller.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) reason: String,
}

impl Deed {
    /// `verb` such as `start`, done to the resource of type `R` with `key`.
    pub(crate) fn new<R: Stored>(verb: &str, key: &str, reason: &str) -> Self {
        Self {
            action: format!("{}.{verb}", R::NAME),
            subject: name::<R>(key),
            reason: reason.to_owned(),
        }
    }
}

/// A kind of resource.
pub(crate) trait Stored: Clone + PartialEq + Send + Sync + Sized + 'static {
    const KIND: Kind;
    /// What the audit trail and messages call it.
    const NAME: &'static str;

    fn key(&self) -> &str;
    fn meta(&self) -> &Meta;
    fn into_resource(self) -> Resource;
    fn from_resource(resource: Resource) -> Option<Self>;
}

macro_rules! stored {
    ($type:ident, $name:literal) => {
        impl Stored for $type {
            const KIND: Kind = Kind::$type;
            const NAME: &'static str = $name;

            fn key(&self) -> &str {
                self.key.as_str()
            }

            fn meta(&self) -> &Meta {
                &self.meta
            }

            fn into_resource(self) -> Resource {
                Resource::$type(self)
            }

            fn from_resource(resource: Resource) -> Option<Self> {
                match resource {
                    Resource::$type(found) => Some(found),
                    _ => None,
                }
            }
        }
    };
}

stored!(Flag, "flag");
stored!(Segment, "segment");
stored!(Metric, "metric");
stored!(Experiment, "experiment");
stored!(Layer, "layer");
stored!(Holdout, "holdout");

/// `flag/gate`: how messages and the audit trail name a resource.
pub(crate) fn name<R: Stored>(key: &str) -> String {
    format!("{}/{key}", R::NAME)
}

/// The writes of one change, each resource at most once. What is written needs no check, so put first.
#[derive(Debug, Default)]
pub(crate) struct Writes(Vec<Write>);

impl Writes {
    pub(crate) fn create<R: Stored>(mut self, new: R) -> Self {
        self.0.push(Write::Put {
            resource: new.into_resource(),
            expect: Expect::Absent,
        });
        self
    }

    /// Replaces the stored resource, which has the version of `current`.
    pub(crate) fn replace<R: Stored>(mut self, current: &R, updated: R) -> Self {
        let expect = Expect::Version(current.meta().version);
        self.0.push(Write::Put {
            resource: updated.into_resource(),
            expect,
        });
        self
    }

    pub(crate) fn delete<R: Stored>(mut self, current: &R) -> Self {
        let (key, version) = (current.key().to_owned(), current.meta().version);
        self.0.push(Write::Delete {
            kind: R::KIND,
            key,
            version,
        });
        self
    }

    /// Writes `after` in place of `before`; at least one of them is there.
    pub(crate) fn change(mut self, before: Option<&Resource>, after: Option<Resource>) -> Self {
        let version = before.map(|before| before.meta().version);
        self.0.extend(match (after, before, version) {
            (Some(resource), _, version) => Some(Write::Put {
                resource,
                expect: version.map_or(Expect::Absent, Expect::Version),
            }),
            (None, Some(before), Some(version)) => Some(Write::Delete {
                kind: before.kind(),
                key: before.key().to_owned(),
                version,
            }),
            (None, ..) => None,
        });
        self
    }

    /// The change fails if anything of the namespace has been written since it was at `generation`.
    pub(crate) fn at(mut self, generation: u64) -> Self {
        self.0.push(Write::At { generation });
        self
    }

    /// The change fails if any of `read` has been written meanwhile.
    pub(crate) fn check<'a, R: Stored>(mut self, read: impl IntoIterator<Item = &'a R>) -> Self {
        for resource in read {
            let (kind, key) = (R::KIND, resource.key());
            if !self.0.iter().any(|write| is_of(write, kind, key)) {
                let (key, version) = (key.to_owned(), resource.meta().version);
                self.0.push(Write::Check { kind, key, version });
            }
        }
        self
    }
}

fn is_of(write: &Write, kind: Kind, key: &str) -> bool {
    match write {
        Write::Put { resource, .. } => resource.kind() == kind && resource.key() == key,
        Write::Delete { kind: of, key: k, .. } | Write::Check { kind: of, key: k, .. } => {
            *of == kind && k == key
        }
        Write::At { .. } => false,
    }
}

/// The truth, and who is to be told when it changes.
#[derive(Clone)]
pub(crate) struct Truth {
    store: Arc<dyn ConfigStore>,
    clock: SharedClock,
    /// Absent where a change is only rehearsed.
    wake: Option<Arc<Wake>>,
}

impl Truth {
    pub(crate) fn new(store: Arc<dyn ConfigStore>, clock: SharedClock, wake: Arc<Wake>) -> Self {
        Self {
            store,
            clock,
            wake: Some(wake),
        }
    }

    /// The truth as it would be, to rehearse changes on: nobody is told of what is written there.
    pub(crate) fn rehearsal(&self, stage: Arc<Stage>) -> Self {
        Self {
            store: stage,
            clock: self.clock.clone(),
            wake: None,
        }
    }

    /// What `namespace` has, to rehearse changes on.
    pub(crate) async fn stage(&self, namespace: &Namespace) -> Result<Stage, Error> {
        Ok(Stage::read(self.store.clone(), namespace).await?)
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now_micros())
    }

    /// The resource, if it exists.
    pub(crate) async fn find<R: Stored>(&self, namespace: &Namespace, key: &str) -> Result<Option<R>, Error> {
        let found = self.store.get(namespace, R::KIND, key).await?;
        Ok(found.and_then(R::from_resource))
    }

    /// The resource; `NotFound` when there is none.
    pub(crate) async fn get<R: Stored>(&self, namespace: &Namespace, key: &str) -> Result<R, Error> {
        self.find(namespace, key)
            .await?
            .ok_or_else(|| Error::NotFound { what: name::<R>(key) })
    }

    /// The version of a resource, if it exists.
    pub(crate) async fn version(
        &self,
        namespace: &Namespace,
        kind: Kind,
        key: &str,
    ) -> Result<Option<u64>, Error> {
        let found = self.store.get(namespace, kind, key).await?;
        Ok(found.map(|found| found.meta().version))
    }

    /// The resource in the version that the caller has seen, which is what its decision is based on.
    pub(crate) async fn get_at<R: Stored>(
        &self,
        namespace: &Namespace,
        key: &str,
        version: u64,
    ) -> Result<R, Error> {
        let found: R = self.get(namespace, key).await?;
        match found.meta().version {
            stored if stored == version => Ok(found),
            stored => Err(Error::VersionMismatch {
                what: name::<R>(key),
                expected: version,
                found: stored,
            }),
        }
    }

    /// The segment in one of its versions, if there ever was one.
    pub(crate) async fn segment_version(
        &self,
        namespace: &Namespace,
        key: &str,
        version: u64,
    ) -> Result<Option<Segment>, Error> {
        Ok(self.store.segment_version(namespace, key, version).await?)
    }

    /// The starts of those of `keys` that have one.
    pub(crate) async fn starts(&self, namespace: &Namespace, keys: &[String]) -> Result<Vec<Start>, Error> {
        Ok(self.store.starts(namespace, keys).await?)
    }

    /// One page of resources in order of key, and the key after which the next one begins.
    pub(crate) async fn page<R: Stored>(
        &self,
        namespace: &Namespace,
        filter: &Filter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<R>, Option<String>), Error> {
        let Page { resources, next } = self.store.list(namespace, R::KIND, filter, after, limit).await?;
        Ok((resources.into_iter().filter_map(R::from_resource).collect(), next))
    }

    /// Those of `keys` that exist.
    pub(crate) async fn find_all<R: Stored>(
        &self,
        namespace: &Namespace,
        keys: &[String],
    ) -> Result<Vec<R>, Error> {
        let found = self.store.get_all(namespace, R::KIND, keys).await?;
        Ok(found.into_iter().filter_map(R::from_resource).collect())
    }

    /// Experiments that the clock has something to do with, those after `after`, the longest overdue first.
    pub(crate) async fn due(&self, after: Option<&DueMark>, limit: u64) -> Result<Vec<Experiment>, Error> {
        let due = self.store.due(self.now(), after, limit).await?;
        Ok(due.into_iter().filter_map(Experiment::from_resource).collect())
    }

    /// All resources that `filter` lets through.
    pub(crate) async fn all<R: Stored>(
        &self,
        namespace: &Namespace,
        filter: &Filter,
    ) -> Result<Vec<R>, Error> {
        let all = self.store.all(namespace, R::KIND, filter).await?;
        Ok(all.into_iter().filter_map(R::from_resource).collect())
    }

    /// The present generation of `namespace`.
    pub(crate) async fn generation(&self, namespace: &Namespace) -> Result<u64, Error> {
        Ok(self.store.generation(namespace).await?)
    }

    /// What was published at `generation`; `NotFound` when there was none, or when it is older than what is kept.
    pub(crate) async fn published_at(
        &self,
        namespace: &Namespace,
        generation: u64,
    ) -> Result<Published, Error> {
        let published = self.store.published_at(namespace, generation).await?;
        published.ok_or_else(|| Error::NotFound {
            what: format!("generation {generation} of namespace {namespace}"),
        })
    }

    /// Up to `limit` generations before `before`, latest first.
    pub(crate) async fn generations(
        &self,
        namespace: &Namespace,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Generation>, Error> {
        Ok(self.store.generations(namespace, before, limit).await?)
    }

    /// The generation that the next change of `namespace` will get unless another change comes first.
    pub(crate) async fn next_generation(&self, namespace: &Namespace) -> Result<u64, Error> {
        Ok(self.generation(namespace).await?.saturating_add(1))
    }

    /// Makes a change: all of `writes` or nothing, with its audit row and its outbox row.
    pub(crate) async fn commit(&self, call: &Call, deed: Deed, writes: Writes) -> Result<Committed, Error> {
        let audit = Audit {
            actor: call.actor.clone(),
            action: deed.action,
            subject: deed.subject,
            reason: deed.reason,
            traceparent: call.traceparent.clone(),
            peer: call.peer.clone(),
        };
        let change = Change {
            namespace: call.namespace.clone(),
            writes: writes.0,
            audit,
            claim: self.wake.as_ref().and_then(|_| idempotency::claim()),
            now: self.now(),
        };
        let committed = self.store.commit(change).await?;
        if let Some(wake) = &self.wake {
            idempotency::done();
            wake.changed(&call.traceparent);
        }
        Ok(committed)
    }
}

/// The stored form of what a change has put of type `R` (the first one, if there are several).
pub(crate) fn stored_as<R: Stored>(committed: Committed) -> R {
    let first = committed.resources.into_iter().find_map(R::from_resource);
    first.expect("a store returns each resource that a change has put")
}

/// The stored forms of an experiment and of its flag, which stays `flag` where the change has not put it.
pub(crate) fn both(committed: Committed, flag: Flag) -> (Experiment, Flag) {
    let mut stored = flag;
    for resource in &committed.resources {
        if let Some(put) = Flag::from_resource(resource.clone()) {
            stored = put;
        }
    }
    (stored_as(committed), stored)
}
