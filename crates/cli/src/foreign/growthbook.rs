//! A features payload of GrowthBook: what its SDKs download.

mod condition;
mod hash;

use assay_core::{
    hashing::{GrowthBookVersion, division::growthbook_ranges},
    key::FlagKey,
};
use serde_json::{Map, Value};

use super::{Alternative, Ordered, Remark, Translation, as_key, fitting, type_of, unit_kind, variations};
use crate::view::{
    experiment::{Experiment, GrowthBook, Hashing, Prerequisite},
    flag::{Flag, SegmentOverride},
    segment::Rule,
    share::Share,
};
use hash::{Hash, bounds, filters, number, ranges, ten_thousandths, version, weights};

/// What `payload` becomes.
///
/// # Errors
/// What is wrong when it is no payload at all.
pub(crate) fn translate(payload: &Value) -> Result<Translation, String> {
    let encrypted = [
        "encryptedFeatures",
        "encryptedExperiments",
        "encryptedSavedGroups",
    ];
    if let Some(name) = encrypted.into_iter().find(|name| payload.get(name).is_some()) {
        return Err(format!("has `{name}`; give the payload decrypted"));
    }
    let Some(Value::Object(features)) = payload.get("features") else {
        return Err(
            "has no object `features`; give what the features endpoint of GrowthBook's API answers".into(),
        );
    };
    let mut translation = Translation::default();
    let groups = payload.get("savedGroups").unwrap_or(&Value::Null);
    for (key, feature) in features {
        let mut reader = Reader {
            translation: &mut translation,
            groups,
            key,
            path: format!("features.{key}"),
        };
        reader.feature(feature);
    }
    for (i, _) in payload["experiments"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let reason = "changes pages in the browser, and Assay serves values of flags";
        translation.left_out(format!("experiments[{i}]"), reason);
    }
    Ok(translation)
}

/// Reads one feature.
struct Reader<'a> {
    translation: &'a mut Translation,
    groups: &'a Value,
    key: &'a str,
    path: String,
}

/// What the rules of a feature have become so far.
#[derive(Default)]
struct Made {
    overrides: Vec<SegmentOverride>,
    experiments: Vec<Experiment>,
}

