#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]

use std::time::Duration;

use proptest::{prelude::*, sample::subsequence};

use super::*;
use crate::{
    fixtures::variant_key,
    metric::{Aggregation, Quantity},
    record::MAX_VALUE_MICROS,
    segment::{Operator, Rule},
    time::MICROS_PER_DAY,
    value::Attribute,
};

const EXPOSED: i64 = 10 * MICROS_PER_DAY;
const HOUR: i64 = MICROS_PER_DAY / 24;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A purchase `after` first exposure.
fn purchase(after: i64, value: i64) -> EventFact {
    EventFact {
        time: at(EXPOSED + after),
        event_id: format!("{after}/{value}"),
        name: "purchase".into(),
        value_micros: Some(value),
        properties: Attributes::new(),
        late: false,
    }
}

fn conversion(window_hours: Option<u64>) -> MetricKind {
    MetricKind::Conversion {
        event: "purchase".into(),
        filters: vec![],
        window: window_hours.map(|h| Duration::from_secs(h * 3600)),
    }
}

fn scalar(aggregation: Aggregation) -> MetricKind {
    MetricKind::Scalar {
        quantity: Quantity::new("purchase", aggregation),
        window: None,
    }
}

fn retention(day: u32, width_days: u32) -> MetricKind {
    MetricKind::Retention {
        event: None,
        filters: vec![],
        day,
        width_days,
    }
}

fn pause(from: i64, to: Option<i64>, mode: PauseMode) -> Pause {
    Pause {
        from: at(EXPOSED + from),
        to: to.map(|to| at(EXPOSED + to)),
        mode,
    }
}

fn serve_default(from: i64, to: i64) -> Pause {
    pause(from, Some(to), PauseMode::ServeDefault)
}

/// The value at τ = first exposure + `through`.
fn value(kind: &MetricKind, events: &[EventFact], pauses: &[Pause], through: i64) -> UnitValue {
    let fold = MetricFold::new(kind).unwrap();
    fold.unit_value(at(EXPOSED), events.iter(), pauses, at(EXPOSED + through))
}

fn counted(value: i64) -> UnitValue {
    UnitValue::Counted { value }
}

fn pending(after: i64) -> UnitValue {
    UnitValue::Pending {
        due: at(EXPOSED + after),
    }
}

#[test]
fn a_window_holds_its_first_instant_and_not_its_last() {
    let day = conversion(Some(24));
    let converts = |after| value(&day, &[purchase(after, 0)], &[], MICROS_PER_DAY);
    let after = [-1, 0, 1, MICROS_PER_DAY - 1, MICROS_PER_DAY];
    assert_eq!(after.map(converts), [0, 1, 1, 1, 0].map(counted));
}

#[test]
fn a_windowed_metric_waits_for_its_window_to_close() {
    let day = conversion(Some(24));
    let bought = [purchase(0, 0)];
    assert_eq!(
        value(&day, &bought, &[], MICROS_PER_DAY - 1),
        pending(MICROS_PER_DAY)
    );
    assert_eq!(value(&day, &bought, &[], MICROS_PER_DAY), counted(1));
    assert_eq!(value(&day, &[], &[], MICROS_PER_DAY), counted(0));
    let sum = MetricKind::Scalar {
        quantity: Quantity::new("purchase", Aggregation::Sum),
        window: Some(Duration::from_secs(3600)),
    };
    assert_eq!(value(&sum, &[purchase(0, 5)], &[], HOUR - 1), pending(HOUR));
    assert_eq!(
        value(&sum, &[purchase(0, 5), purchase(HOUR, 5)], &[], HOUR),
        counted(5)
    );
}

#[test]
fn an_open_metric_counts_at_once() {
    assert_eq!(value(&conversion(None), &[], &[], 0), counted(0));
    assert_eq!(
        value(&conversion(None), &[purchase(MICROS_PER_DAY * 400, 0)], &[], 0),
        counted(1)
    );
    assert_eq!(value(&conversion(None), &[purchase(-1, 0)], &[], 0), counted(0));
}

#[test]
fn retention_looks_at_days_of_24_hours_from_exposure() {
    let d7 = retention(7, 2);
    let (from, due) = (7 * MICROS_PER_DAY, 9 * MICROS_PER_DAY);
    let stays = |after| value(&d7, &[purchase(after, 0)], &[], due);
    assert_eq!(
        [from - 1, from, due - 1, due].map(stays),
        [0, 1, 1, 0].map(counted)
    );
    assert_eq!(value(&d7, &[purchase(from, 0)], &[], due - 1), pending(due));
    let opened = MetricKind::Retention {
        event: Some("open".into()),
        filters: vec![],
        day: 7,
        width_days: 2,
    };
    assert_eq!(value(&opened, &[purchase(from, 0)], &[], due), counted(0));
}

