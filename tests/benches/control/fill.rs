//! A namespace at size: what 10,000 experiments, 1,000 flags and 2,000 segments of a few years would look like.

use std::time::Duration;

use anyhow::Result;
use assay_core::{
    experiment::{Experiment, ExperimentMetric, Role},
    flag::Flag,
    key::{ExperimentKey, FlagKey, MetricKey, Namespace, SegmentKey},
    lifecycle::{Outcome, State},
    metric::{Direction, Metric, MetricKind},
    segment::{Condition, Operator, Rule, Segment},
    time::Timestamp,
};
use assay_platform::{Clock as _, SystemClock};
use assay_storage::config_store::{Audit, Change, ConfigStore, Expect, Resource, Write};

use crate::evaluation;

pub(crate) const FLAGS: usize = 1_000;
pub(crate) const SEGMENTS: usize = 2_000;
pub(crate) const EXPERIMENTS: usize = 10_000;
const METRICS: usize = 20;
/// Experiments of a flag: the first runs, a few are drafts, the others have ended.
const OF_A_FLAG: usize = EXPERIMENTS / FLAGS;
const DRAFTS_OF_A_FLAG: usize = 3;
const RESOURCES_PER_CHANGE: usize = 500;
const DAY_MICROS: i64 = 86_400_000_000;

/// Writes all of it, in a few changes.
pub(crate) async fn fill(store: &dyn ConfigStore) -> Result<()> {
    let now = Timestamp::from_micros(SystemClock.now_micros());
    let resources = resources(now)?;
    let changes = resources.chunks(RESOURCES_PER_CHANGE);
    let n_changes = changes.len();
    for (done, chunk) in (1..).zip(changes) {
        let put = |resource: &Resource| Write::Put {
            resource: resource.clone(),
            expect: Expect::Absent,
        };
        let change = Change {
            namespace: Namespace::default(),
            writes: chunk.iter().map(put).collect(),
            audit: Audit {
                actor: "bench".into(),
                action: "namespace.import".into(),
                subject: "namespace/default".into(),
                reason: String::new(),
                traceparent: String::new(),
                peer: String::new(),
            },
            claim: None,
            now,
        };
        store.commit(change).await?;
        eprint!("\rcontrol: change {done} of {n_changes} is stored ");
    }
    eprintln!();
    Ok(())
}

/// What comes first is what others refer to.
fn resources(now: Timestamp) -> Result<Vec<Resource>> {
    let mut all = Vec::new();
    for i in 0..METRICS {
        all.push(Resource::Metric(metric(i)?));
    }
    for i in 0..SEGMENTS {
        all.push(Resource::Segment(segment(i)?));
    }
    for i in 0..FLAGS {
        all.push(Resource::Flag(flag(i)?));
    }
    for i in 0..EXPERIMENTS {
        all.push(Resource::Experiment(experiment(i, now)?));
    }
    Ok(all)
}

/// The key of the `i`th experiment that runs.
pub(crate) fn running(i: usize) -> String {
    experiment_key(i % FLAGS * OF_A_FLAG)
}

fn experiment_key(i: usize) -> String {
    format!("experiment-{i:05}")
}

fn metric(i: usize) -> Result<Metric> {
    Ok(Metric {
        namespace: Namespace::default(),
        key: MetricKey::new(format!("metric-{i:02}"))?,
        name: String::new(),
        description: "Share of units that did it within a week".into(),
        kind: MetricKind::Conversion {
            event: format!("event-{i}"),
            filters: vec![],
            window: Some(Duration::from_secs(7 * 86_400)),
        },
        direction: Direction::Increase,
        unit: String::new(),
        cap_micros: None,
        meta: Default::default(),
    })
}

fn segment(i: usize) -> Result<Segment> {
    let rule = |attribute: &str, operator, operands| {
        Condition::Rule(Rule {
            attribute: attribute.into(),
            operator,
            operands,
        })
    };
    Ok(Segment {
        namespace: Namespace::default(),
        key: SegmentKey::new(format!("segment-{i:04}"))?,
        name: format!("Players of group {i}"),
        description: "Made by the bench".into(),
        rules: vec![
            rule(
                "country",
                Operator::In,
                vec!["DE".into(), "FR".into(), "US".into()],
            ),
            rule("level", Operator::Gte, vec![(i as f64).into()]),
            rule("platform", Operator::Neq, vec!["web".into()]),
        ],
        meta: Default::default(),
    })
}

fn flag(i: usize) -> Result<Flag> {
    Ok(Flag {
        key: flag_key(i)?,
        name: format!("Gate {i}"),
        description: "Made by the bench".into(),
        ..evaluation::flag(i)?
    })
}

fn flag_key(i: usize) -> Result<FlagKey> {
    Ok(FlagKey::new(format!("flag-{i:04}"))?)
}

fn experiment(i: usize, now: Timestamp) -> Result<Experiment> {
    let days_ago = |days: i64| Some(Timestamp::from_micros(now.micros() - days * DAY_MICROS));
    let template = Experiment {
        key: ExperimentKey::new(experiment_key(i))?,
        name: format!("Checkout, round {i}"),
        description: "Follows what the interviews of the last quarter have shown".into(),
        hypothesis: "A later gate keeps more players for a week without fewer purchases".into(),
        owner: format!("owner-{}@example.org", i % 50),
        tags: vec![format!("team-{}", i % 20), "checkout".into()],
        flag: flag_key(i / OF_A_FLAG)?,
        segment: Some(SegmentKey::new(format!("segment-{:04}", i % SEGMENTS))?),
        metrics: vec![
            ExperimentMetric::new(
                MetricKey::new(format!("metric-{:02}", i % METRICS))?,
                Role::Primary,
            ),
            ExperimentMetric::new(
                MetricKey::new(format!("metric-{:02}", (i + 1) % METRICS))?,
                Role::Secondary,
            ),
        ],
        ..evaluation::experiment(i)?
    };
    Ok(match i % OF_A_FLAG {
        0 => Experiment {
            start_time: days_ago(10),
            ..template
        },
        1..=DRAFTS_OF_A_FLAG => {
            let mut draft = Experiment {
                state: State::Draft,
                segment_version: None,
                ..template
            };
            for cohort in &mut draft.cohorts {
                cohort.generation = 0;
            }
            draft
        }
        _ => Experiment {
            state: State::Ended(Outcome::NoWinner),
            start_time: days_ago(60),
            end_time: days_ago(30),
            completed_at: days_ago(30),
            ..template
        },
    })
}
