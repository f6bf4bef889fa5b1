//! What other systems keep, as resources of Assay: read, translated as far as it goes, and a list of what could not be carried over.
//!
//! The rule: a unit gets here what it got there, or the list says where it does not. An audience that cannot be said exactly takes with it
//! what it is the audience of.

pub(crate) mod flagd;
pub(crate) mod growthbook;

use std::ops::Range;

use assay_core::{
    hashing::{Hashing as Ranges, VariantRange as Given},
    key::VariantKey,
    segment::Segment as CoreSegment,
    validate,
    weights::Weights,
};
use serde::Serialize;
use serde_json::Value;

use crate::view::{
    View as _,
    experiment::{Experiment, Hashing, Variant, VariantRange},
    flag::{Flag, Variation},
    segment::{Rule, Segment},
    share::Share,
};

/// Something to know about a place in the file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Remark {
    /// Where it stands in the file: `features.checkout.rules[1]`.
    pub(crate) path: String,
    /// What is so, and why.
    pub(crate) reason: String,
}

impl Remark {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// What a file becomes.
#[derive(Debug, Default)]
pub(crate) struct Translation {
    pub(crate) flags: Vec<Flag>,
    pub(crate) segments: Vec<Segment>,
    /// Drafts.
    pub(crate) experiments: Vec<Experiment>,
    /// What could not be carried over.
    pub(crate) left_out: Vec<Remark>,
    /// What was carried over in a way that is worth knowing.
    pub(crate) notes: Vec<Remark>,
}

impl Translation {
    fn left_out(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.left_out.push(Remark::new(path, reason));
    }

    fn note(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.notes.push(Remark::new(path, reason));
    }

    /// Adds the segment of these rules.
    fn segment(&mut self, key: &str, description: String, rules: Vec<Rule>) {
        self.segments.push(Segment {
            key: key.to_owned(),
            description,
            rules,
            ..Segment::default()
        });
    }

    /// Adds the draft, under a key that no other has; says which.
    fn experiment(&mut self, mut experiment: Experiment) -> String {
        let wanted = experiment.key.clone();
        let mut n = 1;
        while self.experiments.iter().any(|other| other.key == experiment.key) {
            n += 1;
            experiment.key = if n == 2 {
                format!("{wanted}-{}", experiment.flag_key)
            } else {
                format!("{wanted}-{}-{}", experiment.flag_key, n - 1)
            };
        }
        let key = experiment.key.clone();
        self.experiments.push(experiment);
        key
    }
}

/// One value that units are divided among, in the order of the other system.
#[derive(Debug, Clone, PartialEq)]
struct Alternative {
    key: String,
    name: String,
    value: Value,
}

/// Alternatives with the control first: the one that serves what the flag serves by default.
#[derive(Debug, PartialEq)]
struct Ordered {
    alternatives: Vec<Alternative>,
    /// The place here of each alternative of the other system.
    places: Vec<usize>,
}

impl Ordered {
    /// Where none serves `default`, a control is put before them, which nobody gets.
    fn new(given: Vec<Alternative>, default: &Value) -> Self {
        match given.iter().position(|alternative| alternative.value == *default) {
            Some(control) => {
                let mut order: Vec<_> = (0..given.len()).collect();
                order.remove(control);
                order.insert(0, control);
                let mut places = vec![0; given.len()];
                for (here, there) in order.iter().enumerate() {
                    if let Some(place) = places.get_mut(*there) {
                        *place = here;
                    }
                }
                let alternatives = order.iter().filter_map(|there| given.get(*there)).cloned();
                Self {
                    alternatives: alternatives.collect(),
                    places,
                }
            }
            None => {
                let mut key = "default".to_owned();
                while given.iter().any(|alternative| alternative.key == key) {
                    key.push('-');
                }
                let control = Alternative {
                    key,
                    name: "What the flag serves by default".to_owned(),
                    value: default.clone(),
                };
                let places = (1..=given.len()).collect();
                Self {
                    alternatives: [control].into_iter().chain(given).collect(),
                    places,
                }
            }
        }
    }

    /// Whether they stand as they did.
    fn is_as_given(&self) -> bool {
        self.places.iter().enumerate().all(|(there, here)| there == *here)
    }

    fn variants(&self, shares: &[u32]) -> Vec<Variant> {
        let shares = shares.iter().copied().chain(std::iter::repeat(0));
        let variant = |(alternative, share): (&Alternative, u32)| Variant {
            key: alternative.key.clone(),
            name: alternative.name.clone(),
            value: alternative.value.clone(),
            weight: Some(Share(share)),
        };
        self.alternatives.iter().zip(shares).map(variant).collect()
    }

    /// Gives `experiment` these variants by `ranges`, which name alternatives of the other system by their place there.
    fn by_ranges(&self, experiment: &mut Experiment, hashing: Hashing, ranges: &[(Range<u32>, usize)]) {
        let mut given = Vec::new();
        for (buckets, there) in ranges.iter().filter(|(buckets, _)| !buckets.is_empty()) {
            let here = self
                .places
                .get(*there)
                .and_then(|here| self.alternatives.get(*here));
            if let Some(alternative) = here {
                given.push((alternative.key.clone(), buckets.clone()));
            }
        }
        experiment.variants = self.variants(&self.shares(&given));
        let range = |(variant_key, buckets): (String, Range<u32>)| VariantRange {
            variant_key,
            first: buckets.start,
            end: buckets.end,
        };
        experiment.hashing = Some(Hashing {
            ranges: given.into_iter().map(range).collect(),
            ..hashing
        });
    }

