//! Strata, covariates, ratios, quantiles, caps, segments and trends.

use assay_stats::{
    Cap, Cuped, CupedMoments, CupedSummary, DayEffect, Estimate, Normal, RatioMoments, Scale, Sketch,
    benjamini_hochberg, cuped, days_separated, holm, segments, slope, stratify,
};
use serde_json::{Value, json as object};

use super::comparing::status_name;
use super::{integers, json, json_list, list, number, numbers, whole};

pub(super) fn answer(name: &str, input: &Value) -> Option<Value> {
    Some(match name {
        "stratify" => strata(input),
        "cuped" => adjusted(&from_units(input)),
        "cuped_moments" => adjusted(&list(input, "variants").iter().map(summary).collect::<Vec<_>>()),
        "ratio" => ratio(input),
        "sketch_quantile" => quantile(input),
        "winsorize" => winsorize(input),
        "holm" => object!({ "adjusted": json_list(&holm(&numbers(input, "p"))) }),
        "benjamini_hochberg" => object!({ "adjusted": json_list(&benjamini_hochberg(&numbers(input, "p"))) }),
        "segments" => dimension(input),
        "novelty" => novelty(input),
        "days_separated" => {
            let deltas: Vec<_> = list(input, "delta").iter().map(Value::as_f64).collect();
            object!({ "days": days_separated(&deltas) })
        }
        _ => return None,
    })
}

fn strata(input: &Value) -> Value {
    let side = |v: &Value| Estimate::of_mean(whole(v, "n"), 0, number(v, "mean"), number(v, "variance"));
    let cohort = |c: &Value| c.as_array().unwrap().iter().map(side).collect();
    let stratified = stratify(&list(input, "strata").iter().map(cohort).collect::<Vec<_>>());
    let variant = |e: &Estimate| object!({ "n": e.n, "mean": e.mean.map(json), "v": e.v.map(json) });
    object!({
        "variants": stratified.estimates.map(|all| all.iter().map(variant).collect::<Vec<_>>()),
        "excluded_units": stratified.excluded_units,
    })
}

/// Decimals with few places as integers in micro-units.
fn micro(object: &Value, field: &str) -> Vec<i64> {
    numbers(object, field)
        .iter()
        .map(|x| (x * 1e6).round() as i64)
        .collect()
}

fn from_units(input: &Value) -> Vec<CupedSummary> {
    let variant = |v: &Value| {
        let columns = list(v, "x");
        let x = |unit: usize| -> Vec<i64> {
            columns
                .iter()
                .map(|c| (c[unit].as_f64().unwrap() * 1e6).round() as i64)
                .collect()
        };
        let units = micro(v, "y")
            .into_iter()
            .enumerate()
            .map(|(unit, y)| CupedMoments::of(y, &x(unit)));
        let cell = units.fold(CupedMoments::default(), |cell, unit| cell.merge(&unit).unwrap());
        cell.summary(Scale::MICRO).unwrap()
    };
    list(input, "variants").iter().map(variant).collect()
}

fn summary(v: &Value) -> CupedSummary {
    let row = |row: &Value| {
        row.as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect()
    };
    CupedSummary {
        n: whole(v, "n"),
        nonzero: 0,
        mean_y: number(v, "mean_y"),
        mean_x: numbers(v, "mean_x"),
        var_y: number(v, "var_y"),
        cov_xy: numbers(v, "cov_xy"),
        cov_xx: list(v, "cov_xx").iter().map(row).collect(),
    }
}

fn adjusted(variants: &[CupedSummary]) -> Value {
    let Cuped {
        theta,
        estimates,
        v0,
        variance_reduction,
        ..
    } = cuped(variants).unwrap();
    let variant = |e: &Estimate| object!({ "mean_adj": e.mean.map(json), "var_mean_adj": e.v.map(json) });
    object!({
        "theta": json_list(&theta),
        "variants": estimates.iter().map(variant).collect::<Vec<_>>(),
        "v0": json(v0),
        "variance_reduction": json(variance_reduction),
    })
}

fn ratio(input: &Value) -> Value {
    let units = micro(input, "num").into_iter().zip(micro(input, "den"));
    let cell = units.fold(RatioMoments::default(), |cell, (y, d)| {
        cell.merge(RatioMoments::of(y, d)).unwrap()
    });
    let estimate = cell.estimate(Scale::MICRO);
    object!({ "ratio": estimate.mean.map(json), "var_mean": estimate.v.map(json) })
}

fn sketch(values: &[i64]) -> Sketch {
    let mut sketch = Sketch::default();
    values.iter().for_each(|y| sketch.insert(*y, &[]).unwrap());
    sketch
}

fn quantile(input: &Value) -> Value {
    let q = sketch(&integers(&input["values"]))
        .quantile(number(input, "q"), Scale::MICRO)
        .unwrap();
    object!({
        "estimate": q.estimate.mean.map(json),
        "lower": q.interval.map(|i| json(i.lower)), "upper": q.interval.map(|i| json(i.upper)),
        "se": q.estimate.v.map(|v| json(v.sqrt())),
        "status": status_name(q.status()),
    })
}

fn winsorize(input: &Value) -> Value {
    let variants: Vec<Sketch> = list(input, "variants")
        .iter()
        .map(|values| sketch(&integers(values)))
        .collect();
    let cap = Cap::at_percentile(&variants, number(input, "percentile"));
    let variant = |sketch: &Sketch| {
        let (sums, capped) = match cap {
            Some(cap) => sketch.capped(cap).unwrap(),
            None => (sketch.total().unwrap(), 0),
        };
        object!({
            "n": sums.y.n as u64, "capped": capped,
            "mean": sums.y.mean(Scale::MICRO).map(json), "variance": sums.y.variance(Scale::MICRO).map(json),
        })
    };
    object!({
        "cap": cap.map(|cap| json(cap.value() as f64 / Scale::MICRO.get())),
        "variants": variants.iter().map(variant).collect::<Vec<_>>(),
    })
}

fn dimension(input: &Value) -> Value {
    let lifts = numbers(input, "effect")
        .into_iter()
        .zip(numbers(input, "se"))
        .map(|(mean, se)| Normal { mean, v: se * se });
    let s = segments(&lifts.collect::<Vec<_>>()).unwrap();
    object!({
        "q": json(s.q), "p_heterogeneity": s.p_heterogeneity.map(json), "i2": json(s.i2), "tau2": json(s.tau2),
        "mean": json(s.mean.mean), "mean_se": json(s.mean.v.sqrt()),
        "shrunk": s.shrunk.iter().map(|l| json(l.mean)).collect::<Vec<_>>(),
        "shrunk_se": s.shrunk.iter().map(|l| json(l.v.sqrt())).collect::<Vec<_>>(),
    })
}

fn novelty(input: &Value) -> Value {
    let effects = numbers(input, "delta")
        .into_iter()
        .zip(numbers(input, "v"))
        .enumerate();
    let days: Vec<_> = effects
        .map(|(day, (delta, v))| DayEffect {
            day: day as f64,
            delta,
            v,
        })
        .collect();
    let s = slope(&days).unwrap();
    object!({ "slope": json(s.slope), "se": json(s.se), "z": json(s.z), "p_value": json(s.p_value) })
}
