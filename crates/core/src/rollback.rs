//! What a rollback makes of a resource: what it served then, under what has happened since.
//!
//! Answers come back exactly; texts that nobody is served stay as they are now, and what was recorded is never rewritten. So the time in
//! which an experiment did not serve as it does again becomes a pause, and what has run is never unmade.

use crate::{
    commands::{Applied, apply},
    experiment::{AssignmentSource, Experiment, Pause},
    flag::Flag,
    holdout::Holdout,
    layer::Layer,
    lifecycle::{Command, PauseMode, State},
    segment::Segment,
    time::Timestamp,
    traffic::{InLayer, Traffic},
};

/// Why an experiment cannot be rolled back, and what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// It had not started then.
    #[error(
        "has started since, and what has run is not unmade; roll back to generation {began} or later, or Stop it and change the other resources one by one"
    )]
    Started {
        /// The generation that began its first cohort, or an older one.
        began: u64,
    },
    /// It was scheduled then and is a draft now.
    #[error(
        "was scheduled then and is no more; Start it again with a start time, then roll back to that generation"
    )]
    Unscheduled,
    /// It was published then and does not exist any more.
    #[error("has been deleted since; create and Start it again, then roll back to that generation")]
    Deleted,
    /// Its weights have changed.
    #[error(
        "has got another cohort since, and cohorts are never taken back; use AddCohort with the weights of then"
    )]
    CohortAdded,
    /// Its buckets are not those of then.
    #[error(
        "has other buckets of layer/{layer} than then, or has given them back; Duplicate it to run it again"
    )]
    Buckets {
        /// Its layer.
        layer: String,
    },
}

impl Obstacle {
    /// A stable name.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Started { .. } => "STARTED_SINCE",
            Self::Unscheduled => "UNSCHEDULED_SINCE",
            Self::Deleted => "DELETED_SINCE",
            Self::CohortAdded => "COHORT_ADDED_SINCE",
            Self::Buckets { .. } => "BUCKETS_CHANGED_SINCE",
        }
    }
}

/// `current` serving what it served `then`; what it is called stays.
pub fn flag(current: &Flag, then: &Flag) -> Flag {
    Flag {
        name: current.name.clone(),
        description: current.description.clone(),
        meta: current.meta,
        ..then.clone()
    }
}

/// `current` with the audience that it had `then`; what it is called stays.
pub fn segment(current: &Segment, then: &Segment) -> Segment {
    Segment {
        name: current.name.clone(),
        description: current.description.clone(),
        meta: current.meta,
        ..then.clone()
    }
}

/// `current` holding whom it held `then`; what it is called stays.
pub fn holdout(current: &Holdout, then: &Holdout) -> Holdout {
    Holdout {
        name: current.name.clone(),
        description: current.description.clone(),
        meta: current.meta,
        ..then.clone()
    }
}

/// `current` serving from `now` on what it served `then`, when it was published (so that `then` is no draft) or was not.
///
/// Texts, metrics and dates stay. An imported experiment is never served and stays as it is. One that was scheduled since goes back to
/// draft. One that serves again has been paused since it was completed, and an end time that has passed meanwhile counts as acted upon.
///
/// # Errors
/// [`Obstacle`], when what happened since cannot be taken back.
pub fn experiment(
    current: &Experiment,
    then: Option<&Experiment>,
    now: Timestamp,
) -> Result<Experiment, Obstacle> {
    if current.source == AssignmentSource::Imported {
        return Ok(current.clone());
    }
    let began = current.cohorts.first().map_or(0, |cohort| cohort.generation);
    match (&current.state, then) {
        (State::Draft, None) => Ok(current.clone()),
        (State::Scheduled, None) => Ok(unscheduled(current, now)),
        (State::Draft, Some(_)) => Err(Obstacle::Unscheduled),
        (_, None) => Err(Obstacle::Started { began }),
        (state, Some(then)) if *state != State::Scheduled && then.state == State::Scheduled => {
            Err(Obstacle::Started { began })
        }
        (_, Some(then)) => {
            let mut restored = serving(current, then)?;
            mend_times(&mut restored, current, now);
            Ok(restored)
        }
    }
}

