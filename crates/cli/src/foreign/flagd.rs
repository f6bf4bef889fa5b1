//! A flag file of flagd.

mod branch;
mod logic;

use assay_core::key::FlagKey;
use serde_json::Value;

use super::{
    Alternative, Ordered, Remark, Translation, as_key, fitting, not, type_of, unit_kind, variations,
};
use crate::view::{
    experiment::{Experiment, Flagd, Hashing},
    flag::{Flag, SegmentOverride},
    segment::Rule,
    share::Share,
};
use branch::{Branch, is_fractional, read, share};
use logic::{operation, resolved, variable};

/// What `file` becomes. `fractional` is the form that the flagd in use computes: `PERCENT`, `SCALED` or `CBOR`.
///
/// # Errors
/// What is wrong when it is no flag file at all.
pub(crate) fn translate(file: &Value, fractional: &str) -> Result<Translation, String> {
    let Some(Value::Object(flags)) = file.get("flags") else {
        return Err("has no object `flags`; give a file that flagd reads".into());
    };
    let mut translation = Translation::default();
    let evaluators = file.get("$evaluators").unwrap_or(&Value::Null);
    for (key, flag) in flags {
        let path = format!("flags.{key}");
        let mut reader = Reader {
            translation: &mut translation,
            evaluators,
            fractional,
            key,
            path,
            value_type: "",
            flag,
        };
        if let Err(remark) = reader.flag() {
            translation.left_out.push(remark);
        }
    }
    if !translation.experiments.is_empty() {
        let form = fractional.to_lowercase();
        let note = format!(
            "`fractional` is taken for the form `{form}`; if the flagd in use computes another, import again with --fractional, or units move"
        );
        translation.note("flags", note);
    }
    Ok(translation)
}

/// Reads one flag.
struct Reader<'a> {
    translation: &'a mut Translation,
    evaluators: &'a Value,
    fractional: &'a str,
    key: &'a str,
    path: String,
    value_type: &'static str,
    flag: &'a Value,
}

/// What the targeting of a flag has become so far.
#[derive(Default)]
struct Made {
    overrides: Vec<SegmentOverride>,
    experiments: Vec<Experiment>,
    /// The audiences of the experiments so far: whoever is in one gets nothing of what stands behind.
    before: Vec<Rule>,
    /// What all others get, when that is not the default variant.
    otherwise: Option<Value>,
    n_segments: usize,
}

