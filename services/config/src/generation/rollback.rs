//! Publishes anew what a generation served. See docs/decisions/0010-rollback.md.

use std::collections::BTreeMap;

use assay_core::{
    experiment::Experiment,
    flag::Flag,
    holdout::Holdout,
    layer::Layer,
    lifecycle::State,
    rollback::{self as rules, Obstacle},
    segment::Segment,
    time::Timestamp,
};
use assay_proto::field::FieldErrors;
use assay_storage::config_store::{Filter, Published};

use super::{Pair, expect, required};
use crate::{
    error::{Error, refuse_long},
    simple::every_state,
    truth::{Call, Deed, Stored, Truth, Writes, name},
};

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Order {
    /// Whose answers to restore.
    pub(crate) to: u64,
    /// The newest one, as the caller has seen it.
    pub(crate) expected: u64,
    pub(crate) reason: String,
    pub(crate) dry_run: bool,
}

/// The generation that serves the restored answers, and what was changed; the newest one when nothing is written.
pub(crate) async fn rollback(truth: &Truth, call: &Call, order: &Order) -> Result<(u64, Vec<Pair>), Error> {
    check(order)?;
    let newest = truth.generation(&call.namespace).await?;
    expect(&call.namespace, order.expected, newest)?;
    let then = truth.published_at(&call.namespace, order.to).await?;
    let plan = plan(truth, call, then).await?;
    if !plan.obstacles.0.is_empty() {
        return Err(Error::CannotRollBack {
            generation: order.to,
            obstacles: plan.obstacles,
        });
    }
    if plan.changed.is_empty() || order.dry_run {
        return Ok((newest, plan.changed));
    }
    let deed = Deed {
        action: "namespace.rollback".to_owned(),
        subject: format!("generation/{}", order.to),
        reason: order.reason.clone(),
    };
    let committed = truth.commit(call, deed, plan.writes.at(newest)).await?;
    Ok((committed.generation, plan.changed))
}

fn check(order: &Order) -> Result<(), Error> {
    let mut errors = FieldErrors::default();
    for (generation, field) in [(order.to, "generation"), (order.expected, "expected_generation")] {
        if let Err(Error::Invalid(missing)) = required(generation, field) {
            errors.0.extend(missing.0);
        }
    }
    if order.to > 0 && order.expected > 0 && order.to >= order.expected {
        let message = format!("is {}; name one before `expected_generation`", order.to);
        errors.push("generation", "NOT_OLDER", message);
    }
    if order.reason.trim().is_empty() {
        errors.push("reason", "REQUIRED", "is empty; say why you roll back");
    }
    refuse_long(&order.reason, &mut errors);
    if errors.0.is_empty() {
        Ok(())
    } else {
        Err(errors.into())
    }
}

/// What is to be written, and what is in the way.
#[derive(Default)]
struct Plan {
    writes: Writes,
    changed: Vec<Pair>,
    obstacles: FieldErrors,
}

impl Plan {
    fn put<R: Stored>(&mut self, current: Option<&R>, restored: R) {
        let pair = (
            current.map(|current| current.clone().into_resource()),
            Some(restored.clone().into_resource()),
        );
        let writes = std::mem::take(&mut self.writes);
        self.writes = match current {
            Some(current) if *current == restored => {
                self.writes = writes;
                return;
            }
            Some(current) => writes.replace(current, restored),
            None => writes.create(restored),
        };
        self.changed.push(pair);
    }

    fn remove<R: Stored>(&mut self, current: &R) {
        self.writes = std::mem::take(&mut self.writes).delete(current);
        self.changed.push((Some(current.clone().into_resource()), None));
    }

    fn obstruct<R: Stored>(&mut self, key: &str, rule: &'static str, message: String) {
        self.obstacles.push(name::<R>(key), rule, message);
    }
}