#[test]
fn late_and_other_events_do_not_count() {
    let late = EventFact {
        late: true,
        ..purchase(0, 1)
    };
    let other = EventFact {
        name: "refund".into(),
        ..purchase(0, 1)
    };
    assert_eq!(value(&conversion(None), &[late, other], &[], 0), counted(0));
}

#[test]
fn aggregations_make_one_number() {
    let none = EventFact {
        value_micros: None,
        ..purchase(9, 0)
    };
    let events = [
        purchase(3, -7_000_000),
        purchase(1, 2_000_000),
        purchase(2, 1_500_000),
        none,
    ];
    let of = |aggregation| value(&scalar(aggregation), &events, &[], 100);
    assert_eq!(of(Aggregation::Sum), counted(-3_500_000));
    assert_eq!(of(Aggregation::Count), counted(4_000_000));
    assert_eq!(of(Aggregation::Max), counted(2_000_000));
    assert_eq!(of(Aggregation::Last), counted(-7_000_000));
    for aggregation in [
        Aggregation::Sum,
        Aggregation::Count,
        Aggregation::Max,
        Aggregation::Last,
    ] {
        assert_eq!(value(&scalar(aggregation), &[], &[], 100), counted(0));
    }
    assert_eq!(
        value(&scalar(Aggregation::Max), &[purchase(0, -5)], &[], 100),
        counted(-5)
    );
}

fn with(properties: &[(&str, Attribute)], event: EventFact) -> EventFact {
    let properties = properties
        .iter()
        .map(|(name, value)| ((*name).into(), value.clone()));
    EventFact {
        properties: properties.collect(),
        ..event
    }
}

fn in_country(country: &str) -> Vec<Rule> {
    vec![Rule {
        attribute: "country".into(),
        operator: Operator::Eq,
        operands: vec![country.into()],
    }]
}

#[test]
fn filters_let_through_events_whose_properties_they_match() {
    let events = [
        with(&[("country", "DE".into())], purchase(1, 1)),
        with(&[("country", "AT".into())], purchase(2, 10)),
        purchase(3, 100),
    ];
    let sum = |filters| MetricKind::Scalar {
        quantity: Quantity {
            filters,
            ..Quantity::new("purchase", Aggregation::Sum)
        },
        window: None,
    };
    assert_eq!(value(&sum(vec![]), &events, &[], 9), counted(111));
    assert_eq!(value(&sum(in_country("AT")), &events, &[], 9), counted(10));
    let both = [in_country("AT"), in_country("DE")].concat();
    assert_eq!(value(&sum(both), &events, &[], 9), counted(0));
    let bought_in = |country| MetricKind::Conversion {
        event: "purchase".into(),
        filters: in_country(country),
        window: None,
    };
    assert_eq!(value(&bought_in("DE"), &events, &[], 9), counted(1));
    assert_eq!(value(&bought_in("CH"), &events, &[], 9), counted(0));
    let came_back_in = |country| MetricKind::Retention {
        event: None,
        filters: in_country(country),
        day: 1,
        width_days: 1,
    };
    let back = [with(&[("country", "DE".into())], purchase(MICROS_PER_DAY, 0))];
    assert_eq!(
        value(&came_back_in("DE"), &back, &[], 2 * MICROS_PER_DAY),
        counted(1)
    );
    assert_eq!(
        value(&came_back_in("AT"), &back, &[], 2 * MICROS_PER_DAY),
        counted(0)
    );
}

#[test]
fn a_property_can_be_the_value() {
    let events = [
        with(&[("amount", 1.5.into())], purchase(1, 7)),
        with(&[("amount", (-0.25).into())], purchase(2, 7)),
        with(&[("amount", "9".into())], purchase(3, 7)),
        with(&[("amount", 1e300.into())], purchase(4, 7)),
        purchase(5, 7),
    ];
    let of = |aggregation| {
        let kind = MetricKind::Scalar {
            quantity: Quantity {
                value_property: Some("amount".into()),
                ..Quantity::new("purchase", aggregation)
            },
            window: None,
        };
        value(&kind, &events, &[], 9)
    };
    assert_eq!(of(Aggregation::Sum), counted(1_250_000));
    assert_eq!(of(Aggregation::Max), counted(1_500_000));
    assert_eq!(of(Aggregation::Last), counted(-250_000));
}

