//! Arbitrary core values in the form that messages can carry, for the round trips.

use std::time::Duration;

use assay_core::{
    experiment::{
        AssignmentSource, Cohort, Experiment, ExperimentMetric, ExposureMode, Pause, QaOverride, Role,
        Variant,
    },
    flag::{Flag, HeldDefault, Meta, SegmentOverride, TargetPath, UnitOverride, Variation},
    hashing::{Algorithm, Filter, FlagdKey, FlagdVersion, GrowthBookVersion, Hashing, Shard, VariantRange},
    holdout::{Holdout, Scope},
    key::{
        ExperimentKey, FlagKey, HoldoutKey, LayerKey, MetricKey, Namespace, SegmentKey, Unit, UnitKind,
        VariantKey,
    },
    layer::{Allocation, BucketRange, Layer},
    lifecycle::{Outcome, PauseMode, State},
    metric::{Aggregation, Direction, Metric, MetricKind, Quantity},
    record::{Event, Exposure, Sighting},
    schedule::{EndAction, Schedule},
    segment::{Condition, Operator, Rule, Segment, SegmentReference},
    time::Timestamp,
    traffic::{Eligibility, InLayer, Opening, Prerequisite, Sticky, Traffic},
    value::{Attribute, Attributes, Value, ValueType},
    weights::{Coverage, WHOLE, Weights},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

pub(crate) fn key() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9][a-zA-Z0-9._-]{0,12}"
}

fn keyed<K: std::fmt::Debug>(new: impl Fn(String) -> K + 'static) -> impl Strategy<Value = K> {
    key().prop_map(new)
}

fn namespace() -> impl Strategy<Value = Namespace> {
    keyed(|key| Namespace::new(key).unwrap())
}

fn variant_key() -> impl Strategy<Value = VariantKey> {
    keyed(|key| VariantKey::new(key).unwrap())
}

fn segment_key() -> impl Strategy<Value = SegmentKey> {
    keyed(|key| SegmentKey::new(key).unwrap())
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

pub(crate) fn unit() -> impl Strategy<Value = Unit> {
    (key(), "\\PC{1,20}").prop_map(|(kind, id)| Unit::new(UnitKind::new(kind).unwrap(), id).unwrap())
}

pub(crate) fn time() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800_000_000_i64..=253_402_300_799_999_999).prop_map(Timestamp::from_micros)
}

pub(crate) fn number() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL
}

/// JSON as it comes out of a message: whole numbers up to 2⁵³ are integers, all others floats.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        text().prop_map(serde_json::Value::from),
        (-(1_i64 << 53)..=(1 << 53)).prop_map(serde_json::Value::from),
        (0.1..0.9).prop_map(serde_json::Value::from),
    ];
    let tree = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    });
    tree.prop_filter("an object or array", |json| json.is_object() || json.is_array())
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        text().prop_map(Value::String),
        number().prop_map(Value::Number),
        json().prop_map(Value::Json),
    ]
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<bool>().prop_map(Attribute::Bool),
        number().prop_map(Attribute::Number),
        text().prop_map(Attribute::String),
    ]
}

pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::btree_map("[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", attribute(), 0..6)
}

fn meta() -> impl Strategy<Value = Meta> {
    (any::<u64>(), any::<u64>(), time(), time()).prop_map(|(version, generation, created_at, updated_at)| {
        Meta {
            version,
            generation,
            created_at,
            updated_at,
        }
    })
}