/// What restores `then`, as the namespace is now.
async fn plan(truth: &Truth, call: &Call, then: Published) -> Result<Plan, Error> {
    let now = truth.now();
    let mut plan = Plan::default();
    for broken in &then.unreadable {
        let what = format!("{}/{}", broken.kind.name(), broken.key);
        let message = "is kept but cannot be read; roll back to another generation, or tell your operator";
        plan.obstacles.push(what, "UNREADABLE", message);
    }
    let experiments: Vec<Experiment> = truth.all(&call.namespace, &every_state()).await?;
    let mut layers: Vec<Layer> = truth.all(&call.namespace, &Filter::default()).await?;
    let flags: Vec<Flag> = truth.all(&call.namespace, &Filter::default()).await?;
    let segments: Vec<Segment> = truth.all(&call.namespace, &Filter::default()).await?;
    let holdouts: Vec<Holdout> = truth.all(&call.namespace, &Filter::default()).await?;
    let stored = layers.clone();
    let restored = restore_experiments(&mut plan, &experiments, &of(&then), &mut layers, now);
    for (before, after) in stored.iter().zip(layers) {
        plan.put(Some(before), after);
    }
    let uses_flag = |flag: &Flag| {
        restored
            .iter()
            .find(|e| e.flag == flag.key || e.traffic.prerequisites.iter().any(|p| p.flag == flag.key))
    };
    let uses_segment = |segment: &Segment| restored.iter().find(|e| e.segment.as_ref() == Some(&segment.key));
    restore(&mut plan, &flags, &then, rules::flag, uses_flag);
    restore(&mut plan, &segments, &then, rules::segment, uses_segment);
    restore(&mut plan, &holdouts, &then, rules::holdout, |_| None);
    plan.changed.sort_by_key(|(before, after)| {
        let resource = before.as_ref().or(after.as_ref());
        resource.map(|resource| (resource.kind(), resource.key().to_owned()))
    });
    Ok(plan)
}

/// The resources of type `R` of `published`, by key.
fn of<R: Stored>(published: &Published) -> BTreeMap<String, R> {
    let found = published.resources.iter().cloned().filter_map(R::from_resource);
    found
        .map(|resource| (resource.key().to_owned(), resource))
        .collect()
}

/// Plans what becomes of all experiments, and returns them as they will be.
fn restore_experiments(
    plan: &mut Plan,
    current: &[Experiment],
    then: &BTreeMap<String, Experiment>,
    layers: &mut [Layer],
    now: Timestamp,
) -> Vec<Experiment> {
    let mut all = Vec::new();
    for experiment in current {
        let restored = rules::experiment(experiment, then.get(experiment.key()), now).and_then(|restored| {
            let place = restored.traffic.layer.as_ref();
            let layer = place.and_then(|place| layers.iter_mut().find(|layer| layer.key == place.key));
            match layer {
                Some(layer) if restored.state != experiment.state => {
                    rules::settle(layer, &restored, now).map(|()| restored)
                }
                _ => Ok(restored),
            }
        });
        match restored {
            Ok(mut restored) => {
                // Unscheduled, it has given its buckets back.
                if restored.state == State::Draft && experiment.state != State::Draft {
                    restored.traffic = restored.traffic.copy();
                }
                plan.put(Some(experiment), restored.clone());
                all.push(restored);
            }
            Err(obstacle) => {
                plan.obstruct::<Experiment>(experiment.key(), obstacle.rule(), obstacle.to_string());
                all.push(experiment.clone());
            }
        }
    }
    for key in then
        .keys()
        .filter(|key| current.iter().all(|e| e.key() != key.as_str()))
    {
        let obstacle = Obstacle::Deleted;
        plan.obstruct::<Experiment>(key, obstacle.rule(), obstacle.to_string());
    }
    all
}

/// Plans what becomes of flags, segments or holdouts: those of then serve what they served, those made since go, unless an experiment that
/// stays `uses` them.
fn restore<'a, R: Stored>(
    plan: &mut Plan,
    current: &[R],
    then: &Published,
    rule: impl Fn(&R, &R) -> R,
    uses: impl Fn(&R) -> Option<&'a Experiment>,
) {
    let mut then: BTreeMap<String, R> = of(then);
    for resource in current {
        match (then.remove(resource.key()), uses(resource)) {
            (Some(then), _) => plan.put(Some(resource), rule(resource, &then)),
            (None, None) => plan.remove(resource),
            (None, Some(user)) => {
                let message = format!(
                    "was created since, and {} uses it; Delete that draft first, or roll back to a later generation",
                    name::<Experiment>(user.key())
                );
                plan.obstruct::<R>(resource.key(), "IN_USE", message);
            }
        }
    }
    for gone in then.into_values() {
        plan.put(None, gone);
    }
}
