//! The truth about flags, segments, metrics, experiments, layers and holdouts: SQL, one adapter for Postgres and SQLite.

use assay_core::{
    experiment::{AssignmentSource, Experiment},
    flag::{Flag, Meta},
    holdout::Holdout,
    key::{FlagKey, Namespace},
    layer::Layer,
    metric::Metric,
    segment::Segment,
    time::Timestamp,
};
use async_trait::async_trait;

use crate::Error;

mod fence;
#[cfg(any(test, feature = "laws"))]
pub mod laws;
mod record;
pub(crate) mod search;
pub(crate) mod sql;
pub(crate) mod tables;

pub use fence::{Counting, Fence, Publishing, Start};
pub use sql::SqlConfigStore;

/// What kinds of resources there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Flags.
    Flag,
    /// Segments.
    Segment,
    /// Metrics.
    Metric,
    /// Experiments.
    Experiment,
    /// Layers.
    Layer,
    /// Holdouts.
    Holdout,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Flag,
        Self::Segment,
        Self::Metric,
        Self::Experiment,
        Self::Layer,
        Self::Holdout,
    ];

    /// `flag`, `segment`, `metric`, `experiment`, `layer` or `holdout`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Segment => "segment",
            Self::Metric => "metric",
            Self::Experiment => "experiment",
            Self::Layer => "layer",
            Self::Holdout => "holdout",
        }
    }
}

/// One stored resource.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "short-lived; experiments are the common case"
)]
pub enum Resource {
    /// A flag.
    Flag(Flag),
    /// A segment.
    Segment(Segment),
    /// A metric.
    Metric(Metric),
    /// An experiment.
    Experiment(Experiment),
    /// A layer.
    Layer(Layer),
    /// A holdout.
    Holdout(Holdout),
}

impl Resource {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Flag(_) => Kind::Flag,
            Self::Segment(_) => Kind::Segment,
            Self::Metric(_) => Kind::Metric,
            Self::Experiment(_) => Kind::Experiment,
            Self::Layer(_) => Kind::Layer,
            Self::Holdout(_) => Kind::Holdout,
        }
    }

    /// Its key, unique among those of its kind in its namespace.
    pub fn key(&self) -> &str {
        match self {
            Self::Flag(flag) => flag.key.as_str(),
            Self::Segment(segment) => segment.key.as_str(),
            Self::Metric(metric) => metric.key.as_str(),
            Self::Experiment(experiment) => experiment.key.as_str(),
            Self::Layer(layer) => layer.key.as_str(),
            Self::Holdout(holdout) => holdout.key.as_str(),
        }
    }

    /// Where it lives.
    pub fn namespace(&self) -> &Namespace {
        match self {
            Self::Flag(flag) => &flag.namespace,
            Self::Segment(segment) => &segment.namespace,
            Self::Metric(metric) => &metric.namespace,
            Self::Experiment(experiment) => &experiment.namespace,
            Self::Layer(layer) => &layer.namespace,
            Self::Holdout(holdout) => &holdout.namespace,
        }
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        match self {
            Self::Flag(flag) => &flag.name,
            Self::Segment(segment) => &segment.name,
            Self::Metric(metric) => &metric.name,
            Self::Experiment(experiment) => &experiment.name,
            Self::Layer(layer) => &layer.name,
            Self::Holdout(holdout) => &holdout.name,
        }
    }

    /// Version and times.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Flag(flag) => &flag.meta,
            Self::Segment(segment) => &segment.meta,
            Self::Metric(metric) => &metric.meta,
            Self::Experiment(experiment) => &experiment.meta,
            Self::Layer(layer) => &layer.meta,
            Self::Holdout(holdout) => &holdout.meta,
        }
    }

    /// Version and times, to be set by a store.
    pub fn meta_mut(&mut self) -> &mut Meta {
        match self {
            Self::Flag(flag) => &mut flag.meta,
            Self::Segment(segment) => &mut segment.meta,
            Self::Metric(metric) => &mut metric.meta,
            Self::Experiment(experiment) => &mut experiment.meta,
            Self::Layer(layer) => &mut layer.meta,
            Self::Holdout(holdout) => &mut holdout.meta,
        }
    }

    /// When the clock has something to do with it next.
    pub fn due_at(&self) -> Option<Timestamp> {
        match self {
            Self::Experiment(experiment) => experiment.due_at(),
            _ => None,
        }
    }

    /// The flag that it reserves: that of a scheduled, running or paused experiment which Assay assigns.
    pub fn reserves(&self) -> Option<&FlagKey> {
        match self {
            Self::Experiment(experiment)
                if experiment.state.is_live() && experiment.source == AssignmentSource::Assay =>
            {
                Some(&experiment.flag)
            }
            _ => None,
        }
    }
}

