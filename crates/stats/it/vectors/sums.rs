//! Sums of unit values, special functions and sample ratio mismatch.

use assay_stats::{
    CohortCounts, Moments, Retention, RetentionWindow, Scale, beta_cdf, chi2_sf, covariance, mean, norm_ppf,
    norm_sf, srm_chi2, srm_log_e, srm_sequential, t_ppf, t_sf,
};
use serde_json::{Value, json as object};

use super::{integers, json, json_list, list, number, numbers, whole};

pub(super) fn answer(name: &str, input: &Value) -> Option<Value> {
    let x = |field| number(input, field);
    Some(match name {
        "norm_sf" => value(Some(norm_sf(x("z")))),
        "norm_ppf" => value(norm_ppf(x("p"))),
        "t_sf" => value(Some(t_sf(x("t"), x("df")))),
        "t_ppf" => value(t_ppf(x("p"), x("df"))),
        "beta_cdf" => value(beta_cdf(x("x"), x("a"), x("b"))),
        "chi2_sf" => value(Some(chi2_sf(x("x"), whole(input, "df") as u32))),
        "moments" => moments(input),
        "moments_merge" => {
            let chunks = list(input, "chunks").iter().map(|chunk| total(&integers(chunk)));
            cell(chunks.fold(Moments::default(), |a, b| a.merge(b).unwrap()))
        }
        "moments_replace" => {
            let (old, new) = (integers(&input["initial"]), integers(&input["replaced_by"]));
            cell(
                old.iter()
                    .zip(new)
                    .fold(total(&old), |cell, (o, n)| cell.replace(*o, n).unwrap()),
            )
        }
        "retention" => retention(input),
        "srm_chi2" => chi2(input),
        "srm_sequential" => sequential(input),
        _ => return None,
    })
}

fn value(x: Option<f64>) -> Value {
    object!({ "value": x.map(json) })
}

pub(super) fn total(values: &[i64]) -> Moments {
    values
        .iter()
        .fold(Moments::default(), |cell, y| cell.merge(Moments::of(*y)).unwrap())
}

fn cell(m: Moments) -> Value {
    object!({
        "n": m.n as i64,
        "nonzero": m.nonzero as i64,
        "sum_y": m.sum_y.to_string(),
        "sum_yy": m.sum_yy.to_string(),
        "mean": m.mean(Scale::MICRO).map(json),
        "variance": m.variance(Scale::MICRO).map(json),
    })
}

fn moments(input: &Value) -> Value {
    let y = integers(&input["y"]);
    let mut answer = cell(total(&y));
    if let Some(x) = input.get("x") {
        let x = integers(x);
        let (my, mx) = (total(&y), total(&x));
        let products = y
            .iter()
            .zip(&x)
            .map(|(y, x)| i128::from(*y) * i128::from(*x))
            .sum();
        answer["mean_x"] = object!(mean(mx.n, mx.sum_y, Scale::MICRO).map(json));
        answer["variance_x"] = object!(mx.variance(Scale::MICRO).map(json));
        answer["cov_xy"] = object!(covariance(my.n, mx.sum_y, my.sum_y, products, Scale::MICRO).map(json));
    }
    answer
}

fn retention(input: &Value) -> Value {
    let whole = |field: &str| input[field].as_i64().unwrap();
    let window = RetentionWindow::days(whole("day"), whole("window_days"), 86_400).unwrap();
    let judge = |unit: &Value| {
        window.judge(
            unit["exposed_at"].as_i64().unwrap(),
            &integers(&unit["activity"]),
            whole("as_of"),
        )
    };
    let r = list(input, "units")
        .iter()
        .map(judge)
        .fold(Retention::default(), Retention::with);
    object!({ "n": r.n, "successes": r.successes, "censored": r.censored })
}

fn counts(value: &Value) -> Vec<u64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect()
}

fn chi2(input: &Value) -> Value {
    let (counts, weights) = (counts(&input["observed"]), numbers(input, "weights"));
    let srm = srm_chi2(&[CohortCounts {
        counts: &counts,
        weights: &weights,
    }]);
    object!({ "chi2": srm.chi2.map(json), "df": srm.df, "p_value": srm.p_value.map(json) })
}

fn sequential(input: &Value) -> Value {
    let (weights, concentrations) = (numbers(input, "weights"), numbers(input, "concentrations"));
    let mut total = vec![0; weights.len()];
    let looks = list(input, "daily").iter().map(|day| {
        total.iter_mut().zip(counts(day)).for_each(|(sum, n)| *sum += n);
        srm_log_e(
            &[CohortCounts {
                counts: &total,
                weights: &weights,
            }],
            &concentrations,
        )
    });
    let log_e: Vec<_> = looks.collect();
    let p = srm_sequential(&log_e);
    object!({
        "log_e": log_e.iter().map(|log| log.map(json)).collect::<Vec<_>>(),
        "p_value": json_list(&p),
        "flagged_at": p.iter().position(|p| *p <= number(input, "alpha")),
    })
}
