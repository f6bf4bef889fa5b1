use super::*;
use crate::{
    experiment::Cohort,
    fixtures::{experiment as draft, experiment_in, flag as gate, layer, variant_key},
    layer::BucketRange,
    lifecycle::Outcome,
    value::Value,
    weights::{Coverage, Weights},
};

const BEFORE: Timestamp = Timestamp::from_micros(10);
const NOW: Timestamp = Timestamp::from_micros(30);

fn completed(state: State) -> Experiment {
    Experiment {
        completed_at: Some(BEFORE),
        end_time: Some(Timestamp::from_micros(20)),
        reason: "enough".into(),
        ..experiment_in(state)
    }
}

#[test]
fn what_was_completed_runs_again_and_the_interval_is_a_pause() {
    let then = experiment_in(State::Running);
    for state in [
        State::Completed(Outcome::NoWinner),
        State::Completed(Outcome::Winner(variant_key("on"))),
        State::Ended(Outcome::NoWinner),
    ] {
        let restored = experiment(&completed(state), Some(&then), NOW).unwrap();
        let gap = Pause {
            from: BEFORE,
            to: Some(NOW),
            mode: PauseMode::ServeDefault,
        };
        assert_eq!((&restored.state, restored.completed_at), (&State::Running, None));
        assert_eq!((restored.pauses, restored.reason.as_str()), (vec![gap], ""));
        assert_eq!(
            restored.schedule.end_reached_at,
            Some(NOW),
            "its end time is not acted upon again"
        );
    }
}

#[test]
fn pauses_open_and_close_as_the_state_changes() {
    let paused = |from: Timestamp| Experiment {
        pauses: vec![Pause {
            from,
            to: None,
            mode: PauseMode::ServeDefault,
        }],
        ..experiment_in(State::Paused(PauseMode::ServeDefault))
    };
    let running = experiment_in(State::Running);
    let resumed = experiment(&paused(BEFORE), Some(&running), NOW).unwrap();
    assert_eq!(resumed.pauses.last().and_then(|pause| pause.to), Some(NOW));
    let again = experiment(&running, Some(&paused(BEFORE)), NOW).unwrap();
    assert_eq!(
        again.pauses,
        paused(NOW).pauses,
        "no pause of the past is made up"
    );
    assert_eq!(
        experiment(&paused(BEFORE), Some(&paused(BEFORE)), NOW),
        Ok(paused(BEFORE))
    );
    let stopped = experiment(
        &running,
        Some(&completed(State::Completed(Outcome::NoWinner))),
        NOW,
    )
    .unwrap();
    assert_eq!(
        stopped.completed_at,
        Some(NOW),
        "it was undone, and is stopped anew"
    );
}

#[test]
fn served_fields_come_back_and_texts_stay() {
    let then = experiment_in(State::Running);
    let current = Experiment {
        name: "Renamed".into(),
        coverage: Coverage::new(5_000).unwrap(),
        qa_overrides: vec![crate::experiment::QaOverride {
            unit: crate::fixtures::user("u1"),
            variant: variant_key("on"),
        }],
        ..experiment_in(State::Running)
    };
    let restored = experiment(&current, Some(&then), NOW).unwrap();
    assert_eq!(
        restored,
        Experiment {
            name: "Renamed".into(),
            ..then
        }
    );
}

#[test]
fn what_has_run_is_not_unmade() {
    let mut running = experiment_in(State::Running);
    running.cohorts.first_mut().unwrap().generation = 7;
    let started = Err(Obstacle::Started { began: 7 });
    assert_eq!(experiment(&running, None, NOW), started);
    assert_eq!(
        experiment(&running, Some(&experiment_in(State::Scheduled)), NOW),
        started
    );
    let scheduled = experiment_in(State::Scheduled);
    assert_eq!(
        experiment(&scheduled, None, NOW).map(|e| e.state),
        Ok(State::Draft)
    );
    assert_eq!(experiment(&draft(), None, NOW), Ok(draft()));
    assert_eq!(
        experiment(&draft(), Some(&scheduled), NOW),
        Err(Obstacle::Unscheduled)
    );
    let cohort = Cohort {
        number: 2,
        weights: Weights::even(2),
        generation: 9,
    };
    let mut grown = running.clone();
    grown.cohorts.push(cohort);
    assert_eq!(
        experiment(&grown, Some(&running), NOW),
        Err(Obstacle::CohortAdded)
    );
}

#[test]
fn buckets_come_back_while_nobody_else_can_have_them() {
    let ranges = vec![BucketRange::new(0, 500_000).unwrap()];
    let mut layer = layer("page");
    let running = Experiment {
        traffic: Traffic {
            layer: Some(InLayer {
                key: layer.key.clone(),
                salt: layer.salt.clone(),
                ranges: ranges.clone(),
            }),
            ..Traffic::default()
        },
        ..experiment_in(State::Running)
    };
    layer.allocate(&running.key, 500_000, BEFORE).unwrap();
    let held = layer.clone();
    layer.release(&running.key, BEFORE, true);
    assert_eq!(settle(&mut layer, &running, NOW), Ok(()));
    assert_eq!(layer, held);
    layer.release(&running.key, BEFORE, false);
    let gone = Obstacle::Buckets {
        layer: layer.key.to_string(),
    };
    assert_eq!(settle(&mut layer, &running, NOW), Err(gone));
}

#[test]
fn a_flag_serves_what_it_served_under_its_present_name() {
    let mut current = gate();
    current.promote(&draft().variants[1]);
    current.name = "Renamed".into();
    current.meta.version = 5;
    let restored = flag(&current, &gate());
    assert_eq!(restored.default_value, Value::Bool(false));
    assert_eq!((restored.name.as_str(), restored.meta.version), ("Renamed", 5));
}