pub(crate) fn flag() -> impl Strategy<Value = Flag> {
    let variation =
        (variant_key(), text(), value()).prop_map(|(key, name, value)| Variation { key, name, value });
    let by_segment = (segment_key(), value()).prop_map(|(segment, value)| SegmentOverride { segment, value });
    let by_unit = (unit(), value()).prop_map(|(unit, value)| UnitOverride { unit, value });
    let value_type = select(vec![
        ValueType::Boolean,
        ValueType::String,
        ValueType::Number,
        ValueType::Json,
    ]);
    let names = (namespace(), key(), text(), text());
    let held = (keyed(|key| HoldoutKey::new(key).unwrap()), value());
    let held = held.prop_map(|(holdout, value)| HeldDefault { holdout, value });
    let target_path = option::of(r"[a-z_]{1,5}(\.[a-z_]{0,3}x|\[[1-9]\]){0,3}");
    let target_path = target_path.prop_map(|path| path.map(|path| TargetPath::new(path).unwrap()));
    let parts = (
        vec(variation, 1..4),
        vec(by_segment, 0..3),
        vec(by_unit, 0..3),
        vec(held, 0..3),
        target_path,
    );
    (names, value_type, value(), parts, meta()).prop_map(|(names, value_type, default_value, parts, meta)| {
        Flag {
            namespace: names.0,
            key: FlagKey::new(names.1).unwrap(),
            name: names.2,
            description: names.3,
            value_type,
            variations: parts.0,
            default_value,
            segment_overrides: parts.1,
            unit_overrides: parts.2,
            held_defaults: parts.3,
            target_path: parts.4,
            meta,
        }
    })
}