impl Reader<'_> {
    fn feature(&mut self, feature: &Value) {
        let path = self.path.clone();
        if let Err(problem) = FlagKey::new(self.key) {
            return self.translation.left_out(path, format!("its key {problem}"));
        }
        let rules: Vec<_> = feature["rules"].as_array().into_iter().flatten().collect();
        // What is forced for everybody is the default, and nothing behind it is ever reached.
        let end = rules.iter().position(|rule| is_for_all(rule));
        let default = match end.and_then(|end| rules.get(end)) {
            Some(rule) => rule["force"].clone(),
            None => feature["defaultValue"].clone(),
        };
        let Some(value_type) = type_of(&default) else {
            return self
                .translation
                .left_out(path, "serves null by default, and a flag needs a value");
        };
        let reached = end.unwrap_or(rules.len());
        for i in reached + 1..rules.len() {
            let reason = "stands behind a rule that is for everybody, and was never reached";
            self.translation.left_out(format!("{path}.rules[{i}]"), reason);
        }
        let mut made = Made::default();
        for (i, rule) in rules.into_iter().take(reached).enumerate() {
            let place = format!("{path}.rules[{i}]");
            if let Err(mut remark) = self.rule(rule, i, &place, &default, &mut made) {
                if i + 1 < reached {
                    remark
                        .reason
                        .push_str("; the units that the rule took go on to the rules behind it");
                }
                self.translation.left_out.push(remark);
            }
        }
        let served: Vec<_> = made.overrides.iter().map(|o| o.value.clone()).collect();
        let flag = Flag {
            key: self.key.to_owned(),
            value_type: value_type.to_owned(),
            variations: variations(&default, &made.experiments, &served),
            default_value: default,
            segment_overrides: made.overrides,
            ..Flag::default()
        };
        self.translation.flags.push(flag);
    }

    fn rule(
        &mut self,
        rule: &Value,
        i: usize,
        path: &str,
        default: &Value,
        made: &mut Made,
    ) -> Result<(), Remark> {
        let audience = match rule.get("condition") {
            None => vec![],
            Some(condition) => {
                let path = format!("{path}.condition");
                fitting(condition::rules(condition, &path, self.groups)?, &path)?
            }
        };
        let segment = if audience.is_empty() {
            String::new()
        } else {
            format!("{}-rule-{i}", self.key)
        };
        let forced = rule.get("force");
        let is_rollout = rule.get("coverage").is_some() || rule.get("range").is_some();
        if let Some(value) = forced.filter(|_| !is_rollout) {
            same_type(value, default, &format!("{path}.force"))?;
            if rule.get("filters").is_some() || rule.get("parentConditions").is_some() {
                return Err(Remark::new(
                    path,
                    "forces a value by a filter or another feature, and an override is by attributes alone",
                ));
            }
            if !made.experiments.is_empty() {
                let reason = "stands behind an experiment, and here an override would come before it; add it when the experiment is over";
                return Err(Remark::new(path, reason));
            }
            let value = value.clone();
            self.audience(&segment, path, audience);
            made.overrides.push(SegmentOverride {
                segment_key: segment,
                value,
            });
            return Ok(());
        }
        let mut experiment = match forced {
            Some(value) => self.rollout(rule, value, path, default)?,
            None => self.experiment(rule, path, default)?,
        };
        experiment.prerequisites = prerequisites(rule, path)?;
        experiment.segment_key.clone_from(&segment);
        self.audience(&segment, path, audience);
        if !made.experiments.is_empty() {
            let reason = "took the units that the experiments before it had left; it is a draft of its own now, and one experiment of a flag runs at a time";
            self.translation.left_out(path, reason);
        }
        experiment.key = self.translation.experiment(experiment.clone());
        made.experiments.push(experiment);
        self.remarks(rule, path);
        Ok(())
    }

    fn audience(&mut self, segment: &str, path: &str, rules: Vec<Rule>) {
        if !rules.is_empty() {
            self.translation
                .segment(segment, format!("From GrowthBook: {path}.condition"), rules);
        }
    }

    /// A rule with variations.
    fn experiment(&mut self, rule: &Value, path: &str, default: &Value) -> Result<Experiment, Remark> {
        if rule.get("contextualVariations").is_some() {
            return Err(Remark::new(
                path,
                "is a contextual bandit, whose weights follow the unit",
            ));
        }
        let Some(values) = rule["variations"].as_array() else {
            return Err(Remark::new(
                path,
                "has neither `force` nor `variations`; GrowthBook skips it too",
            ));
        };
        if values.len() < 2 {
            return Err(Remark::new(
                path,
                "has fewer than two variations; GrowthBook skips it too",
            ));
        }
        for (i, value) in values.iter().enumerate() {
            same_type(value, default, &format!("{path}.variations[{i}]"))?;
        }
        let key = text(rule, "key").unwrap_or(self.key);
        let hash = self.hash(rule, text(rule, "seed").unwrap_or(key), path)?;
        let ordered = Ordered::new(alternatives(values, &rule["meta"]), default);
        let weights = weights(rule, values.len());
        let coverage = rule["coverage"].as_f64().unwrap_or(1.0).clamp(0.0, 1.0);
        let mut experiment = self.draft(rule, key, path);
        let exact = weights
            .iter()
            .copied()
            .map(ten_thousandths)
            .collect::<Option<Vec<_>>>();
        let plain = exact.filter(|shares| shares.iter().sum::<u32>() == 10_000 && ordered.is_as_given());
        match (plain, ten_thousandths(coverage), ranges(rule, hash.version)) {
            // The same formula says the same here, and the coverage can grow.
            (Some(shares), Some(coverage), None) => {
                experiment.variants = ordered.variants(&shares);
                experiment.coverage = Some(Share(coverage));
                experiment.hashing = Some(Hashing {
                    growthbook: Some(hash.view),
                    ..Hashing::default()
                });
            }
            (_, _, given) => {
                let ranges =
                    given.unwrap_or_else(|| growthbook_ranges(hash.version, weights.into_iter(), coverage));
                hash.divide(&mut experiment, &ordered, |bucket| {
                    ranges.iter().position(|range| range.contains(&bucket))
                });
            }
        }
        Ok(experiment)
    }

    /// A forced value for a share of the units: an experiment of the default against it, so that the same units keep it.
    fn rollout(
        &mut self,
        rule: &Value,
        value: &Value,
        path: &str,
        default: &Value,
    ) -> Result<Experiment, Remark> {
        same_type(value, default, &format!("{path}.force"))?;
        let hash = self.hash(rule, text(rule, "seed").unwrap_or(self.key), path)?;
        let included = match rule.get("range") {
            Some(range) => bounds(range, hash.version),
            // A rollout includes its end, and none of nothing.
            None => {
                let coverage = rule["coverage"].as_f64().unwrap_or(1.0);
                let above = if coverage == 0.0 { 0.0 } else { coverage.next_up() };
                Some(0..hash.version.bucket(above))
            }
        };
        let Some(included) = included else {
            return Err(Remark::new(format!("{path}.range"), "is no pair of numbers"));
        };
        let alternative = |key: &str, value: &Value| Alternative {
            key: key.to_owned(),
            name: String::new(),
            value: value.clone(),
        };
        if value == default {
            return Err(Remark::new(path, "forces what the flag serves by default"));
        }
        let ordered = Ordered::new(
            vec![alternative("default", default), alternative("rollout", value)],
            default,
        );
        let mut experiment = self.draft(rule, &format!("{}-rollout", self.key), path);
        hash.divide(&mut experiment, &ordered, |bucket| {
            Some(usize::from(included.contains(&bucket)))
        });
        let note = "is a rollout, and becomes an experiment of the default against its value, so that the same units keep it";
        self.translation.note(path, note);
        Ok(experiment)
    }

    /// The draft of an experiment, without what divides.
    fn draft(&mut self, rule: &Value, key: &str, path: &str) -> Experiment {
        let written = as_key(key);
        if written != key {
            self.translation.note(
                path,
                format!("`{key}` is no key here; it is `{written}`, and its seed stays"),
            );
        }
        let attribute = text(rule, "hashAttribute").unwrap_or("id");
        let kind = unit_kind(attribute);
        self.translation.note(
            path,
            format!("hashes the attribute `{attribute}`: assign units of kind `{kind}` by it"),
        );
        Experiment {
            key: written,
            name: text(rule, "name").unwrap_or_default().to_owned(),
            description: format!("From GrowthBook: {path}"),
            flag_key: self.key.to_owned(),
            unit_kind: kind.to_owned(),
            ..Experiment::default()
        }
    }

    fn hash(&self, rule: &Value, seed: &str, path: &str) -> Result<Hash, Remark> {
        let version = version(rule.get("hashVersion"), GrowthBookVersion::V1, path)?;
        Ok(Hash {
            version,
            view: GrowthBook {
                version: number(version),
                seed: seed.to_owned(),
                filters: filters(rule, path)?,
            },
        })
    }

    /// What has no place here, and does no harm to leave.
    fn remarks(&mut self, rule: &Value, path: &str) {
        let left = [
            (
                "fallbackAttribute",
                "is for units without the attribute that is hashed; they get the default here",
            ),
            (
                "bucketVersion",
                "belongs to sticky buckets; with `sticky` STORED Assay remembers from its own first assignment on",
            ),
            (
                "minBucketVersion",
                "excludes units with older sticky buckets; Assay does not know these",
            ),
            ("tracks", "reports the exposure of another experiment"),
        ];
        for (name, reason) in left {
            if rule
                .get(name)
                .is_some_and(|value| !value.is_null() && *value != 0)
            {
                self.translation.left_out(format!("{path}.{name}"), reason);
            }
        }
        let gates = rule["parentConditions"].as_array().into_iter().flatten();
        if gates.into_iter().any(|parent| parent["gate"] == true) {
            self.translation.note(
                path,
                "is null there while the feature that it requires is off; here the flag serves its default",
            );
        }
        if rule["meta"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|meta| meta["passthrough"] == true)
        {
            self.translation.left_out(
                format!("{path}.meta"),
                "has a variation that passes through to the next rule; here it serves its value",
            );
        }
    }
}

