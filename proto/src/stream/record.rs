use assay_core::{
    key::{ExperimentKey, FlagKey, VariantKey},
    record::{Event, Exposure, Sighting},
    value::Attributes,
};
use prost_types::Struct;

use super::v1 as pb;
use crate::{
    convert::{
        attributes, attributes_to_struct, key_from, namespace_from, timestamp, timestamp_from, unit_from,
    },
    field::FieldErrors,
};

/// The largest magnitude of a value: beyond 2⁵³ micro-units a number of the public API is not exact.
const MAX_VALUE_MICROS: u64 = 1 << 53;

impl From<&Exposure> for pb::ExposureRecord {
    fn from(exposure: &Exposure) -> Self {
        Self {
            namespace: exposure.namespace.to_string(),
            experiment_key: exposure.experiment.to_string(),
            variant_key: exposure.variant.to_string(),
            cohort: exposure.cohort,
            unit: Some((&exposure.unit).into()),
            time: Some(timestamp(exposure.time)),
            received_at: Some(timestamp(exposure.received_at)),
            generation: exposure.generation,
            attributes: optional_struct(&exposure.attributes),
            imported: exposure.imported,
        }
    }
}

impl TryFrom<pb::ExposureRecord> for Exposure {
    type Error = FieldErrors;

    fn try_from(record: pb::ExposureRecord) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(record.namespace, "namespace"));
        let experiment = errors.keep(key_from(
            record.experiment_key,
            "experiment_key",
            ExperimentKey::new,
        ));
        let variant = errors.keep(key_from(record.variant_key, "variant_key", VariantKey::new));
        let unit = errors.keep(unit_from(record.unit, "unit"));
        let time = errors.keep(timestamp_from(record.time, "time"));
        let received_at = errors.keep(timestamp_from(record.received_at, "received_at"));
        let attributes = errors.keep(attributes(record.attributes, "attributes"));
        let made = || {
            Some(Self {
                namespace: namespace?,
                experiment: experiment?,
                variant: variant?,
                cohort: record.cohort,
                unit: unit?,
                time: time?,
                received_at: received_at?,
                generation: record.generation,
                attributes: attributes?,
                imported: record.imported,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

impl From<&Event> for pb::EventRecord {
    fn from(event: &Event) -> Self {
        Self {
            namespace: event.namespace.to_string(),
            unit: Some((&event.unit).into()),
            event_id: event.event_id.clone(),
            name: event.name.clone(),
            time: Some(timestamp(event.time)),
            received_at: Some(timestamp(event.received_at)),
            value_micros: event.value_micros,
            properties: optional_struct(&event.properties),
            clamped: event.clamped,
            late: event.late,
            imported: event.imported,
        }
    }
}

impl TryFrom<pb::EventRecord> for Event {
    type Error = FieldErrors;

    fn try_from(record: pb::EventRecord) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(record.namespace, "namespace"));
        let unit = errors.keep(unit_from(record.unit, "unit"));
        for (field, text) in [("event_id", &record.event_id), ("name", &record.name)] {
            if text.is_empty() {
                errors.push(field, "REQUIRED", "is empty");
            }
        }
        let time = errors.keep(timestamp_from(record.time, "time"));
        let received_at = errors.keep(timestamp_from(record.received_at, "received_at"));
        if record
            .value_micros
            .is_some_and(|value| value.unsigned_abs() > MAX_VALUE_MICROS)
        {
            errors.push("value_micros", "VALUE_RANGE", "is beyond ±2^53");
        }
        let properties = errors.keep(attributes(record.properties, "properties"));
        let made = || {
            Some(Self {
                namespace: namespace?,
                unit: unit?,
                event_id: record.event_id,
                name: record.name,
                time: time?,
                received_at: received_at?,
                value_micros: record.value_micros,
                properties: properties?,
                clamped: record.clamped,
                late: record.late,
                imported: record.imported,
            })
        };
        let made = made();
        errors.finish(made)
    }
}

/// Most records have none: then nothing is written.
fn optional_struct(attributes: &Attributes) -> Option<Struct> {
    (!attributes.is_empty()).then(|| attributes_to_struct(attributes))
}

impl From<&Sighting> for pb::CallerRecord {
    fn from(sighting: &Sighting) -> Self {
        Self {
            namespace: sighting.namespace.to_string(),
            key: sighting.key.to_string(),
            caller: sighting.caller.clone(),
            seen_at: Some(timestamp(sighting.seen_at)),
        }
    }
}

impl TryFrom<pb::CallerRecord> for Sighting {
    type Error = FieldErrors;

    fn try_from(record: pb::CallerRecord) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let namespace = errors.keep(namespace_from(record.namespace, "namespace"));
        let key = errors.keep(key_from(record.key, "key", FlagKey::new));
        let seen_at = errors.keep(timestamp_from(record.seen_at, "seen_at"));
        let made = || {
            Some(Self {
                namespace: namespace?,
                key: key?,
                caller: record.caller,
                seen_at: seen_at?,
            })
        };
        let made = made();
        errors.finish(made)
    }
}
