//! Conditions of flagd, which are `JsonLogic`, as rules.

use serde_json::Value;

use super::super::{Remark, all_of, any_of, compare, not, operand, operands};
use crate::view::segment::Rule;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;

/// `logic` with the shared evaluators that it refers to in their places.
pub(super) fn resolved(logic: &Value, evaluators: &Value, path: &str, depth: usize) -> Result<Value, Remark> {
    if depth == MAX_DEPTH {
        return Err(Remark::new(path, format!("is nested deeper than {MAX_DEPTH}")));
    }
    match logic {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                return match evaluators.get(name) {
                    Some(shared) => resolved(shared, evaluators, path, depth + 1),
                    None => Err(Remark::new(
                        path,
                        format!("refers to `{name}`, which is not in $evaluators"),
                    )),
                };
            }
            let fields = fields.iter().map(|(name, value)| {
                let path = format!("{path}.{name}");
                Ok((name.clone(), resolved(value, evaluators, &path, depth + 1)?))
            });
            Ok(Value::Object(fields.collect::<Result<_, Remark>>()?))
        }
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            let items =
                numbered.map(|(i, item)| resolved(item, evaluators, &format!("{path}[{i}]"), depth + 1));
            Ok(Value::Array(items.collect::<Result<_, Remark>>()?))
        }
        scalar => Ok(scalar.clone()),
    }
}

/// The only operator of `logic`, and its arguments; one argument need not be in a list.
pub(super) fn operation(logic: &Value) -> Option<(&str, &[Value])> {
    let fields = logic.as_object().filter(|fields| fields.len() == 1)?;
    let (operator, arguments) = fields.iter().next()?;
    let arguments = match arguments {
        Value::Array(arguments) => arguments.as_slice(),
        one => std::slice::from_ref(one),
    };
    Some((operator, arguments))
}

/// The attribute that `logic` reads.
pub(super) fn variable(logic: &Value) -> Option<&str> {
    match operation(logic) {
        Some(("var", [Value::String(name)])) => Some(name),
        _ => None,
    }
}

/// The rule that `logic` is.
pub(super) fn rule(logic: &Value, path: &str) -> Result<Rule, Remark> {
    let Some((operator, arguments)) = operation(logic) else {
        return Err(Remark::new(path, format!("is {logic}, and no rule can say that")));
    };
    let path = format!("{path}.{operator}");
    let parts = || -> Result<Vec<Rule>, Remark> {
        let numbered = arguments.iter().enumerate();
        let parts: Vec<_> = numbered
            .map(|(i, part)| rule(part, &format!("{path}[{i}]")))
            .collect::<Result<_, _>>()?;
        if parts.is_empty() {
            Err(Remark::new(&path, "is empty"))
        } else {
            Ok(parts)
        }
    };
    match (operator, arguments) {
        ("and", _) => Ok(all_of(parts()?)),
        ("or", _) => Ok(any_of(parts()?)),
        ("!", [_]) => Ok(not(all_of(parts()?))),
        ("==" | "===", [a, b]) => equal(a, b, &path),
        ("!=" | "!==", [a, b]) => Ok(not(equal(a, b, &path)?)),
        ("<" | "<=" | ">" | ">=", [a, b]) => ordered(operator, a, b, &path),
        ("<=", [low, value, high]) => {
            let operands = vec![operand(low, &path)?, operand(high, &path)?];
            Ok(compare(attribute(value, &path)?, "BETWEEN", operands))
        }
        ("in", [value, list @ Value::Array(_)]) => {
            Ok(compare(attribute(value, &path)?, "IN", operands(list, &path)?))
        }
        ("in", [part @ Value::String(_), whole]) => text(whole, "CONTAINS", part, &path),
        ("starts_with", [whole, part]) => text(whole, "STARTS_WITH", part, &path),
        ("ends_with", [whole, part]) => text(whole, "ENDS_WITH", part, &path),
        ("sem_ver", [value, Value::String(operator), version]) => semver(value, operator, version, &path),
        _ => Err(Remark::new(
            path,
            format!("uses `{operator}` in a way that no rule can say"),
        )),
    }
}

/// An attribute of the unit. flagd's own values are none.
fn attribute<'a>(logic: &'a Value, path: &str) -> Result<&'a str, Remark> {
    match variable(logic) {
        Some(name) if name.starts_with("$flagd") || name == "targetingKey" => Err(Remark::new(
            path,
            format!("reads `{name}`, which is no attribute"),
        )),
        Some(name) if !name.is_empty() => Ok(name),
        _ => Err(Remark::new(
            path,
            format!("compares {logic}, and a rule compares an attribute"),
        )),
    }
}

fn equal(a: &Value, b: &Value, path: &str) -> Result<Rule, Remark> {
    let (value, with) = if variable(a).is_some() { (a, b) } else { (b, a) };
    let attribute = attribute(value, path)?;
    if with.is_null() {
        return Ok(not(compare(attribute, "EXISTS", vec![])));
    }
    Ok(compare(attribute, "EQ", vec![operand(with, path)?]))
}

fn ordered(operator: &str, a: &Value, b: &Value, path: &str) -> Result<Rule, Remark> {
    let (value, with, is_turned) = if variable(a).is_some() {
        (a, b, false)
    } else {
        (b, a, true)
    };
    let operator = match (operator, is_turned) {
        ("<", false) | (">", true) => "LT",
        ("<=", false) | (">=", true) => "LTE",
        (">", false) | ("<", true) => "GT",
        _ => "GTE",
    };
    let attribute = attribute(value, path)?;
    match with {
        Value::Number(_) => Ok(compare(attribute, operator, vec![with.clone()])),
        other => Err(Remark::new(
            path,
            format!("orders by {other}, and rules order numbers"),
        )),
    }
}

fn text(whole: &Value, operator: &str, part: &Value, path: &str) -> Result<Rule, Remark> {
    let attribute = attribute(whole, path)?;
    match part {
        Value::String(_) => Ok(compare(attribute, operator, vec![part.clone()])),
        other => Err(Remark::new(
            path,
            format!("looks for {other}, and a text is needed"),
        )),
    }
}

fn semver(value: &Value, operator: &str, version: &Value, path: &str) -> Result<Rule, Remark> {
    let attribute = attribute(value, path)?;
    let than = |operator| text(value, operator, version, path);
    match operator {
        "=" => than("SEMVER_EQ"),
        "!=" => Ok(all_of(vec![
            compare(attribute, "EXISTS", vec![]),
            not(than("SEMVER_EQ")?),
        ])),
        "<" => than("SEMVER_LT"),
        "<=" => than("SEMVER_LTE"),
        ">" => than("SEMVER_GT"),
        ">=" => than("SEMVER_GTE"),
        other => Err(Remark::new(
            path,
            format!("compares versions by `{other}`, which no rule can say"),
        )),
    }
}
