//! What is explained is what is answered, and the inputs of each gate account for what came of it.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::collections::HashSet;

use super::*;
use crate::{
    experiment::{Cohort, Experiment, ExposureMode, QaOverride},
    fixtures::{experiment_in, flag, holdout, segment, user, variant_key},
    flag::{Flag, HeldDefault, SegmentOverride, UnitOverride},
    holdout::Holdout,
    key::{HoldoutKey, LayerKey, SegmentKey, UnitKind},
    layer::{BucketRange, holds},
    lifecycle::{Outcome, PauseMode, State},
    memory::Remembered,
    snapshot::Configuration,
    traffic::{Eligibility, InLayer, Opening, Prerequisite, Sticky},
    weights::{Coverage, WHOLE, Weights},
};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const FLAGS: u64 = 4;

/// `SplitMix64`: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// True in `n` of 10 cases.
    fn in_ten(&mut self, n: u64) -> bool {
        self.below(10) < n
    }

    fn share(&mut self) -> Coverage {
        Coverage::new(self.below(u64::from(WHOLE) + 1) as u32).unwrap()
    }

    fn unit(&mut self) -> Unit {
        let kind = if self.in_ten(9) {
            UnitKind::default()
        } else {
            device()
        };
        Unit::new(kind, format!("u{}", self.below(12))).unwrap()
    }

    fn on_or_off(&mut self) -> Value {
        Value::Bool(self.in_ten(5))
    }

    fn segment(&mut self) -> SegmentKey {
        SegmentKey::new(if self.in_ten(5) { "ios" } else { "gold" }).unwrap()
    }

    fn state(&mut self) -> State {
        match self.below(20) {
            0 => State::Scheduled,
            1 => State::Paused(PauseMode::ServeDefault),
            2..5 => State::Paused(PauseMode::HoldEnrollment),
            5 => State::Completed(Outcome::Pending),
            6 => State::Completed(Outcome::Winner(variant_key("on"))),
            7 => State::Ended(Outcome::NoWinner),
            8 => State::Archived {
                outcome: Outcome::NoWinner,
                ended: true,
            },
            _ => State::Running,
        }
    }
}

fn device() -> UnitKind {
    UnitKind::new("device").unwrap()
}

fn holdout_key() -> HoldoutKey {
    HoldoutKey::new("h").unwrap()
}

fn random_flag(i: u64, dice: &mut Dice) -> Flag {
    let mut made = Flag {
        key: FlagKey::new(format!("f{i}")).unwrap(),
        ..flag()
    };
    if dice.in_ten(3) {
        made.unit_overrides.push(UnitOverride {
            unit: dice.unit(),
            value: dice.on_or_off(),
        });
    }
    if dice.in_ten(2) {
        made.segment_overrides.push(SegmentOverride {
            segment: dice.segment(),
            value: dice.on_or_off(),
        });
    }
    if dice.in_ten(2) {
        made.held_defaults.push(HeldDefault {
            holdout: holdout_key(),
            value: dice.on_or_off(),
        });
    }
    made
}

fn random_experiment(i: u64, dice: &mut Dice) -> Experiment {
    let mut made = Experiment {
        key: ExperimentKey::new(format!("e{i}")).unwrap(),
        flag: FlagKey::new(format!("f{i}")).unwrap(),
        salt: format!("{:x}", dice.below(u64::MAX)),
        coverage: dice.share(),
        ..experiment_in(dice.state())
    };
    if dice.in_ten(1) {
        made.unit_kind = device();
    }
    if dice.in_ten(5) {
        made.segment = Some(dice.segment());
        made.segment_version = Some(1);
    }
    if dice.in_ten(3) {
        made.qa_overrides.push(QaOverride {
            unit: dice.unit(),
            variant: variant_key("on"),
        });
    }
    if dice.in_ten(3) {
        made.exposure = ExposureMode::None;
    }
    if dice.in_ten(4) {
        let share = dice.share().share();
        made.cohorts.push(Cohort {
            number: 2,
            weights: Weights::new(vec![share, WHOLE - share]).unwrap(),
            generation: 3,
        });
    }
    let traffic = &mut made.traffic;
    if dice.in_ten(5) {
        traffic.sticky = Sticky::Stored;
        if dice.in_ten(5) {
            traffic.eligibility = Eligibility::AtEnrollment;
        }
        traffic.opening = dice.in_ten(3).then(|| Opening {
            weights: Weights::even(2),
            since: 1,
        });
    }
    if dice.in_ten(3) {
        let first = dice.below(900_000) as u32;
        traffic.layer = Some(InLayer {
            salt: "1ace".into(),
            ranges: vec![BucketRange::new(first, 1_000_000).unwrap()],
            ..InLayer::new(LayerKey::new("checkout").unwrap())
        });
    }
    if dice.in_ten(3) {
        traffic.holdouts.push(holdout_key());
    }
    // Any flag may be named, also one that leads back: the decision must end all the same.
    while dice.in_ten(3) {
        traffic.prerequisites.push(Prerequisite {
            flag: FlagKey::new(format!("f{}", dice.below(FLAGS + 1))).unwrap(),
            value: dice.on_or_off(),
        });
    }
    made
}

