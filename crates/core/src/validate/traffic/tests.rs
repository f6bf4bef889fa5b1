use super::*;
use crate::{
    fixtures::{self, experiment, flag},
    flag::Flag,
    key::{ExperimentKey, FlagKey, LayerKey, UnitKind},
    layer::LayerFull,
    traffic::{InLayer, Prerequisite},
    validate::{
        self,
        tests::{NOW, one, owned},
    },
    value::Value,
    weights::Coverage,
};

fn needing(flag: &str, value: Value) -> Experiment {
    let mut experiment = experiment();
    let flag = FlagKey::new(flag).unwrap();
    experiment.traffic.prerequisites = vec![Prerequisite { flag, value }];
    experiment
}

fn other() -> Flag {
    Flag {
        key: FlagKey::new("other").unwrap(),
        ..flag()
    }
}

/// What a draft breaks beside the flag `other`.
fn errors(experiment: &Experiment, path: Option<&[&str]>) -> Vec<(String, &'static str)> {
    let other = other();
    let keys = |path: &[&str]| path.iter().map(|key| FlagKey::new(*key).unwrap()).collect();
    owned(validate::draft(
        experiment,
        &References {
            prerequisite_flags: vec![&other],
            prerequisite_path: path.map(keys),
            ..References::default()
        },
    ))
}

#[test]
fn eligibility_at_enrollment_needs_memory() {
    let mut changed = experiment();
    changed.traffic.eligibility = Eligibility::AtEnrollment;
    assert_eq!(errors(&changed, None), one("eligibility", "NEEDS_STORED"));
    changed.traffic.sticky = Sticky::Stored;
    assert_eq!(errors(&changed, None), []);
}

#[test]
fn prerequisites_are_distinct_typed_and_lead_nowhere_back() {
    let good = needing("other", Value::Bool(true));
    assert_eq!(errors(&good, None), []);
    let mistyped = needing("other", Value::Number(1.0));
    assert_eq!(
        errors(&mistyped, None),
        one("prerequisites[0].value", "TYPE_MISMATCH")
    );
    let mut twice = good.clone();
    twice
        .traffic
        .prerequisites
        .extend(good.traffic.prerequisites.clone());
    assert_eq!(
        errors(&twice, None),
        one("prerequisites[1].flag_key", "DUPLICATE_PREREQUISITE")
    );
    let mut many = good.clone();
    let numbered = |i| Prerequisite {
        flag: FlagKey::new(format!("f{i}")).unwrap(),
        value: Value::Bool(true),
    };
    many.traffic.prerequisites = (0..=MAX_PREREQUISITES).map(numbered).collect();
    assert_eq!(errors(&many, None), one("prerequisites", "TOO_MANY"));
    assert_eq!(
        errors(&good, Some(&["gate", "other", "gate"])),
        one("prerequisites", "PREREQUISITE_CYCLE")
    );
    assert_eq!(
        errors(&good, Some(&["gate", "other", "x"])),
        one("prerequisites", "PREREQUISITE_DEPTH")
    );
}

fn start(experiment: &Experiment, layer: Option<&Layer>) -> Vec<(String, &'static str)> {
    let (flag, metric) = (flag(), fixtures::metric("purchase"));
    let references = References {
        flag: Some(&flag),
        metrics: vec![&metric],
        layer,
        ..References::default()
    };
    owned(validate::start(experiment, &references, NOW))
}

#[test]
fn a_start_needs_room_in_its_layer() {
    let mut changed = experiment();
    changed.coverage = Coverage::new(4_000).unwrap();
    changed.traffic.layer = Some(InLayer::new(LayerKey::new("checkout").unwrap()));
    assert_eq!(start(&changed, None), one("layer_key", "LAYER_NOT_FOUND"));
    let mut layer = fixtures::layer("checkout");
    assert_eq!(start(&changed, Some(&layer)), []);
    let held: Result<_, LayerFull> = layer.allocate(&ExperimentKey::new("a").unwrap(), 700_000, NOW);
    held.unwrap();
    assert_eq!(start(&changed, Some(&layer)), one("layer_key", "LAYER_FULL"));
    layer.unit_kind = UnitKind::new("device").unwrap();
    layer.allocations.clear();
    assert_eq!(start(&changed, Some(&layer)), one("layer_key", "LAYER_UNIT_KIND"));
    assert_eq!(
        start(&needing("nope", Value::Bool(true)), None),
        one("prerequisites[0].flag_key", "FLAG_NOT_FOUND")
    );
}

#[test]
fn layers_and_holdouts_are_salted_and_bounded() {
    let mut layer = fixtures::layer("checkout");
    assert!(super::layer(&layer).is_ok());
    layer.salt.clear();
    layer.cooldown = MAX_COOLDOWN + Duration::from_secs(1);
    let found = owned(super::layer(&layer));
    assert_eq!(
        found,
        [
            ("salt".to_owned(), "SALT_REQUIRED"),
            ("cooldown".to_owned(), "COOLDOWN_RANGE")
        ]
    );

    let key = LayerKey::new("checkout").unwrap();
    let with = |share, layers| Holdout {
        share: Coverage::new(share).unwrap(),
        scope: Scope::Layers(layers),
        ..fixtures::holdout("h")
    };
    assert!(super::holdout(&with(1, vec![key.clone()])).is_ok());
    for share in [0, WHOLE] {
        assert_eq!(
            owned(super::holdout(&with(share, vec![key.clone()]))),
            one("share", "SHARE_RANGE")
        );
    }
    let twice = with(1, vec![key.clone(), key]);
    assert_eq!(
        owned(super::holdout(&twice)),
        one("layer_keys[1]", "DUPLICATE_KEY")
    );
}
