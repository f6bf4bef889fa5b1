//! Layers: bucket spaces within which experiments exclude each other.
//!
//! A layer hashes every unit to one of [`BUCKETS`] buckets by a salt of its own and gives each bucket to one experiment at most. Layers are
//! independent of each other. Buckets are taken at Start and kept until the experiment has ended; then they cool down, so that what its
//! units went through wears off before another experiment gets them.

use std::{fmt, time::Duration};

use crate::{
    bucketing::{BUCKETS, Domain, Seed},
    flag::Meta,
    key::{ExperimentKey, LayerKey, Namespace, UnitKind},
    time::Timestamp,
};

/// How long buckets rest after an experiment when the layer does not say: 7 days.
pub const DEFAULT_COOLDOWN: Duration = Duration::from_secs(7 * 86_400);

/// Buckets from `first` to before `end`: at least one, within [`BUCKETS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketRange {
    first: u32,
    end: u32,
}

impl BucketRange {
    /// The buckets from `first` to before `end`; nothing unless `first < end ≤` [`BUCKETS`].
    pub fn new(first: u32, end: u32) -> Option<Self> {
        (first < end && end <= BUCKETS).then_some(Self { first, end })
    }

    /// The first bucket.
    pub fn first(self) -> u32 {
        self.first
    }

    /// The first bucket after it.
    pub fn end(self) -> u32 {
        self.end
    }

    /// How many buckets it has.
    pub fn n_buckets(self) -> u32 {
        self.end.saturating_sub(self.first)
    }
}

/// How many buckets `ranges`, which do not overlap, have.
pub fn n_buckets(ranges: &[BucketRange]) -> u32 {
    ranges
        .iter()
        .fold(0, |sum, range| sum.saturating_add(range.n_buckets()))
}

/// Whether one of `ranges`, which are in order and do not overlap, holds `bucket`.
pub fn holds(ranges: &[BucketRange], bucket: u32) -> bool {
    let before = ranges.partition_point(|range| range.end <= bucket);
    ranges.get(before).is_some_and(|range| range.first <= bucket)
}

/// `ranges` in order, those that touch joined.
fn joined(mut ranges: Vec<BucketRange>) -> Vec<BucketRange> {
    ranges.sort_unstable();
    let mut joined: Vec<BucketRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut().filter(|last| last.end >= range.first) {
            Some(last) => last.end = last.end.max(range.end),
            None => joined.push(range),
        }
    }
    joined
}

/// The buckets that one experiment has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// The experiment.
    pub experiment: ExperimentKey,
    /// In order, not overlapping.
    pub ranges: Vec<BucketRange>,
    /// When they are free again; absent while the experiment has them.
    pub free_at: Option<Timestamp>,
}

/// A bucket space within which experiments exclude each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Where it lives.
    pub namespace: Namespace,
    /// Key, unique in the namespace, fixed.
    pub key: LayerKey,
    /// What people call it; may be empty.
    pub name: String,
    /// What its experiments have in common; may be empty.
    pub description: String,
    /// What its experiments randomize.
    pub unit_kind: UnitKind,
    /// Makes its buckets independent of all other hashes.
    pub salt: String,
    /// How long buckets rest after an experiment.
    pub cooldown: Duration,
    /// Who has which buckets, and which are cooling down.
    pub allocations: Vec<Allocation>,
    /// Version and times.
    pub meta: Meta,
}

/// Who is in the way of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The experiment that has, or had, buckets.
    pub experiment: ExperimentKey,
    /// How many.
    pub n_buckets: u32,
    /// When they are free, if that is known already.
    pub free_at: Option<Timestamp>,
}

/// Why a layer cannot give as many buckets as are wanted. The message names who has the others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "layer `{layer}` has {} of its buckets free, and {} more are wanted; taken by {}; End one of them, wait for the cool-down, ask for a smaller coverage, or use another layer",
    Percent(*.free), Percent(*.wanted), list(.holders)
)]
pub struct LayerFull {
    /// The layer.
    pub layer: LayerKey,
    /// How many buckets were wanted beyond those that the experiment has.
    pub wanted: u32,
    /// How many are free.
    pub free: u32,
    /// Who has the others, those with the most first.
    pub holders: Vec<Holder>,
}

/// A number of buckets as the share of all: `12.5 %`.
#[derive(Debug, Clone, Copy)]
pub struct Percent(pub u32);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / f64::from(BUCKETS / 100))
    }
}

