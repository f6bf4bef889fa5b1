//! A small plan, where there is one, is the plan.

use assay_core::{
    experiment::{AssignmentSource, Cohort, ExposureMode, Variant},
    flag::{Flag, Meta, Variation},
    key::{ExperimentKey, FlagKey, VariantKey},
    lifecycle::{Outcome, PauseMode},
    segment::Segment,
    time::Timestamp,
    value,
    weights::{Coverage, Weights},
};
use assay_storage::{
    config_store::{Audit, Change, ConfigStore, Expect, SqlConfigStore, Write},
    sql::Database,
};

use super::{super::*, *};

fn variant(key: &str, on: bool) -> Variant {
    Variant {
        key: VariantKey::new(key).unwrap(),
        name: String::new(),
        value: value::Value::Bool(on),
    }
}

fn flag(key: &str, default: bool) -> Resource {
    let variations = [("off", false), ("on", true)].map(|(key, on)| Variation {
        key: VariantKey::new(key).unwrap(),
        name: String::new(),
        value: value::Value::Bool(on),
    });
    Resource::Flag(Flag {
        namespace: Namespace::default(),
        key: FlagKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        value_type: value::ValueType::Boolean,
        variations: variations.into(),
        default_value: value::Value::Bool(default),
        segment_overrides: Vec::new(),
        unit_overrides: Vec::new(),
        target_path: None,
        held_defaults: Vec::new(),
        meta: Meta::default(),
    })
}

fn segment(key: &str) -> Resource {
    Resource::Segment(Segment {
        namespace: Namespace::default(),
        key: SegmentKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        rules: Vec::new(),
        meta: Meta::default(),
    })
}

/// On the flag `a`, in a version of the segment `s`.
fn experiment(key: &str, state: State, version: Option<u64>) -> Resource {
    Resource::Experiment(Experiment {
        namespace: Namespace::default(),
        key: ExperimentKey::new(key).unwrap(),
        name: String::new(),
        description: String::new(),
        hypothesis: String::new(),
        owner: String::new(),
        tags: vec![],
        flag: FlagKey::new("a").unwrap(),
        state,
        source: AssignmentSource::Assay,
        unit_kind: Default::default(),
        variants: vec![variant("off", false), variant("on", true)],
        cohorts: vec![Cohort {
            number: 1,
            weights: Weights::even(2),
            generation: 0,
        }],
        coverage: Coverage::FULL,
        salt: "salt".into(),
        segment: version.map(|_| SegmentKey::new("s").unwrap()),
        segment_version: version,
        metrics: vec![],
        exposure: ExposureMode::OnAssign,
        confidence: 0.95,
        qa_overrides: vec![],
        traffic: Default::default(),
        start_time: None,
        end_time: None,
        completed_at: None,
        pauses: vec![],
        reason: String::new(),
        schedule: Default::default(),
        undo: None,
        meta: Meta::default(),
    })
}

fn put(resource: Resource, version: u64) -> Write {
    let expect = match version {
        0 => Expect::Absent,
        version => Expect::Version(version),
    };
    Write::Put { resource, expect }
}

fn delete(kind: Kind, key: &str, version: u64) -> Write {
    let key = key.to_owned();
    Write::Delete { kind, key, version }
}

/// A truth, and a bus that follows it.
struct World {
    store: SqlConfigStore,
    held: NamespaceView,
}

impl World {
    async fn new() -> Self {
        let database = Database::connect("sqlite::memory:", 1).await.unwrap();
        database.migrate().await.unwrap();
        Self {
            store: SqlConfigStore::new(database),
            held: NamespaceView::default(),
        }
    }

    async fn commit(&self, writes: Vec<Write>) {
        let audit = Audit {
            actor: "tester".into(),
            action: "flag.update".into(),
            subject: "flag/a".into(),
            reason: String::new(),
            traceparent: String::new(),
            peer: String::new(),
        };
        let change = Change {
            namespace: Namespace::default(),
            writes,
            audit,
            claim: None,
            now: Timestamp::from_micros(1_000),
        };
        self.store.commit(change).await.unwrap();
    }

    /// Whether there is a small plan for what has changed; the bus then follows.
    async fn is_small(&mut self) -> bool {
        let here = Namespace::default();
        let since = self
            .held
            .manifest
            .as_ref()
            .map_or(0, |manifest| manifest.generation);
        let changed = self.store.changed(&here, since).await.unwrap().unwrap();
        let small = plan_small(&here, &self.held, changed);
        let Plan::Publish(whole) = plan(&self.held, self.store.published(&here).await.unwrap()) else {
            panic!("there is something to publish")
        };
        if let Some(small) = &small {
            assert_eq!(
                (&small.from, &small.puts, &small.deletes, &small.manifest),
                (&whole.from, &whole.puts, &whole.deletes, &whole.manifest)
            );
        }
        self.held.resources.extend(whole.puts);
        for key in &whole.deletes {
            self.held.resources.remove(key);
        }
        self.held.manifest = Some(whole.manifest);
        small.is_some()
    }

    async fn change(&mut self, writes: Vec<Write>) -> bool {
        self.commit(writes).await;
        self.is_small().await
    }
}

#[tokio::test]
async fn a_small_plan_is_the_plan() {
    let mut world = World::new().await;
    let first = vec![
        put(flag("a", false), 0),
        put(flag("b", false), 0),
        put(segment("s"), 0),
    ];
    assert!(!world.change(first).await, "nothing was published before");

    assert!(
        world
            .change(vec![put(experiment("e", State::Draft, None), 0)])
            .await
    );
    assert!(
        world
            .change(vec![put(experiment("e", State::Running, Some(1)), 1)])
            .await
    );
    let paused = State::Paused(PauseMode::ServeDefault);
    assert!(
        world
            .change(vec![put(experiment("e", paused.clone(), Some(1)), 2)])
            .await
    );
    assert!(
        world
            .change(vec![put(flag("a", true), 1), put(flag("c", true), 0)])
            .await
    );
    assert!(world.change(vec![delete(Kind::Flag, "b", 1)]).await);
    world.commit(vec![put(flag("b", true), 0)]).await;
    world
        .commit(vec![delete(Kind::Flag, "b", 1), put(flag("d", true), 0)])
        .await;
    assert!(world.is_small().await, "two changes at once");
}

#[tokio::test]
async fn a_change_of_what_segments_are_needed_is_not_small() {
    let mut world = World::new().await;
    world
        .change(vec![put(flag("a", false), 0), put(segment("s"), 0)])
        .await;
    assert!(
        world
            .change(vec![put(experiment("e", State::Running, Some(1)), 0)])
            .await
    );
    assert!(
        !world.change(vec![put(segment("s"), 1)]).await,
        "the first version stays beside the second"
    );
    let ended = State::Ended(Outcome::NoWinner);
    assert!(
        !world
            .change(vec![put(experiment("e", ended.clone(), Some(1)), 1)])
            .await,
        "and goes with its experiment"
    );
    assert_eq!(
        world.held.resources.keys().collect::<Vec<_>>(),
        ["experiment/e", "flag/a", "segment/s@2"]
    );
    assert!(
        !world
            .change(vec![put(experiment("f", State::Running, Some(1)), 0)])
            .await,
        "and comes again with another"
    );
    assert!(world.held.resources.contains_key("segment/s@1"));
    assert!(world.change(vec![delete(Kind::Experiment, "e", 2)]).await);
}