fn is_for_all(rule: &Value) -> bool {
    let bounds = ["condition", "coverage", "range", "filters", "parentConditions"];
    let is_free = |name: &&str| match rule.get(*name) {
        None => true,
        Some(Value::Object(condition)) => condition.is_empty(),
        Some(_) => false,
    };
    rule.get("force").is_some() && bounds.iter().all(is_free)
}

fn same_type(value: &Value, default: &Value, path: &str) -> Result<(), Remark> {
    if type_of(value) == type_of(default) {
        return Ok(());
    }
    Err(Remark::new(
        path,
        format!("is {value} where the flag serves {default} by default, and a flag has one type"),
    ))
}

fn text<'a>(rule: &'a Value, name: &str) -> Option<&'a str> {
    rule[name].as_str().filter(|text| !text.is_empty())
}

/// The variations with their keys: of `meta` where there are usable ones, else their numbers.
fn alternatives(values: &[Value], meta: &Value) -> Vec<Alternative> {
    let key = |i: usize| {
        let key = as_key(text(&meta[i], "key").unwrap_or_default());
        let before = (0..i).any(|other| as_key(text(&meta[other], "key").unwrap_or_default()) == key);
        if key.is_empty() || before {
            i.to_string()
        } else {
            key
        }
    };
    let alternative = |(i, value): (usize, &Value)| Alternative {
        key: key(i),
        name: text(&meta[i], "name").unwrap_or_default().to_owned(),
        value: value.clone(),
    };
    values.iter().enumerate().map(alternative).collect()
}

/// What other features must serve.
fn prerequisites(rule: &Value, path: &str) -> Result<Vec<Prerequisite>, Remark> {
    let parents = rule["parentConditions"].as_array().into_iter().flatten();
    let prerequisite = |(i, parent): (usize, &Value)| {
        let path = format!("{path}.parentConditions[{i}]");
        let empty = Map::new();
        let condition = parent["condition"].as_object().unwrap_or(&empty);
        let value = match (condition.len(), condition.get("value")) {
            (1, Some(Value::Object(operators))) if operators.len() == 1 => operators.get("$eq"),
            (1, value) => value,
            _ => None,
        };
        match value {
            Some(value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => Ok(Prerequisite {
                flag_key: parent["id"].as_str().unwrap_or_default().to_owned(),
                value: value.clone(),
            }),
            _ => Err(Remark::new(
                path,
                "asks another feature for more than one value, and a prerequisite is one value of a flag",
            )),
        }
    };
    parents.enumerate().map(prerequisite).collect()
}
