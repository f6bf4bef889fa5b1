use proptest::{prelude::*, sample::select};

use super::*;
use crate::{
    fixtures::{experiment, experiment_in, variant_key},
    time::MICROS_PER_DAY,
};
use PauseMode::{HoldEnrollment, ServeDefault};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// `experiment` after `commands`, each at its time.
fn after(experiment: Experiment, commands: &[(i64, Command)]) -> Experiment {
    commands.iter().fold(experiment, |experiment, (time, command)| {
        match apply(&experiment, command, at(*time)).unwrap() {
            Applied::Updated(next) => *next,
            other => panic!("{other:?}"),
        }
    })
}

fn start() -> Command {
    Command::Start { later: false }
}

fn undo_to(before: State) -> Command {
    Command::Undo {
        before: Box::new(before),
    }
}

fn pause(from: i64, to: Option<i64>, mode: PauseMode) -> Pause {
    Pause {
        from: at(from),
        to: to.map(at),
        mode,
    }
}

#[test]
fn start_fixes_the_dates_that_are_not_set() {
    let fortnight = 14 * MICROS_PER_DAY;
    let started = after(experiment(), &[(5, start())]);
    assert_eq!(
        (started.start_time, started.end_time),
        (Some(at(5)), Some(at(5 + fortnight)))
    );
    assert_eq!(started.state, State::Running);

    let dated = Experiment {
        start_time: Some(at(100)),
        ..experiment()
    };
    let scheduled = after(dated, &[(5, Command::Start { later: true })]);
    assert_eq!(
        (scheduled.start_time, scheduled.end_time),
        (Some(at(100)), Some(at(100 + fortnight)))
    );

    let ending = Experiment {
        start_time: Some(at(1)),
        end_time: Some(at(9)),
        ..experiment()
    };
    let started = after(ending, &[(5, start())]);
    assert_eq!((started.start_time, started.end_time), (Some(at(1)), Some(at(9))));
}

#[test]
fn an_imported_experiment_keeps_its_dates() {
    let imported = Experiment {
        source: AssignmentSource::Imported,
        ..experiment()
    };
    let started = after(imported, &[(5, start())]);
    assert_eq!((started.start_time, started.end_time), (None, None));
}

#[test]
fn pauses_are_kept() {
    let experiment = after(
        experiment_in(State::Running),
        &[
            (10, Command::Pause(ServeDefault)),
            (20, Command::Pause(HoldEnrollment)),
            (30, Command::Resume),
            (40, Command::Pause(ServeDefault)),
            (50, Command::Stop),
        ],
    );
    let expected = [
        pause(10, Some(20), ServeDefault),
        pause(20, Some(30), HoldEnrollment),
        pause(40, Some(50), ServeDefault),
    ];
    assert_eq!(experiment.pauses, expected);
    assert_eq!(experiment.completed_at, Some(at(50)));
}

#[test]
fn a_decision_after_the_end_keeps_the_time_of_completion() {
    let ended = after(
        experiment_in(State::Running),
        &[(10, Command::ReachEnd), (20, Command::Stop)],
    );
    assert_eq!(ended.completed_at, Some(at(10)));
    let back = after(ended, &[(30, undo_to(State::Completed(Outcome::Pending)))]);
    assert_eq!((back.completed_at, back.pauses), (Some(at(10)), vec![]));
}

#[test]
fn undo_makes_the_interval_a_pause_and_forgets_the_reason() {
    let winner = Command::DeclareWinner(variant_key("on"));
    let mut won = after(experiment_in(State::Running), &[(10, winner)]);
    won.reason = "by mistake".into();
    let back = after(won, &[(15, undo_to(State::Running))]);
    let expected = Experiment {
        pauses: vec![pause(10, Some(15), ServeDefault)],
        ..experiment_in(State::Running)
    };
    assert_eq!(back, expected);
}

