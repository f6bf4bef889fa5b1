//! Resources written as options: the common cases. Each struct writes what it was given into the document that a file would be.

mod metric;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    error::Error,
    view::{
        experiment::ExperimentMetric,
        segment::{Rule, scalar},
        share::Share,
    },
};

pub(crate) use metric::MetricFields;

/// A document with the API's JSON names.
pub(crate) type Document = Map<String, Value>;

/// Options that write into a document.
pub(crate) trait Fields {
    /// Writes what was given.
    ///
    /// # Errors
    /// What does not fit the document.
    fn write(self, document: &mut Document) -> Result<(), Error>;
}

/// Texts that all kinds have.
#[derive(Debug, Default, Args)]
pub(crate) struct Texts {
    /// What people call it.
    #[arg(long)]
    name: Option<String>,
    /// More about it.
    #[arg(long)]
    description: Option<String>,
}

impl Texts {
    pub(super) fn write(self, document: &mut Document) {
        set(document, "name", self.name);
        set(document, "description", self.description);
    }
}

pub(super) fn set(document: &mut Document, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        document.insert(name.to_owned(), value.into());
    }
}

/// `key=value` → (key, JSON value); a text need not be quoted.
fn pair(written: &str) -> (String, Option<Value>) {
    match written.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(any_json(value))),
        None => (written.to_owned(), None),
    }
}

fn any_json(written: &str) -> Value {
    match serde_json::from_str(written) {
        Ok(Value::Null) | Err(_) => scalar(written),
        Ok(value) => value,
    }
}

/// A flag.
#[derive(Debug, Args)]
pub(crate) struct FlagFields {
    #[command(flatten)]
    texts: Texts,
    /// Type of its values: `boolean`, `string`, `number`, `json`. Default: that of the default value.
    #[arg(long = "type", value_name = "TYPE")]
    value_type: Option<String>,
    /// What is served when nothing else applies. Default: the first variation's value.
    #[arg(long = "default", value_name = "VALUE", allow_hyphen_values = true)]
    default_value: Option<String>,
    /// A named value, the control first, such as `control=30`.
    #[arg(long = "variation", value_name = "KEY=VALUE")]
    variations: Vec<String>,
    /// Where in a response body its value belongs, such as `data.gems_reward`.
    #[arg(long, value_name = "PATH")]
    target_path: Option<String>,
}

impl Fields for FlagFields {
    fn write(self, document: &mut Document) -> Result<(), Error> {
        self.texts.write(document);
        set(document, "type", self.value_type);
        set(document, "targetPath", self.target_path);
        set(
            document,
            "defaultValue",
            self.default_value.map(|value| any_json(&value)),
        );
        let variation = |written: &String| match pair(written) {
            (key, Some(value)) => Ok(json!({ "key": key, "value": value })),
            _ => Err(Error::Usage(format!(
                "--variation `{written}` has no value; write one like control=30"
            ))),
        };
        if !self.variations.is_empty() {
            let variations = self
                .variations
                .iter()
                .map(variation)
                .collect::<Result<Vec<_>, _>>()?;
            document.insert("variations".to_owned(), variations.into());
        }
        Ok(())
    }
}

/// A segment.
#[derive(Debug, Args)]
pub(crate) struct SegmentFields {
    #[command(flatten)]
    texts: Texts,
    /// A condition, such as `country in DE,AT`; all must hold.
    ///
    /// Operators: `eq neq in nin gt gte lt lte between`, `exists contains starts_with ends_with matches`,
    /// `semver_eq semver_gt semver_gte semver_lt semver_lte semver_between`, `before after date_between`.
    /// Groups: `any_of(country eq DE; level gte 10)`, `all_of(…)`, `not(…)`; other segments: `segment(payers)`, or for good in one version
    /// `segment(payers@3)`.
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<Rule>,
}

impl Fields for SegmentFields {
    fn write(self, document: &mut Document) -> Result<(), Error> {
        self.texts.write(document);
        if !self.rules.is_empty() {
            document.insert(
                "rules".to_owned(),
                serde_json::to_value(self.rules).map_err(Error::internal)?,
            );
        }
        Ok(())
    }
}

