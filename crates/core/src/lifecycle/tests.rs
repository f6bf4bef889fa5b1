use proptest::{prelude::*, sample::select};

use super::*;
use crate::fixtures::variant_key;
use Outcome::{NoWinner, Pending, Winner};
use PauseMode::{HoldEnrollment, ServeDefault};
use State::{Archived, Completed, Draft, Ended, Paused, Running, Scheduled};

fn on() -> VariantKey {
    variant_key("on")
}

/// Every state, with every mode and outcome that can occur in it.
fn states() -> Vec<State> {
    let outcomes = [Pending, NoWinner, Winner(on())];
    let mut states = vec![
        Draft,
        Scheduled,
        Running,
        Paused(ServeDefault),
        Paused(HoldEnrollment),
    ];
    states.extend(outcomes.clone().map(Completed));
    states.extend(outcomes.clone().map(Ended));
    states.extend(outcomes.map(|outcome| Archived { outcome, ended: true }));
    states.push(Archived {
        outcome: NoWinner,
        ended: false,
    });
    states
}

/// Every command, with every payload that matters: Undo names every state, possible or not.
fn commands() -> Vec<Command> {
    let mut commands = vec![
        Command::Start { later: false },
        Command::Start { later: true },
        Command::Unschedule,
        Command::Pause(ServeDefault),
        Command::Pause(HoldEnrollment),
        Command::Resume,
        Command::Stop,
        Command::DeclareWinner(on()),
        Command::ReachEnd,
        Command::End,
        Command::Archive,
        Command::Unarchive,
        Command::Delete,
        Command::Duplicate,
    ];
    commands.extend(states().into_iter().map(|before| Command::Undo {
        before: Box::new(before),
    }));
    commands
}

/// What the table must say, written out: (state, command, state after). Duplicate, possible everywhere, and Delete are apart.
fn expected() -> Vec<(State, Command, State)> {
    let start = |later| Command::Start { later };
    let pause = Command::Pause;
    let undo = |before: &State| Command::Undo {
        before: Box::new(before.clone()),
    };
    let declare = || Command::DeclareWinner(on());
    let running = [Running, Paused(ServeDefault), Paused(HoldEnrollment)];
    let archived = |outcome, ended| Archived { outcome, ended };

    let mut table = vec![
        (Draft, start(false), Running),
        (Draft, start(true), Scheduled),
        (Scheduled, start(false), Running),
        (Scheduled, Command::Unschedule, Draft),
        (Running, pause(ServeDefault), Paused(ServeDefault)),
        (Running, pause(HoldEnrollment), Paused(HoldEnrollment)),
        (
            Paused(ServeDefault),
            pause(HoldEnrollment),
            Paused(HoldEnrollment),
        ),
        (Paused(HoldEnrollment), pause(ServeDefault), Paused(ServeDefault)),
        (Paused(ServeDefault), Command::Resume, Running),
        (Paused(HoldEnrollment), Command::Resume, Running),
        (Completed(Pending), Command::End, Ended(Pending)),
        (Completed(NoWinner), Command::End, Ended(NoWinner)),
        (Completed(Winner(on())), Command::End, Ended(Winner(on()))),
        (Completed(NoWinner), Command::Archive, archived(NoWinner, false)),
        (archived(NoWinner, false), Command::Unarchive, Completed(NoWinner)),
    ];
    for outcome in [Pending, NoWinner, Winner(on())] {
        table.push((
            Ended(outcome.clone()),
            Command::Archive,
            archived(outcome.clone(), true),
        ));
        table.push((
            archived(outcome.clone(), true),
            Command::Unarchive,
            Ended(outcome),
        ));
    }
    for state in &running {
        table.push((state.clone(), Command::ReachEnd, Completed(Pending)));
    }
    for state in running.into_iter().chain([Completed(Pending)]) {
        table.push((state.clone(), Command::Stop, Completed(NoWinner)));
        table.push((state.clone(), declare(), Completed(Winner(on()))));
        table.push((Completed(NoWinner), undo(&state), state.clone()));
        table.push((Completed(Winner(on())), undo(&state), state));
    }
    table
}

