//! In process: context and one experiment, with 10, 1,000 and 10,000 experiments. It must not grow with their number.

use std::{hint::black_box, time::Instant};

use assay_core::{
    assign::assign,
    bucketing::{Domain, Seed},
    experiment::{AssignmentSource, Cohort, Experiment, ExposureMode, Variant},
    flag::{Flag, Meta, Variation},
    key::{ExperimentKey, FlagKey, Namespace, SegmentKey, Unit, UnitKind, VariantKey},
    lifecycle::State,
    schedule::Schedule,
    segment::{Condition, Operator, Rule, Segment},
    snapshot::{Configuration, Snapshot},
    time::Timestamp,
    validate::{MAX_OPERANDS, MAX_PATTERNS},
    value::{Attribute, Attributes, Value, ValueType},
    weights::{Coverage, Weights},
};

use crate::{median, report};

const ROUNDS: usize = 15;
const CALLS: usize = 20_000;

/// `n` flags, each with a running experiment of two variants on a segment of three rules.
pub(crate) fn configuration(n: usize) -> anyhow::Result<Configuration> {
    let rule = |attribute: &str, operator, operands| {
        Condition::Rule(Rule {
            attribute: attribute.into(),
            operator,
            operands,
        })
    };
    let segment = Segment {
        namespace: Namespace::default(),
        key: SegmentKey::new("players")?,
        name: String::new(),
        description: String::new(),
        rules: vec![
            rule(
                "country",
                Operator::In,
                vec!["DE".into(), "FR".into(), "US".into()],
            ),
            rule("level", Operator::Gte, vec![10.0.into()]),
            rule("platform", Operator::Neq, vec!["web".into()]),
        ],
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    };
    let pairs = (0..n)
        .map(|i| Ok((flag(i)?, experiment(i)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let (flags, experiments) = pairs.into_iter().unzip();
    Ok(Configuration {
        holdouts: Vec::new(),
        namespace: Namespace::default(),
        generation: 1,
        flags,
        segments: vec![segment],
        experiments,
    })
}

pub(crate) fn flag(i: usize) -> anyhow::Result<Flag> {
    let variation = |key: &str, value: bool| {
        anyhow::Ok(Variation {
            key: VariantKey::new(key)?,
            name: String::new(),
            value: Value::Bool(value),
        })
    };
    Ok(Flag {
        namespace: Namespace::default(),
        key: FlagKey::new(format!("flag-{i}"))?,
        name: String::new(),
        description: String::new(),
        value_type: ValueType::Boolean,
        variations: vec![variation("old", false)?, variation("new", true)?],
        default_value: Value::Bool(false),
        segment_overrides: vec![],
        unit_overrides: vec![],
        target_path: None,
        held_defaults: Vec::new(),
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    })
}

pub(crate) fn experiment(i: usize) -> anyhow::Result<Experiment> {
    let variant = |key: &str, value: bool| {
        anyhow::Ok(Variant {
            key: VariantKey::new(key)?,
            name: String::new(),
            value: Value::Bool(value),
        })
    };
    Ok(Experiment {
        namespace: Namespace::default(),
        key: ExperimentKey::new(format!("experiment-{i}"))?,
        name: String::new(),
        description: String::new(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: vec![],
        flag: FlagKey::new(format!("flag-{i}"))?,
        state: State::Running,
        source: AssignmentSource::Assay,
        unit_kind: UnitKind::default(),
        variants: vec![variant("old", false)?, variant("new", true)?],
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::even(2),
            generation: 1,
        }],
        coverage: Coverage::FULL,
        salt: format!("salt-{i}"),
        segment: Some(SegmentKey::new("players")?),
        segment_version: Some(1),
        metrics: vec![],
        exposure: ExposureMode::OnAssign,
        confidence: 0.95,
        qa_overrides: vec![],
        traffic: Default::default(),
        start_time: None,
        end_time: None,
        completed_at: None,
        pauses: vec![],
        reason: String::new(),
        schedule: Schedule::default(),
        undo: None,
        meta: Meta {
            version: 1,
            ..Meta::default()
        },
    })
}

/// Five attributes that match the segment.
pub(crate) fn attributes() -> Attributes {
    let pairs: [(&str, Attribute); 5] = [
        ("country", "DE".into()),
        ("level", 42.0.into()),
        ("platform", "ios".into()),
        ("language", "de".into()),
        ("paying", true.into()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

fn time(mut call: impl FnMut(usize)) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for i in 0..CALLS {
            call(i);
        }
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    });
    median(rounds.collect())
}

/// What a segment may hold at most, of what costs most to compile: patterns, long lists, depth.
fn harmful() -> anyhow::Result<()> {
    let rule = |attribute: String, operator, operands| {
        Condition::Rule(Rule {
            attribute,
            operator,
            operands,
        })
    };
    let patterns = [r"(?i)\w{1,3}", r"\pL{4}", r"(?i)(?:straße|weiß|größe|ſ|K|k){1,9}"];
    let patterns = patterns.iter().cycle().take(MAX_PATTERNS);
    let mut rules: Vec<_> = patterns
        .map(|pattern| rule("x".into(), Operator::Matches, vec![(*pattern).into()]))
        .collect();
    let texts: Vec<Attribute> = (0..MAX_OPERANDS)
        .map(|i| format!("{:020}", (i * 7919) % MAX_OPERANDS).as_str().into())
        .collect();
    rules.extend((0..9).map(|i| rule(format!("y{i}"), Operator::In, texts.clone())));
    let mut segment = configuration(1)?.segments.remove(0);
    segment.rules = rules;
    anyhow::ensure!(
        assay_core::validate::segment(&segment).is_ok(),
        "the harmful segment is refused"
    );
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        black_box(segment.compile(|_| None)?);
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    report(&format!(
        "evaluation: the worst segment that is accepted compiles in {:.1} ms; wanted: below 50 ms",
        median(took)
    ));
    Ok(())
}

pub(crate) fn run() -> anyhow::Result<()> {
    let ids = (0..64)
        .map(|i| Unit::user(format!("3f2a9c1e-7b54-4f0d-9a61-5c2e8d7b{i:04}")))
        .collect::<Result<Vec<_>, _>>()?;
    let seed = Seed::new(Domain::Split, "salt");
    let hash = time(|i| {
        black_box(seed.bucket(black_box(ids[i % 64].id())));
    });
    report(&format!(
        "evaluation: limit: one seeded XXH3 of a 36-byte id: {hash:.1} ns"
    ));
    harmful()?;
    for n in [10, 1_000, 10_000] {
        let configuration = configuration(n)?;
        let (snapshot, rejected) = Snapshot::compile(&configuration);
        assert!(rejected.is_empty(), "{rejected:?}");
        let flags: Vec<String> = (0..64).map(|i| format!("flag-{}", i * 7919 % n)).collect();
        let source = attributes();
        let one = time(|i| {
            let answer = assign(
                &snapshot,
                &flags[i % 64],
                Some(&ids[i % 64]),
                &source,
                Timestamp::default(),
            );
            black_box(answer);
        });
        let context = time(|i| {
            let attributes = attributes();
            let answer = assign(
                &snapshot,
                &flags[i % 64],
                Some(&ids[i % 64]),
                &attributes,
                Timestamp::default(),
            );
            black_box(answer);
        });
        report(&format!(
            "evaluation: one of {n:>6} experiments, three rules: {one:>6.1} ns ({:.1} hashes); with a context of five attributes made anew: {context:>6.1} ns",
            one / hash
        ));
    }
    Ok(())
}
