use assay_core::{
    key::VariantKey,
    lifecycle::{Outcome, PauseMode, State},
};

use super::super::{enum_from, key_from};
use crate::{config::v1 as pb, field::FieldErrors};

/// The fields that say a [`State`].
#[derive(Default)]
pub(super) struct StateFields {
    pub(super) state: pb::ExperimentState,
    pub(super) pause_mode: pb::PauseMode,
    pub(super) outcome: pb::Outcome,
    pub(super) winner: String,
    pub(super) archived_from: pb::ExperimentState,
}

impl From<&State> for StateFields {
    fn from(state: &State) -> Self {
        let plain = |state| Self {
            state,
            ..Self::default()
        };
        let decided = |state, outcome: &Outcome| {
            let winner = match outcome {
                Outcome::Winner(variant) => variant.to_string(),
                Outcome::Pending | Outcome::NoWinner => String::new(),
            };
            Self {
                outcome: outcome.into(),
                winner,
                ..plain(state)
            }
        };
        match state {
            State::Draft => plain(pb::ExperimentState::Draft),
            State::Scheduled => plain(pb::ExperimentState::Scheduled),
            State::Running => plain(pb::ExperimentState::Running),
            State::Paused(mode) => Self {
                pause_mode: (*mode).into(),
                ..plain(pb::ExperimentState::Paused)
            },
            State::Completed(outcome) => decided(pb::ExperimentState::Completed, outcome),
            State::Ended(outcome) => decided(pb::ExperimentState::Ended, outcome),
            State::Archived { outcome, ended } => Self {
                archived_from: if *ended {
                    pb::ExperimentState::Ended
                } else {
                    pb::ExperimentState::Completed
                },
                ..decided(pb::ExperimentState::Archived, outcome)
            },
        }
    }
}

/// The state that `experiment` says; a draft when it says none.
pub(super) fn state_from(experiment: &pb::Experiment) -> Result<State, FieldErrors> {
    let outcome = || outcome_from(experiment.outcome, &experiment.winner);
    Ok(match enum_from(experiment.state, "state")? {
        pb::ExperimentState::Unspecified | pb::ExperimentState::Draft => State::Draft,
        pb::ExperimentState::Scheduled => State::Scheduled,
        pb::ExperimentState::Running => State::Running,
        pb::ExperimentState::Paused => {
            State::Paused(enum_from::<pb::PauseMode>(experiment.pause_mode, "pause_mode")?.into())
        }
        pb::ExperimentState::Completed => State::Completed(outcome()?),
        pb::ExperimentState::Ended => State::Ended(outcome()?),
        pb::ExperimentState::Archived => {
            let from: pb::ExperimentState = enum_from(experiment.archived_from, "archived_from")?;
            State::Archived {
                outcome: outcome()?,
                ended: from != pb::ExperimentState::Completed,
            }
        }
    })
}

fn outcome_from(number: i32, winner: &str) -> Result<Outcome, FieldErrors> {
    match enum_from(number, "outcome")? {
        pb::Outcome::Unspecified => Err(FieldErrors::one(
            "outcome",
            "REQUIRED",
            "is missing in this state; give one",
        )),
        pb::Outcome::Pending => Ok(Outcome::Pending),
        pb::Outcome::NoWinner => Ok(Outcome::NoWinner),
        pb::Outcome::Winner => key_from(winner, "winner", VariantKey::new).map(Outcome::Winner),
    }
}

impl From<&Outcome> for pb::Outcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Pending => Self::Pending,
            Outcome::NoWinner => Self::NoWinner,
            Outcome::Winner(_) => Self::Winner,
        }
    }
}

impl From<PauseMode> for pb::PauseMode {
    fn from(mode: PauseMode) -> Self {
        match mode {
            PauseMode::ServeDefault => Self::ServeDefault,
            PauseMode::HoldEnrollment => Self::HoldEnrollment,
        }
    }
}

impl From<pb::PauseMode> for PauseMode {
    fn from(mode: pb::PauseMode) -> Self {
        match mode {
            pb::PauseMode::Unspecified | pb::PauseMode::ServeDefault => Self::ServeDefault,
            pb::PauseMode::HoldEnrollment => Self::HoldEnrollment,
        }
    }
}