/// An experiment.
#[derive(Debug, Args)]
pub(crate) struct ExperimentFields {
    #[command(flatten)]
    texts: Texts,
    /// What is expected, and why. Needed to start.
    #[arg(long)]
    hypothesis: Option<String>,
    /// Who answers for it.
    #[arg(long)]
    owner: Option<String>,
    /// The flag that it changes. Default: a new one of its own key.
    #[arg(long = "flag", value_name = "KEY")]
    flag_key: Option<String>,
    /// An alternative, the control first, such as `green=#0a0`; without value that of the flag's variation. Default: the flag's variations.
    #[arg(long = "variant", value_name = "KEY[=VALUE]")]
    variants: Vec<String>,
    /// The share of a variant, such as `green=33%`; one that is not given gets the rest. Default: an even split.
    #[arg(long = "weight", value_name = "KEY=SHARE")]
    weights: Vec<String>,
    /// The share of eligible units that it admits, such as 80%.
    #[arg(long, allow_hyphen_values = true)]
    coverage: Option<Share>,
    /// The audience. Default: all units.
    #[arg(long = "segment", value_name = "KEY")]
    segment_key: Option<String>,
    /// The layer in which it excludes others; its coverage is the share of that.
    #[arg(long = "layer", value_name = "KEY")]
    layer_key: Option<String>,
    /// Whether first assignments are remembered: `hash-only` or `stored`.
    #[arg(long)]
    sticky: Option<String>,
    /// When eligibility is checked: `each-request` or, with --sticky stored, `at-enrollment`.
    #[arg(long)]
    eligibility: Option<String>,
    /// What another flag must serve a unit, such as `checkout=true`.
    #[arg(long = "prerequisite", value_name = "FLAG=VALUE")]
    prerequisites: Vec<String>,
    /// What is measured, with its role: primary, secondary or guardrail; a guardrail may have a margin, such as `refunds:guardrail:2%`.
    #[arg(long = "metric", value_name = "KEY[:ROLE[:MARGIN]]")]
    metrics: Vec<ExperimentMetric>,
    /// Confidence of its intervals, above 0.5 and below 1. Default: 0.95.
    #[arg(long, allow_hyphen_values = true, value_parser = confidence)]
    confidence: Option<f64>,
    /// Kind of unit that is randomized.
    #[arg(long)]
    unit_kind: Option<String>,
    /// When it starts, in RFC 3339.
    #[arg(long)]
    start_time: Option<String>,
    /// When it ends, in RFC 3339.
    #[arg(long)]
    end_time: Option<String>,
    /// What happens then: `complete`, `hold-enrollment` or `notify-only`.
    #[arg(long, value_name = "ACTION")]
    end_action: Option<String>,
    /// For create: start it in the same change, or schedule it when its start time lies ahead.
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    waiting: super::Waiting,
    /// Its assignments were decided elsewhere.
    #[arg(long)]
    imported: bool,
}

impl ExperimentFields {
    /// The flag whose variations are to be the variants, when weights are given and variants are not.
    pub(crate) fn weighs_flag(&self) -> Option<&str> {
        let weighs = !self.weights.is_empty() && self.variants.is_empty();
        self.flag_key.as_deref().filter(|_| weighs)
    }

    /// Whether it is to be started at once.
    pub(crate) fn starts(&self) -> bool {
        self.start
    }

    /// How long to wait until the start is served everywhere, as it was written.
    pub(crate) fn wait(&self) -> Option<&str> {
        self.waiting.wait.as_deref()
    }

    /// Names the variants; their values are those of the flag.
    pub(crate) fn set_variants(&mut self, keys: Vec<String>) {
        self.variants = keys;
    }
}

impl Fields for ExperimentFields {
    fn write(self, document: &mut Document) -> Result<(), Error> {
        self.texts.write(document);
        let texts = [
            ("hypothesis", self.hypothesis),
            ("owner", self.owner),
            ("flagKey", self.flag_key),
            ("segmentKey", self.segment_key),
            ("layerKey", self.layer_key),
            ("sticky", self.sticky),
            ("eligibility", self.eligibility),
            ("unitKind", self.unit_kind),
            ("startTime", self.start_time),
            ("endTime", self.end_time),
            ("endAction", self.end_action),
            ("assignmentSource", self.imported.then(|| "IMPORTED".to_owned())),
        ];
        for (name, text) in texts {
            set(document, name, text);
        }
        set(document, "confidence", self.confidence);
        if let Some(coverage) = self.coverage {
            document.insert(
                "coverage".to_owned(),
                serde_json::to_value(coverage).map_err(Error::internal)?,
            );
        }
        if !self.metrics.is_empty() {
            document.insert(
                "metrics".to_owned(),
                serde_json::to_value(self.metrics).map_err(Error::internal)?,
            );
        }
        if !self.variants.is_empty() {
            let variant = |written: &String| match pair(written) {
                (key, Some(value)) => json!({ "key": key, "value": value }),
                (key, None) => json!({ "key": key }),
            };
            let variants: Vec<_> = self.variants.iter().map(variant).collect();
            document.insert("variants".to_owned(), variants.into());
        }
        if !self.prerequisites.is_empty() {
            let prerequisite = |written: &String| match pair(written) {
                (flag, Some(value)) => Ok(json!({ "flagKey": flag, "value": value })),
                _ => Err(Error::Usage(format!(
                    "--prerequisite `{written}` has no value; write one like checkout=true"
                ))),
            };
            let prerequisites = self.prerequisites.iter().map(prerequisite);
            let prerequisites = prerequisites.collect::<Result<Vec<_>, _>>()?;
            document.insert("prerequisites".to_owned(), prerequisites.into());
        }
        if self.weights.is_empty() {
            Ok(())
        } else {
            write_weights(document, &self.weights)
        }
    }
}

