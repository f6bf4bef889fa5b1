//! Which events count, and what number they make.

use super::EventFact;
use crate::{
    metric::{Aggregation, Quantity},
    record::{MAX_VALUE_MICROS, to_micros},
    segment::{Predicate, Rule, RuleError},
    value::Attribute,
};

/// Micro-units in one: what one event counts in [`Aggregation::Count`].
const ONE: i128 = 1_000_000;

/// The events of one name whose properties pass all filters.
#[derive(Debug, Clone)]
pub(super) struct Events {
    /// Any name when absent.
    name: Option<String>,
    filters: Vec<Predicate>,
}

impl Events {
    pub(super) fn new(name: Option<&str>, filters: &[Rule]) -> Result<Self, RuleError> {
        Ok(Self {
            name: name.map(str::to_owned),
            filters: filters.iter().map(Rule::compile).collect::<Result<_, _>>()?,
        })
    }

    /// Whether `event` is one of them.
    pub(super) fn have(&self, event: &EventFact) -> bool {
        let passes = |filter: &Predicate| filter.is_true(filter.outcome(&event.properties));
        self.name.as_ref().is_none_or(|name| event.name == *name) && self.filters.iter().all(passes)
    }
}

/// A [`Quantity`], compiled.
#[derive(Debug, Clone)]
pub(super) struct Number {
    events: Events,
    aggregation: Aggregation,
    value_property: Option<String>,
}

impl Number {
    pub(super) fn new(quantity: &Quantity) -> Result<Self, RuleError> {
        Ok(Self {
            events: Events::new(Some(&quantity.event), &quantity.filters)?,
            aggregation: quantity.aggregation,
            value_property: quantity.value_property.clone(),
        })
    }

    /// The number that `events` make, in micro-units; none without any that counts. Events without value count in
    /// [`Aggregation::Count`] only.
    pub(super) fn of<'e>(&self, events: impl Iterator<Item = &'e EventFact>) -> Option<i64> {
        let events = events.filter(|event| self.events.have(event));
        let valued = |event: &'e EventFact| Some((event, i128::from(self.value(event)?)));
        let number = match self.aggregation {
            Aggregation::Count => events.map(|_| ONE).reduce(i128::saturating_add),
            // Summed exactly and cut once: cutting each partial sum would make the order matter.
            Aggregation::Sum => events
                .filter_map(valued)
                .map(|(_, value)| value)
                .reduce(i128::saturating_add),
            Aggregation::Max => events.filter_map(valued).map(|(_, value)| value).max(),
            Aggregation::Last => {
                let order = |event: &'e EventFact| (event.time, &event.event_id);
                let last = events
                    .filter_map(valued)
                    .max_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
                last.map(|(_, value)| value)
            }
        };
        number.map(cut)
    }

    /// The value of `event`, in micro-units. A property that is no number, or too large for a value, is none.
    fn value(&self, event: &EventFact) -> Option<i64> {
        match &self.value_property {
            None => event.value_micros,
            Some(name) => match event.properties.get(name)? {
                Attribute::Number(number) => to_micros(*number).ok(),
                Attribute::Bool(_) | Attribute::String(_) => None,
            },
        }
    }
}

/// `value` saturated at ±[`MAX_VALUE_MICROS`].
fn cut(value: i128) -> i64 {
    let max = i128::from(MAX_VALUE_MICROS);
    i64::try_from(value.clamp(max.saturating_neg(), max)).unwrap_or(MAX_VALUE_MICROS)
}