#[test]
fn a_ratio_has_two_values_and_waits_for_one_window() {
    let ratio = MetricKind::Ratio {
        numerator: Quantity::new("purchase", Aggregation::Sum),
        denominator: Quantity::new("visit", Aggregation::Count),
        window: Some(Duration::from_secs(3600)),
    };
    let visit = |after| EventFact {
        name: "visit".into(),
        ..purchase(after, 5)
    };
    let events = [purchase(1, 3_000_000), visit(0), visit(2), visit(HOUR)];
    let pair = |numerator, denominator| UnitValue::CountedPair {
        numerator,
        denominator,
    };
    assert_eq!(value(&ratio, &events, &[], HOUR - 1), pending(HOUR));
    assert_eq!(value(&ratio, &events, &[], HOUR), pair(3_000_000, 2_000_000));
    assert_eq!(value(&ratio, &[], &[], HOUR), pair(0, 0));
}

#[test]
fn a_unit_without_a_value_is_no_part_of_a_quantile() {
    let quantile = |aggregation| MetricKind::Quantile {
        quantity: Quantity::new("purchase", aggregation),
        quantile: 0.9,
        window: None,
    };
    let none = EventFact {
        value_micros: None,
        ..purchase(1, 0)
    };
    let max = quantile(Aggregation::Max);
    assert_eq!(value(&max, &[], &[], 9), UnitValue::Valueless);
    assert_eq!(
        value(&max, std::slice::from_ref(&none), &[], 9),
        UnitValue::Valueless
    );
    assert_eq!(value(&max, &[none.clone(), purchase(2, 0)], &[], 9), counted(0));
    assert_eq!(
        value(&quantile(Aggregation::Count), &[none], &[], 9),
        counted(1_000_000)
    );
}

#[test]
fn ties_of_time_go_to_the_greatest_event_id() {
    let event = |id: &str, value| EventFact {
        event_id: id.into(),
        ..purchase(5, value)
    };
    let events = [event("b", 2), event("c", 3), event("a", 1)];
    assert_eq!(value(&scalar(Aggregation::Last), &events, &[], 10), counted(3));
}

#[test]
fn sums_saturate_once_and_in_any_order() {
    let sum = scalar(Aggregation::Sum);
    let big = |after| purchase(after, MAX_VALUE_MICROS);
    assert_eq!(value(&sum, &[big(0), big(1)], &[], 10), counted(MAX_VALUE_MICROS));
    let back = purchase(2, -MAX_VALUE_MICROS);
    assert_eq!(
        value(&sum, &[big(0), big(1), back.clone()], &[], 10),
        counted(MAX_VALUE_MICROS)
    );
    assert_eq!(value(&sum, &[back.clone(), big(0)], &[], 10), counted(0));
    assert_eq!(
        value(&sum, &[back.clone(), back], &[], 10),
        counted(-MAX_VALUE_MICROS)
    );
}

#[test]
fn outcomes_in_a_serve_default_pause_are_left_out() {
    let converts = |after| {
        value(
            &conversion(None),
            &[purchase(after, 0)],
            &[serve_default(10, 20)],
            100,
        )
    };
    assert_eq!([9, 10, 19, 20].map(converts), [1, 0, 0, 1].map(counted));
    let held = pause(10, Some(20), PauseMode::HoldEnrollment);
    assert_eq!(
        value(&conversion(None), &[purchase(15, 0)], &[held], 100),
        counted(1)
    );
    let lasting = pause(10, None, PauseMode::ServeDefault);
    assert_eq!(
        value(&conversion(None), &[purchase(9, 0)], &[lasting], 100),
        counted(1)
    );
    assert_eq!(
        value(
            &conversion(None),
            &[purchase(15, 0), purchase(150, 0)],
            &[lasting],
            100
        ),
        counted(0)
    );
}

#[test]
fn retention_that_meets_a_serve_default_pause_is_excluded() {
    let day = MICROS_PER_DAY;
    let d1 = |pause| value(&retention(1, 1), &[], &[pause], 3 * day);
    assert_eq!(d1(serve_default(0, day)), counted(0));
    assert_eq!(d1(serve_default(0, day + 1)), UnitValue::Excluded);
    assert_eq!(d1(serve_default(2 * day - 1, 5 * day)), UnitValue::Excluded);
    assert_eq!(d1(serve_default(2 * day, 5 * day)), counted(0));
    assert_eq!(d1(serve_default(day + 5, day + 5)), counted(0));
    assert_eq!(
        d1(pause(day, Some(2 * day), PauseMode::HoldEnrollment)),
        counted(0)
    );
    assert_eq!(d1(pause(0, None, PauseMode::ServeDefault)), UnitValue::Excluded);
}

#[test]
fn a_pause_that_lasts_excludes_as_soon_as_it_reaches_the_window() {
    let lasting = [pause(0, None, PauseMode::ServeDefault)];
    let d1 = |through| value(&retention(1, 1), &[], &lasting, through);
    assert_eq!(d1(MICROS_PER_DAY), pending(2 * MICROS_PER_DAY));
    assert_eq!(d1(MICROS_PER_DAY + 1), UnitValue::Excluded);
}

