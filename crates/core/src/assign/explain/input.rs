//! What gates are asked with.

use std::{ops::Range, sync::Arc};

use super::{super::Reason, GateKind};
use crate::{
    holdout::Held,
    key::{ExperimentKey, FlagKey, HoldoutKey, LayerKey, SegmentKey, Unit, UnitKind, VariantKey},
    layer::BucketRange,
    memory::Remembered,
    segment::Explanation,
    snapshot::{Choice, Phase, Place, Split, Target, Targeted},
    value::{Attributes, Value},
};

/// What a gate was asked with.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Of [`GateKind::Flag`].
    Flag {
        /// The key that was asked for.
        asked: String,
        /// The flag that it leads to.
        flag: Option<FlagKey>,
        /// The experiment that it leads to.
        experiment: Option<ExperimentKey>,
    },
    /// Of [`GateKind::QaOverride`].
    QaOverride {
        /// The unit.
        unit: Option<Unit>,
        /// Its fixed variant.
        variant: Option<VariantKey>,
    },
    /// Of [`GateKind::UnitOverride`].
    UnitOverride {
        /// The unit.
        unit: Option<Unit>,
        /// Its value.
        value: Option<Value>,
    },
    /// Of [`GateKind::SegmentOverride`]; each has a gate of its own.
    SegmentOverride {
        /// The segment.
        segment: Asked,
        /// What its units get.
        value: Value,
    },
    /// Of [`GateKind::HeldDefault`]; each has a gate of its own.
    HeldDefault {
        /// The holdout.
        holdout: HeldOut,
        /// What its units get.
        value: Value,
    },
    /// Of [`GateKind::Unit`].
    Unit {
        /// The unit that was given.
        unit: Option<Unit>,
        /// The kind that the experiment randomizes.
        needed: UnitKind,
    },
    /// Of [`GateKind::Holdout`]; each has a gate of its own.
    Holdout(HeldOut),
    /// Of [`GateKind::State`].
    State(Standing),
    /// Of [`GateKind::Layer`].
    Layer {
        /// The layer.
        layer: LayerKey,
        /// The unit's bucket in it.
        bucket: u32,
        /// The experiment's buckets.
        ranges: Vec<BucketRange>,
    },
    /// Of [`GateKind::Prerequisite`]; each has a gate of its own, and those of its flag follow it, one deeper.
    Prerequisite {
        /// The other flag.
        flag: FlagKey,
        /// What it must serve.
        wanted: Value,
        /// What it serves.
        served: Option<Value>,
        /// Why; absent when the way of prerequisites is too long to ask.
        reason: Option<Reason>,
    },
    /// Of [`GateKind::Segment`]; nothing when the experiment is for everyone.
    Segment(Option<Asked>),
    /// Of [`GateKind::Remembered`].
    Remembered {
        /// Whether it is known what is remembered.
        is_known: bool,
        /// The first assignment.
        first: Option<Remembered>,
    },
    /// Of [`GateKind::Enrollment`].
    Enrollment {
        /// Whether nobody new is enrolled.
        is_held: bool,
    },
    /// Of [`GateKind::Coverage`]; each of several has a gate of its own.
    Coverage {
        /// The unit's bucket.
        bucket: u32,
        /// The buckets that are admitted.
        ranges: Vec<Range<u32>>,
    },
    /// Of [`GateKind::Split`].
    Split {
        /// The unit's bucket.
        bucket: u32,
        /// The cohort whose weights split it.
        cohort: u32,
        /// The variants with their buckets; the first that holds the unit's decides.
        ranges: Vec<(VariantKey, Range<u32>)>,
        /// The variant whose range has the bucket.
        variant: VariantKey,
    },
}

/// A segment that was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Its key.
    pub key: SegmentKey,
    /// Its version.
    pub version: u64,
    /// What was found, condition by condition.
    pub explanation: Explanation,
}

/// A holdout that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOut {
    /// Its key.
    pub key: HoldoutKey,
    /// The unit's bucket, and the first one that is not held; absent for a unit of a kind that the holdout does not hold.
    pub bucket: Option<(u32, u32)>,
}

/// What an experiment does in its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It serves the flag's default for this reason; without experiment, too.
    Default(Reason),
    /// It serves this variant to everyone.
    Winner(VariantKey),
    /// It splits units.
    Split,
}

impl Input {
    /// The gate that it belongs to.
    pub fn kind(&self) -> GateKind {
        match self {
            Self::Flag { .. } => GateKind::Flag,
            Self::QaOverride { .. } => GateKind::QaOverride,
            Self::UnitOverride { .. } => GateKind::UnitOverride,
            Self::SegmentOverride { .. } => GateKind::SegmentOverride,
            Self::HeldDefault { .. } => GateKind::HeldDefault,
            Self::Unit { .. } => GateKind::Unit,
            Self::Holdout(_) => GateKind::Holdout,
            Self::State(_) => GateKind::State,
            Self::Layer { .. } => GateKind::Layer,
            Self::Prerequisite { .. } => GateKind::Prerequisite,
            Self::Segment(_) => GateKind::Segment,
            Self::Remembered { .. } => GateKind::Remembered,
            Self::Enrollment { .. } => GateKind::Enrollment,
            Self::Coverage { .. } => GateKind::Coverage,
            Self::Split { .. } => GateKind::Split,
        }
    }

