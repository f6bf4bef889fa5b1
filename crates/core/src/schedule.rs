//! What the clock does to an experiment: begin it at its start time, and act when its end time has come.

use crate::{
    commands::{Applied, apply},
    experiment::{AssignmentSource, Experiment},
    lifecycle::{Command, InvalidTransition, PauseMode, State},
    time::Timestamp,
};

/// What happens to a running or paused experiment when its end time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EndAction {
    /// It completes: the flag serves its default, a decision is awaited.
    #[default]
    Complete,
    /// It goes on for the units that it has, and takes no new ones.
    HoldEnrollment,
    /// It goes on as before; that the time has come is recorded.
    NotifyOnly,
}

/// What the clock is to do to an experiment, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// What happens at its end time.
    pub end_action: EndAction,
    /// When the end time was acted upon without completing the experiment; it is acted upon once.
    pub end_reached_at: Option<Timestamp>,
    /// Why the start at the start time was refused; empty when it was not, or has been made good.
    pub error: String,
}

impl Experiment {
    /// When it is to be looked at next: at its start time while scheduled, at its end time while running or paused, at any time while a
    /// cohort waits to open.
    ///
    /// The dates of an imported experiment describe its data: nothing is due then.
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.state.is_open() && self.traffic.opening.is_some() {
            return Some(Timestamp::from_micros(0));
        }
        match self.state {
            State::Scheduled if self.source == AssignmentSource::Assay => self.start_time,
            _ => self.ends_at(),
        }
    }

    /// When its end time is to be acted upon, while it runs or is paused.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let is_awaited = self.source == AssignmentSource::Assay && self.schedule.end_reached_at.is_none();
        self.end_time.filter(|_| self.state.is_open() && is_awaited)
    }
}

/// `experiment` after its end time has come, as its [`EndAction`] says.
///
/// An experiment that is paused already is not paused otherwise: who took it away from its units wanted that.
///
/// # Errors
/// [`InvalidTransition`] unless it is running or paused.
pub fn reach_end(experiment: &Experiment, now: Timestamp) -> Result<Experiment, InvalidTransition> {
    let command = match (experiment.schedule.end_action, &experiment.state) {
        (EndAction::HoldEnrollment, State::Running) => Command::Pause(PauseMode::HoldEnrollment),
        (EndAction::HoldEnrollment | EndAction::NotifyOnly, State::Running | State::Paused(_)) => {
            return Ok(acted_upon(experiment.clone(), now));
        }
        _ => Command::ReachEnd,
    };
    let next = match apply(experiment, &command, now)? {
        Applied::Updated(next) => *next,
        Applied::Deleted | Applied::Copied => experiment.clone(),
    };
    Ok(match next.state {
        State::Paused(_) => acted_upon(next, now),
        _ => next,
    })
}

fn acted_upon(mut experiment: Experiment, now: Timestamp) -> Experiment {
    experiment.schedule.end_reached_at = Some(now);
    experiment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures::experiment_in,
        lifecycle::{Outcome, PauseMode::ServeDefault},
    };

    const START: Timestamp = Timestamp::from_micros(10);
    const END: Timestamp = Timestamp::from_micros(20);
    const NOW: Timestamp = Timestamp::from_micros(21);

    fn dated(state: State, end_action: EndAction) -> Experiment {
        Experiment {
            start_time: Some(START),
            end_time: Some(END),
            schedule: Schedule {
                end_action,
                ..Schedule::default()
            },
            ..experiment_in(state)
        }
    }

    #[test]
    fn the_clock_starts_what_is_scheduled_and_ends_what_runs() {
        let due = |state| dated(state, EndAction::Complete).due_at();
        assert_eq!(due(State::Draft), None);
        assert_eq!(due(State::Scheduled), Some(START));
        assert_eq!(due(State::Running), Some(END));
        assert_eq!(due(State::Paused(ServeDefault)), Some(END));
        assert_eq!(due(State::Completed(Outcome::Pending)), None);
        let imported = Experiment {
            source: AssignmentSource::Imported,
            ..dated(State::Running, EndAction::Complete)
        };
        assert_eq!(imported.due_at(), None);
    }

    #[test]
    fn by_default_it_completes_and_awaits_a_decision() {
        for state in [State::Running, State::Paused(ServeDefault)] {
            let ended = reach_end(&dated(state, EndAction::Complete), NOW).unwrap();
            assert_eq!(ended.state, State::Completed(Outcome::Pending));
            assert_eq!((ended.completed_at, ended.due_at()), (Some(NOW), None));
            assert!(ended.pauses.iter().all(|pause| pause.to.is_some()));
        }
    }

    #[test]
    fn holding_enrollment_pauses_what_runs_and_leaves_alone_what_is_paused() {
        let held = reach_end(&dated(State::Running, EndAction::HoldEnrollment), NOW).unwrap();
        assert_eq!(held.state, State::Paused(PauseMode::HoldEnrollment));
        assert_eq!((held.pauses[0].from, held.due_at()), (NOW, None));
        let paused = dated(State::Paused(ServeDefault), EndAction::HoldEnrollment);
        let left = reach_end(&paused, NOW).unwrap();
        assert_eq!((&left.state, left.due_at()), (&paused.state, None));
    }

    #[test]
    fn notifying_changes_nothing_else_and_happens_once() {
        let running = dated(State::Running, EndAction::NotifyOnly);
        let mut told = reach_end(&running, NOW).unwrap();
        assert_eq!(told.due_at(), None);
        assert_eq!(told.schedule.end_reached_at.take(), Some(NOW));
        assert_eq!(told, running);
    }

    #[test]
    fn what_does_not_run_has_no_end_to_reach() {
        for state in [State::Draft, State::Scheduled, State::Completed(Outcome::Pending)] {
            for action in [
                EndAction::Complete,
                EndAction::HoldEnrollment,
                EndAction::NotifyOnly,
            ] {
                assert!(reach_end(&dated(state.clone(), action), NOW).is_err());
            }
        }
    }
}
