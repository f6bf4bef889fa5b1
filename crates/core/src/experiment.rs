//! Experiments: controlled comparisons with a lifecycle.

use crate::{
    flag::{Flag, Meta},
    hashing::Hashing,
    key::{ExperimentKey, FlagKey, MetricKey, Namespace, SegmentKey, Unit, UnitKind, VariantKey},
    lifecycle::{Outcome, PauseMode, State},
    schedule::Schedule,
    time::Timestamp,
    traffic::{Sticky, Traffic},
    undo::Undo,
    value::Value,
    weights::{Coverage, Weights},
};

/// One alternative.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Key, unique in the experiment.
    pub key: VariantKey,
    /// What people call it; may be empty.
    pub name: String,
    /// What its units are served. The control's is pinned from the flag when the experiment is created.
    pub value: Value,
}

/// Who decides which unit gets which variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AssignmentSource {
    /// Assay does.
    #[default]
    Assay,
    /// It was decided elsewhere: never served here, exposures come by import, the dates describe the data.
    Imported,
}

/// What a metric is to an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Decides.
    Primary,
    /// Informs.
    Secondary,
    /// Must not get worse.
    Guardrail,
}

/// A metric and its role.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentMetric {
    /// The metric.
    pub metric: MetricKey,
    /// Its role.
    pub role: Role,
    /// Of a guardrail: by how much of the control's mean it may get worse, above 0 and below 1. Absent: it must not be seen to get worse
    /// at all.
    pub margin: Option<f64>,
}

impl ExperimentMetric {
    /// The metric in this role, without margin.
    pub fn new(metric: MetricKey, role: Role) -> Self {
        Self {
            metric,
            role,
            margin: None,
        }
    }
}

/// When a unit is recorded as exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExposureMode {
    /// When it is assigned.
    #[default]
    OnAssign,
    /// Never.
    None,
}

/// One immutable vector of weights and the generation that began it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// 1 for the first.
    pub number: u32,
    /// Shares by variant.
    pub weights: Weights,
    /// The generation that began it; 0 until started.
    pub generation: u64,
}

/// A span in which nothing was enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// First instant of the pause.
    pub from: Timestamp,
    /// First instant after it; absent while it lasts.
    pub to: Option<Timestamp>,
    /// What units got meanwhile.
    pub mode: PauseMode,
}

/// Serves one variant to one unit for a look before or while it runs; never analyzed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QaOverride {
    /// The unit.
    pub unit: Unit,
    /// The variant that it gets.
    pub variant: VariantKey,
}

/// A controlled comparison with a lifecycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Where it lives.
    pub namespace: Namespace,
    /// Key, unique in the namespace, fixed.
    pub key: ExperimentKey,
    /// What people call it; may be empty.
    pub name: String,
    /// Background; may be empty.
    pub description: String,
    /// What is expected and why; required to start.
    pub hypothesis: String,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The flag that it changes.
    pub flag: FlagKey,
    /// Where it stands in its lifecycle.
    pub state: State,
    /// Who decides assignments.
    pub source: AssignmentSource,
    /// What is randomized.
    pub unit_kind: UnitKind,
    /// The alternatives, control first.
    pub variants: Vec<Variant>,
    /// Weight vectors, the first is cohort 1; the last applies to units not seen before. Shares follow `variants`.
    pub cohorts: Vec<Cohort>,
    /// The share of eligible units admitted.
    pub coverage: Coverage,
    /// Makes its hashes independent of every other experiment's; random, never copied.
    pub salt: String,
    /// The audience; all units when absent.
    pub segment: Option<SegmentKey>,
    /// Version of the segment pinned at Start.
    pub segment_version: Option<u64>,
    /// What is measured.
    pub metrics: Vec<ExperimentMetric>,
    /// When a unit counts as exposed.
    pub exposure: ExposureMode,
    /// Confidence of its intervals, above 0.5 and below 1; default 0.95.
    pub confidence: f64,
    /// Units with a fixed variant, for a look.
    pub qa_overrides: Vec<QaOverride>,
    /// Layer, holdouts, prerequisites, and whether assignments are remembered.
    pub traffic: Traffic,
    /// When it is to start, or started.
    pub start_time: Option<Timestamp>,
    /// When it is to end.
    pub end_time: Option<Timestamp>,
    /// When it left RUNNING or PAUSED for good.
    pub completed_at: Option<Timestamp>,
    /// Pauses in order of time; the last may be open.
    pub pauses: Vec<Pause>,
    /// Why the winner was declared or the experiment stopped; may be empty.
    pub reason: String,
    /// What the clock is to do to it, and what came of it.
    pub schedule: Schedule,
    /// What Undo brings back; present from Stop or `DeclareWinner` to the next command.
    pub undo: Option<Undo>,
    /// Version and times.
    pub meta: Meta,
}

