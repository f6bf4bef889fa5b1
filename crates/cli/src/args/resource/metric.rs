//! A metric as options.

use clap::Args;
use serde_json::json;

use super::{Document, Fields, Texts, set};
use crate::{error::Error, view::segment::Rule};

/// A metric.
#[derive(Debug, Args)]
pub(crate) struct MetricFields {
    #[command(flatten)]
    texts: Texts,
    /// Share of units with this event.
    #[arg(long, value_name = "EVENT", group = "kind")]
    conversion: Option<String>,
    /// Share of units that come back on this day after their first exposure.
    #[arg(long, value_name = "DAY", group = "kind", allow_negative_numbers = true)]
    retention: Option<u32>,
    /// A number for each unit, from the values of this event; `profile.NAME` for an attribute of its profile.
    #[arg(long, value_name = "EVENT", group = "kind")]
    scalar: Option<String>,
    /// The sum over units of a number from this event, divided by that of --per.
    #[arg(long, value_name = "EVENT", group = "kind")]
    ratio: Option<String>,
    /// A quantile over units of a number from --event, such as 0.95.
    #[arg(long, value_name = "Q", group = "kind", allow_negative_numbers = true, value_parser = finite)]
    quantile: Option<f64>,
    /// With --retention: the event that counts as coming back, any by default. With --quantile: the event, which it needs.
    #[arg(long)]
    event: Option<String>,
    /// With --retention: how many days count.
    #[arg(long, allow_negative_numbers = true)]
    width_days: Option<u32>,
    /// How long events count after the first exposure, such as 7d. Default: for ever. Not with --retention.
    #[arg(long)]
    window: Option<String>,
    /// With --scalar, --ratio or --quantile: `sum`, `count`, `max` or `last`.
    #[arg(long)]
    aggregation: Option<String>,
    /// With --scalar, --ratio or --quantile: the numeric property that is the value of an event.
    #[arg(long, value_name = "NAME")]
    value_property: Option<String>,
    /// With --ratio: the event below the line, which it needs.
    #[arg(long, value_name = "EVENT")]
    per: Option<String>,
    /// With --ratio: how the number below the line is made. Default: `count`.
    #[arg(long, value_name = "AGGREGATION")]
    per_aggregation: Option<String>,
    /// What must hold of the properties of an event that counts, such as `country in DE,AT`; all must hold. Of a ratio: above the line.
    #[arg(long = "filter", value_name = "RULE")]
    filters: Vec<Rule>,
    /// Which way is better: `increase` or `decrease`.
    #[arg(long)]
    direction: Option<String>,
    /// Unit of the values for people, such as USD; shares have none, so not with --conversion or --retention.
    #[arg(long)]
    unit: Option<String>,
    /// Greatest value that a unit counts with; only for --scalar.
    #[arg(long, allow_negative_numbers = true, value_parser = finite)]
    cap: Option<f64>,
}

/// A number that JSON has.
fn finite(written: &str) -> Result<f64, String> {
    let number = written.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "give a finite number, such as 100 or 0.95".to_owned())
}

const KINDS: [&str; 5] = ["conversion", "retention", "scalar", "ratio", "quantile"];

impl MetricFields {
    /// The option that says the kind.
    fn kind(&self) -> Option<&'static str> {
        let given = [
            ("--conversion", self.conversion.is_some()),
            ("--retention", self.retention.is_some()),
            ("--scalar", self.scalar.is_some()),
            ("--ratio", self.ratio.is_some()),
            ("--quantile", self.quantile.is_some()),
        ];
        given
            .into_iter()
            .find_map(|(option, given)| given.then_some(option))
    }

    /// Refuses options that say nothing about the kind that is given. They are looked at here, for clap does not ask for what an option
    /// requires when that conflicts with another option.
    fn check(&self) -> Result<(), Error> {
        const NUMBERS: &[&str] = &["--scalar", "--ratio", "--quantile"];
        const WINDOWED: &[&str] = &["--conversion", "--scalar", "--ratio", "--quantile"];
        const ALL: &[&str] = &["--conversion", "--retention", "--scalar", "--ratio", "--quantile"];
        let kind = self.kind();
        // What is kept with the kind cannot be changed without it; unit and cap can.
        let fits: [(&str, bool, &[&str], bool); 10] = [
            (
                "--event",
                self.event.is_some(),
                &["--retention", "--quantile"],
                true,
            ),
            ("--width-days", self.width_days.is_some(), &["--retention"], true),
            ("--window", self.window.is_some(), WINDOWED, true),
            ("--aggregation", self.aggregation.is_some(), NUMBERS, true),
            ("--value-property", self.value_property.is_some(), NUMBERS, true),
            ("--per", self.per.is_some(), &["--ratio"], true),
            (
                "--per-aggregation",
                self.per_aggregation.is_some(),
                &["--ratio"],
                true,
            ),
            ("--filter", !self.filters.is_empty(), ALL, true),
            ("--unit", self.unit.is_some(), NUMBERS, false),
            ("--cap", self.cap.is_some(), &["--scalar"], false),
        ];
        for (option, given, fitting, needs_kind) in fits {
            let problem = match kind {
                Some(kind) if !fitting.contains(&kind) => format!("not with {kind}"),
                None if needs_kind => "give that, too".to_owned(),
                _ => continue,
            };
            if given {
                let fitting = fitting.join(" or ");
                return Err(Error::Usage(format!("{option} goes with {fitting}: {problem}")));
            }
        }
        let needs = [
            ("--ratio", "--per", self.per.is_some()),
            ("--quantile", "--event", self.event.is_some()),
        ];
        match needs.iter().find(|(of, _, given)| kind == Some(*of) && !given) {
            Some((of, needed, _)) => Err(Error::Usage(format!("{of} needs {needed} EVENT"))),
            None => Ok(()),
        }
    }
}

