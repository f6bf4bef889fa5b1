//! One namespace in memory, to rehearse changes on: every use case works on it as on the truth, and what has come of all of them is then
//! written in one change.
//!
//! A resource has one version for the whole rehearsal, the next after the stored one, for that is what the one change will give it.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use assay_core::{
    flag::Meta,
    key::{Namespace, SegmentKey},
    segment::Segment,
    time::Timestamp,
};
use assay_storage::{
    Error,
    config_store::{
        AuditEntry, Change, Committed, ConfigStore, DueMark, Expect, Fence, Filter, Generation, Kind, Page,
        Published, Publishing, Resource, Start, Unpublished, Write,
    },
};
use tonic::async_trait;

use crate::simple::every_state;

type Resources = BTreeMap<(Kind, String), Resource>;

/// A resource before and after; at least one of both is there.
pub(crate) type Pair = (Option<Resource>, Option<Resource>);

/// A namespace, as stored and as rehearsed.
pub(crate) struct Stage {
    store: Arc<dyn ConfigStore>,
    namespace: Namespace,
    generation: u64,
    stored: Resources,
    rehearsed: Mutex<Resources>,
}

impl Stage {
    /// Reads the whole of `namespace`. What is decided on it holds as long as the namespace is at [`Stage::read_at`].
    ///
    /// # Errors
    /// The store's own.
    pub(crate) async fn read(store: Arc<dyn ConfigStore>, namespace: &Namespace) -> Result<Self, Error> {
        let generation = store.generation(namespace).await?;
        let mut stored = Resources::new();
        for kind in Kind::ALL {
            let all = store.all(namespace, kind, &every_state()).await?;
            stored.extend(all.into_iter().map(|resource| (id(&resource), resource)));
        }
        Ok(Self {
            store,
            namespace: namespace.clone(),
            generation,
            rehearsed: Mutex::new(stored.clone()),
            stored,
        })
    }

    /// The generation that was read.
    pub(crate) fn read_at(&self) -> u64 {
        self.generation
    }

    /// All resources as rehearsed, in order of kind and key.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        self.rehearsed().values().cloned().collect()
    }

    /// What the rehearsal has changed, in order of kind and key. What differs in versions and times alone is not changed.
    pub(crate) fn changes(&self) -> Vec<Pair> {
        let mut rehearsed = self.rehearsed();
        self.settle_segments(&mut rehearsed);
        let mut changed = pairs(self.stored.values().cloned(), rehearsed.values().cloned());
        changed.retain(|pair| !matches!(pair, (Some(before), Some(after)) if same(before, after)));
        changed
    }

    /// Gives what segments nest the versions that they will have: a segment whose content came back to what is stored keeps its version.
    fn settle_segments(&self, rehearsed: &mut Resources) {
        // Each round settles at least one more.
        for _ in 0..=rehearsed.len() {
            let versions: BTreeMap<SegmentKey, u64> = segments(rehearsed)
                .map(|segment| (segment.key.clone(), segment.meta.version))
                .collect();
            let settled = |segment: &Segment| {
                let mut next = segment.clone();
                next.resolve(|nested| Some(versions.get(&nested.key).copied().unwrap_or(0)));
                let next = Resource::Segment(next);
                let stored = self.stored.get(&id(&next));
                stored
                    .filter(|stored| same(stored, &next))
                    .cloned()
                    .unwrap_or(next)
            };
            let mut moved: Vec<_> = segments(rehearsed).map(settled).collect();
            moved.retain(|resource| rehearsed.get(&id(resource)) != Some(resource));
            if moved.is_empty() {
                return;
            }
            rehearsed.extend(moved.into_iter().map(|resource| (id(&resource), resource)));
        }
    }

    /// Each change leaves it whole: none of them can panic in the middle.
    fn rehearsed(&self) -> MutexGuard<'_, Resources> {
        self.rehearsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_here(&self, namespace: &Namespace) -> Result<(), Error> {
        match *namespace == self.namespace {
            true => Ok(()),
            false => Err(refused("a rehearsal is of one namespace")),
        }
    }

    /// The version that a segment will have that is created anew: all that it ever had are kept.
    async fn next_version(&self, kind: Kind, key: &str) -> Result<u64, Error> {
        let mut version = 1;
        while kind == Kind::Segment
            && self
                .store
                .segment_version(&self.namespace, key, version)
                .await?
                .is_some()
        {
            version += 1;
        }
        Ok(version)
    }

    async fn meta(&self, kind: Kind, key: &str, now: Timestamp) -> Result<Meta, Error> {
        let stored = self.stored.get(&(kind, key.to_owned())).map(Resource::meta);
        let version = match stored {
            Some(stored) => stored.version.saturating_add(1),
            None => self.next_version(kind, key).await?,
        };
        Ok(Meta {
            version,
            generation: self.generation.saturating_add(1),
            created_at: stored.map_or(now, |stored| stored.created_at),
            updated_at: now,
        })
    }
}

