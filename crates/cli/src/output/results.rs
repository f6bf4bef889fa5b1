//! A result for people: one block for each metric, then what can be said of the data themselves.

use assay_proto::analysis::v1 as pb;

use super::{number, table};
use crate::view::text;

/// The whole result.
pub(crate) fn render(result: &pb::ExperimentResult) -> String {
    let title = if result.name.is_empty() {
        &result.experiment_key
    } else {
        &result.name
    };
    let mut blocks = vec![format!(
        "{title} ({}/{})",
        result.namespace, result.experiment_key
    )];
    blocks.extend(
        result
            .metrics
            .iter()
            .map(|metric| block(metric, result.confidence)),
    );
    blocks.push(data_lines(result));
    blocks.join("\n\n")
}

fn block(metric: &pb::MetricResult, confidence: f64) -> String {
    let better = match metric.direction() {
        pb::Direction::Decrease => "smaller is better",
        pb::Direction::Increase | pb::Direction::Unspecified => "larger is better",
    };
    let role = text::name(metric.role()).to_lowercase();
    let unit = if metric.unit.is_empty() {
        String::new()
    } else {
        format!(", {}", metric.unit)
    };
    let open = if metric.open_window {
        ", window still open"
    } else {
        ""
    };
    let cap = metric
        .cap
        .map(|cap| format!(", capped at {}", number::number(cap)))
        .unwrap_or_default();
    let mut lines = vec![format!(
        "{} ({role}{unit}, {better}{open}{cap})",
        metric.metric_key
    )];
    lines.push(indented(&estimates(metric, confidence), "  "));
    if metric.status() == pb::MetricStatus::NotComputedYet {
        lines.push(format!("  not computed yet: {}", metric.status_reason));
        return lines.join("\n");
    }
    lines.push("  classic (valid at one look planned beforehand)".to_owned());
    lines.extend(
        metric
            .comparisons
            .iter()
            .map(|comparison| indented(&classic(metric, comparison, confidence), "    ")),
    );
    lines.join("\n")
}

fn estimates(metric: &pb::MetricResult, confidence: f64) -> String {
    let is_rate = is_rate(metric);
    let interval = format!("{} interval", percent(confidence));
    let header = [
        "variant",
        "units",
        if is_rate { "hits" } else { "nonzero" },
        if is_rate { "rate" } else { "mean" },
    ];
    let header = [
        &header[..],
        &[interval.as_str(), "lift", "lift interval", "P(best)"],
    ]
    .concat();
    let value = |x: f64| {
        if is_rate {
            number::rate(x)
        } else {
            number::number(x)
        }
    };
    let rows = metric.variants.iter().map(|variant| {
        let against = metric
            .comparisons
            .iter()
            .find(|c| c.variant_key == variant.variant_key);
        let (lift, lift_interval) = against.map_or((String::new(), String::new()), lift);
        vec![
            variant.variant_key.clone(),
            number::count(variant.units),
            number::count(variant.nonzero_units),
            variant.mean.map_or_else(|| "–".to_owned(), value),
            variant
                .mean_interval
                .map(|i| format!("{} to {}", value(i.lower), value(i.upper)))
                .unwrap_or_default(),
            lift,
            lift_interval,
            variant
                .probability_best
                .map_or_else(|| "–".to_owned(), number::probability),
        ]
    });
    let mut text = table(&header, rows, &[1, 2, 3, 5, 7]);
    for variant in &metric.variants {
        let left_out = [
            (variant.pending_units, "window not closed yet"),
            (variant.excluded_units, "met a pause"),
            (variant.valueless_units, "no event with a value"),
        ];
        for (n, why) in left_out.into_iter().filter(|(n, _)| *n > 0) {
            text.push_str(&format!(
                "\n {}: not in the numbers: {} ({why})",
                variant.variant_key,
                number::count(n)
            ));
        }
        if variant.capped_units > 0 {
            let against = metric
                .comparisons
                .iter()
                .find(|c| c.variant_key == variant.variant_key);
            let uncapped = against.and_then(|c| c.uncapped_lift).map(number::lift);
            let uncapped = uncapped.map(|lift| format!("; lift without the cap {lift}"));
            text.push_str(&format!(
                "\n {}: {} units capped{}",
                variant.variant_key,
                number::count(variant.capped_units),
                uncapped.unwrap_or_default()
            ));
        }
    }
    text
}

fn lift(comparison: &pb::Comparison) -> (String, String) {
    let point = comparison.lift.map(number::lift).unwrap_or_default();
    let interval = match (comparison.lift_status(), comparison.lift_interval) {
        (pb::LiftStatus::ControlZero, _) => "the control is zero".to_owned(),
        (pb::LiftStatus::Unbounded, _) => "the control is not distinct from zero".to_owned(),
        (_, Some(i)) => format!("{} to {}", number::lift(i.lower), number::lift(i.upper)),
        (_, None) => String::new(),
    };
    (point, interval)
}