#[test]
fn the_table_is_exactly_the_expected_one() {
    let expected = expected();
    let mut accepted = 0;
    for state in states() {
        for command in commands() {
            let entry = expected.iter().find(|(s, c, _)| (s, c) == (&state, &command));
            let next = match (&state, &command) {
                (_, Command::Duplicate) => Some(Next::Copied),
                (Draft, Command::Delete) => Some(Next::Deleted),
                _ => entry.map(|(_, _, after)| Next::State(after.clone())),
            };
            accepted += usize::from(entry.is_some());
            assert_eq!(transition(&state, &command).ok(), next, "{command:?} in {state}");
        }
    }
    assert_eq!(accepted, expected.len());
}

/// What only a clock decides is not offered to people.
fn is_offered(state: &State, command: &Command) -> bool {
    !matches!(
        (state, command),
        (Scheduled, Command::Start { .. }) | (_, Command::ReachEnd | Command::Undo { .. })
    )
}

#[test]
fn allowed_actions_are_those_that_work() {
    for state in states() {
        let works = |c: &Command| is_offered(&state, c) && transition(&state, c).is_ok();
        let mut actions: Vec<_> = commands()
            .iter()
            .filter(|c| works(c))
            .map(Command::action)
            .collect();
        actions.sort();
        actions.dedup();
        assert_eq!(allowed_actions(&state), actions, "{state}");
    }
}

#[test]
fn a_refusal_names_the_state_what_is_allowed_and_the_right_verb() {
    let refusal = |state, command| transition(&state, &command).unwrap_err().to_string();
    assert_eq!(
        refusal(Running, Command::Delete),
        "DELETE is not possible in state RUNNING; allowed: PAUSE, STOP, DECLARE_WINNER, DUPLICATE; \
         history is kept; to put it away, Stop, then Archive"
    );
    assert!(
        refusal(Completed(NoWinner), Command::Resume).contains("Stop is final; to take a breather, Pause")
    );
    assert!(refusal(Draft, Command::Pause(ServeDefault)).ends_with("to begin, Start"));
    assert!(refusal(Draft, Command::Stop).ends_with("to remove it, Delete"));
    assert!(refusal(Paused(ServeDefault), Command::Pause(ServeDefault)).ends_with("to go on, Resume"));
    assert!(
        refusal(Running, Command::Unarchive).ends_with("allowed: PAUSE, STOP, DECLARE_WINNER, DUPLICATE")
    );
}

#[test]
fn hints_name_a_verb_that_works() {
    for state in states() {
        for command in commands() {
            let Err(refusal) = transition(&state, &command) else {
                continue;
            };
            let Some(remedy) = refusal.hint.rsplit("; ").next().filter(|hint| !hint.is_empty()) else {
                continue;
            };
            let verb = remedy
                .split([' ', ','])
                .find(|word| word.starts_with(char::is_uppercase))
                .unwrap();
            let possible = refusal.allowed.iter().any(|action| format!("{action:?}") == verb);
            assert!(possible, "{state}: {refusal}");
        }
    }
}

#[test]
fn names_are_printed_with_mode_and_outcome() {
    assert_eq!(Paused(HoldEnrollment).to_string(), "PAUSED(HOLD_ENROLLMENT)");
    assert_eq!(Completed(Winner(on())).to_string(), "COMPLETED(WINNER on)");
    assert_eq!(
        (Running.to_string(), Paused(ServeDefault).name()),
        ("RUNNING".into(), "PAUSED")
    );
}

proptest! {
    /// Whatever is done, an experiment that has completed never serves again, except by Undo.
    #[test]
    fn completion_is_final_without_undo(commands in prop::collection::vec(select(commands()), 0..40)) {
        let mut state = Draft;
        let mut completed = false;
        for command in commands.iter().filter(|c| !matches!(c, Command::Undo { .. })) {
            if let Ok(Next::State(next)) = transition(&state, command) {
                state = next;
            }
            completed |= matches!(state, Completed(_));
            prop_assert!(!(completed && (state.is_live() || state == Draft)));
        }
    }

    /// A pause in either mode, switched at will, always leads back to running.
    #[test]
    fn every_pause_can_be_resumed(modes in prop::collection::vec(select(vec![ServeDefault, HoldEnrollment]), 1..8)) {
        let mut state = Running;
        for mode in modes {
            if let Ok(Next::State(next)) = transition(&state, &Command::Pause(mode)) {
                state = next;
            }
            prop_assert_eq!(&state, &Paused(mode));
        }
        prop_assert_eq!(transition(&state, &Command::Resume), Ok(Next::State(Running)));
    }
}