/// What a write expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: the write creates.
    Absent,
    /// The resource in this version.
    Version(u64),
}

/// One write of a change.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "short-lived")]
pub enum Write {
    /// Stores the resource. Its `meta` is set by the store: version + 1 (1 when created), the change's generation, the change's time.
    Put {
        /// What to store.
        resource: Resource,
        /// What must be there.
        expect: Expect,
    },
    /// Removes the resource.
    Delete {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: String,
        /// The version that must be there.
        version: u64,
    },
    /// Writes nothing, but fails the change unless the resource is there in this version: what a decision has read.
    Check {
        /// Its kind.
        kind: Kind,
        /// Its key.
        key: String,
        /// The version that must be there.
        version: u64,
    },
    /// Writes nothing, but fails the change with [`Error::Moved`] unless the namespace is still at this generation: for a decision that
    /// has read what does not exist, such as who uses something.
    At {
        /// The generation that was read before all else.
        generation: u64,
    },
}

/// Who did what, for the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Who asked: the name of the principal that was authenticated, never what a caller says of itself.
    pub actor: String,
    /// What was asked, such as `experiment.start`.
    pub action: String,
    /// What it was asked of, such as `experiment/cookie-cats`.
    pub subject: String,
    /// Why, in the caller's words; may be empty.
    pub reason: String,
    /// The W3C trace context of the request, whose trace id is the request's; may be empty.
    pub traceparent: String,
    /// From where: the address of the peer; empty for what no request has asked for.
    pub peer: String,
}

/// An idempotency key that a request came with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose key: each principal has keys of its own.
    pub principal: String,
    /// The key.
    pub key: String,
    /// SHA-256 of method and request.
    pub request: [u8; 32],
}

/// A change: all of it happens, or nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where.
    pub namespace: Namespace,
    /// The writes, each resource at most once.
    pub writes: Vec<Write>,
    /// Who did what.
    pub audit: Audit,
    /// The key under which this is done at most once.
    pub claim: Option<Claim>,
    /// When.
    pub now: Timestamp,
}

/// What a change became.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// The namespace's new generation.
    pub generation: u64,
    /// The stored resources, in the order of their `Put`s, with their new `meta`.
    pub resources: Vec<Resource>,
}

/// Which resources to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Experiments only: names of states (`RUNNING`, …); empty = all but `ARCHIVED`.
    pub states: Vec<String>,
    /// Experiments only: those of this flag.
    pub flag: Option<String>,
    /// Experiments only: those of this owner.
    pub owner: Option<String>,
    /// Experiments only: those that have all of these tags.
    pub tags: Vec<String>,
    /// Experiments only: those in which every word of this text begins a word of key, name, description, hypothesis, owner or tags.
    /// A word is a run of letters and digits, in whatever case.
    pub text: String,
}

/// One page of a list, in order of key.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The resources.
    pub resources: Vec<Resource>,
    /// The key after which the next page begins; absent on the last.
    pub next: Option<String>,
}