fn list(holders: &[Holder]) -> String {
    let one = |holder: &Holder| {
        let share = Percent(holder.n_buckets);
        match holder.free_at {
            Some(at) => format!("experiment/{} ({share}, free at {at})", holder.experiment),
            None => format!("experiment/{} ({share})", holder.experiment),
        }
    };
    match holders {
        [] => "nobody".to_owned(),
        _ => holders.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

impl Layer {
    /// The hash that places units in it.
    pub fn seed(&self) -> Seed {
        Seed::new(Domain::Layer, &self.salt)
    }

    /// What is free at `now`, in order.
    pub fn free(&self, now: Timestamp) -> Vec<BucketRange> {
        let taken = self.allocations.iter().filter(|held| !is_free(held, now));
        let taken = joined(taken.flat_map(|held| held.ranges.iter().copied()).collect());
        let mut free = Vec::new();
        let mut next = 0;
        for range in taken {
            free.extend(BucketRange::new(next, range.first));
            next = range.end;
        }
        free.extend(BucketRange::new(next, BUCKETS));
        free
    }

    /// What `experiment` has, in order; nothing once it was given back.
    pub fn held_by(&self, experiment: &ExperimentKey) -> &[BucketRange] {
        let held = self
            .allocations
            .iter()
            .find(|held| held.experiment == *experiment);
        held.filter(|held| held.free_at.is_none())
            .map_or(&[], |held| held.ranges.as_slice())
    }

    /// Sees to it that `experiment` has at least `wanted` buckets: those that it has already, and the first free ones for the rest.
    ///
    /// # Errors
    /// [`LayerFull`] when there are not enough; then nothing has changed.
    pub fn allocate(
        &mut self,
        experiment: &ExperimentKey,
        wanted: u32,
        now: Timestamp,
    ) -> Result<Vec<BucketRange>, LayerFull> {
        let mut ranges = self.held_by(experiment).to_vec();
        let wanted = wanted.saturating_sub(n_buckets(&ranges));
        let free = self.free(now);
        if n_buckets(&free) < wanted {
            return Err(self.full(wanted, n_buckets(&free), experiment, now));
        }
        let mut missing = wanted;
        for range in free {
            let end = range.end.min(range.first.saturating_add(missing));
            let taken = BucketRange::new(range.first, end);
            missing = missing.saturating_sub(taken.map_or(0, BucketRange::n_buckets));
            ranges.extend(taken);
        }
        let ranges = joined(ranges);
        self.allocations
            .retain(|held| held.experiment != *experiment && !is_free(held, now));
        if !ranges.is_empty() {
            self.allocations.push(Allocation {
                experiment: experiment.clone(),
                ranges: ranges.clone(),
                free_at: None,
            });
        }
        Ok(ranges)
    }

    /// Gives back what `experiment` has: at once, or, when its units have met it, after the cool-down that begins at `now`.
    pub fn release(&mut self, experiment: &ExperimentKey, now: Timestamp, cools: bool) {
        let free_at = if cools { now.plus(self.cooldown) } else { now };
        for held in &mut self.allocations {
            if held.experiment == *experiment {
                held.free_at.get_or_insert(free_at);
            }
        }
        self.allocations.retain(|held| !is_free(held, now));
    }

    /// Lets `experiment` have `ranges` for good again; says whether it could, which is while it has them or they cool down after it.
    pub fn reclaim(&mut self, experiment: &ExperimentKey, ranges: &[BucketRange], now: Timestamp) -> bool {
        let own = self
            .allocations
            .iter_mut()
            .find(|held| held.experiment == *experiment && held.ranges == ranges && !is_free(held, now));
        own.map(|held| held.free_at = None).is_some()
    }

    fn full(&self, wanted: u32, free: u32, experiment: &ExperimentKey, now: Timestamp) -> LayerFull {
        let others = self
            .allocations
            .iter()
            .filter(|held| held.experiment != *experiment && !is_free(held, now));
        let mut holders: Vec<_> = others
            .map(|held| Holder {
                experiment: held.experiment.clone(),
                n_buckets: n_buckets(&held.ranges),
                free_at: held.free_at,
            })
            .collect();
        holders.sort_by_key(|holder| (std::cmp::Reverse(holder.n_buckets), holder.experiment.clone()));
        LayerFull {
            layer: self.key.clone(),
            wanted,
            free,
            holders,
        }
    }
}

fn is_free(held: &Allocation, now: Timestamp) -> bool {
    held.free_at.is_some_and(|at| at <= now)
}

#[cfg(test)]
mod tests;
