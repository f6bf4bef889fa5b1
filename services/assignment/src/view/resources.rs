//! The resources of a believed generation, and what is served of it when some of them are broken.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use assay_core::{
    key::{FlagKey, Namespace, SegmentKey},
    snapshot::{Group, Rejected, Snapshot},
};
use assay_proto::{
    bus::{self, Published},
    view::configuration,
};
use assay_storage::config_bus::Value;
use bytes::Bytes;

/// The resources that are served, decoded: each in its believed version, or in its last good one.
#[derive(Debug, Default)]
pub(super) struct Resources {
    /// By key on the bus.
    served: BTreeMap<String, Published>,
    /// Keys of those that are not the believed version.
    last_good: BTreeSet<String>,
    /// What they were compiled to, as long as nothing of it was rejected.
    sound: Option<Sound>,
}

/// Where the next snapshot can start from.
#[derive(Debug)]
struct Sound {
    snapshot: Arc<Snapshot>,
    /// The keys on the bus of the experiments on a flag.
    by_flag: HashMap<FlagKey, BTreeSet<String>>,
}

/// What has become of a resource: its bytes, or that it is gone.
pub(super) type Changes<'a> = BTreeMap<&'a str, Option<&'a Value>>;

impl Resources {
    /// With the last good versions of an earlier life; what cannot be decoded is passed over.
    pub(super) fn restore(last_good: BTreeMap<String, Bytes>) -> Self {
        let decoded = last_good
            .into_iter()
            .filter_map(|(key, bytes)| Some((key, bus::decode(&bytes).ok()?)));
        Self {
            served: decoded.collect(),
            ..Self::default()
        }
    }

    /// What is served, by key on the bus.
    pub(super) fn served(&self) -> &BTreeMap<String, Published> {
        &self.served
    }

    /// The last good versions that are served instead of broken ones.
    pub(super) fn last_good(&self) -> BTreeMap<String, Bytes> {
        let kept = self
            .last_good
            .iter()
            .filter_map(|key| Some((key.clone(), bus::encode(self.served.get(key)?).into())));
        kept.collect()
    }

    /// Compiles `believed`. A resource that cannot be decoded or compiled stays as it was served before, with the segments that it
    /// needs; all others are unaffected.
    pub(super) fn compile(
        &mut self,
        namespace: &Namespace,
        generation: u64,
        believed: &BTreeMap<String, Value>,
    ) -> (Arc<Snapshot>, Vec<Rejected>) {
        let (mut current, mut rejected) = decode(namespace, believed);
        let undecodable: BTreeSet<String> = rejected.iter().map(|broken| broken.resource.clone()).collect();
        let mut kept: BTreeMap<String, Published> = BTreeMap::new();
        for broken in &rejected {
            kept.extend(self.before(&broken.resource));
        }
        loop {
            current.extend(
                kept.iter()
                    .map(|(key, published)| (key.clone(), published.clone())),
            );
            self.add_needed_segments(&mut current, &mut kept);
            let (mut snapshot, refused) =
                Snapshot::compile(&configuration(namespace, generation, current.values().cloned()));
            let more = self.replacements(&refused, &kept);
            let last: BTreeSet<String> = refused.iter().map(|broken| broken.resource.clone()).collect();
            rejected.extend(
                refused
                    .into_iter()
                    .filter(|r| !rejected.iter().any(|known| known.resource == r.resource))
                    .collect::<Vec<_>>(),
            );
            if more.is_empty() {
                // What was refused only because of what it refers to is served after all.
                let replaced: BTreeSet<String> = kept.values().map(name).collect();
                let is_broken = |resource: &String| {
                    [&undecodable, &last, &replaced]
                        .iter()
                        .any(|set| set.contains(resource))
                };
                rejected.retain(|broken| is_broken(&broken.resource));
                let flags = undecodable.iter().filter_map(|name| name.strip_prefix("flag "));
                for key in flags.filter_map(|key| FlagKey::new(key).ok()) {
                    snapshot.quarantine(key);
                }
                let snapshot = Arc::new(snapshot);
                self.served = current;
                self.last_good = kept.into_keys().collect();
                self.sound = (rejected.is_empty() && self.last_good.is_empty()).then(|| Sound {
                    snapshot: snapshot.clone(),
                    by_flag: by_flag(&self.served),
                });
                return (snapshot, rejected);
            }
            kept.extend(more);
        }
    }