/// `gate_40: retention_7 19.02 % vs 18.20 %, difference −0.82 points (−4.31 %), …`: the control's figure stands first.
fn classic(metric: &pb::MetricResult, comparison: &pb::Comparison, confidence: f64) -> String {
    let is_rate = is_rate(metric);
    let value = |x: f64| {
        if is_rate {
            number::rate(x)
        } else {
            number::number(x)
        }
    };
    let difference = |x: f64| {
        if is_rate {
            number::signed(100.0 * x)
        } else {
            number::signed(x)
        }
    };
    let points = if is_rate { " points" } else { "" };
    let mean = |key: &str| {
        metric
            .variants
            .iter()
            .find(|v| v.variant_key == key)
            .and_then(|v| v.mean)
    };
    let control = metric.variants.first().and_then(|v| v.mean);
    let mut parts = Vec::new();
    if let (Some(control), Some(treatment)) = (control, mean(&comparison.variant_key)) {
        parts.push(format!(
            "{} {} vs {}",
            metric.metric_key,
            value(control),
            value(treatment)
        ));
    }
    if let Some(d) = comparison.difference {
        let relative = comparison
            .lift
            .map(|lift| format!(" ({} %)", number::signed(100.0 * lift)))
            .unwrap_or_default();
        parts.push(format!("difference {}{points}{relative}", difference(d)));
    }
    if let Some(classic) = &comparison.classic {
        if let Some(i) = classic.interval {
            let ends = format!("{} to {}", difference(i.lower), difference(i.upper));
            parts.push(format!("{} interval {ends}{points}", percent(confidence)));
        }
        let test = match classic.test() {
            pb::ClassicTest::TwoProportionZ => "two-proportion z-test",
            pb::ClassicTest::Welch => "Welch's t-test",
            pb::ClassicTest::Unspecified => "test",
        };
        parts.push(format!(
            "two-sided p {} ({test})",
            equals(&number::p_value(classic.p_value))
        ));
    }
    if let Some(p) = comparison.probability_beats_control {
        parts.push(format!(
            "P(better than control) {}",
            equals(&number::probability(p))
        ));
    }
    parts.extend(caution(comparison.status()).map(str::to_owned));
    format!("{}: {}", comparison.variant_key, parts.join(", "))
}

fn caution(status: pb::ComparisonStatus) -> Option<&'static str> {
    match status {
        pb::ComparisonStatus::Ok | pb::ComparisonStatus::Unspecified => None,
        pb::ComparisonStatus::NoData => Some("no data yet"),
        pb::ComparisonStatus::NoVariance => Some("too little variance to be evidence"),
        pb::ComparisonStatus::LowData => Some("too few data to be evidence"),
        pb::ComparisonStatus::NumericOverflow => Some("the sums are beyond 128 bits"),
    }
}

pub(crate) fn data_lines(result: &pb::ExperimentResult) -> String {
    let units = result.variants.iter().map(|v| {
        let aside = match v.set_aside_units {
            0 => String::new(),
            n => format!(" (+ {} set aside, they met several variants)", number::count(n)),
        };
        format!(
            "{} {} of {}{aside}",
            v.variant_key,
            number::count(v.units),
            percent(v.weight)
        )
    });
    let srm = result.srm.unwrap_or_default();
    let verdict = if srm.suspected {
        ": the split is broken, do not read the numbers"
    } else {
        ""
    };
    let srm = match srm.p_value {
        Some(p) => format!("SRM p {}{verdict}", equals(&number::p_value(p))),
        None => "SRM not computed: too few units".to_owned(),
    };
    let through = match text::time(result.data_through) {
        time if time.is_empty() => "nothing was read yet".to_owned(),
        time => time,
    };
    let records = result.records.unwrap_or_default();
    let n = |n: u64| number::count(i64::try_from(n).unwrap_or(i64::MAX));
    let seen = format!(
        "late {}, duplicates {}, conflicts {}, invalid {}",
        n(records.late),
        n(records.duplicates),
        n(records.conflicts),
        n(records.invalid)
    );
    let mut since = text::time(result.counting_from);
    if !since.is_empty() {
        since = format!("\ncounts from   {since}");
    }
    if !result.unconfirmed_replicas.is_empty() {
        let silent = result.unconfirmed_replicas.join(", ");
        since.push_str(&format!("; not confirmed by {silent}"));
    }
    format!(
        "units         {}\nsplit         {srm}{since}\ndata through  {through}\nnot counted   {seen} (whole namespace)\ngeneration    {}",
        units.collect::<Vec<_>>().join(", "),
        result.generation
    )
}

fn is_rate(metric: &pb::MetricResult) -> bool {
    metric.kind() == pb::MetricKind::Binary
}

/// `= 0.0744`, and `< 0.0001` as it is.
fn equals(figure: &str) -> String {
    if figure.starts_with(['<', '>']) {
        figure.to_owned()
    } else {
        format!("= {figure}")
    }
}

/// `0.95` → `95 %`.
fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn indented(text: &str, by: &str) -> String {
    text.lines()
        .map(|line| format!("{by}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;
