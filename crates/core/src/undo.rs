//! Undo: for a minute after Stop or `DeclareWinner` everything can be had back as it was.

use std::time::Duration;

use crate::{
    experiment::{Experiment, Variant},
    flag::{Flag, HeldDefault, Variation},
    lifecycle::{Action, Outcome, State, allowed_actions},
    time::Timestamp,
    traffic::{Sticky, may_add_cohort},
    value::Value,
};

/// How long after Stop or `DeclareWinner` it can be undone.
pub const UNDO_WINDOW: Duration = Duration::from_secs(60);

/// What Undo brings back.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// The state before.
    pub before: State,
    /// The last instant at which it is possible.
    pub until: Timestamp,
    /// What the flag was before it got the winner's value; absent when it did not change.
    pub flag: Option<FlagBefore>,
}

/// What `DeclareWinner` changes of a flag, as it was before.
#[derive(Debug, Clone, PartialEq)]
pub struct FlagBefore {
    /// The variations, in their order.
    pub variations: Vec<Variation>,
    /// The default.
    pub default_value: Value,
    /// The old defaults that it kept for holdouts.
    pub held_defaults: Vec<HeldDefault>,
}

impl FlagBefore {
    /// What there is to be brought back of `flag`.
    pub fn of(flag: &Flag) -> Self {
        Self {
            variations: flag.variations.clone(),
            default_value: flag.default_value.clone(),
            held_defaults: flag.held_defaults.clone(),
        }
    }

    /// `flag` as it was before `winner` was promoted; all else that was changed meanwhile stays. Nothing when somebody has changed its
    /// variations or its default since: that is not to be lost.
    pub fn restored(&self, flag: &Flag, winner: &Variant) -> Option<Flag> {
        let mut before = flag.clone();
        before.variations.clone_from(&self.variations);
        before.default_value.clone_from(&self.default_value);
        before.held_defaults.clone_from(&self.held_defaults);
        let mut promoted = before.clone();
        promoted.promote(winner);
        promoted.held_defaults.clone_from(&flag.held_defaults);
        (promoted == *flag).then_some(before)
    }
}

impl Experiment {
    /// What Undo would bring back at `now`, while it is possible.
    pub fn undoable(&self, now: Timestamp) -> Option<&Undo> {
        let is_decided = matches!(
            self.state,
            State::Completed(Outcome::NoWinner | Outcome::Winner(_))
        );
        self.undo.as_ref().filter(|undo| is_decided && now <= undo.until)
    }

    /// The commands that a person may give at `now`: those of [`allowed_actions`], and Undo while it is possible.
    pub fn allowed_actions(&self, now: Timestamp) -> Vec<Action> {
        let mut actions = allowed_actions(&self.state);
        if matches!(self.state, State::Paused(_)) && self.traffic.sticky != Sticky::Stored {
            // There is no other mode for what remembers nobody.
            actions.retain(|action| *action != Action::Pause);
        }
        if self.undoable(now).is_some() {
            actions.push(Action::Undo);
        }
        if may_add_cohort(self) {
            actions.push(Action::AddCohort);
        }
        actions.sort();
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{experiment, experiment_in, flag, variant_key};

    const UNTIL: Timestamp = Timestamp::from_micros(60);

    fn stopped() -> Experiment {
        Experiment {
            undo: Some(Undo {
                before: State::Running,
                until: UNTIL,
                flag: None,
            }),
            ..experiment_in(State::Completed(Outcome::NoWinner))
        }
    }

    #[test]
    fn it_is_allowed_until_the_window_closes() {
        let after = Timestamp::from_micros(61);
        assert_eq!(
            stopped().allowed_actions(UNTIL),
            [Action::Undo, Action::End, Action::Archive, Action::Duplicate]
        );
        assert_eq!(
            stopped().allowed_actions(after),
            [Action::End, Action::Archive, Action::Duplicate]
        );
        let ended = Experiment {
            state: State::Ended(Outcome::NoWinner),
            ..stopped()
        };
        assert_eq!(ended.undoable(UNTIL), None);
    }

    #[test]
    fn a_flag_comes_back_exactly_and_keeps_what_others_changed() {
        for value in [Value::Bool(true), Value::Bool(false)] {
            let winner = Variant {
                key: variant_key("winner"),
                name: String::new(),
                value,
            };
            let before = FlagBefore::of(&flag());
            let mut promoted = flag();
            promoted.promote(&winner);
            assert_eq!(before.restored(&promoted, &winner), Some(flag()));
            promoted.name = "Renamed".into();
            let restored = before.restored(&promoted, &winner).unwrap();
            assert_eq!(
                (restored.name.as_str(), restored.variations),
                ("Renamed", flag().variations)
            );
        }
    }

    #[test]
    fn a_default_that_was_changed_since_is_not_lost() {
        let winner = experiment().variants.remove(1);
        let before = FlagBefore::of(&flag());
        let mut promoted = flag();
        promoted.promote(&winner);
        promoted.variations.pop();
        assert_eq!(before.restored(&promoted, &winner), None);
    }
}