fn random_snapshot(dice: &mut Dice) -> Snapshot {
    let flags = (0..FLAGS).map(|i| random_flag(i, dice)).collect();
    let mut experiments = Vec::new();
    for i in 0..FLAGS {
        if dice.in_ten(9) {
            experiments.push(random_experiment(i, dice));
        }
    }
    let configuration = Configuration {
        generation: 1 + dice.below(100),
        flags,
        segments: vec![segment("ios", "platform", "ios"), segment("gold", "tier", "gold")],
        holdouts: vec![Holdout {
            share: Coverage::new(3_000).unwrap(),
            ..holdout("h")
        }],
        experiments,
        ..Configuration::default()
    };
    let (snapshot, rejected) = Snapshot::compile(&configuration);
    assert_eq!(rejected, []);
    snapshot
}

fn random_attributes(dice: &mut Dice) -> Attributes {
    let mut attributes = Attributes::new();
    if dice.in_ten(8) {
        let platform = if dice.in_ten(7) { "ios" } else { "web" };
        attributes.insert("platform".into(), platform.into());
    }
    if dice.in_ten(5) {
        attributes.insert("tier".into(), "gold".into());
    }
    attributes
}

fn random_memory(dice: &mut Dice) -> Memory {
    let mut memory = Memory::default();
    for i in 0..FLAGS {
        let remembered = match dice.below(8) {
            0 | 1 => continue,
            2..5 => None,
            5 => Some(variant_key("off")),
            6 => Some(variant_key("on")),
            _ => Some(variant_key("gone")),
        };
        let first = remembered.map(|variant| Remembered { variant, cohort: 1 });
        memory.learn(ExperimentKey::new(format!("e{i}")).unwrap(), first);
    }
    memory
}

#[test]
fn explaining_agrees_with_assigning_on_100_000_random_pairs() {
    let (mut n_pairs, mut reasons, mut kinds) = (0, HashSet::new(), HashSet::new());
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let snapshot = random_snapshot(&mut dice);
        for _ in 0..50 {
            let key = match dice.below(20) {
                0 => "nothing".to_owned(),
                1 => format!("e{}", dice.below(FLAGS)),
                _ => format!("f{}", dice.below(FLAGS)),
            };
            let unit = (!dice.in_ten(1)).then(|| dice.unit());
            let (attributes, memory) = (random_attributes(&mut dice), random_memory(&mut dice));
            let answer = assign_with(&snapshot, &key, unit.as_ref(), &attributes, &memory, NOW);
            let explained = explain_with(&snapshot, &key, unit.as_ref(), &attributes, &memory, NOW);
            let told = || format!("seed {seed}, {key}, {unit:?}, {attributes:?}, {memory:?}: {explained:#?}");
            assert_eq!(explained.answer, answer, "{}", told());
            accounts_for(&explained, &told);
            n_pairs += 1;
            reasons.insert(answer.reason);
            kinds.extend(explained.gates.iter().map(|gate| (gate.kind, gate.verdict)));
        }
    }
    assert_eq!(n_pairs, 100_000);
    // Nothing of it is vacuous: every reason was given, and every gate was seen to let pass and to decide.
    assert_eq!(reasons.len(), 18, "{reasons:?}");
    for kind in GateKind::ALL {
        assert!(kinds.contains(&(kind, Verdict::Decided)), "{kind:?}");
        assert!(
            kinds.contains(&(kind, Verdict::Passed)) || kind == GateKind::Split,
            "{kind:?}"
        );
    }
}

/// Each kind of gate is there; one alone has decided, and it is one that gives this reason; every input says what its verdict says.
fn accounts_for(explained: &Explained<'_>, told: &dyn Fn() -> String) {
    let own: Vec<_> = explained.gates.iter().filter(|gate| gate.depth == 0).collect();
    for kind in GateKind::ALL {
        assert!(
            own.iter().any(|gate| gate.kind == kind),
            "{kind:?} is missing; {}",
            told()
        );
    }
    let asked: Vec<_> = own.iter().filter(|gate| gate.input.is_some()).collect();
    let (last, before) = asked.split_last().unwrap();
    assert_eq!(last.verdict, Verdict::Decided, "{}", told());
    assert!(
        before.iter().all(|gate| gate.verdict == Verdict::Passed),
        "{}",
        told()
    );
    assert!(
        deciders(explained.answer.reason).contains(&last.kind),
        "{}",
        told()
    );
    for gate in &explained.gates {
        let Some(input) = &gate.input else {
            assert!(
                matches!(gate.verdict, Verdict::Absent | Verdict::NotReached),
                "{}",
                told()
            );
            continue;
        };
        assert_eq!(input.kind(), gate.kind, "{}", told());
        assert_eq!(
            decides(input),
            gate.verdict == Verdict::Decided,
            "{gate:?}; {}",
            told()
        );
    }
    if let Some(Input::Split { variant, cohort, .. }) = &last.input {
        assert_eq!(Some(variant), explained.answer.variant, "{}", told());
        assert_eq!(*cohort, explained.answer.cohort, "{}", told());
    }
}

