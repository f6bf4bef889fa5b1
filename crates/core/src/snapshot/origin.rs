//! What the answers for a flag come from, so that two generations can be compared without looking at values.

use std::collections::HashMap;

use super::Configuration;
use crate::{
    experiment::Experiment,
    flag::{Flag, Meta},
    key::{FlagKey, HoldoutKey, SegmentKey},
};

/// What the answers for a flag come from: while it is the same, so are they.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Of the flag and of what it refers to.
    flag: Vec<Meta>,
    /// Of its current experiment and of what that refers to.
    experiment: Vec<Meta>,
    /// The flags that its experiment looks at.
    pub(super) prerequisites: Vec<FlagKey>,
}

/// Versions and times of what flags and experiments refer to.
#[derive(Debug)]
pub(super) struct Metas {
    segments: HashMap<SegmentKey, Vec<Meta>>,
    holdouts: HashMap<HoldoutKey, Meta>,
}

impl Metas {
    pub(super) fn of(configuration: &Configuration) -> Self {
        let mut segments: HashMap<_, Vec<_>> = HashMap::new();
        for segment in &configuration.segments {
            segments
                .entry(segment.key.clone())
                .or_default()
                .push(segment.meta);
        }
        let holdouts = configuration.holdouts.iter();
        Self {
            segments,
            holdouts: holdouts
                .map(|holdout| (holdout.key.clone(), holdout.meta))
                .collect(),
        }
    }

    /// Of a flag without experiment.
    pub(super) fn origin(&self, flag: &Flag) -> Origin {
        let mut metas = vec![flag.meta];
        let segments = flag.segment_overrides.iter().map(|o| &o.segment);
        metas.extend(segments.filter_map(|key| self.segments.get(key)).flatten());
        let holdouts = flag.held_defaults.iter().map(|held| &held.holdout);
        metas.extend(holdouts.filter_map(|key| self.holdouts.get(key)));
        Origin {
            flag: metas,
            ..Origin::default()
        }
    }

    /// Puts what `experiment` comes from in place of what an earlier one came from.
    pub(super) fn add_experiment(&self, origin: &mut Origin, experiment: &Experiment) {
        let pinned = experiment.segment_version;
        let mut metas = vec![experiment.meta];
        let versions = experiment.segment.as_ref().and_then(|key| self.segments.get(key));
        let looked_at = versions.into_iter().flatten();
        metas.extend(looked_at.filter(|meta| pinned.is_none_or(|version| meta.version == version)));
        let holdouts = experiment.traffic.holdouts.iter();
        metas.extend(holdouts.filter_map(|key| self.holdouts.get(key)));
        origin.experiment = metas;
        let prerequisites = experiment.traffic.prerequisites.iter();
        origin.prerequisites = prerequisites.map(|p| p.flag.clone()).collect();
    }
}
