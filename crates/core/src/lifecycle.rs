//! The lifecycle of an experiment: one table, used by every service, the console and the CLI.

use crate::key::VariantKey;

/// What units get while an experiment is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PauseMode {
    /// The flag's default for everyone.
    #[default]
    ServeDefault,
    /// Their variant for units already assigned, the flag's default for new ones.
    HoldEnrollment,
}

/// How an experiment came out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its end time was reached; a decision is awaited.
    Pending,
    /// Stopped; the flag serves its default.
    NoWinner,
    /// Everyone gets this variant.
    Winner(VariantKey),
}

/// Where an experiment stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Being written; everything editable.
    #[default]
    Draft,
    /// Validated and frozen, waits for its start time.
    Scheduled,
    /// Enrolling and serving.
    Running,
    /// Reversibly held.
    Paused(PauseMode),
    /// No more enrollment; results frozen.
    Completed(Outcome),
    /// Nothing served for it any more; reports stay.
    Ended(Outcome),
    /// Hidden from default lists; all data kept.
    Archived {
        /// How it came out.
        outcome: Outcome,
        /// Whether it had been ended before (else it was completed without winner), so that it can return there.
        ended: bool,
    },
}

/// What people and clocks may do to an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Begin, now or at a start time in the future.
    Start {
        /// Whether the start time lies in the future.
        later: bool,
    },
    /// Back to draft before it has begun.
    Unschedule,
    /// Hold, reversibly; also switches the mode while paused.
    Pause(PauseMode),
    /// Go on after a pause.
    Resume,
    /// Complete without winner; final after the undo window.
    Stop,
    /// Complete with a winner; final after the undo window.
    DeclareWinner(VariantKey),
    /// Back to the state before Stop or `DeclareWinner`.
    Undo {
        /// The state before.
        before: Box<State>,
    },
    /// Its end time has come.
    ReachEnd,
    /// Serve nothing for it any more.
    End,
    /// Hide from lists.
    Archive,
    /// Back from the archive.
    Unarchive,
    /// Remove a draft.
    Delete,
    /// Copy into a new draft.
    Duplicate,
}

/// Name of a [`Command`], for `allowed_actions` and messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// [`Command::Start`]
    Start,
    /// [`Command::Unschedule`]
    Unschedule,
    /// [`Command::Pause`]
    Pause,
    /// [`Command::Resume`]
    Resume,
    /// [`Command::Stop`]
    Stop,
    /// [`Command::DeclareWinner`]
    DeclareWinner,
    /// [`Command::Undo`]
    Undo,
    /// [`Command::ReachEnd`]
    ReachEnd,
    /// [`Command::End`]
    End,
    /// [`Command::Archive`]
    Archive,
    /// [`Command::Unarchive`]
    Unarchive,
    /// [`Command::Delete`]
    Delete,
    /// [`Command::Duplicate`]
    Duplicate,
    /// Another cohort for units not seen before; leaves the state as it is, so it is no [`Command`].
    AddCohort,
}

/// What a command leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// The experiment is in this state now.
    State(State),
    /// The experiment is gone.
    Deleted,
    /// The experiment is unchanged; a new draft exists beside it.
    Copied,
}

/// Why a command does not fit a state. The message names the state, the allowed commands and, where there is one, the right verb.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action} is not possible in state {state}; allowed: {}{}{hint}", names(.allowed), separator(.hint))]
pub struct InvalidTransition {
    /// The refused command.
    pub action: Action,
    /// The present state's name.
    pub state: &'static str,
    /// What is possible instead.
    pub allowed: Vec<Action>,
    /// A sentence that names the right verb, or empty.
    pub hint: &'static str,
}

fn names(actions: &[Action]) -> String {
    actions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn separator(hint: &str) -> &'static str {
    if hint.is_empty() { "" } else { "; " }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Start => "START",
            Self::Unschedule => "UNSCHEDULE",
            Self::Pause => "PAUSE",
            Self::Resume => "RESUME",
            Self::Stop => "STOP",
            Self::DeclareWinner => "DECLARE_WINNER",
            Self::Undo => "UNDO",
            Self::ReachEnd => "REACH_END",
            Self::End => "END",
            Self::Archive => "ARCHIVE",
            Self::Unarchive => "UNARCHIVE",
            Self::Delete => "DELETE",
            Self::Duplicate => "DUPLICATE",
            Self::AddCohort => "ADD_COHORT",
        })
    }
}