/// The gates that may give this reason.
fn deciders(reason: Reason) -> &'static [GateKind] {
    use GateKind::*;
    match reason {
        Reason::UnknownFlag => &[Flag],
        Reason::Override => &[QaOverride, UnitOverride, SegmentOverride],
        Reason::NoUnit => &[Unit],
        Reason::Holdout => &[HeldDefault, Holdout],
        Reason::NoExperiment
        | Reason::Scheduled
        | Reason::Paused
        | Reason::Winner
        | Reason::Completed
        | Reason::Ended
        | Reason::Archived => &[State],
        Reason::EnrollmentHeld => &[State, Enrollment],
        Reason::LayerExcluded => &[Layer],
        Reason::PrerequisiteFailed => &[Prerequisite],
        Reason::NotInSegment => &[Segment],
        Reason::Degraded => &[Remembered, Prerequisite],
        Reason::NotInCoverage => &[Coverage],
        Reason::Split => &[Remembered, Split],
    }
}

/// What a reader of the input alone would say that comes of it.
fn decides(input: &Input) -> bool {
    let is_held = |held: &HeldOut| held.bucket.is_some_and(|(bucket, below)| bucket < below);
    match input {
        Input::Flag { flag, .. } => flag.is_none(),
        Input::QaOverride { variant, .. } => variant.is_some(),
        Input::UnitOverride { value, .. } => value.is_some(),
        Input::SegmentOverride { segment, .. } => segment.explanation.matches,
        Input::HeldDefault { holdout, .. } | Input::Holdout(holdout) => is_held(holdout),
        Input::Unit { unit, needed } => unit.as_ref().is_none_or(|unit| unit.kind() != needed),
        Input::State(standing) => *standing != Standing::Split,
        Input::Layer { bucket, ranges, .. } => !holds(ranges, *bucket),
        Input::Prerequisite {
            wanted,
            served,
            reason,
            ..
        } => served.as_ref() != Some(wanted) || *reason == Some(Reason::Degraded),
        Input::Segment(asked) => asked.as_ref().is_some_and(|asked| !asked.explanation.matches),
        Input::Remembered { is_known, first } => !is_known || first.is_some(),
        Input::Enrollment { is_held } => *is_held,
        Input::Coverage { bucket, ranges } => !ranges.iter().any(|range| range.contains(bucket)),
        Input::Split {
            bucket,
            ranges,
            variant,
            ..
        } => ranges
            .iter()
            .find(|(_, range)| range.contains(bucket))
            .is_some_and(|(key, _)| key == variant),
    }
}

#[test]
fn the_gates_of_a_prerequisite_follow_its_own() {
    let other = Flag {
        key: FlagKey::new("other").unwrap(),
        ..flag()
    };
    let mut experiment = experiment_in(State::Running);
    experiment.traffic.prerequisites.push(Prerequisite {
        flag: other.key.clone(),
        value: Value::Bool(true),
    });
    let configuration = Configuration {
        flags: vec![flag(), other],
        experiments: vec![experiment],
        ..Configuration::default()
    };
    let (snapshot, _) = Snapshot::compile(&configuration);
    let unit = user("1");
    let explained = explain_with(
        &snapshot,
        "gate",
        Some(&unit),
        &Attributes::new(),
        &Memory::default(),
        NOW,
    );
    let told: Vec<_> = explained
        .gates
        .iter()
        .map(|gate| (gate.kind, gate.depth, gate.verdict))
        .collect();
    use GateKind as K;
    use Verdict::{Absent, Decided, NotReached, Passed};
    assert_eq!(
        told,
        [
            (K::Flag, 0, Passed),
            (K::QaOverride, 0, Passed),
            (K::UnitOverride, 0, Passed),
            (K::SegmentOverride, 0, Absent),
            (K::HeldDefault, 0, Absent),
            (K::Unit, 0, Passed),
            (K::Holdout, 0, Absent),
            (K::State, 0, Passed),
            (K::Layer, 0, Absent),
            (K::Prerequisite, 0, Decided),
            (K::Flag, 1, Passed),
            (K::UnitOverride, 1, Passed),
            (K::State, 1, Decided),
            (K::Segment, 0, NotReached),
            (K::Remembered, 0, NotReached),
            (K::Enrollment, 0, NotReached),
            (K::Coverage, 0, NotReached),
            (K::Split, 0, NotReached),
        ]
    );
}