impl Fields for MetricFields {
    fn write(self, document: &mut Document) -> Result<(), Error> {
        self.check()?;
        let is_share = self.conversion.is_some() || self.retention.is_some();
        self.texts.write(document);
        set(document, "direction", self.direction);
        set(document, "unit", self.unit);
        set(document, "cap", self.cap);
        let filters = serde_json::to_value(self.filters).map_err(Error::internal)?;
        let window = self.window.unwrap_or_default();
        let (aggregation, property) = (
            self.aggregation.unwrap_or_default(),
            self.value_property.unwrap_or_default(),
        );
        let number = |event: String| json!({ "event": event, "aggregation": aggregation, "valueProperty": property, "filters": filters });
        let (name, kind) = if let Some(event) = self.conversion {
            (
                "conversion",
                json!({ "event": event, "window": window, "filters": filters }),
            )
        } else if let Some(day) = self.retention {
            let (event, width) = (self.event.unwrap_or_default(), self.width_days.unwrap_or(1));
            (
                "retention",
                json!({ "event": event, "day": day, "widthDays": width, "filters": filters }),
            )
        } else if let Some(event) = self.scalar {
            let mut scalar = number(event);
            scalar["window"] = window.into();
            ("scalar", scalar)
        } else if let Some(event) = self.ratio {
            let (per, how) = (self.per, self.per_aggregation.unwrap_or_else(|| "COUNT".into()));
            let denominator = json!({ "event": per, "aggregation": how });
            let kind = json!({ "numerator": number(event), "denominator": denominator, "window": window });
            ("ratio", kind)
        } else if let Some(quantile) = self.quantile {
            let quantity = number(self.event.unwrap_or_default());
            (
                "quantile",
                json!({ "quantity": quantity, "quantile": quantile, "window": window }),
            )
        } else {
            return Ok(());
        };
        for kind in KINDS {
            document.remove(kind);
        }
        // What the stored kind had and the new one cannot have goes with it.
        if is_share {
            document.remove("unit");
        }
        if name != "scalar" {
            document.remove("cap");
        }
        document.insert(name.to_owned(), kind);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::args::resource::tests::written;

    #[test]
    fn an_option_that_does_not_fit_the_kind_is_refused_by_name() {
        let kinds: [&[&str]; 5] = [
            &["--conversion", "buy"],
            &["--retention", "7"],
            &["--scalar", "buy"],
            &["--ratio", "buy", "--per", "visit"],
            &["--quantile", "0.9", "--event", "load"],
        ];
        let numbers = vec!["--scalar", "--ratio", "--quantile"];
        let options = [
            (["--width-days", "2"], vec!["--retention"]),
            (
                ["--window", "7d"],
                vec!["--conversion", "--scalar", "--ratio", "--quantile"],
            ),
            (["--aggregation", "max"], numbers.clone()),
            (["--value-property", "amount"], numbers.clone()),
            (["--per-aggregation", "sum"], vec!["--ratio"]),
            (["--unit", "USD"], numbers),
            (["--cap", "100"], vec!["--scalar"]),
        ];
        for (option, fits) in options {
            for kind in kinds {
                let found = written::<MetricFields>(&[kind, &option].concat(), Document::new());
                match fits.contains(&kind[0]) {
                    true => assert!(found.is_ok(), "{kind:?} {option:?}: {found:?}"),
                    false => {
                        let expected = format!(
                            "{} goes with {}: not with {}",
                            option[0],
                            fits.join(" or "),
                            kind[0]
                        );
                        assert_eq!(found, Err(expected));
                    }
                }
            }
            let alone = written::<MetricFields>(&option, Document::new());
            assert_eq!(
                alone.is_ok(),
                ["--unit", "--cap"].contains(&option[0]),
                "{alone:?}"
            );
        }
        for kind in ["--conversion", "--scalar"] {
            let found = written::<MetricFields>(&[kind, "buy", "--event", "x"], Document::new());
            let expected = format!("--event goes with --retention or --quantile: not with {kind}");
            assert_eq!(found, Err(expected));
        }
    }

    #[test]
    fn a_kind_that_needs_another_event_says_so() {
        let ratio = written::<MetricFields>(&["--ratio", "buy"], Document::new());
        assert_eq!(ratio, Err("--ratio needs --per EVENT".to_owned()));
        let quantile = written::<MetricFields>(&["--quantile", "0.5"], Document::new());
        assert_eq!(quantile, Err("--quantile needs --event EVENT".to_owned()));
    }

    #[test]
    fn a_metric_is_of_one_kind() {
        let Value::Object(changed) = json!({"scalar": {"event": "buy"}, "unit": "USD", "cap": 7.0}) else {
            unreachable!("it is an object")
        };
        let metric = written::<MetricFields>(&["--retention", "7"], changed).unwrap();
        assert_eq!(
            metric,
            json!({"retention": {"event": "", "day": 7, "widthDays": 1, "filters": []}})
        );
        assert!(written::<MetricFields>(&["--retention", "7", "--scalar", "x"], Document::new()).is_err());
    }

    #[test]
    fn options_write_filters_and_a_ratio() {
        let options = [
            "--ratio",
            "buy",
            "--per",
            "visit",
            "--aggregation",
            "max",
            "--value-property",
            "amount",
            "--filter",
            "country in DE,AT",
            "--window",
            "7d",
        ];
        let written = written::<MetricFields>(&options, Document::new()).unwrap();
        let metric: crate::view::metric::Metric = serde_json::from_value(written).unwrap();
        let ratio = metric.ratio.unwrap();
        assert_eq!(
            ratio.to_string(),
            r#"max of buy.amount where country in "DE", "AT" / count of visit within 7d"#
        );
    }
}
