use assay_core::{
    assign::Assignment,
    key::{Namespace, Unit},
    time::Timestamp,
    value::{Attribute, Value},
};
use prost::Message;

use crate::{
    assignment::v1::Reason,
    convert::{timestamp, value_to},
};

/// Appends the answer to a question for `asked` as an `assignments` of an `AssignResponse`.
pub fn assignment(out: &mut Vec<u8>, asked: &str, answer: &Assignment<'_>) {
    message(out, 1, |out| {
        text(out, 1, asked);
        text(out, 2, answer.experiment.map_or("", |key| key.as_str()));
        text(out, 3, answer.variant.map_or("", |key| key.as_str()));
        number(out, 4, answer.is_control.into());
        if let Some(served) = answer.value {
            message(out, 5, |out| value(out, served));
        }
        number(
            out,
            6,
            i32::from(Reason::from(answer.reason)).unsigned_abs().into(),
        );
        number(out, 7, answer.cohort.into());
        number(out, 8, answer.generation);
        number(out, 15, answer.is_remembered.into());
    });
}

/// Appends the exposure of `unit` to what `answer` says as an `exposures` of a batch, with those of its attributes that are `named`, in
/// order of name. Nothing when the answer has no variant.
pub fn exposure<'a>(
    out: &mut Vec<u8>,
    namespace: &Namespace,
    answer: &Assignment<'_>,
    unit: &Unit,
    named: impl Iterator<Item = (&'a String, &'a Attribute)> + Clone,
    now: Timestamp,
) {
    let (Some(experiment), Some(variant)) = (answer.experiment, answer.variant) else {
        return;
    };
    message(out, 5, |out| {
        text(out, 1, namespace.as_str());
        text(out, 2, experiment.as_str());
        text(out, 3, variant.as_str());
        number(out, 4, answer.cohort.into());
        message(out, 5, |out| {
            text(out, 1, unit.kind().as_str());
            text(out, 2, unit.id());
        });
        message(out, 6, |out| instant(out, now));
        message(out, 7, |out| instant(out, now));
        number(out, 8, answer.generation);
        if named.clone().next().is_some() {
            message(out, 9, |out| {
                for (name, attribute) in named {
                    message(out, 1, |out| {
                        text(out, 1, name);
                        message(out, 2, |out| scalar(out, attribute));
                    });
                }
            });
        }
    });
}

/// The fields of a `google.protobuf.Value`.
fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(flag) => boolean(out, *flag),
        Value::Number(number) => double(out, *number),
        Value::String(served) => string(out, served),
        // A vector grows as it must.
        Value::Json(_) => drop(value_to(value).encode(out)),
    }
}

fn scalar(out: &mut Vec<u8>, attribute: &Attribute) {
    match attribute {
        Attribute::Bool(flag) => boolean(out, *flag),
        Attribute::Number(number) => double(out, *number),
        Attribute::String(text) => string(out, text),
    }
}

/// The members of the value's oneof are written even when they are zero.
fn double(out: &mut Vec<u8>, number: f64) {
    key(out, 2, 1);
    out.extend_from_slice(&number.to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    key(out, 3, 2);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn boolean(out: &mut Vec<u8>, flag: bool) {
    key(out, 4, 0);
    out.push(flag.into());
}

fn instant(out: &mut Vec<u8>, time: Timestamp) {
    let time = timestamp(time);
    number(out, 1, time.seconds.cast_unsigned());
    number(out, 2, u64::from(time.nanos.unsigned_abs()));
}

fn text(out: &mut Vec<u8>, tag: u8, text: &str) {
    if !text.is_empty() {
        key(out, tag, 2);
        varint(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

fn number(out: &mut Vec<u8>, tag: u8, number: u64) {
    if number != 0 {
        key(out, tag, 0);
        varint(out, number);
    }
}

/// A message of whatever `fields` writes; its length is put in front when it is known.
fn message(out: &mut Vec<u8>, tag: u8, fields: impl FnOnce(&mut Vec<u8>)) {
    key(out, tag, 2);
    let start = out.len();
    out.push(0);
    fields(out);
    let length = out.len() - start - 1;
    if let (Ok(short @ 0..=0x7f), Some(place)) = (u8::try_from(length), out.get_mut(start)) {
        *place = short;
    } else {
        let mut prefix = Vec::with_capacity(10);
        varint(&mut prefix, length as u64);
        out.splice(start..=start, prefix);
    }
}

fn key(out: &mut Vec<u8>, tag: u8, kind: u8) {
    out.push(tag << 3 | kind);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