impl Reader<'_> {
    fn flag(&mut self) -> Result<(), Remark> {
        let path = self.path.clone();
        FlagKey::new(self.key).map_err(|problem| Remark::new(&path, format!("its key {problem}")))?;
        let reason =
            "has no default variant, so that callers got their own default, and a flag needs a value";
        let default = self
            .variant(&self.flag["defaultVariant"])
            .ok_or_else(|| Remark::new(&path, reason))?;
        self.value_type =
            type_of(&default).ok_or_else(|| Remark::new(&path, "serves null, and a flag needs a value"))?;
        if self.flag["state"] == "DISABLED" {
            let reason = "is DISABLED, so that callers got their own default; here it serves its default variant, and its targeting is left";
            self.translation.left_out(format!("{path}.state"), reason);
            self.add(default, Made::default());
            return Ok(());
        }
        let mut made = Made::default();
        let targeting = &self.flag["targeting"];
        let is_targeted = targeting
            .as_object()
            .is_some_and(|targeting| !targeting.is_empty());
        if is_targeted && let Err(remark) = self.targeting(targeting, &default, &mut made) {
            // What comes before this place stands as it was; what comes after it cannot.
            self.translation.left_out.push(remark);
        }
        for name in ["metadata"] {
            if self.flag.get(name).is_some() {
                self.translation
                    .left_out(format!("{path}.{name}"), "has no place in a flag");
            }
        }
        let default = made.otherwise.take().unwrap_or(default);
        self.add(default, made);
        Ok(())
    }

    fn add(&mut self, default: Value, made: Made) {
        let all = self.flag["variants"].as_object();
        let mut served: Vec<_> = all
            .into_iter()
            .flat_map(|variants| variants.values().cloned())
            .collect();
        served.retain(|value| type_of(value) == Some(self.value_type));
        let mut flag = Flag {
            key: self.key.to_owned(),
            value_type: self.value_type.to_owned(),
            variations: variations(&default, &made.experiments, &served),
            default_value: default,
            segment_overrides: made.overrides,
            ..Flag::default()
        };
        // Variants have names there.
        for variation in &mut flag.variations {
            let mut named = all.into_iter().flatten();
            let name = named
                .find(|(_, value)| **value == variation.value)
                .map(|(name, _)| as_key(name));
            variation.key = name
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| variation.key.clone());
        }
        self.translation.flags.push(flag);
    }

    /// The value of the variant of this name.
    fn variant(&self, name: &Value) -> Option<Value> {
        let name = match name {
            Value::String(name) => name.clone(),
            Value::Bool(name) => name.to_string(),
            _ => return None,
        };
        self.flag["variants"].get(name).cloned()
    }

    fn targeting(&mut self, targeting: &Value, default: &Value, made: &mut Made) -> Result<(), Remark> {
        let path = format!("{}.targeting", self.path);
        let targeting = resolved(targeting, self.evaluators, &path, 0)?;
        let mut branches = Vec::new();
        let unread = read(&targeting, &path, None, &mut branches).err();
        // What all others get is known before the experiments are made, whose control it is.
        if unread.is_none()
            && let Some(Branch {
                condition: None,
                then,
                path,
            }) = branches.last()
            && !is_fractional(then)
        {
            if !then.is_null() {
                made.otherwise = Some(self.served(then, path)?);
            }
            branches.pop();
        }
        let otherwise = made.otherwise.clone().unwrap_or_else(|| default.clone());
        let mut failed: Option<String> = None;
        for branch in branches {
            let path = branch.path.clone();
            if let Some(failed) = &failed {
                let reason =
                    format!("stands behind {failed}, which could not be carried over and came first");
                self.translation.left_out(path, reason);
            } else if let Err(remark) = self.branch(branch, default, &otherwise, made) {
                failed = Some(path);
                self.translation.left_out.push(remark);
            }
        }
        unread.map_or(Ok(()), |remark| {
            let reason = format!(
                "{}; what stands behind it in the targeting is left too",
                remark.reason
            );
            Err(Remark::new(remark.path, reason))
        })
    }

    fn served(&self, name: &Value, path: &str) -> Result<Value, Remark> {
        let value = self.variant(name);
        let value =
            value.ok_or_else(|| Remark::new(path, format!("is {name}, which is no variant of the flag")))?;
        match type_of(&value) {
            found if found == Some(self.value_type) => Ok(value),
            _ => Err(Remark::new(
                path,
                format!("serves {value}, and the flag's type is {}", self.value_type),
            )),
        }
    }

    fn branch(
        &mut self,
        branch: Branch,
        default: &Value,
        otherwise: &Value,
        made: &mut Made,
    ) -> Result<(), Remark> {
        let Branch {
            condition,
            then,
            path,
        } = branch;
        let rules: Vec<_> = made
            .before
            .iter()
            .cloned()
            .map(not)
            .chain(condition.clone())
            .collect();
        let rules = fitting(rules, &path)?;
        if is_fractional(&then) {
            let mut experiment = self.experiment(&then, &path, otherwise)?;
            experiment.segment_key = self.audience(made, &path, rules);
            if !made.experiments.is_empty() {
                let reason = "is a further `fractional` of the flag; it is a draft of its own, and one experiment of a flag runs at a time";
                self.translation.left_out(&path, reason);
            }
            experiment.key = self.translation.experiment(experiment.clone());
            made.experiments.push(experiment);
            // Nothing stands behind one without a condition.
            made.before.extend(condition);
            return Ok(());
        }
        let value = if then.is_null() {
            default.clone()
        } else {
            self.served(&then, &path)?
        };
        let segment_key = self.audience(made, &path, rules);
        made.overrides.push(SegmentOverride { segment_key, value });
        Ok(())
    }

    /// The key of a segment of `rules`; none of no rules.
    fn audience(&mut self, made: &mut Made, path: &str, rules: Vec<Rule>) -> String {
        if rules.is_empty() {
            return String::new();
        }
        let key = format!("{}-audience-{}", self.key, made.n_segments);
        made.n_segments += 1;
        self.translation
            .segment(&key, format!("From flagd: {path}"), rules);
        key
    }

    fn experiment(&mut self, then: &Value, path: &str, default: &Value) -> Result<Experiment, Remark> {
        let path = format!("{path}.fractional");
        let entries = then["fractional"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let (hashed, entries) = match entries {
            [by, entries @ ..] if !by.is_array() => (self.hashed(Some(by), &path)?, entries),
            entries => (self.hashed(None, &path)?, entries),
        };
        let (key, attribute) = hashed;
        let mut shares: Vec<(String, u32)> = Vec::new();
        for (i, entry) in entries.iter().enumerate() {
            shares.push(share(entry, &format!("{path}[{i}]"))?);
        }
        let total = shares
            .iter()
            .try_fold(0_u32, |sum, (_, weight)| sum.checked_add(*weight));
        let total = total.filter(|total| (1..=i32::MAX as u32).contains(total));
        let total = total.ok_or_else(|| Remark::new(&path, "has weights of no sum that flagd takes"))?;
        // A variant may stand there several times.
        let mut alternatives: Vec<Alternative> = Vec::new();
        for (name, _) in &shares {
            if alternatives.iter().all(|alternative| alternative.name != *name) {
                let value = self.served(&Value::String(name.clone()), &path)?;
                alternatives.push(Alternative {
                    key: as_key(name),
                    name: name.clone(),
                    value,
                });
            }
        }
        let place = |name: &str| {
            alternatives
                .iter()
                .position(|alternative| alternative.name == name)
                .unwrap_or_default()
        };
        let mut end = 0;
        let ranges: Vec<_> = shares
            .iter()
            .map(|(name, weight)| {
                let start = end;
                end += weight;
                (start..end, place(name))
            })
            .collect();
        let ordered = Ordered::new(alternatives.clone(), default);
        let mut experiment = Experiment {
            key: format!("{}-split", self.key),
            description: format!("From flagd: {path}"),
            flag_key: self.key.to_owned(),
            unit_kind: unit_kind(&attribute).to_owned(),
            ..Experiment::default()
        };
        let hashing = Hashing {
            flagd: Some(Flagd {
                fractional: self.fractional.to_owned(),
                ..key
            }),
            ..Hashing::default()
        };
        let scaled = |weight: u32| {
            let product = u64::from(weight) * 10_000;
            let is_whole = product.is_multiple_of(u64::from(total));
            is_whole.then_some((product / u64::from(total)) as u32)
        };
        let plain: Option<Vec<u32>> = shares.iter().map(|(_, weight)| scaled(*weight)).collect();
        match plain.filter(|_| ordered.is_as_given() && shares.len() == alternatives.len()) {
            Some(weights) => {
                experiment.variants = ordered.variants(&weights);
                experiment.hashing = Some(hashing);
            }
            None => {
                let hashing = Hashing {
                    buckets: Some(total),
                    ..hashing
                };
                ordered.by_ranges(&mut experiment, hashing, &ranges);
            }
        }
        experiment.coverage = Some(Share(10_000));
        let kind = &experiment.unit_kind;
        self.translation.note(
            path,
            format!("hashes `{attribute}`: assign units of kind `{kind}` by it"),
        );
        Ok(experiment)
    }

    /// What is hashed: the text before the unit id, and what the unit id is.
    fn hashed(&self, by: Option<&Value>, path: &str) -> Result<(Flagd, String), Remark> {
        let Some(by) = by else {
            let flag_key = Some(self.key.to_owned());
            return Ok((
                Flagd {
                    flag_key,
                    ..Flagd::default()
                },
                "targetingKey".to_owned(),
            ));
        };
        let path = format!("{path}[0]");
        let (before, last) = match operation(by) {
            Some(("cat", [before @ .., last])) => (before, last),
            _ => (&[][..], by),
        };
        let Some(attribute) = variable(last).filter(|name| !name.starts_with("$flagd")) else {
            return Err(Remark::new(
                path,
                format!("hashes {by}, and what is hashed must end with the unit"),
            ));
        };
        let mut prefix = String::new();
        for part in before {
            match (part, variable(part)) {
                (Value::String(text), _) => prefix.push_str(text),
                (_, Some("$flagd.flagKey")) => prefix.push_str(self.key),
                _ => {
                    return Err(Remark::new(
                        path,
                        format!("hashes {part} before the unit, which differs from unit to unit"),
                    ));
                }
            }
        }
        let flagd = Flagd {
            prefix: Some(prefix),
            ..Flagd::default()
        };
        Ok((flagd, attribute.to_owned()))
    }
}
