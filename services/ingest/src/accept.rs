//! What makes a record acceptable: times, values, sizes. Pure: the time of receipt is an argument.

use std::time::Duration;

use assay_core::{
    key::{ExperimentKey, Namespace, Unit, VariantKey},
    record::{self, Event, Exposure},
    time::Timestamp,
    value::Attributes,
};
use assay_proto::field::FieldError;

/// Longest event id and event name, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 256;

/// What holds for all records of one request.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) namespace: Namespace,
    pub(crate) received_at: Timestamp,
    pub(crate) imported: bool,
    pub(crate) lateness_allowance: Duration,
}

/// An event as it was sent.
#[derive(Debug)]
pub(crate) struct SentEvent {
    pub(crate) event_id: String,
    pub(crate) unit: Unit,
    pub(crate) name: String,
    pub(crate) time: Option<Timestamp>,
    pub(crate) value: Option<f64>,
    pub(crate) properties: Attributes,
}

/// An exposure as it was sent.
#[derive(Debug)]
pub(crate) struct SentExposure {
    pub(crate) experiment: ExperimentKey,
    pub(crate) variant: VariantKey,
    pub(crate) unit: Unit,
    pub(crate) time: Timestamp,
    pub(crate) attributes: Attributes,
}

/// The event to record. A time in the future becomes the time of receipt and is flagged; one beyond the lateness allowance is flagged
/// and never changed. Imports keep a time however old it is.
pub(crate) fn event(sent: SentEvent, receipt: &Receipt) -> Result<Event, FieldError> {
    text("event_id", &sent.event_id)?;
    text("name", &sent.name)?;
    let value_micros = sent.value.map(record::to_micros).transpose().map_err(|error| {
        FieldError::new(
            "value",
            "VALUE_OUT_OF_RANGE",
            format!("{error}; send a smaller number, or leave it out"),
        )
    })?;
    let given = sent.time.unwrap_or(receipt.received_at);
    let clamped = given > receipt.received_at;
    Ok(Event {
        namespace: receipt.namespace.clone(),
        unit: sent.unit,
        event_id: sent.event_id,
        name: sent.name,
        time: given.min(receipt.received_at),
        received_at: receipt.received_at,
        value_micros,
        properties: sent.properties,
        clamped,
        late: !receipt.imported && given.plus(receipt.lateness_allowance) < receipt.received_at,
        imported: receipt.imported,
    })
}

/// The imported exposure to record.
pub(crate) fn exposure(sent: SentExposure, receipt: &Receipt) -> Result<Exposure, FieldError> {
    if sent.time > receipt.received_at {
        let message = format!(
            "{} lies after the time of receipt {}; send the time of the exposure",
            sent.time, receipt.received_at
        );
        return Err(FieldError::new("time", "TIME_IN_FUTURE", message));
    }
    Ok(Exposure {
        namespace: receipt.namespace.clone(),
        experiment: sent.experiment,
        variant: sent.variant,
        cohort: 1,
        unit: sent.unit,
        time: sent.time,
        received_at: receipt.received_at,
        generation: 0,
        attributes: sent.attributes,
        imported: true,
    })
}

fn text(field: &str, text: &str) -> Result<(), FieldError> {
    let (rule, message) = match text.len() {
        0 => ("REQUIRED", "is empty; give 1 to 256 bytes".to_owned()),
        bytes if bytes > MAX_NAME_BYTES => (
            "TOO_LONG",
            format!("has {bytes} bytes; at most {MAX_NAME_BYTES} are allowed"),
        ),
        _ => match text.chars().find(|c| c.is_control()) {
            Some(control) => (
                "CONTROL_CHARACTER",
                format!("holds the control character {control:?}; leave it out"),
            ),
            None => return Ok(()),
        },
    };
    Err(FieldError::new(field, rule, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn receipt(imported: bool) -> Receipt {
        Receipt {
            namespace: Namespace::default(),
            received_at: Timestamp::from_micros(1_000 * HOUR),
            imported,
            lateness_allowance: Duration::from_secs(72 * 3600),
        }
    }

    fn sent(time: Option<i64>) -> SentEvent {
        SentEvent {
            event_id: "e1".into(),
            unit: Unit::user("u1").unwrap(),
            name: "purchase".into(),
            time: time.map(Timestamp::from_micros),
            value: Some(9.99),
            properties: Attributes::new(),
        }
    }

    #[test]
    fn a_time_in_the_future_is_clamped_and_flagged() {
        let event = event(sent(Some(1_001 * HOUR)), &receipt(false)).unwrap();
        assert_eq!(
            (event.time, event.clamped, event.late),
            (Timestamp::from_micros(1_000 * HOUR), true, false)
        );
    }

    #[test]
    fn lateness_begins_beyond_the_allowance_and_never_redates() {
        for (hours, late) in [(928, false), (927, true)] {
            let event = event(sent(Some(hours * HOUR)), &receipt(false)).unwrap();
            assert_eq!(
                (event.time, event.late),
                (Timestamp::from_micros(hours * HOUR), late)
            );
        }
    }

    #[test]
    fn imports_are_never_late() {
        assert!(!event(sent(Some(HOUR)), &receipt(true)).unwrap().late);
    }

    #[test]
    fn no_time_means_the_time_of_receipt() {
        assert_eq!(
            event(sent(None), &receipt(false)).unwrap().time,
            Timestamp::from_micros(1_000 * HOUR)
        );
    }

    #[test]
    fn values_are_kept_in_micro_units_or_refused() {
        assert_eq!(
            event(sent(None), &receipt(false)).unwrap().value_micros,
            Some(9_990_000)
        );
        for value in [f64::NAN, f64::INFINITY, 1e10] {
            let refused = event(
                SentEvent {
                    value: Some(value),
                    ..sent(None)
                },
                &receipt(false),
            )
            .unwrap_err();
            assert_eq!(
                (refused.field.as_str(), refused.rule),
                ("value", "VALUE_OUT_OF_RANGE")
            );
        }
    }

    #[test]
    fn ids_and_names_have_limits() {
        for (id, ok) in [
            (String::new(), false),
            ("x".repeat(256), true),
            ("x".repeat(257), false),
            ("a\0b".to_owned(), false),
        ] {
            assert_eq!(
                event(
                    SentEvent {
                        event_id: id,
                        ..sent(None)
                    },
                    &receipt(false)
                )
                .is_ok(),
                ok
            );
        }
    }
}