/// All resources of both sides, in order of kind and key, each with what it is on the other.
pub(crate) fn pairs(
    before: impl IntoIterator<Item = Resource>,
    after: impl IntoIterator<Item = Resource>,
) -> Vec<Pair> {
    let mut pairs: BTreeMap<_, Pair> = BTreeMap::new();
    for resource in before {
        let pair = pairs.entry(id(&resource)).or_default();
        pair.0 = Some(resource);
    }
    for resource in after {
        let pair = pairs.entry(id(&resource)).or_default();
        pair.1 = Some(resource);
    }
    pairs.into_values().collect()
}

fn id(resource: &Resource) -> (Kind, String) {
    (resource.kind(), resource.key().to_owned())
}

fn segments(resources: &Resources) -> impl Iterator<Item = &Segment> {
    resources.values().filter_map(|resource| match resource {
        Resource::Segment(segment) => Some(segment),
        _ => None,
    })
}

/// Whether two resources have the same content.
fn same(one: &Resource, other: &Resource) -> bool {
    let mut other = other.clone();
    *other.meta_mut() = *one.meta();
    *one == other
}

fn refused(why: &'static str) -> Error {
    Error::Refused {
        store: "rehearsal",
        source: why.into(),
    }
}

/// Whether a list by `filter` shows the resource. A text is not looked for: no use case that writes does.
fn shows(filter: &Filter, resource: &Resource) -> bool {
    let Resource::Experiment(experiment) = resource else {
        return true;
    };
    let state = experiment.state.name();
    let has_state = match filter.states.as_slice() {
        [] => state != "ARCHIVED",
        states => states.iter().any(|wanted| wanted == state),
    };
    has_state
        && filter
            .flag
            .as_deref()
            .is_none_or(|flag| flag == experiment.flag.as_str())
        && filter
            .owner
            .as_ref()
            .is_none_or(|owner| *owner == experiment.owner)
        && filter.tags.iter().all(|tag| experiment.tags.contains(tag))
}

#[async_trait]
impl ConfigStore for Stage {
    async fn commit(&self, change: Change) -> Result<Committed, Error> {
        self.is_here(&change.namespace)?;
        let mut puts = Vec::new();
        for write in &change.writes {
            if let Write::Put { resource, .. } = write {
                let mut resource = resource.clone();
                *resource.meta_mut() = self.meta(resource.kind(), resource.key(), change.now).await?;
                puts.push(resource);
            }
        }
        let mut rehearsed = self.rehearsed();
        for write in &change.writes {
            let (kind, key, expected) = match write {
                Write::Put { resource, expect } => match expect {
                    Expect::Absent => (resource.kind(), resource.key(), None),
                    Expect::Version(version) => (resource.kind(), resource.key(), Some(*version)),
                },
                Write::Delete { kind, key, version } | Write::Check { kind, key, version } => {
                    (*kind, key.as_str(), Some(*version))
                }
                Write::At { .. } => continue,
            };
            let found = rehearsed
                .get(&(kind, key.to_owned()))
                .map(|found| found.meta().version);
            let what = format!("{}/{key}", kind.name());
            match (expected, found) {
                (None, Some(_)) => return Err(Error::AlreadyExists { what }),
                (Some(_), None) => return Err(Error::NotFound { what }),
                (Some(expected), Some(found)) if expected != found => {
                    return Err(Error::Stale {
                        what,
                        expected,
                        found,
                    });
                }
                _ => {}
            }
        }
        for write in &change.writes {
            if let Write::Delete { kind, key, .. } = write {
                rehearsed.remove(&(*kind, key.clone()));
            }
        }
        rehearsed.extend(puts.iter().map(|resource| (id(resource), resource.clone())));
        Ok(Committed {
            generation: self.generation.saturating_add(1),
            resources: puts,
        })
    }