fn confidence(written: &str) -> Result<f64, String> {
    let number = written
        .parse()
        .ok()
        .filter(|number: &f64| *number > 0.5 && *number < 1.0);
    number.ok_or_else(|| "give a number above 0.5 and below 1, such as 0.95".to_owned())
}

/// Puts each share beside its variant; variants that are not named get the rest.
fn write_weights(document: &mut Document, weights: &[String]) -> Result<(), Error> {
    let variants = document.get_mut("variants").and_then(Value::as_array_mut);
    let Some(variants) = variants else {
        return Err(Error::Usage(
            "--weight needs variants: give each with --variant or in the file".to_owned(),
        ));
    };
    for variant in variants.iter_mut().filter_map(Value::as_object_mut) {
        variant.remove("weight");
    }
    for written in weights {
        let (key, share) = split_weight(written)?;
        let variant = variants
            .iter_mut()
            .find(|variant| variant.get("key").is_some_and(|k| k == key));
        let Some(variant) = variant.and_then(Value::as_object_mut) else {
            return Err(no_such_variant(key));
        };
        variant.insert("weight".to_owned(), share.into());
    }
    Ok(())
}

/// The key and the share of a `--weight`.
pub(crate) fn split_weight(written: &str) -> Result<(&str, &str), Error> {
    written.split_once('=').ok_or_else(|| {
        Error::Usage(format!(
            "--weight `{written}` has no share; write one like green=33%"
        ))
    })
}

/// The refusal of a `--weight` for a variant that there is not.
pub(crate) fn no_such_variant(key: &str) -> Error {
    Error::Usage(format!("--weight names `{key}`, which is no variant"))
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Options<F: Args> {
        #[command(flatten)]
        fields: F,
    }

    pub(crate) fn written<F: Args + Fields>(
        options: &[&str],
        mut document: Document,
    ) -> Result<Value, String> {
        let options = Options::<F>::try_parse_from([&["x"], options].concat()).map_err(|e| e.to_string())?;
        options.fields.write(&mut document).map_err(|e| e.to_string())?;
        Ok(document.into())
    }

    #[test]
    fn options_write_the_document_of_a_flag() {
        let options = [
            "--variation",
            "control=30",
            "--variation",
            "late=\"40\"",
            "--default",
            "true",
        ];
        let expected = json!({
            "variations": [{"key": "control", "value": 30}, {"key": "late", "value": "40"}],
            "defaultValue": true,
        });
        assert_eq!(written::<FlagFields>(&options, Document::new()), Ok(expected));
        assert!(written::<FlagFields>(&["--variation", "control"], Document::new()).is_err());
    }

    #[test]
    fn new_weights_leave_no_old_ones() {
        let stored = json!({"variants": [{"key": "a", "weight": "50%"}, {"key": "b", "weight": "50%"}]});
        let Value::Object(stored) = stored else {
            unreachable!("it is an object")
        };
        let changed = written::<ExperimentFields>(&["--weight", "b=10%"], stored.clone()).unwrap();
        assert_eq!(
            changed,
            json!({"variants": [{"key": "a"}, {"key": "b", "weight": "10%"}]})
        );
        assert!(written::<ExperimentFields>(&["--weight", "c=10%"], stored).is_err());
    }

    #[test]
    fn a_confidence_that_is_none_is_refused_by_name() {
        for good in ["0.9", "0.51", "0.999"] {
            assert!(written::<ExperimentFields>(&["--confidence", good], Document::new()).is_ok());
        }
        for bad in ["nan", "inf", "-inf", "0.5", "1", "95", "-0.95", "", "95%"] {
            let error = written::<ExperimentFields>(&["--confidence", bad], Document::new()).unwrap_err();
            assert!(
                error.contains("--confidence") && error.contains("above 0.5"),
                "{bad}: {error}"
            );
        }
    }
}
