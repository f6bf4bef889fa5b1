//! Resources as callers write them.

use assay_proto::config::v1::{self as pb, metric::Kind};
use prost_types::{FieldMask, Value, value};

pub(crate) fn boolean(flag: bool) -> Option<Value> {
    Some(Value {
        kind: Some(value::Kind::BoolValue(flag)),
    })
}

pub(crate) fn number(number: f64) -> Option<Value> {
    Some(Value {
        kind: Some(value::Kind::NumberValue(number)),
    })
}

pub(crate) fn text(text: &str) -> Option<Value> {
    Some(Value {
        kind: Some(value::Kind::StringValue(text.to_owned())),
    })
}

pub(crate) fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask {
        paths: paths.iter().map(ToString::to_string).collect(),
    })
}

pub(crate) fn variation(key: &str, value: Option<Value>) -> pb::Variation {
    pb::Variation {
        key: key.to_owned(),
        name: String::new(),
        value,
    }
}

pub(crate) fn variant(key: &str, value: Option<Value>) -> pb::Variant {
    pb::Variant {
        key: key.to_owned(),
        name: String::new(),
        value,
        weight: 0,
    }
}

/// A boolean flag with the variations `off`, the default, and `on`.
pub(crate) fn flag(key: &str) -> pb::Flag {
    pb::Flag {
        key: key.to_owned(),
        variations: vec![variation("off", boolean(false)), variation("on", boolean(true))],
        ..Default::default()
    }
}

/// Units on `platform`.
pub(crate) fn segment(key: &str, platform: &str) -> pb::Segment {
    let operands = text(platform).into_iter().collect();
    let rule = pb::Rule {
        attribute: "platform".to_owned(),
        operator: pb::Operator::Eq.into(),
        operands,
        ..Default::default()
    };
    pb::Segment {
        key: key.to_owned(),
        rules: vec![rule],
        ..Default::default()
    }
}

/// Retention on day 7.
pub(crate) fn retention(key: &str) -> pb::Metric {
    let kind = Kind::Retention(pb::RetentionMetric {
        event: String::new(),
        day: 7,
        width_days: 1,
        ..Default::default()
    });
    pb::Metric {
        key: key.to_owned(),
        kind: Some(kind),
        ..Default::default()
    }
}

/// An experiment with variants of its own.
pub(crate) fn draft(key: &str) -> pb::Experiment {
    pb::Experiment {
        key: key.to_owned(),
        variants: vec![variant("off", boolean(false)), variant("on", boolean(true))],
        ..Default::default()
    }
}

/// One with all that a start needs, once metric `retention_7` exists.
pub(crate) fn ready(key: &str) -> pb::Experiment {
    pb::Experiment {
        hypothesis: "it helps".to_owned(),
        metrics: vec![primary("retention_7")],
        ..draft(key)
    }
}

/// One on `flag`, with the flag's variations.
pub(crate) fn ready_on(key: &str, flag: &str) -> pb::Experiment {
    pb::Experiment {
        flag_key: flag.to_owned(),
        variants: Vec::new(),
        ..ready(key)
    }
}

pub(crate) fn primary(metric: &str) -> pb::ExperimentMetric {
    pb::ExperimentMetric {
        metric_key: metric.to_owned(),
        role: pb::MetricRole::Primary.into(),
        ..Default::default()
    }
}