    async fn get(&self, namespace: &Namespace, kind: Kind, key: &str) -> Result<Option<Resource>, Error> {
        self.is_here(namespace)?;
        Ok(self.rehearsed().get(&(kind, key.to_owned())).cloned())
    }

    async fn segment_version(
        &self,
        namespace: &Namespace,
        key: &str,
        version: u64,
    ) -> Result<Option<Segment>, Error> {
        match self.get(namespace, Kind::Segment, key).await? {
            Some(Resource::Segment(latest)) if latest.meta.version == version => Ok(Some(latest)),
            _ => self.store.segment_version(namespace, key, version).await,
        }
    }

    async fn list(
        &self,
        namespace: &Namespace,
        kind: Kind,
        filter: &Filter,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Page, Error> {
        self.is_here(namespace)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let from = match after {
            Some(after) => Bound::Excluded((kind, after.to_owned())),
            None => Bound::Included((kind, String::new())),
        };
        let rehearsed = self.rehearsed();
        let mut found = rehearsed
            .range((from, Bound::Unbounded))
            .take_while(|((of, _), _)| *of == kind)
            .map(|(_, resource)| resource)
            .filter(|resource| shows(filter, resource));
        let resources: Vec<_> = found.by_ref().take(limit).cloned().collect();
        let more = found.next().is_some();
        let last = resources.last().filter(|_| more);
        let next = last.map(|last| last.key().to_owned());
        Ok(Page { resources, next })
    }

    async fn get_all(
        &self,
        namespace: &Namespace,
        kind: Kind,
        keys: &[String],
    ) -> Result<Vec<Resource>, Error> {
        self.is_here(namespace)?;
        let rehearsed = self.rehearsed();
        let mut found: Vec<_> = keys
            .iter()
            .filter_map(|key| rehearsed.get(&(kind, key.clone())).cloned())
            .collect();
        found.sort_by(|a, b| a.key().cmp(b.key()));
        found.dedup_by(|a, b| a.key() == b.key());
        Ok(found)
    }

    async fn namespaces(&self) -> Result<Vec<(Namespace, u64)>, Error> {
        Ok(vec![(self.namespace.clone(), self.generation)])
    }

    async fn due(&self, now: Timestamp, after: Option<&DueMark>, limit: u64) -> Result<Vec<Resource>, Error> {
        self.store.due(now, after, limit).await
    }

    async fn audit(
        &self,
        namespace: &Namespace,
        subject: Option<&str>,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, Error> {
        self.store.audit(namespace, subject, before, limit).await
    }

    async fn unpublished(&self) -> Result<Vec<Unpublished>, Error> {
        self.store.unpublished().await
    }

    async fn published(&self, namespace: &Namespace) -> Result<Published, Error> {
        self.store.published(namespace).await
    }

    async fn published_at(&self, namespace: &Namespace, generation: u64) -> Result<Option<Published>, Error> {
        self.store.published_at(namespace, generation).await
    }

    async fn generations(
        &self,
        namespace: &Namespace,
        before: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Generation>, Error> {
        self.store.generations(namespace, before, limit).await
    }

    async fn mark_published(&self, _: &Namespace, _: u64) -> Result<(), Error> {
        Err(refused("nothing of a rehearsal is published"))
    }

    async fn raise_generation(&self, _: &Namespace, _: u64) -> Result<(), Error> {
        Err(refused("nothing of a rehearsal is published"))
    }

    async fn open_fence(&self, _: &Publishing) -> Result<(), Error> {
        Err(refused("nothing of a rehearsal is published"))
    }

    async fn open_fences(&self) -> Result<Vec<Publishing>, Error> {
        self.store.open_fences().await
    }

    async fn close_fence(&self, _: &Namespace, _: u64, _: &Fence) -> Result<(), Error> {
        Err(refused("nothing of a rehearsal is published"))
    }

    async fn fence(
        &self,
        namespace: &Namespace,
        generation: u64,
    ) -> Result<Option<(Publishing, Option<Fence>)>, Error> {
        self.store.fence(namespace, generation).await
    }

    async fn starts(&self, namespace: &Namespace, keys: &[String]) -> Result<Vec<Start>, Error> {
        self.store.starts(namespace, keys).await
    }
}
