//! The ways through the targeting of flagd.

use serde_json::Value;

use super::{
    super::{Remark, all_of},
    logic::{operation, rule},
};
use crate::view::segment::Rule;

/// One way through the targeting: under this condition, this.
pub(super) struct Branch {
    pub(super) condition: Option<Rule>,
    pub(super) then: Value,
    pub(super) path: String,
}

pub(super) fn is_fractional(then: &Value) -> bool {
    operation(then).is_some_and(|(operator, _)| operator == "fractional")
}

/// A variant and its weight, 1 if not given; less than nothing is nothing.
pub(super) fn share(entry: &Value, path: &str) -> Result<(String, u32), Remark> {
    let wrong = |what: &str| Remark::new(path, format!("is {entry}; {what}"));
    let (name, weight) = match entry.as_array().map(Vec::as_slice) {
        Some([name]) => (name, 1),
        Some([name, weight]) => {
            let weight = weight
                .as_i64()
                .ok_or_else(|| wrong("a weight that is computed cannot be carried over"))?;
            (
                name,
                u32::try_from(weight.max(0)).map_err(|_| wrong("the weight is too great"))?,
            )
        }
        _ => return Err(wrong("it is no variant with a weight")),
    };
    match name {
        Value::String(name) => Ok((name.clone(), weight)),
        Value::Bool(name) => Ok((name.to_string(), weight)),
        _ => Err(wrong("a variant that is computed cannot be carried over")),
    }
}

/// The ways through `targeting`, in order; under `outer`, if that is given. The last one has no condition of its own.
pub(super) fn read(
    targeting: &Value,
    path: &str,
    outer: Option<&Rule>,
    branches: &mut Vec<Branch>,
) -> Result<(), Remark> {
    let under = |rule: Option<Rule>| match (outer.cloned(), rule) {
        (Some(outer), Some(rule)) => Some(all_of(vec![outer, rule])),
        (outer, rule) => outer.or(rule),
    };
    if let Some(("if", parts)) = operation(targeting) {
        let mut rest = parts;
        let mut i = 0;
        while let [condition, then, others @ ..] = rest {
            let rule = rule(condition, &format!("{path}.if[{i}]"))?;
            let place = format!("{path}.if[{}]", i + 1);
            let within = under(Some(rule));
            match operation(then) {
                Some(("if", _)) => read(then, &place, within.as_ref(), branches)?,
                _ => branches.push(Branch {
                    condition: within,
                    then: then.clone(),
                    path: place,
                }),
            }
            rest = others;
            i += 2;
        }
        // Without an else it is the default variant.
        return match rest.first() {
            Some(otherwise) => read(otherwise, &format!("{path}.if[{i}]"), outer, branches),
            None => {
                branches.push(Branch {
                    condition: outer.cloned(),
                    then: Value::Null,
                    path: path.to_owned(),
                });
                Ok(())
            }
        };
    }
    match targeting {
        Value::String(_) | Value::Bool(_) | Value::Null => {}
        other if is_fractional(other) => {}
        other => {
            let reason = format!("is {other}, which is computed in a way that cannot be carried over");
            return Err(Remark::new(path, reason));
        }
    }
    branches.push(Branch {
        condition: outer.cloned(),
        then: targeting.clone(),
        path: path.to_owned(),
    });
    Ok(())
}