    /// What [`Resources::compile`] makes after `changes`, if they are such as happen often: of experiments, and of flags that stay. Nothing
    /// when it is another change, or when anything of it is broken; then it is as if it had not been asked.
    pub(super) fn revise(
        &mut self,
        namespace: &Namespace,
        generation: u64,
        changes: &Changes<'_>,
    ) -> Option<Arc<Snapshot>> {
        let sound = self.sound.as_ref()?;
        let mut after: BTreeMap<&str, Option<Published>> = BTreeMap::new();
        for (&key, &value) in changes {
            let decoded = value.map(|value| decode_one(namespace, key, value));
            after.insert(key, decoded.transpose().ok()?);
        }
        let (mut flags, mut gone) = (BTreeSet::new(), Vec::new());
        for (key, now) in &after {
            for one in self.served.get(*key).into_iter().chain(now) {
                match one {
                    Published::Flag(flag) if now.is_some() => drop(flags.insert(&flag.key)),
                    Published::Experiment(experiment) => {
                        flags.insert(&experiment.flag);
                        gone.push(&experiment.key);
                    }
                    _ => return None,
                }
            }
        }
        let found = |key: &str| match after.get(key) {
            Some(now) => now.as_ref(),
            None => self.served.get(key),
        };
        let mut groups = Vec::new();
        for flag_key in flags {
            let Some(Published::Flag(flag)) = found(&format!("flag/{flag_key}")) else {
                return None;
            };
            let before = sound.by_flag.get(flag_key).into_iter().flatten();
            let keys: BTreeSet<&str> = before.map(String::as_str).chain(after.keys().copied()).collect();
            let experiments = keys
                .into_iter()
                .filter_map(found)
                .filter_map(|published| match published {
                    Published::Experiment(experiment) if experiment.flag == *flag_key => Some(experiment),
                    _ => None,
                });
            groups.push(Group {
                flag,
                experiments: experiments.collect(),
            });
        }
        let snapshot = Arc::new(sound.snapshot.revised(generation, groups, gone)?);
        let after = after
            .into_iter()
            .map(|(key, now)| (key.to_owned(), now))
            .collect();
        self.take_up(after, snapshot.clone());
        Some(snapshot)
    }

    fn take_up(&mut self, after: BTreeMap<String, Option<Published>>, snapshot: Arc<Snapshot>) {
        let Some(sound) = &mut self.sound else { return };
        sound.snapshot = snapshot;
        for (key, now) in after {
            if let Some(Published::Experiment(experiment)) = &now {
                let on_flag = sound.by_flag.entry(experiment.flag.clone()).or_default();
                on_flag.insert(key.clone());
            }
            let before = match now.clone() {
                Some(published) => self.served.insert(key.clone(), published),
                None => self.served.remove(&key),
            };
            // Those that have moved to another flag stay in the index, where they are passed over.
            if let (Some(Published::Experiment(experiment)), None) = (before, now)
                && let Some(on_flag) = sound.by_flag.get_mut(&experiment.flag)
            {
                on_flag.remove(&key);
            }
        }
    }

    /// The versions to serve instead of those `refused`: of segments first, then of flags, then of experiments, for what is refused
    /// may only be so because of what it refers to.
    fn replacements(
        &self,
        refused: &[Rejected],
        kept: &BTreeMap<String, Published>,
    ) -> BTreeMap<String, Published> {
        for kind in ["segment ", "flag ", "experiment "] {
            let of_kind = refused
                .iter()
                .filter(|rejected| rejected.resource.starts_with(kind));
            let before = of_kind.flat_map(|rejected| self.before(&rejected.resource));
            let new: BTreeMap<_, _> = before.filter(|(key, _)| !kept.contains_key(key)).collect();
            if !new.is_empty() {
                return new;
            }
        }
        BTreeMap::new()
    }