fn comparison() -> impl Strategy<Value = Rule> {
    let rule = (
        "[a-z.]{1,9}",
        select(Operator::ALL.to_vec()),
        vec(attribute(), 0..4),
    );
    rule.prop_map(|(attribute, operator, operands)| Rule {
        attribute,
        operator,
        operands,
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let reference = (segment_key(), option::of(1..=u64::MAX), any::<u64>());
    let reference = reference.prop_map(|(key, pinned, resolved)| SegmentReference {
        key,
        pinned,
        resolved: pinned.unwrap_or(resolved),
    });
    let leaf =
        prop_oneof![3 => comparison().prop_map(Condition::Rule), 1 => reference.prop_map(Condition::Segment)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..4).prop_map(Condition::AllOf),
            vec(inner.clone(), 1..4).prop_map(Condition::AnyOf),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

pub(crate) fn segment() -> impl Strategy<Value = Segment> {
    (
        namespace(),
        segment_key(),
        text(),
        text(),
        vec(condition(), 0..5),
        meta(),
    )
        .prop_map(|(namespace, key, name, description, rules, meta)| Segment {
            namespace,
            key,
            name,
            description,
            rules,
            meta,
        })
}

fn window() -> impl Strategy<Value = Option<Duration>> {
    option::of((1_u64..1 << 50).prop_map(Duration::from_micros))
}

pub(crate) fn metric() -> impl Strategy<Value = Metric> {
    let event = || "\\PC{1,12}";
    let aggregation = select(vec![
        Aggregation::Sum,
        Aggregation::Count,
        Aggregation::Max,
        Aggregation::Last,
    ]);
    let filters = || vec(comparison(), 0..3);
    let quantity = (event(), filters(), aggregation, option::of("\\PC{1,12}"));
    let quantity = quantity
        .prop_map(|(event, filters, aggregation, value_property)| Quantity {
            event,
            filters,
            aggregation,
            value_property,
        })
        .boxed();
    let kind = prop_oneof![
        (event(), filters(), window()).prop_map(|(event, filters, window)| MetricKind::Conversion {
            event,
            filters,
            window
        }),
        (option::of(event()), filters(), 1_u32..365, 1_u32..365).prop_map(
            |(event, filters, day, width_days)| MetricKind::Retention {
                event,
                filters,
                day,
                width_days,
            }
        ),
        (quantity.clone(), window()).prop_map(|(quantity, window)| MetricKind::Scalar { quantity, window }),
        (quantity.clone(), quantity.clone(), window()).prop_map(|(numerator, denominator, window)| {
            MetricKind::Ratio {
                numerator,
                denominator,
                window,
            }
        }),
        (quantity, 0.001..0.999, window()).prop_map(|(quantity, quantile, window)| MetricKind::Quantile {
            quantity,
            quantile,
            window
        }),
    ];
    let direction = select(vec![Direction::Increase, Direction::Decrease]);
    let names = (namespace(), key(), text(), text(), text());
    let cap = option::of(1..=1_i64 << 50);
    (names, kind, direction, cap, meta()).prop_map(|(names, kind, direction, cap_micros, meta)| Metric {
        namespace: names.0,
        key: MetricKey::new(names.1).unwrap(),
        name: names.2,
        description: names.3,
        kind,
        direction,
        unit: names.4,
        cap_micros,
        meta,
    })
}

fn pause_mode() -> impl Strategy<Value = PauseMode> {
    select(vec![PauseMode::ServeDefault, PauseMode::HoldEnrollment])
}

pub(crate) fn state() -> impl Strategy<Value = State> {
    let outcome = || {
        prop_oneof![
            Just(Outcome::Pending),
            Just(Outcome::NoWinner),
            variant_key().prop_map(Outcome::Winner)
        ]
    };
    prop_oneof![
        Just(State::Draft),
        Just(State::Scheduled),
        Just(State::Running),
        pause_mode().prop_map(State::Paused),
        outcome().prop_map(State::Completed),
        outcome().prop_map(State::Ended),
        (outcome(), any::<bool>()).prop_map(|(outcome, ended)| State::Archived { outcome, ended }),
    ]
}

/// Some vector of `n` weights.
fn weights(n: usize) -> impl Strategy<Value = Weights> {
    vec(0..=WHOLE, n.saturating_sub(1)).prop_map(|mut cuts| {
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([WHOLE]);
        let begins = [0].into_iter().chain(cuts.iter().copied());
        Weights::new(ends.zip(begins).map(|(end, begin)| end - begin).collect()).unwrap()
    })
}

fn variants_and_cohorts() -> impl Strategy<Value = (Vec<Variant>, Vec<Cohort>)> {
    let variant =
        (variant_key(), text(), value()).prop_map(|(key, name, value)| Variant { key, name, value });
    vec(variant, 0..5).prop_flat_map(|variants| {
        let cohort = (any::<u32>(), weights(variants.len()), any::<u64>()).prop_map(
            |(number, weights, generation)| Cohort {
                number,
                weights,
                generation,
            },
        );
        (Just(variants), vec(cohort, 1..4))
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let action = select(vec![
        EndAction::Complete,
        EndAction::HoldEnrollment,
        EndAction::NotifyOnly,
    ]);
    (action, option::of(time()), text()).prop_map(|(end_action, end_reached_at, error)| Schedule {
        end_action,
        end_reached_at,
        error,
    })
}

fn ranges() -> impl Strategy<Value = Vec<BucketRange>> {
    vec(0_u32..1_000_000, 0..5).prop_map(|firsts| {
        let range = |first| BucketRange::new(first, first + 1).unwrap();
        firsts.into_iter().map(range).collect()
    })
}

fn layer_key() -> impl Strategy<Value = LayerKey> {
    keyed(|key| LayerKey::new(key).unwrap())
}

fn traffic() -> impl Strategy<Value = Traffic> {
    let modes = (
        select(vec![Sticky::HashOnly, Sticky::Stored]),
        select(vec![Eligibility::EachRequest, Eligibility::AtEnrollment]),
    );
    let place = (layer_key(), text(), ranges()).prop_map(|(key, salt, ranges)| InLayer { key, salt, ranges });
    let holdout = keyed(|key| HoldoutKey::new(key).unwrap());
    let prerequisite = (keyed(|key| FlagKey::new(key).unwrap()), value());
    let prerequisite = prerequisite.prop_map(|(flag, value)| Prerequisite { flag, value });
    let opening = (weights(2), any::<u64>()).prop_map(|(weights, since)| Opening { weights, since });
    (
        modes,
        option::of(place),
        vec(holdout, 0..3),
        vec(prerequisite, 0..3),
        option::of(opening),
        hashing(),
    )
        .prop_map(
            |((sticky, eligibility), layer, holdouts, prerequisites, opening, hashing)| Traffic {
                sticky,
                eligibility,
                layer,
                holdouts,
                prerequisites,
                opening,
                hashing,
            },
        )
}

fn hashing() -> impl Strategy<Value = Hashing> {
    let version = || select(vec![GrowthBookVersion::V1, GrowthBookVersion::V2]);
    let spans = || {
        vec(
            (any::<u32>(), any::<u32>()).prop_map(|(first, end)| first..end),
            0..3,
        )
    };
    let filter = (version(), text(), spans());
    let filter = filter.prop_map(|(version, seed, ranges)| Filter {
        version,
        seed,
        ranges,
    });
    let growthbook = (version(), text(), vec(filter, 0..3));
    let forms = select(vec![
        FlagdVersion::Percent,
        FlagdVersion::Scaled,
        FlagdVersion::Cbor,
    ]);
    let key = prop_oneof![text().prop_map(FlagdKey::Flag), text().prop_map(FlagdKey::Prefix)];
    let shard = (text(), spans()).prop_map(|(salt, ranges)| Shard { salt, ranges });
    let algorithm = prop_oneof![
        Just(Algorithm::Xxh3),
        growthbook.prop_map(|(version, seed, filters)| Algorithm::GrowthBook {
            version,
            seed,
            filters
        }),
        (forms, key).prop_map(|(version, key)| Algorithm::Flagd { version, key }),
        (text(), text()).prop_map(|(rollout_group, variant_group)| Algorithm::Unleash {
            rollout_group,
            variant_group,
        }),
        (text(), text(), vec(shard, 0..3)).prop_map(|(salt, traffic_salt, shards)| Algorithm::Eppo {
            salt,
            traffic_salt,
            shards,
        }),
    ];
    let range = (variant_key(), any::<u32>(), any::<u32>()).prop_map(|(variant, first, end)| VariantRange {
        variant,
        buckets: first..end,
    });
    (algorithm, option::of(1..u32::MAX), vec(range, 0..3)).prop_map(|(algorithm, buckets, ranges)| Hashing {
        algorithm,
        buckets,
        ranges,
    })
}

pub(crate) fn layer() -> impl Strategy<Value = Layer> {
    let held = (key(), ranges(), option::of(time())).prop_map(|(key, ranges, free_at)| Allocation {
        experiment: ExperimentKey::new(key).unwrap(),
        ranges,
        free_at,
    });
    let texts = (text(), text(), text());
    (
        namespace(),
        layer_key(),
        key(),
        texts,
        0_u64..1 << 50,
        vec(held, 0..4),
        meta(),
    )
        .prop_map(
            |(namespace, layer, unit_kind, texts, cooldown, allocations, meta)| Layer {
                namespace,
                key: layer,
                name: texts.0,
                description: texts.1,
                unit_kind: UnitKind::new(unit_kind).unwrap(),
                salt: texts.2,
                cooldown: Duration::from_micros(cooldown),
                allocations,
                meta,
            },
        )
}

pub(crate) fn holdout() -> impl Strategy<Value = Holdout> {
    let scope = prop_oneof![
        Just(Scope::Namespace),
        vec(layer_key(), 1..4).prop_map(Scope::Layers)
    ];
    let texts = (text(), text(), text());
    (namespace(), key(), key(), texts, 0..=WHOLE, scope, meta()).prop_map(
        |(namespace, holdout, unit_kind, texts, share, scope, meta)| Holdout {
            namespace,
            key: HoldoutKey::new(holdout).unwrap(),
            name: texts.0,
            description: texts.1,
            unit_kind: UnitKind::new(unit_kind).unwrap(),
            share: Coverage::new(share).unwrap(),
            salt: texts.2,
            scope,
            meta,
        },
    )
}

pub(crate) fn experiment() -> impl Strategy<Value = Experiment> {
    let texts = (text(), text(), text(), text(), text(), text());
    let names = (namespace(), key(), key(), key(), vec(text(), 0..3));
    let metric = (
        key(),
        select(vec![Role::Primary, Role::Secondary, Role::Guardrail]),
        option::of(0.001..0.999),
    );
    let metric = metric.prop_map(|(key, role, margin)| ExperimentMetric {
        metric: MetricKey::new(key).unwrap(),
        role,
        margin,
    });
    let qa = (unit(), variant_key()).prop_map(|(unit, variant)| QaOverride { unit, variant });
    let pause =
        (time(), option::of(time()), pause_mode()).prop_map(|(from, to, mode)| Pause { from, to, mode });
    let modes = (
        select(vec![AssignmentSource::Assay, AssignmentSource::Imported]),
        select(vec![ExposureMode::OnAssign, ExposureMode::None]),
        0..=WHOLE,
        0.501..0.999,
    );
    let parts = (vec(metric, 0..4), vec(qa, 0..3), vec(pause, 0..3), traffic());
    let segment = (option::of(segment_key()), option::of(1..=u64::MAX));
    let times = (
        option::of(time()),
        option::of(time()),
        option::of(time()),
        schedule(),
    );
    (
        names,
        texts,
        state(),
        variants_and_cohorts(),
        modes,
        parts,
        segment,
        times,
        meta(),
    )
        .prop_map(
            |(names, texts, state, (variants, cohorts), modes, parts, segment, times, meta)| Experiment {
                namespace: names.0,
                key: ExperimentKey::new(names.1).unwrap(),
                name: texts.0,
                description: texts.1,
                hypothesis: texts.2,
                owner: texts.3,
                tags: names.4,
                flag: FlagKey::new(names.2).unwrap(),
                state,
                source: modes.0,
                unit_kind: UnitKind::new(names.3).unwrap(),
                variants,
                cohorts,
                coverage: Coverage::new(modes.2).unwrap(),
                salt: texts.4,
                segment: segment.0,
                segment_version: segment.1,
                metrics: parts.0,
                exposure: modes.1,
                confidence: modes.3,
                qa_overrides: parts.1,
                traffic: parts.3,
                start_time: times.0,
                end_time: times.1,
                completed_at: times.2,
                pauses: parts.2,
                reason: texts.5,
                schedule: times.3,
                undo: None,
                meta,
            },
        )
}

pub(crate) fn sighting() -> impl Strategy<Value = Sighting> {
    (namespace(), key(), text(), time()).prop_map(|(namespace, key, caller, seen_at)| Sighting {
        namespace,
        key: FlagKey::new(key).unwrap(),
        caller,
        seen_at,
    })
}

pub(crate) fn exposure() -> impl Strategy<Value = Exposure> {
    let names = (namespace(), key(), variant_key(), any::<u32>());
    (
        names,
        unit(),
        time(),
        time(),
        any::<u64>(),
        attributes(),
        any::<bool>(),
    )
        .prop_map(
            |(names, unit, time, received_at, generation, attributes, imported)| Exposure {
                namespace: names.0,
                experiment: ExperimentKey::new(names.1).unwrap(),
                variant: names.2,
                cohort: names.3,
                unit,
                time,
                received_at,
                generation,
                attributes,
                imported,
            },
        )
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let value = option::of(-(1_i64 << 53)..=(1 << 53));
    let marks = (any::<bool>(), any::<bool>(), any::<bool>());
    (
        namespace(),
        unit(),
        ("\\PC{1,12}", "\\PC{1,12}"),
        (time(), time()),
        value,
        attributes(),
        marks,
    )
        .prop_map(
            |(namespace, unit, (event_id, name), (time, received_at), value_micros, properties, marks)| {
                Event {
                    namespace,
                    unit,
                    event_id,
                    name,
                    time,
                    received_at,
                    value_micros,
                    properties,
                    clamped: marks.0,
                    late: marks.1,
                    imported: marks.2,
                }
            },
        )
}