    /// The unit's bucket, where the gate looks at one.
    pub fn bucket(&self) -> Option<u32> {
        match self {
            Self::Holdout(held) | Self::HeldDefault { holdout: held, .. } => {
                held.bucket.map(|(bucket, _)| bucket)
            }
            Self::Layer { bucket, .. } | Self::Coverage { bucket, .. } | Self::Split { bucket, .. } => {
                Some(*bucket)
            }
            _ => None,
        }
    }

    /// The buckets that the gate is about: those held, given, admitted, or of the variant.
    pub fn ranges(&self) -> Vec<BucketRange> {
        let range = match self {
            Self::Layer { ranges, .. } => return ranges.clone(),
            Self::Coverage { ranges, .. } => return ranges.iter().filter_map(bucket_range).collect(),
            Self::Holdout(held) | Self::HeldDefault { holdout: held, .. } => {
                held.bucket.and_then(|(_, below)| BucketRange::new(0, below))
            }
            Self::Split { bucket, ranges, .. } => {
                let found = ranges.iter().find(|(_, range)| range.contains(bucket));
                found.and_then(|(_, range)| bucket_range(range))
            }
            _ => None,
        };
        range.into_iter().collect()
    }

    pub(in crate::assign) fn flag(asked: &str, target: Option<&Target>) -> Self {
        Self::Flag {
            asked: asked.to_owned(),
            flag: target.map(|target| target.flag.key.clone()),
            experiment: target.and_then(|target| Some(target.experiment.as_ref()?.key.clone())),
        }
    }

    pub(in crate::assign) fn qa_override(unit: Option<&Unit>, choice: Option<&Arc<Choice>>) -> Self {
        Self::QaOverride {
            unit: unit.cloned(),
            variant: choice.map(|choice| choice.key.clone()),
        }
    }

    pub(in crate::assign) fn unit_override(unit: Option<&Unit>, value: Option<&Value>) -> Self {
        Self::UnitOverride {
            unit: unit.cloned(),
            value: value.cloned(),
        }
    }

    pub(in crate::assign) fn layer(place: &Place, bucket: u32) -> Self {
        Self::Layer {
            layer: place.key.clone(),
            bucket,
            ranges: place.ranges.clone(),
        }
    }

    pub(in crate::assign) fn remembered(known: Option<Option<&Remembered>>) -> Self {
        Self::Remembered {
            is_known: known.is_some(),
            first: known.flatten().cloned(),
        }
    }

    pub(in crate::assign) fn coverage(bucket: u32, admitted: &[Range<u32>]) -> Self {
        Self::Coverage {
            bucket,
            ranges: admitted.to_vec(),
        }
    }

    /// No variant has the bucket: what they have together is what is admitted.
    pub(in crate::assign) fn uncovered(split: &Split, bucket: u32) -> Self {
        let ranges: Vec<_> = split
            .division
            .ranges()
            .iter()
            .map(|(range, _)| range.clone())
            .collect();
        Self::coverage(bucket, &ranges)
    }

    pub(in crate::assign) fn split(split: &Split, bucket: u32, choice: &Choice) -> Self {
        let ranges = split.division.ranges().iter().filter_map(|(range, place)| {
            let variant = split.choices.get(*place)?;
            Some((variant.key.clone(), range.clone()))
        });
        Self::Split {
            bucket,
            cohort: split.cohort,
            ranges: ranges.collect(),
            variant: choice.key.clone(),
        }
    }
}

/// Nothing for buckets beyond ours, as the hashes of other systems may have.
fn bucket_range(range: &Range<u32>) -> Option<BucketRange> {
    BucketRange::new(range.start, range.end)
}

impl Asked {
    pub(in crate::assign) fn new(segment: &Targeted, attributes: &Attributes) -> Self {
        Self {
            key: segment.key.clone(),
            version: segment.version,
            explanation: segment.audience.explain(attributes),
        }
    }
}

impl HeldOut {
    pub(in crate::assign) fn new(held: &Held, unit: &Unit) -> Self {
        Self {
            key: held.key().clone(),
            bucket: held.bucket(unit),
        }
    }
}

impl Standing {
    pub(in crate::assign) fn of(phase: &Phase) -> Self {
        match phase {
            Phase::Default(reason) => Self::Default(*reason),
            Phase::Winner(choice) => Self::Winner(choice.key.clone()),
            Phase::Split(_) => Self::Split,
        }
    }
}
