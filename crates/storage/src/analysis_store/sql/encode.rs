//! How domain values stand in columns.

use assay_core::{
    key::{KeyError, MetricKey, Namespace, Unit, UnitKind},
    record::Event,
    value::{Attribute, Attributes},
};
use sea_orm::{QueryResult, TryGetable};

use super::super::Measure;
use crate::{Error, sql::classify};

const CLAMPED: i64 = 1;
const LATE: i64 = 2;
const IMPORTED: i64 = 4;

/// A row that is read from left to right.
pub(super) struct Reader<'a> {
    row: &'a QueryResult,
    next: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(row: &'a QueryResult) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(super) fn get<T: TryGetable>(&mut self) -> Result<T, Error> {
        let value = self.row.try_get_by_index(self.next).map_err(classify)?;
        self.next += 1;
        Ok(value)
    }

    /// The next column, a number of a narrower type.
    pub(super) fn number<T: TryFrom<i64>>(&mut self) -> Result<T, Error> {
        let number: i64 = self.get()?;
        T::try_from(number).map_err(|_| corrupt("a number", format!("{number} is out of range")))
    }

    /// The next column, a text that `parse` understands.
    pub(super) fn parsed<T, E: ToString>(
        &mut self,
        what: &str,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Result<T, Error> {
        parse(self.get()?).map_err(|error| corrupt(what, error.to_string()))
    }

    /// The next column, an exact number of up to 128 bits.
    pub(super) fn wide(&mut self) -> Result<i128, Error> {
        self.parsed("a sum", |text| text.parse::<i128>())
    }

    /// The next two columns: kind and id.
    pub(super) fn unit(&mut self) -> Result<Unit, Error> {
        let kind = self.parsed("a unit's kind", UnitKind::new)?;
        self.parsed("a unit's id", |id| Unit::new(kind, id))
    }

    pub(super) fn namespace(&mut self) -> Result<Namespace, Error> {
        self.parsed("a namespace", Namespace::new)
    }
}

/// What is stored cannot be understood.
pub(super) fn corrupt(what: &str, detail: String) -> Error {
    Error::Corrupt {
        store: "database",
        what: what.to_owned(),
        detail,
    }
}

pub(super) fn measure_to_text(measure: &Measure) -> String {
    match measure {
        Measure::Exposed => "exposed".to_owned(),
        Measure::SetAside => "set_aside".to_owned(),
        Measure::Excluded(metric) => format!("excluded:{metric}"),
        Measure::Valueless(metric) => format!("valueless:{metric}"),
        Measure::Metric(metric) => format!("metric:{metric}"),
        Measure::Denominator(metric) => format!("denominator:{metric}"),
        Measure::Total(metric) => format!("total:{metric}"),
        Measure::Excess(metric) => format!("excess:{metric}"),
    }
}

pub(super) fn measure_from_text(text: String) -> Result<Measure, String> {
    let metric = |key: &str| MetricKey::new(key).map_err(|error: KeyError| format!("{text:?}: {error}"));
    match text.split_once(':') {
        None if text == "exposed" => Ok(Measure::Exposed),
        None if text == "set_aside" => Ok(Measure::SetAside),
        Some(("excluded", key)) => metric(key).map(Measure::Excluded),
        Some(("valueless", key)) => metric(key).map(Measure::Valueless),
        Some(("metric", key)) => metric(key).map(Measure::Metric),
        Some(("denominator", key)) => metric(key).map(Measure::Denominator),
        Some(("total", key)) => metric(key).map(Measure::Total),
        Some(("excess", key)) => metric(key).map(Measure::Excess),
        _ => Err(format!("{text:?} is no measure")),
    }
}

pub(super) fn flags_of(event: &Event) -> i64 {
    [
        (event.clamped, CLAMPED),
        (event.late, LATE),
        (event.imported, IMPORTED),
    ]
    .into_iter()
    .map(|(set, flag)| if set { flag } else { 0 })
    .sum()
}

/// `clamped`, `late`, `imported`.
pub(super) fn flags_from(flags: i64) -> (bool, bool, bool) {
    (flags & CLAMPED != 0, flags & LATE != 0, flags & IMPORTED != 0)
}

/// A JSON object. No character that Postgres refuses can be in it: JSON escapes U+0000.
pub(super) fn attributes_to_text(attributes: &Attributes) -> String {
    let value = |attribute: &Attribute| match attribute {
        Attribute::Bool(flag) => (*flag).into(),
        Attribute::Number(number) => (*number).into(),
        Attribute::String(text) => text.as_str().into(),
    };
    let object: serde_json::Map<_, _> = attributes
        .iter()
        .map(|(name, attribute)| (name.clone(), value(attribute)))
        .collect();
    serde_json::Value::Object(object).to_string()
}

pub(super) fn attributes_from_text(text: String) -> Result<Attributes, String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let attribute = |value: serde_json::Value| match value {
        serde_json::Value::Bool(flag) => Ok(Attribute::Bool(flag)),
        serde_json::Value::String(text) => Ok(Attribute::String(text)),
        serde_json::Value::Number(number) => number
            .as_f64()
            .map(Attribute::Number)
            .ok_or("a number is out of range"),
        _ => Err("an attribute is neither boolean, number nor text"),
    };
    object
        .into_iter()
        .map(|(name, value)| Ok((name, attribute(value)?)))
        .collect::<Result<_, &str>>()
        .map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_and_attributes_come_back() {
        let metric = MetricKey::new("d7.retention").unwrap();
        for measure in [
            Measure::Exposed,
            Measure::SetAside,
            Measure::Excluded(metric.clone()),
            Measure::Valueless(metric.clone()),
            Measure::Metric(metric.clone()),
            Measure::Denominator(metric.clone()),
            Measure::Total(metric.clone()),
            Measure::Excess(metric),
        ] {
            assert_eq!(measure_from_text(measure_to_text(&measure)), Ok(measure));
        }
        assert!(measure_from_text("metric:".to_owned()).is_err());
        let attributes = Attributes::from([
            ("a".to_owned(), (0.1 + 0.2).into()),
            ("b".to_owned(), true.into()),
            ("c\0\"".to_owned(), "x\0y".into()),
            ("d".to_owned(), (-0.0).into()),
            ("e".to_owned(), 5e-324.into()),
            ("f".to_owned(), 1e300.into()),
        ]);
        assert_eq!(
            attributes_from_text(attributes_to_text(&attributes)),
            Ok(attributes)
        );
    }
}