impl Command {
    /// Its name.
    pub fn action(&self) -> Action {
        match self {
            Self::Start { .. } => Action::Start,
            Self::Unschedule => Action::Unschedule,
            Self::Pause(_) => Action::Pause,
            Self::Resume => Action::Resume,
            Self::Stop => Action::Stop,
            Self::DeclareWinner(_) => Action::DeclareWinner,
            Self::Undo { .. } => Action::Undo,
            Self::ReachEnd => Action::ReachEnd,
            Self::End => Action::End,
            Self::Archive => Action::Archive,
            Self::Unarchive => Action::Unarchive,
            Self::Delete => Action::Delete,
            Self::Duplicate => Action::Duplicate,
        }
    }
}

impl State {
    /// Name for people and messages: `DRAFT`, `RUNNING`, …, without mode or outcome, which [`std::fmt::Display`] adds.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Draft => "DRAFT",
            Self::Scheduled => "SCHEDULED",
            Self::Running => "RUNNING",
            Self::Paused(_) => "PAUSED",
            Self::Completed(_) => "COMPLETED",
            Self::Ended(_) => "ENDED",
            Self::Archived { .. } => "ARCHIVED",
        }
    }

    /// Whether it has begun and is not completed: running or paused.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Running | Self::Paused(_))
    }

    /// Whether the flag is bound: scheduled, running or paused.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Scheduled | Self::Running | Self::Paused(_))
    }
}

impl std::fmt::Display for State {
    /// Such as `RUNNING`, `PAUSED(HOLD_ENROLLMENT)`, `COMPLETED(WINNER on)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Draft | Self::Scheduled | Self::Running => f.write_str(self.name()),
            Self::Paused(mode) => write!(f, "{}({mode})", self.name()),
            Self::Completed(outcome) | Self::Ended(outcome) | Self::Archived { outcome, .. } => {
                write!(f, "{}({outcome})", self.name())
            }
        }
    }
}

impl std::fmt::Display for PauseMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ServeDefault => "SERVE_DEFAULT",
            Self::HoldEnrollment => "HOLD_ENROLLMENT",
        })
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pending => f.write_str("PENDING"),
            Self::NoWinner => f.write_str("NO_WINNER"),
            Self::Winner(variant) => write!(f, "WINNER {variant}"),
        }
    }
}

/// The state after `command` in `state`: the whole lifecycle as one table.
///
/// What the table cannot see is for the caller to check: that `HOLD_ENROLLMENT` has stored assignments, that a winner is one of the
/// variants, that an Undo comes in time and names the state that was really there.
///
/// # Errors
/// [`InvalidTransition`] when the table has no such entry.
pub fn transition(state: &State, command: &Command) -> Result<Next, InvalidTransition> {
    use Command as C;
    use Outcome::{NoWinner, Pending, Winner};
    use State::{Archived, Completed, Draft, Ended, Paused, Running, Scheduled};

    let next = match (state, command) {
        (Draft, C::Start { later: false }) => Running,
        (Draft, C::Start { later: true }) => Scheduled,
        (Scheduled, C::Start { later: false }) => Running,
        (Scheduled, C::Unschedule) => Draft,
        (Running, C::Pause(mode)) => Paused(*mode),
        (Paused(old), C::Pause(mode)) if old != mode => Paused(*mode),
        (Paused(_), C::Resume) => Running,
        (Running | Paused(_), C::ReachEnd) => Completed(Pending),
        (Running | Paused(_) | Completed(Pending), C::Stop) => Completed(NoWinner),
        (Running | Paused(_) | Completed(Pending), C::DeclareWinner(winner)) => {
            Completed(Winner(winner.clone()))
        }
        (Completed(NoWinner | Winner(_)), C::Undo { before }) if may_be_undone_to(before) => {
            (**before).clone()
        }
        (Completed(outcome), C::End) => Ended(outcome.clone()),
        (Completed(NoWinner), C::Archive) => Archived {
            outcome: NoWinner,
            ended: false,
        },
        (Ended(outcome), C::Archive) => Archived {
            outcome: outcome.clone(),
            ended: true,
        },
        (Archived { outcome, ended: true }, C::Unarchive) => Ended(outcome.clone()),
        (
            Archived {
                outcome,
                ended: false,
            },
            C::Unarchive,
        ) => Completed(outcome.clone()),
        (Draft, C::Delete) => return Ok(Next::Deleted),
        (_, C::Duplicate) => return Ok(Next::Copied),
        _ => return Err(invalid(state, command.action())),
    };
    Ok(Next::State(next))
}