/// Where a walk through what is due stands: after the resource that is due at this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMark {
    /// When it is due.
    pub at: Timestamp,
    /// Where it lives.
    pub namespace: Namespace,
    /// Its key.
    pub key: String,
}

/// A namespace whose newest generation may not have reached the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublished {
    /// The namespace.
    pub namespace: Namespace,
    /// Its newest generation.
    pub generation: u64,
    /// When its oldest unpublished change was made.
    pub since: Timestamp,
}

/// Everything of a namespace that is published, read at one generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The namespace.
    pub namespace: Namespace,
    /// The generation.
    pub generation: u64,
    /// All flags, segments, holdouts, and experiments but drafts, with the generation of each in its `meta`. Of a segment the latest version,
    /// and every other one that a live experiment has pinned or that one of these nests.
    pub resources: Vec<Resource>,
    /// Those that are stored but cannot be read. Each is left out alone.
    pub unreadable: Vec<Unreadable>,
}

/// What has changed in a namespace between two of its generations.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The later generation: the present one.
    pub generation: u64,
    /// All that was written and is there, of any kind and state, as it is now.
    pub resources: Vec<Resource>,
    /// All that was removed.
    pub gone: Vec<(Kind, String)>,
}

/// A generation of a namespace, and the change that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The change; absent when the history of the namespace begins with it and nobody has recorded what made it.
    pub change: Option<AuditEntry>,
}

/// A stored resource that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its kind.
    pub kind: Kind,
    /// Its key.
    pub key: String,
    /// Why, for the log.
    pub detail: String,
}

/// One row of the audit trail: a change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Grows with every change of the database; where the next page begins.
    pub id: u64,
    /// The generation that the change made.
    pub generation: u64,
    /// When.
    pub at: Timestamp,
    /// Who did what.
    pub audit: Audit,
    /// JSON object: the stored form of every written resource before, `null` for one that was created, by name such as `flag/gate`; the
    /// ids of units in it are their HMAC.
    pub before: String,
    /// The same after the change, `null` for one that was deleted.
    pub after: String,
}

/// The SQL truth.
///
/// Guarantees: a [`Change`] is one transaction with its audit row, its outbox row and the namespace's next generation; reads see every
/// committed change; generations of a namespace grow by one with each change and are never reused, and each can be read again whole; a
/// flag has at most one live (scheduled, running or paused) experiment that Assay assigns. Every version of a segment is kept, also when
/// the segment is deleted: one that is created anew under its key goes on with the next version, so that a version means one thing for
/// ever.
#[async_trait]
pub trait ConfigStore: Send + Sync {
    /// Makes `change`. Its writes count as made at once: a change may end one live experiment of a flag and begin another.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::NotFound`], [`Error::Stale`], [`Error::Moved`], [`Error::Taken`] (the flag has a live experiment),
    /// [`Error::Claimed`],
    /// [`Error::Refused`] (a resource of another namespace, a number that is not finite); then nothing has happened. After
    /// [`Error::Unavailable`] it may have: read again.
    async fn commit(&self, change: Change) -> Result<Committed, Error>;

    /// The resource, if it exists.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn get(&self, namespace: &Namespace, kind: Kind, key: &str) -> Result<Option<Resource>, Error>;