#[test]
fn undo_opens_again_the_pause_that_was_cut_short() {
    let held = State::Paused(HoldEnrollment);
    let commands = [
        (10, Command::Pause(HoldEnrollment)),
        (20, Command::Stop),
        (25, undo_to(held.clone())),
    ];
    let back = after(experiment_in(State::Running), &commands);
    let expected = [
        pause(10, Some(20), HoldEnrollment),
        pause(20, Some(25), ServeDefault),
        pause(25, None, HoldEnrollment),
    ];
    assert_eq!((back.state, back.completed_at), (held, None));
    assert_eq!(back.pauses, expected);
}

#[test]
fn a_clock_that_goes_back_makes_no_negative_pause() {
    let commands = [(10, Command::Pause(ServeDefault)), (5, Command::Resume)];
    assert_eq!(
        after(experiment_in(State::Running), &commands).pauses,
        [pause(10, Some(10), ServeDefault)]
    );
}

#[test]
fn unschedule_forgets_what_scheduling_wrote() {
    let mut scheduled = after(experiment(), &[(5, Command::Start { later: true })]);
    scheduled.segment_version = Some(3);
    scheduled.schedule.error = "flag_key: FLAG_BOUND".into();
    let back = after(scheduled.clone(), &[(6, Command::Unschedule)]);
    assert_eq!(
        (back.state, back.segment_version, back.schedule.error),
        (State::Draft, None, String::new())
    );
    let started = after(scheduled, &[(6, start())]);
    assert_eq!(
        (started.segment_version, started.schedule.error),
        (Some(3), String::new())
    );
}

#[test]
fn a_decision_can_be_undone_for_a_minute_and_a_refusal_says_so() {
    let minute = 60_000_000;
    let stopped = after(
        experiment_in(State::Paused(HoldEnrollment)),
        &[(10, Command::Stop)],
    );
    let undo = stopped.undo.clone().unwrap();
    assert_eq!(
        (undo.before, undo.until, undo.flag),
        (State::Paused(HoldEnrollment), at(10 + minute), None)
    );
    let refusal = |now| {
        apply(&stopped, &Command::Resume, at(now))
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(11).ends_with("allowed: UNDO, END, ARCHIVE, DUPLICATE; it was completed less than a minute ago; to take that back, Undo"));
    assert!(refusal(11 + minute).contains("allowed: END, ARCHIVE, DUPLICATE; Stop is final"));
    let back = after(stopped, &[(20, undo_to(State::Paused(HoldEnrollment)))]);
    assert_eq!(back.undo, None);
    let reached = after(experiment_in(State::Running), &[(10, Command::ReachEnd)]);
    assert_eq!(reached.undo, None);
}

#[test]
fn delete_and_duplicate_change_nothing() {
    assert_eq!(
        apply(&experiment(), &Command::Delete, at(0)),
        Ok(Applied::Deleted)
    );
    assert_eq!(
        apply(&experiment(), &Command::Duplicate, at(0)),
        Ok(Applied::Copied)
    );
}

fn any_command() -> impl Strategy<Value = Command> {
    select(vec![
        Command::Pause(ServeDefault),
        Command::Pause(HoldEnrollment),
        Command::Resume,
        Command::Stop,
        Command::ReachEnd,
        Command::DeclareWinner(variant_key("on")),
        undo_to(State::Running),
        undo_to(State::Paused(ServeDefault)),
        Command::End,
        Command::Archive,
        Command::Unarchive,
    ])
}

proptest! {
    #[test]
    fn pauses_follow_each_other_and_only_a_paused_experiment_has_an_open_one(
        commands in prop::collection::vec(any_command(), 0..40),
    ) {
        let mut experiment = experiment_in(State::Running);
        for (time, command) in (0..).zip(&commands) {
            if let Ok(Applied::Updated(next)) = apply(&experiment, command, at(time)) {
                experiment = *next;
            }
            let (last, earlier) = experiment.pauses.split_last().unzip();
            let open = last.is_some_and(|pause: &Pause| pause.to.is_none());
            prop_assert_eq!(open, matches!(experiment.state, State::Paused(_)));
            prop_assert!(earlier.unwrap_or_default().iter().all(|pause| pause.to.is_some()));
            prop_assert!(experiment.pauses.windows(2).all(|two| two[0].to <= Some(two[1].from)));
            let live = experiment.state.is_live();
            prop_assert_eq!(experiment.completed_at.is_none(), live);
        }
    }
}
