//! A lifecycle command applied to a whole experiment: its state, and the times that go with it.

use std::time::Duration;

use crate::{
    experiment::{AssignmentSource, Experiment, Pause},
    lifecycle::{Action, Command, InvalidTransition, Next, Outcome, PauseMode, State, transition},
    time::Timestamp,
    undo::{UNDO_WINDOW, Undo},
};

/// How long an experiment runs when nobody says: 14 days.
pub const DEFAULT_RUN: Duration = Duration::from_secs(14 * 86_400);

/// What became of the experiment.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// It is like this now.
    Updated(Box<Experiment>),
    /// It is gone.
    Deleted,
    /// It is unchanged; a copy is to be made with [`Experiment::copy`].
    Copied,
}

/// `experiment` after `command` at `now`, with the times that its state implies:
/// - Start fixes the dates that are not set: now, and [`DEFAULT_RUN`] later (an imported experiment keeps the dates it has).
/// - A pause is opened and closed; whatever leaves a pause closes it at `now`.
/// - What completes it sets `completed_at`; deciding one whose end time was reached changes that no more.
/// - Unschedule forgets the pinned segment version.
/// - Stop and `DeclareWinner` remember what Undo needs but for the flag; every other command forgets it.
/// - Undo makes the interval since completion a `SERVE_DEFAULT` pause, opens again a pause that was cut short, and forgets the reason.
///
/// The binding and value of the flag, the salt, `meta`, the segment version to pin, the generation of the cohort and the reason of a decision
/// are the caller's to write.
///
/// # Errors
/// [`InvalidTransition`] as [`transition`] says, with Undo among what is allowed while it is.
pub fn apply(
    experiment: &Experiment,
    command: &Command,
    now: Timestamp,
) -> Result<Applied, InvalidTransition> {
    let refused = |refusal| refused_for(experiment, refusal, now);
    let state = match transition(&experiment.state, command).map_err(refused)? {
        Next::State(state) => state,
        Next::Deleted => return Ok(Applied::Deleted),
        Next::Copied => return Ok(Applied::Copied),
    };
    let mut next = Experiment {
        state,
        undo: None,
        ..experiment.clone()
    };
    match command {
        Command::Start { .. } => {
            next.schedule.error.clear();
            fix_dates(&mut next, now);
        }
        Command::Unschedule => {
            next.schedule.error.clear();
            next.segment_version = None;
        }
        Command::Pause(mode) => {
            close_pause(&mut next, now);
            next.pauses.push(Pause {
                from: now,
                to: None,
                mode: *mode,
            });
        }
        Command::Resume => close_pause(&mut next, now),
        Command::Stop | Command::DeclareWinner(_) | Command::ReachEnd => {
            close_pause(&mut next, now);
            if experiment.state != State::Completed(Outcome::Pending) {
                next.completed_at = Some(now);
            }
            if *command != Command::ReachEnd {
                next.undo = Some(Undo {
                    before: experiment.state.clone(),
                    until: now.plus(UNDO_WINDOW),
                    flag: None,
                });
            }
        }
        Command::Undo { .. } => undo(&mut next, now),
        Command::End | Command::Archive | Command::Unarchive => {}
        Command::Delete | Command::Duplicate => {}
    }
    Ok(Applied::Updated(Box::new(next)))
}

/// `refusal` with what is allowed for this experiment beside what its state allows, and with a hint to Undo while that is possible.
pub fn refused_for(experiment: &Experiment, refusal: InvalidTransition, now: Timestamp) -> InvalidTransition {
    let allowed = experiment.allowed_actions(now);
    if experiment.undoable(now).is_none() {
        return InvalidTransition { allowed, ..refusal };
    }
    let hint = match refusal.action {
        Action::Start | Action::Pause | Action::Resume => {
            "it was completed less than a minute ago; to take that back, Undo"
        }
        _ => refusal.hint,
    };
    InvalidTransition {
        allowed,
        hint,
        ..refusal
    }
}

fn fix_dates(experiment: &mut Experiment, now: Timestamp) {
    if experiment.source == AssignmentSource::Imported {
        return;
    }
    let start = *experiment.start_time.get_or_insert(now);
    experiment
        .end_time
        .get_or_insert(start.max(now).plus(DEFAULT_RUN));
}

fn close_pause(experiment: &mut Experiment, now: Timestamp) {
    if let Some(open) = experiment.pauses.last_mut().filter(|pause| pause.to.is_none()) {
        // A clock that went back makes an empty pause, never one that ends before it begins.
        open.to = Some(now.max(open.from));
    }
}

/// Mends the times of an experiment that is back in its state before Stop or `DeclareWinner`.
fn undo(experiment: &mut Experiment, now: Timestamp) {
    experiment.reason.clear();
    if experiment.state == State::Completed(Outcome::Pending) {
        return;
    }
    let from = experiment.completed_at.take().unwrap_or(now);
    let to = Some(now.max(from));
    experiment.pauses.push(Pause {
        from,
        to,
        mode: PauseMode::ServeDefault,
    });
    if let State::Paused(mode) = experiment.state {
        experiment.pauses.push(Pause {
            from: now.max(from),
            to: None,
            mode,
        });
    }
}

#[cfg(test)]
mod tests;