fn unscheduled(current: &Experiment, now: Timestamp) -> Experiment {
    match apply(current, &Command::Unschedule, now) {
        Ok(Applied::Updated(draft)) => *draft,
        _ => current.clone(),
    }
}

/// `current` with all of `then` that answers depend on.
fn serving(current: &Experiment, then: &Experiment) -> Result<Experiment, Obstacle> {
    // While it is scheduled its cohort has begun nothing yet.
    let is_same = |(a, b): (&crate::experiment::Cohort, &crate::experiment::Cohort)| a.weights == b.weights;
    let has_begun = current.state != State::Scheduled;
    let same_cohorts =
        current.cohorts.len() == then.cohorts.len() && current.cohorts.iter().zip(&then.cohorts).all(is_same);
    if has_begun && !same_cohorts {
        return Err(Obstacle::CohortAdded);
    }
    let buckets = |e: &Experiment| e.traffic.layer.clone();
    if buckets(current) != buckets(then) {
        let layer = |place: InLayer| place.key.to_string();
        let layer = buckets(then).or(buckets(current)).map_or_else(String::new, layer);
        return Err(Obstacle::Buckets { layer });
    }
    Ok(Experiment {
        flag: then.flag.clone(),
        state: then.state.clone(),
        unit_kind: then.unit_kind.clone(),
        variants: then.variants.clone(),
        cohorts: then.cohorts.clone(),
        coverage: then.coverage,
        segment: then.segment.clone(),
        segment_version: then.segment_version,
        exposure: then.exposure,
        qa_overrides: then.qa_overrides.clone(),
        traffic: Traffic {
            opening: current.traffic.opening.clone(),
            ..then.traffic.clone()
        },
        reason: then.reason.clone(),
        undo: None,
        ..current.clone()
    })
}

/// Gives `restored`, which was `current`, the times that its state implies.
fn mend_times(restored: &mut Experiment, current: &Experiment, now: Timestamp) {
    if restored.state == current.state {
        restored.undo.clone_from(&current.undo);
        restored.reason.clone_from(&current.reason);
        return;
    }
    match (current.state.is_open(), restored.state.is_open()) {
        (true, true) => close_pause(restored, now),
        (true, false) => {
            close_pause(restored, now);
            restored.completed_at = Some(now);
        }
        (false, true) => {
            let from = restored.completed_at.take().unwrap_or(now);
            let (to, mode) = (Some(now.max(from)), PauseMode::ServeDefault);
            restored.pauses.push(Pause { from, to, mode });
            if restored.end_time.is_some_and(|end| end <= now) {
                restored.schedule.end_reached_at.get_or_insert(now);
            }
        }
        (false, false) => {}
    }
    if let State::Paused(mode) = restored.state {
        let (from, to) = (now, None);
        restored.pauses.push(Pause { from, to, mode });
    }
}

fn close_pause(experiment: &mut Experiment, now: Timestamp) {
    if let Some(open) = experiment.pauses.last_mut().filter(|pause| pause.to.is_none()) {
        // As with commands, a clock that went back makes an empty pause.
        open.to = Some(now.max(open.from));
    }
}

/// Gives `restored` its buckets of `layer` back, which must still be its own or cool down, or lets them cool down, as its state asks.
///
/// # Errors
/// [`Obstacle::Buckets`], when they are free or another's; then nothing has changed.
pub fn settle(layer: &mut Layer, restored: &Experiment, now: Timestamp) -> Result<(), Obstacle> {
    let Some(place) = restored
        .traffic
        .layer
        .as_ref()
        .filter(|place| place.key == layer.key)
    else {
        return Ok(());
    };
    match restored.state {
        State::Scheduled | State::Running | State::Paused(_) | State::Completed(_) => {
            if place.salt == layer.salt && layer.reclaim(&restored.key, &place.ranges, now) {
                return Ok(());
            }
            let layer = layer.key.to_string();
            Err(Obstacle::Buckets { layer })
        }
        State::Ended(_) | State::Archived { .. } => {
            layer.release(&restored.key, now, true);
            Ok(())
        }
        State::Draft => {
            layer.release(&restored.key, now, false);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