#[test]
fn an_enrollment_is_the_least_exposure() {
    let exposure = |time, variant: &str, cohort| ExposureFact {
        time: at(time),
        variant: variant_key(variant),
        cohort,
    };
    assert_eq!(enrollment(&[]), Enrollment::None);
    let first = exposure(1, "on", 1);
    let same = [exposure(2, "on", 1), exposure(1, "on", 2), first.clone()];
    assert_eq!(enrollment(&same), Enrollment::Enrolled(first.clone()));
    let two = [exposure(9, "off", 1), first.clone()];
    assert_eq!(enrollment(&two), Enrollment::SetAside { first });
}

fn exposures() -> impl Strategy<Value = Vec<ExposureFact>> {
    let one = (0..5_i64, "on|off", 1..3_u32);
    let one = one.prop_map(|(time, variant, cohort)| ExposureFact {
        time: at(time),
        variant: variant_key(&variant),
        cohort,
    });
    prop::collection::vec(one, 0..8)
}

fn events() -> impl Strategy<Value = Vec<EventFact>> {
    let hour = prop_oneof![-2..60_i64];
    let one = (hour, -5..5_i64, any::<bool>(), "purchase|open");
    let one = one.prop_map(|(hour, value, late, name)| EventFact {
        name,
        late,
        ..purchase(hour * HOUR, value * MAX_VALUE_MICROS / 4)
    });
    prop::collection::vec(one, 0..12).prop_map(|mut events| {
        for (i, event) in events.iter_mut().enumerate() {
            event.event_id = i.to_string();
        }
        events
    })
}

fn kinds() -> Vec<MetricKind> {
    use Aggregation::{Count, Last, Max, Sum};
    let mut kinds: Vec<_> = [Sum, Count, Max, Last].map(scalar).into();
    kinds.extend([conversion(None), conversion(Some(24)), retention(1, 1)]);
    let number = |aggregation| Quantity::new("purchase", aggregation);
    kinds.push(MetricKind::Ratio {
        numerator: number(Sum),
        denominator: Quantity::new("open", Count),
        window: None,
    });
    kinds.push(MetricKind::Quantile {
        quantity: number(Max),
        quantile: 0.5,
        window: Some(Duration::from_secs(86_400)),
    });
    kinds
}

proptest! {
    #[test]
    fn enrollment_does_not_depend_on_order_or_repetition(exposures in exposures()) {
        let mut other = exposures.clone();
        other.reverse();
        other.extend(exposures.clone());
        prop_assert_eq!(enrollment(&exposures), enrollment(&other));
    }

    #[test]
    fn one_more_exposure_never_brings_a_unit_back(exposures in exposures(), more in exposures()) {
        let all = [exposures.clone(), more].concat();
        if matches!(enrollment(&exposures), Enrollment::SetAside { .. }) {
            let set_aside = matches!(enrollment(&all), Enrollment::SetAside { .. });
            prop_assert!(set_aside);
        }
    }

    #[test]
    fn values_do_not_depend_on_the_order_of_events(
        (events, shuffled) in events().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        through in 0..72_i64,
    ) {
        for kind in kinds() {
            let pauses = [serve_default(3 * HOUR, 5 * HOUR)];
            let in_order = value(&kind, &events, &pauses, through * HOUR);
            prop_assert_eq!(in_order, value(&kind, &shuffled, &pauses, through * HOUR));
        }
    }

    #[test]
    fn events_that_cannot_count_change_nothing(events in events(), through in 0..72_i64) {
        let possible: Vec<_> = events.iter().filter(|e| !e.late && e.time >= at(EXPOSED)).cloned().collect();
        for kind in kinds() {
            prop_assert_eq!(value(&kind, &events, &[], through * HOUR), value(&kind, &possible, &[], through * HOUR));
        }
    }

    #[test]
    fn what_has_counted_in_a_closed_window_stays(events in events(), through in 0..72_i64, later in 0..72_i64) {
        for kind in [conversion(Some(24)), retention(1, 1)] {
            if let UnitValue::Counted { value: before } = value(&kind, &events, &[], through * HOUR) {
                prop_assert_eq!(value(&kind, &events, &[], (through + later) * HOUR), counted(before));
            }
        }
    }

    #[test]
    fn fewer_events_never_convert_more(
        (events, some) in events().prop_flat_map(|e| (Just(e.clone()), subsequence(e.clone(), 0..=e.len()))),
    ) {
        let of = |events: &[EventFact]| value(&conversion(None), events, &[], 0);
        prop_assert!(of(&events) == counted(1) || of(&some) == counted(0));
    }
}