    /// A segment in one of its versions, if there ever was one.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn segment_version(
        &self,
        namespace: &Namespace,
        key: &str,
        version: u64,
    ) -> Result<Option<Segment>, Error>;

    /// Up to `limit` ≥ 1 resources with keys after `after`.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn list(
        &self,
        namespace: &Namespace,
        kind: Kind,
        filter: &Filter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Page, Error>;

    /// All resources that `filter` lets through, in order of key, read page by page.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn all(&self, namespace: &Namespace, kind: Kind, filter: &Filter) -> Result<Vec<Resource>, Error> {
        const PAGE: u64 = 1_000;
        let mut page = self.list(namespace, kind, filter, None, PAGE).await?;
        let mut all = std::mem::take(&mut page.resources);
        while let Some(after) = page.next {
            page = self.list(namespace, kind, filter, Some(&after), PAGE).await?;
            all.append(&mut page.resources);
        }
        Ok(all)
    }

    /// Those of `keys` that exist, in order of key.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn get_all(
        &self,
        namespace: &Namespace,
        kind: Kind,
        keys: &[String],
    ) -> Result<Vec<Resource>, Error>;

    /// Up to `limit` ≥ 1 experiments of all namespaces that are due ([`Resource::due_at`]) at `now` or before, those after `after` when
    /// given, in order of due time, namespace and key. What cannot be read is left out: it must not hold up the others.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn due(&self, now: Timestamp, after: Option<&DueMark>, limit: u64) -> Result<Vec<Resource>, Error>;

    /// Up to `limit` ≥ 1 changes of `namespace`, latest first: those with an id less than `before`, and of `subject`, when given.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn audit(
        &self,
        namespace: &Namespace,
        subject: Option<&str>,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, Error>;

    /// The namespaces, `default` always among them, with their generation (0 = never changed).
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn namespaces(&self) -> Result<Vec<(Namespace, u64)>, Error>;

    /// The generation of `namespace`, 0 when it was never changed.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn generation(&self, namespace: &Namespace) -> Result<u64, Error> {
        let all = self.namespaces().await?;
        let found = all.into_iter().find(|(name, _)| name == namespace);
        Ok(found.map_or(0, |(_, generation)| generation))
    }

    /// The namespaces with outbox rows.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn unpublished(&self) -> Result<Vec<Unpublished>, Error>;

    /// What is to be published of `namespace`, in one consistent read. A resource that cannot be read is told of beside the others.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn published(&self, namespace: &Namespace) -> Result<Published, Error>;

    /// What has changed in `namespace` since the generation `since`, in one consistent read; nothing when that is much, when any of it
    /// cannot be read, or when the store cannot tell: then read all of it.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn changed(&self, _namespace: &Namespace, _since: u64) -> Result<Option<Changed>, Error> {
        Ok(None)
    }

    /// What was published of `namespace` at `generation`, in one consistent read; nothing when there was no such generation, or when it
    /// is older than the history that is kept.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn published_at(&self, namespace: &Namespace, generation: u64) -> Result<Option<Published>, Error>;

    /// Up to `limit` ≥ 1 generations of `namespace` that can be read, latest first: those with a number less than `before`, when given.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn generations(
        &self,
        namespace: &Namespace,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Generation>, Error>;

    /// Removes the outbox rows of `namespace` up to `generation`: it has reached the bus.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn mark_published(&self, namespace: &Namespace, generation: u64) -> Result<(), Error>;

    /// Raises the generation of `namespace` to at least `generation`: after a restore the bus may be ahead of the truth.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn raise_generation(&self, namespace: &Namespace, generation: u64) -> Result<(), Error>;

    /// Remembers that a generation went to the bus and that its fence is not known; nothing if that is remembered already.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn open_fence(&self, publishing: &Publishing) -> Result<(), Error>;

    /// The generations whose fence is not known, in order of namespace and generation; the first thousand.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn open_fences(&self) -> Result<Vec<Publishing>, Error>;

    /// Makes the fence of an opened generation known, once for all: of several that do, the first counts. In the same transaction every
    /// experiment that began up to that generation and still waits begins to count.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn close_fence(&self, namespace: &Namespace, generation: u64, fence: &Fence) -> Result<(), Error>;

    /// The first generation from `generation` on that went to the bus, and its fence if that is known.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn fence(
        &self,
        namespace: &Namespace,
        generation: u64,
    ) -> Result<Option<(Publishing, Option<Fence>)>, Error>;

    /// The starts of those experiments among `keys` that have begun, that Assay assigns, and that began when there were fences.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Corrupt`].
    async fn starts(&self, namespace: &Namespace, keys: &[String]) -> Result<Vec<Start>, Error>;
}