    /// The versions in which `resource`, such as `flag gate`, was served before. A segment may have several.
    fn before(&self, resource: &str) -> BTreeMap<String, Published> {
        let same = |published: &Published| name(published) == resource;
        let before = self.served.iter().filter(|(_, published)| same(published));
        before
            .map(|(key, published)| (key.clone(), published.clone()))
            .collect()
    }

    /// Adds the segments that were served before and that a kept resource refers to, with those that they nest.
    fn add_needed_segments(
        &self,
        current: &mut BTreeMap<String, Published>,
        kept: &mut BTreeMap<String, Published>,
    ) {
        loop {
            let needed: BTreeSet<SegmentKey> = kept.values().flat_map(segments_of).cloned().collect();
            let before = self.served.iter().filter(|(key, published)| {
                let is_needed = matches!(published, Published::Segment(s) if needed.contains(&s.key));
                is_needed && !current.contains_key(*key)
            });
            let missing: Vec<_> = before
                .map(|(key, published)| (key.clone(), published.clone()))
                .collect();
            if missing.is_empty() {
                return;
            }
            // What they nest is needed, too.
            current.extend(missing.clone());
            kept.extend(missing);
        }
    }
}

fn by_flag(served: &BTreeMap<String, Published>) -> HashMap<FlagKey, BTreeSet<String>> {
    let mut by_flag: HashMap<FlagKey, BTreeSet<String>> = HashMap::new();
    for (key, published) in served {
        if let Published::Experiment(experiment) = published {
            by_flag
                .entry(experiment.flag.clone())
                .or_default()
                .insert(key.clone());
        }
    }
    by_flag
}

/// What of `believed` can be decoded, and what cannot.
fn decode(
    namespace: &Namespace,
    believed: &BTreeMap<String, Value>,
) -> (BTreeMap<String, Published>, Vec<Rejected>) {
    let (mut decoded, mut rejected) = (BTreeMap::new(), Vec::new());
    for (key, value) in believed {
        match decode_one(namespace, key, value) {
            Ok(published) => {
                decoded.insert(key.clone(), published);
            }
            Err(reason) => rejected.push(Rejected {
                resource: name_of_key(key),
                reason,
            }),
        }
    }
    (decoded, rejected)
}

fn decode_one(namespace: &Namespace, key: &str, value: &Value) -> Result<Published, String> {
    let published = bus::decode(&value.bytes).map_err(|errors| errors.to_string())?;
    if published.key() != key {
        return Err(format!(
            "its key on the bus is `{key}`, and it says that it is `{}`",
            published.key()
        ));
    }
    let home = match &published {
        Published::Flag(flag) => &flag.namespace,
        Published::Segment(segment) => &segment.namespace,
        Published::Experiment(experiment) => &experiment.namespace,
        Published::Holdout(holdout) => &holdout.namespace,
    };
    if home != namespace {
        return Err(format!("it says that it belongs to the namespace `{home}`"));
    }
    Ok(published)
}

fn segments_of(published: &Published) -> Vec<&SegmentKey> {
    match published {
        Published::Flag(flag) => flag.segment_overrides.iter().map(|o| &o.segment).collect(),
        Published::Segment(segment) => segment
            .references()
            .into_iter()
            .map(|(_, nested)| &nested.key)
            .collect(),
        Published::Holdout(_) => Vec::new(),
        Published::Experiment(experiment) => experiment.segment.iter().collect(),
    }
}

/// The name under which [`Rejected`] speaks of it.
fn name(published: &Published) -> String {
    match published {
        Published::Flag(flag) => format!("flag {}", flag.key),
        Published::Segment(segment) => format!("segment {}", segment.key),
        Published::Experiment(experiment) => format!("experiment {}", experiment.key),
        Published::Holdout(holdout) => format!("holdout {}", holdout.key),
    }
}

/// The same of a key on the bus: `segment/new-players@3` is `segment new-players`.
fn name_of_key(key: &str) -> String {
    let (kind, rest) = key.split_once('/').unwrap_or(("resource", key));
    let name = if kind == "segment" {
        rest.rsplit_once('@').map_or(rest, |(name, _)| name)
    } else {
        rest
    };
    format!("{kind} {name}")
}