impl Experiment {
    /// The variant of this key.
    pub fn variant(&self, key: &VariantKey) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.key == *key)
    }

    /// The control: the first variant; absent only in a draft without variants.
    pub fn control(&self) -> Option<&Variant> {
        self.variants.first()
    }

    /// The weights that apply to units not seen before: those of the last cohort.
    pub fn weights(&self) -> Option<&Weights> {
        self.cohorts.last().map(|cohort| &cohort.weights)
    }

    /// Whether the variant that a unit got is stored, so that it can be told later which units have one.
    pub fn stores_assignments(&self) -> bool {
        self.traffic.sticky == Sticky::Stored
    }

    /// The control's pinned value and the default of `flag`, when that has moved since pinning. Until a decision: a winner moves the
    /// default on purpose.
    pub fn control_drift<'a>(&'a self, flag: &'a Flag) -> Option<(&'a Value, &'a Value)> {
        let is_open = self.state == State::Draft
            || self.state.is_live()
            || self.state == State::Completed(Outcome::Pending);
        let pinned = &self.control()?.value;
        (is_open && *pinned != flag.default_value).then_some((pinned, &flag.default_value))
    }

    /// Gives the control the value that `flag` serves now; says whether that changed it.
    pub fn pin_control(&mut self, flag: &Flag) -> bool {
        let Some(control) = self.variants.first_mut() else {
            return false;
        };
        let changed = control.value != flag.default_value;
        control.value = flag.default_value.clone();
        changed
    }

    /// The key of its `n`-th copy, from 1: `<key>-copy`, then `<key>-copy-2`; the key is cut where it would be too long.
    pub fn copy_key(&self, n: u32) -> ExperimentKey {
        if n > 1 {
            self.key.suffixed(&format!("copy-{n}"))
        } else {
            self.key.suffixed("copy")
        }
    }

    /// A new draft like this one: flag, texts, variants, split, metrics, segment; under the first [`Experiment::copy_key`] that is not
    /// among the `existing` keys, with a `salt` of its own, assigned by Assay and by its hash: another system's would divide the same units alike.
    ///
    /// An experiment without a name is copied under its key. Not copied are dates, pauses, QA overrides, the pinned segment version and what came of it. The control keeps its pinned
    /// value: follow with [`Experiment::pin_control`].
    pub fn copy(&self, existing: &[ExperimentKey], salt: String) -> Self {
        let free = |n: &u32| !existing.contains(&self.copy_key(*n));
        let n = (1..=u32::MAX).find(free).unwrap_or(u32::MAX);
        let weights = self
            .weights()
            .cloned()
            .unwrap_or_else(|| Weights::even(self.variants.len()));
        let called = if self.name.is_empty() {
            self.key.as_str()
        } else {
            &self.name
        };
        Self {
            key: self.copy_key(n),
            name: if n > 1 {
                format!("{called} (Copy {n})")
            } else {
                format!("{called} (Copy)")
            },
            state: State::Draft,
            source: AssignmentSource::Assay,
            cohorts: vec![Cohort {
                number: 1,
                weights,
                generation: 0,
            }],
            salt,
            segment_version: None,
            qa_overrides: Vec::new(),
            traffic: Traffic {
                hashing: Hashing::default(),
                ..self.traffic.copy()
            },
            start_time: None,
            end_time: None,
            completed_at: None,
            pauses: Vec::new(),
            reason: String::new(),
            schedule: Schedule {
                end_action: self.schedule.end_action,
                ..Schedule::default()
            },
            undo: None,
            meta: Meta::default(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::{experiment, experiment_in, flag},
        key::MAX_KEY_BYTES,
    };

    fn keys(keys: &[&str]) -> Vec<ExperimentKey> {
        keys.iter().map(|key| ExperimentKey::new(*key).unwrap()).collect()
    }

    #[test]
    fn copies_are_numbered_from_the_second() {
        let named = |existing: &[&str]| {
            let copy = experiment().copy(&keys(existing), "new".into());
            (copy.key.to_string(), copy.name)
        };
        assert_eq!(
            named(&["gate-test"]),
            ("gate-test-copy".into(), "Gate test (Copy)".into())
        );
        assert_eq!(
            named(&["gate-test-copy"]),
            ("gate-test-copy-2".into(), "Gate test (Copy 2)".into())
        );
        let two = ["gate-test-copy-2", "gate-test-copy"];
        assert_eq!(
            named(&two),
            ("gate-test-copy-3".into(), "Gate test (Copy 3)".into())
        );
    }

    #[test]
    fn a_long_key_is_cut() {
        let long = Experiment {
            key: ExperimentKey::new("k".repeat(MAX_KEY_BYTES)).unwrap(),
            ..experiment()
        };
        assert_eq!(long.copy_key(12).as_str(), format!("{}-copy-12", "k".repeat(248)));
    }

    #[test]
    fn a_copy_is_a_draft_without_a_past() {
        let mut original = Experiment {
            start_time: Some(Timestamp::from_micros(1)),
            end_time: Some(Timestamp::from_micros(2)),
            completed_at: Some(Timestamp::from_micros(2)),
            segment_version: Some(3),
            reason: "it won".into(),
            ..experiment_in(State::Completed(Outcome::NoWinner))
        };
        original.traffic.hashing.buckets = Some(3);
        let copy = original.copy(&[], "new".into());
        let expected = Experiment {
            key: copy.key.clone(),
            name: copy.name.clone(),
            salt: "new".into(),
            meta: Meta::default(),
            ..experiment()
        };
        assert_eq!(copy, expected);
    }

    #[test]
    fn the_control_drifts_when_the_default_moves_before_a_decision() {
        let moved = Flag {
            default_value: Value::Bool(true),
            ..flag()
        };
        assert_eq!(experiment().control_drift(&flag()), None);
        let (pinned, current) = (Value::Bool(false), Value::Bool(true));
        for state in [State::Draft, State::Running, State::Completed(Outcome::Pending)] {
            let experiment = experiment_in(state);
            assert_eq!(experiment.control_drift(&moved), Some((&pinned, &current)));
        }
        let stopped = experiment_in(State::Completed(Outcome::NoWinner));
        assert_eq!(stopped.control_drift(&moved), None);
    }

    #[test]
    fn the_control_is_pinned_from_the_flag() {
        let mut experiment = experiment();
        assert!(!experiment.pin_control(&flag()));
        let changed = Flag {
            default_value: Value::Bool(true),
            ..flag()
        };
        assert!(experiment.pin_control(&changed));
        assert_eq!(experiment.control().map(|v| &v.value), Some(&Value::Bool(true)));
    }
}