    /// The shares of these ranges, which analysis expects to see; even ones of none.
    fn shares(&self, given: &[(String, Range<u32>)]) -> Vec<u32> {
        let keys = self
            .alternatives
            .iter()
            .filter_map(|a| VariantKey::new(a.key.as_str()).ok());
        let keys: Vec<_> = keys.collect();
        let range = |(key, buckets): &(String, Range<u32>)| {
            let variant = VariantKey::new(key.as_str()).ok()?;
            Some(Given {
                variant,
                buckets: buckets.clone(),
            })
        };
        let ranges = Ranges {
            ranges: given.iter().filter_map(range).collect(),
            ..Ranges::default()
        };
        let even = || Weights::even(keys.len()).shares().to_vec();
        ranges.shares(keys.iter()).unwrap_or_else(even)
    }
}

/// Who gets what, run by run: neighboring buckets with the same answer in one range.
fn runs(answers: impl Iterator<Item = Option<usize>>) -> Vec<(Range<u32>, usize)> {
    let mut runs: Vec<(Range<u32>, usize)> = Vec::new();
    for (bucket, answer) in (0..).zip(answers) {
        let Some(answer) = answer else { continue };
        match runs.last_mut() {
            Some((range, same)) if *same == answer && range.end == bucket => range.end = bucket + 1,
            _ => runs.push((bucket..bucket + 1, answer)),
        }
    }
    runs
}

/// The kind that units have here which are hashed there by `attribute`.
fn unit_kind(attribute: &str) -> &str {
    match attribute {
        "" | "id" | "userId" | "user_id" | "targetingKey" => "user",
        other => other,
    }
}

/// `text` with the characters that a key cannot have replaced.
fn as_key(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let key: String = text.chars().map(|c| if fits(c) { c } else { '-' }).collect();
    key.trim_start_matches(['-', '_', '.']).to_owned()
}

/// The type of a flag that serves `value`.
fn type_of(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => "BOOLEAN",
        Value::Number(_) => "NUMBER",
        Value::String(_) => "STRING",
        Value::Array(_) | Value::Object(_) => "JSON",
    })
}

/// Variations for all values that a flag serves, the default first; each value once.
fn variations(default: &Value, experiments: &[Experiment], others: &[Value]) -> Vec<Variation> {
    let mut all: Vec<Variation> = Vec::new();
    let variants = experiments.iter().flat_map(|experiment| &experiment.variants);
    let named = variants.map(|variant| (variant.key.as_str(), variant.name.as_str(), &variant.value));
    let defaults = named.clone().filter(|(.., value)| *value == default);
    let first = defaults.chain([("default", "", default)]).take(1);
    let others = others.iter().map(|value| ("", "", value));
    for (key, name, value) in first.chain(named).chain(others) {
        if all.iter().any(|variation| variation.value == *value) {
            continue;
        }
        let taken = |key: &str| all.iter().any(|variation| variation.key == key);
        let key = if key.is_empty() || taken(key) {
            (1..)
                .map(|n| format!("value-{n}"))
                .find(|key| !taken(key))
                .unwrap_or_default()
        } else {
            key.to_owned()
        };
        all.push(Variation {
            key,
            name: name.to_owned(),
            value: value.clone(),
        });
    }
    all
}

/// A comparison.
fn compare(attribute: &str, operator: &str, operands: Vec<Value>) -> Rule {
    Rule {
        attribute: attribute.to_owned(),
        operator: operator.to_owned(),
        operands,
        ..Rule::default()
    }
}

/// What does not hold, missing attributes included.
fn not(rule: Rule) -> Rule {
    Rule {
        not: Some(Box::new(rule)),
        ..Rule::default()
    }
}

fn any_of(rules: Vec<Rule>) -> Rule {
    Rule {
        any_of: rules,
        ..Rule::default()
    }
}

/// All of `rules`; one needs no group.
fn all_of(mut rules: Vec<Rule>) -> Rule {
    match (rules.len(), rules.pop()) {
        (1, Some(rule)) => rule,
        (_, last) => {
            rules.extend(last);
            Rule {
                all_of: rules,
                ..Rule::default()
            }
        }
    }
}

/// `rules`, if a segment can have them: a pattern that does not compile is told here, and not by the whole import.
fn fitting(rules: Vec<Rule>, path: &str) -> Result<Vec<Rule>, Remark> {
    let segment = Segment {
        key: "any".to_owned(),
        rules: rules.clone(),
        ..Segment::default()
    };
    let problem = match segment.message().map(CoreSegment::try_from) {
        Err(error) => Some(error.to_string()),
        Ok(Err(errors)) => Some(errors.to_string()),
        Ok(Ok(segment)) => {
            let mut errors = validate::segment(&segment).errors.into_iter();
            errors
                .next()
                .map(|violation| format!("{}: {}", violation.field, violation.message))
        }
    };
    match problem {
        None => Ok(rules),
        Some(problem) => Err(Remark::new(path, format!("makes no segment: {problem}"))),
    }
}

/// `value` as an operand: a boolean, number or text.
fn operand(value: &Value, path: &str) -> Result<Value, Remark> {
    match value {
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        other => Err(Remark::new(
            path,
            format!("compares with {other}, and rules compare with booleans, numbers and texts"),
        )),
    }
}

/// The texts, numbers and booleans of a list.
fn operands(value: &Value, path: &str) -> Result<Vec<Value>, Remark> {
    let Value::Array(items) = value else {
        return Err(Remark::new(path, "is no list"));
    };
    let numbered = items.iter().enumerate();
    numbered
        .map(|(i, item)| operand(item, &format!("{path}[{i}]")))
        .collect()
}

#[cfg(test)]
mod tests;
