//! Runs golden vectors: JSON files with `cases`, each naming a function, its input and what it must answer.

mod adjusting;
mod bayes;
mod comparing;
mod deciding;
mod sums;

use std::path::Path;

use serde_json::Value;

/// What running a folder of vectors found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Cases that were compared.
    pub(crate) ran: usize,
    /// One line per failing case, beginning with its id.
    pub(crate) failures: Vec<String>,
}

/// Runs every `*.json` with `cases` in `dir`; whatever cannot be read or is unknown is a failure.
pub(crate) fn run(dir: &Path) -> Report {
    let mut report = Report::default();
    let entries = std::fs::read_dir(dir).unwrap_or_else(|e| panic!("cannot read {}: {e}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        let file: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for case in file["cases"].as_array().into_iter().flatten() {
            run_case(case, &file["tolerance"], &mut report);
        }
    }
    report
}

fn run_case(case: &Value, tolerances: &Value, report: &mut Report) {
    let name = case["fn"].as_str().unwrap();
    let Some(answer) = answer(name, &case["input"]) else {
        if case["optional"] != true {
            report
                .failures
                .push(format!("{}: unknown function `{name}`", case["id"]));
        }
        return;
    };
    report.ran += 1;
    let default = tolerances.get(name).unwrap_or(&tolerances["default"]);
    let matcher = Matcher { tolerances };
    if let Err(difference) = matcher.matches(&answer, &case["expected"], default) {
        report.failures.push(format!("{}: {difference}", case["id"]));
    }
}

/// The crate's answer to a case, `None` if no function has that name.
fn answer(name: &str, input: &Value) -> Option<Value> {
    let topics = [
        sums::answer,
        comparing::answer,
        bayes::answer,
        adjusting::answer,
        deciding::answer,
    ];
    topics.iter().find_map(|answer| answer(name, input))
}

struct Matcher<'a> {
    tolerances: &'a Value,
}

impl Matcher<'_> {
    /// Compares with the tolerance of the innermost field that has one; an answer may have more fields than expected.
    fn matches(&self, answer: &Value, expected: &Value, tolerance: &Value) -> Result<(), String> {
        match expected {
            Value::Object(fields) => fields.iter().try_for_each(|(field, e)| {
                let answered = answer.get(field).ok_or(format!("no `{field}` in {answer}"))?;
                let inner = self.tolerances.get(field).unwrap_or(tolerance);
                self.matches(answered, e, inner)
                    .map_err(|difference| format!("{field}: {difference}"))
            }),
            Value::Array(elements) => {
                let answered = answer.as_array().filter(|a| a.len() == elements.len());
                let answered = answered.ok_or(format!("{answer} is not {expected}"))?;
                elements
                    .iter()
                    .zip(answered)
                    .try_for_each(|(e, a)| self.matches(a, e, tolerance))
            }
            Value::Number(_) if answer.is_number() => close(real(answer), real(expected), tolerance),
            _ if answer == expected => Ok(()),
            _ => Err(format!("{answer} is not {expected}")),
        }
    }
}

fn close(x: f64, expected: f64, tolerance: &Value) -> Result<(), String> {
    let allowed = number(tolerance, "abs") + number(tolerance, "rel") * expected.abs();
    if (x - expected).abs() <= allowed {
        Ok(())
    } else {
        Err(format!("{x} is not {expected} within {allowed:e}"))
    }
}

fn real(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is not a number"))
}

fn number(object: &Value, field: &str) -> f64 {
    real(&object[field])
}

fn numbers(object: &Value, field: &str) -> Vec<f64> {
    list(object, field).iter().map(real).collect()
}

fn whole(object: &Value, field: &str) -> u64 {
    object[field]
        .as_u64()
        .unwrap_or_else(|| panic!("`{field}` is not a count in {object}"))
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object[field]
        .as_array()
        .unwrap_or_else(|| panic!("`{field}` is not a list in {object}"))
}

fn integers(value: &Value) -> Vec<i64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_i64().unwrap())
        .collect()
}

/// A number as JSON, which has no NaN and no infinity: neither may the crate answer.
fn json(x: f64) -> Value {
    assert!(x.is_finite(), "{x} answered");
    Value::from(x)
}

fn json_list(xs: &[f64]) -> Value {
    xs.iter().copied().map(json).collect()
}
