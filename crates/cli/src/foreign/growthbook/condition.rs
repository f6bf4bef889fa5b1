//! Conditions of GrowthBook, which are those of `MongoDB`, as rules.

use serde_json::{Map, Value};

use super::super::{Remark, all_of, any_of, compare, not, operand, operands};
use crate::view::segment::Rule;

/// The rules of the condition at `path`: all must hold. `groups` are the saved groups.
pub(super) fn rules(condition: &Value, path: &str, groups: &Value) -> Result<Vec<Rule>, Remark> {
    let Value::Object(fields) = condition else {
        return Err(Remark::new(path, "is no object"));
    };
    let rule = |(name, value): (&String, &Value)| {
        let path = format!("{path}.{name}");
        match name.as_str() {
            "$and" => Ok(all_of(each(value, &path, groups)?)),
            "$or" => Ok(any_of(each(value, &path, groups)?)),
            "$nor" => Ok(not(any_of(each(value, &path, groups)?))),
            "$not" => Ok(not(all_of(some(rules(value, &path, groups)?, &path)?))),
            other if other.starts_with('$') => Err(unknown(&path, other)),
            attribute => field(attribute, value, &path, groups),
        }
    };
    fields.iter().map(rule).collect()
}

/// The conditions of a list, each as one rule.
fn each(list: &Value, path: &str, groups: &Value) -> Result<Vec<Rule>, Remark> {
    let Value::Array(items) = list else {
        return Err(Remark::new(path, "is no list"));
    };
    let rule = |(i, item): (usize, &Value)| {
        let path = format!("{path}[{i}]");
        Ok(all_of(some(rules(item, &path, groups)?, &path)?))
    };
    some(
        items.iter().enumerate().map(rule).collect::<Result<_, _>>()?,
        path,
    )
}

fn some(rules: Vec<Rule>, path: &str) -> Result<Vec<Rule>, Remark> {
    if rules.is_empty() {
        return Err(Remark::new(path, "is empty, and a group of rules needs one"));
    }
    Ok(rules)
}

fn unknown(path: &str, operator: &str) -> Remark {
    Remark::new(path, format!("uses `{operator}`, which no rule can say"))
}

fn field(attribute: &str, value: &Value, path: &str, groups: &Value) -> Result<Rule, Remark> {
    match value {
        Value::Object(operators) if operators.keys().all(|name| name.starts_with('$')) => {
            let rules = operators.iter().map(|(operator, value)| {
                comparison(attribute, operator, value, &format!("{path}.{operator}"), groups)
            });
            Ok(all_of(some(rules.collect::<Result<_, _>>()?, path)?))
        }
        Value::Null => Ok(not(compare(attribute, "EXISTS", vec![]))),
        value => Ok(compare(attribute, "EQ", vec![operand(value, path)?])),
    }
}

/// Where GrowthBook finds that a missing attribute differs, the negation of a rule does so too.
fn comparison(
    attribute: &str,
    operator: &str,
    value: &Value,
    path: &str,
    groups: &Value,
) -> Result<Rule, Remark> {
    let one = |operator| Ok(compare(attribute, operator, vec![operand(value, path)?]));
    let number = |operator| match value {
        Value::Number(_) => one(operator),
        other => Err(Remark::new(
            path,
            format!("orders by {other}, and rules order numbers"),
        )),
    };
    let text = |operator| match value {
        Value::String(_) => one(operator),
        other => Err(Remark::new(path, format!("is {other}, and a text is needed"))),
    };
    let among = |list: &Value, path: &str| match operands(list, path)? {
        none if none.is_empty() => Err(Remark::new(path, "is an empty list, which nobody is in")),
        operands => Ok(compare(attribute, "IN", operands)),
    };
    let group = || {
        let name = value.as_str().unwrap_or_default();
        let found = groups.get(name);
        found.ok_or_else(|| {
            Remark::new(
                path,
                format!("names the saved group `{name}`, which is not in the file"),
            )
        })
    };
    match operator {
        "$eq" if value.is_null() => Ok(not(compare(attribute, "EXISTS", vec![]))),
        "$ne" if value.is_null() => Ok(compare(attribute, "EXISTS", vec![])),
        "$eq" => one("EQ"),
        "$ne" => Ok(not(one("EQ")?)),
        "$gt" => number("GT"),
        "$gte" => number("GTE"),
        "$lt" => number("LT"),
        "$lte" => number("LTE"),
        "$in" => among(value, path),
        "$nin" => Ok(not(among(value, path)?)),
        "$inGroup" => among(group()?, path),
        "$notInGroup" => Ok(not(among(group()?, path)?)),
        "$regex" => text("MATCHES"),
        "$veq" => text("SEMVER_EQ"),
        "$vne" => Ok(not(text("SEMVER_EQ")?)),
        "$vgt" => text("SEMVER_GT"),
        "$vgte" => text("SEMVER_GTE"),
        "$vlt" => text("SEMVER_LT"),
        "$vlte" => text("SEMVER_LTE"),
        "$exists" => {
            let exists = compare(attribute, "EXISTS", vec![]);
            Ok(if value.as_bool().unwrap_or(true) {
                exists
            } else {
                not(exists)
            })
        }
        "$not" => {
            let inner = match value {
                Value::Object(inner) => inner.clone(),
                other => Map::from_iter([("$eq".to_owned(), other.clone())]),
            };
            Ok(not(field(attribute, &Value::Object(inner), path, groups)?))
        }
        other => Err(unknown(path, other)),
    }
}