/// The states that Stop and `DeclareWinner` leave.
fn may_be_undone_to(before: &State) -> bool {
    matches!(
        before,
        State::Running | State::Paused(_) | State::Completed(Outcome::Pending)
    )
}

/// The commands that [`transition`] accepts in `state` and that a person may give, in the order people read them.
///
/// Without what a clock decides: Start of a scheduled experiment, `REACH_END`, and Undo, which who knows the time adds while it is possible.
pub fn allowed_actions(state: &State) -> Vec<Action> {
    use Action::{
        Archive, DeclareWinner, Delete, Duplicate, End, Pause, Resume, Start, Stop, Unarchive, Unschedule,
    };
    match state {
        State::Draft => vec![Start, Delete, Duplicate],
        State::Scheduled => vec![Unschedule, Duplicate],
        State::Running => vec![Pause, Stop, DeclareWinner, Duplicate],
        State::Paused(_) => vec![Pause, Resume, Stop, DeclareWinner, Duplicate],
        State::Completed(Outcome::Pending) => vec![Stop, DeclareWinner, End, Duplicate],
        State::Completed(Outcome::NoWinner) => vec![End, Archive, Duplicate],
        State::Completed(Outcome::Winner(_)) => vec![End, Duplicate],
        State::Ended(_) => vec![Archive, Duplicate],
        State::Archived { .. } => vec![Unarchive, Duplicate],
    }
}

/// The refusal of `action` in `state`.
pub fn invalid(state: &State, action: Action) -> InvalidTransition {
    InvalidTransition {
        action,
        state: state.name(),
        allowed: allowed_actions(state),
        hint: hint(state, action),
    }
}

/// The right verb where a wrong one is likely.
fn hint(state: &State, action: Action) -> &'static str {
    use Action as A;
    use State::{Archived, Completed, Draft, Ended, Paused, Running, Scheduled};

    match (state, action) {
        (Draft, A::Pause | A::Resume | A::DeclareWinner) => "it has not begun; to begin, Start",
        (Draft, A::Stop | A::End | A::Archive) => "it has not begun; to remove it, Delete",
        (Scheduled, A::Start) => {
            "it starts at its start time; to start now, Unschedule, clear the start time, then Start"
        }
        (Scheduled, A::Pause | A::Stop | A::End | A::DeclareWinner) => {
            "it has not begun; to take it back, Unschedule"
        }
        (Scheduled, A::Delete | A::Archive) => "to remove it, Unschedule, then Delete",
        (Running | Paused(_), A::Unschedule) => "it has begun; to take a breather, Pause",
        (Running | Paused(_), A::Delete | A::Archive) => {
            "history is kept; to put it away, Stop, then Archive"
        }
        (Running | Paused(_), A::End) => "to finish it, Stop or DeclareWinner first",
        (Paused(_), A::Start) => "to go on after a pause, Resume",
        (Paused(_), A::Pause) => "it is paused in this mode already; to go on, Resume",
        (Completed(Outcome::Pending), A::Start | A::Pause | A::Resume) => {
            "its end time was reached; to run it again, Duplicate"
        }
        (Completed(_) | Ended(_) | Archived { .. }, A::Start | A::Pause | A::Resume) => {
            "Stop is final; to take a breather, Pause; to run it again, Duplicate"
        }
        (Completed(Outcome::Pending), A::Archive | A::Delete) => {
            "history is kept; to put it away, Stop, then Archive"
        }
        (Completed(Outcome::NoWinner) | Ended(_), A::Delete) => "history is kept; to put it away, Archive",
        (Completed(Outcome::Winner(_)), A::Archive | A::Delete) => {
            "history is kept; to put it away, End, then Archive"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests;
