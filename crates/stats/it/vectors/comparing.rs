//! One variant against the control.

use assay_stats::{
    Alpha, Bounds, Comparison, Design, Estimate, Evidence, Interval, Kind, Lift, LiftStatus, Mixture, Mode,
    Normal, Proportion, Status, compare, hybrid_p, lift_delta, noninferiority, relative_lift,
    two_proportion_z, variance_guard, welch, wilson,
};
use serde_json::{Value, json as object};

use super::bayes::direction;
use super::{json, number, whole};

pub(super) fn answer(name: &str, input: &Value) -> Option<Value> {
    Some(match name {
        "welch" => welch_test(input),
        "variance_guard" => {
            object!({ "kappa": variance_guard(&[of_mean(&input["control"]), of_mean(&input["treatment"])]).map(json) })
        }
        "wilson" => rate_interval(input),
        "two_proportion_z" => z_test(input),
        "relative_lift" => {
            let (control, treatment) = pair_of_means(input);
            lift(&relative_lift(
                control,
                treatment,
                number(input, "multiplier"),
                number(input, "v0"),
            ))
        }
        "lift_delta" => {
            let (control, treatment) = pair_of_means(input);
            let lift = lift_delta(control, treatment);
            object!({ "lift": lift.map(|l| json(l.mean)), "se": lift.map(|l| json(l.v.sqrt())) })
        }
        "confseq" => confidence_sequence(input),
        "confseq_one_sided" => one_sided(input),
        "hybrid_p" => {
            object!({ "p_value": json(hybrid_p(input["p_anytime"].as_f64(), input["p_horizon"].as_f64())) })
        }
        "compare" => comparison(input),
        "noninferiority" => margin(input),
        _ => return None,
    })
}

pub(super) fn alpha(input: &Value) -> Alpha {
    Alpha::new(number(input, "alpha")).unwrap()
}

fn of_mean(side: &Value) -> Estimate {
    Estimate::of_mean(
        whole(side, "n"),
        0,
        number(side, "mean"),
        number(side, "variance"),
    )
}

/// A variant given by the variance of its mean.
pub(super) fn estimate(side: &Value) -> Estimate {
    Estimate {
        n: whole(side, "n"),
        nonzero: side["nonzero"].as_u64().unwrap_or(0),
        mean: side["mean"].as_f64(),
        v: side["v"].as_f64(),
    }
}

fn pair_of_means(input: &Value) -> (Normal, Normal) {
    let side = |mean, v| Normal {
        mean: number(input, mean),
        v: number(input, v),
    };
    (side("mean_c", "var_mean_c"), side("mean_t", "var_mean_t"))
}

fn welch_test(input: &Value) -> Value {
    let test = welch(
        &of_mean(&input["control"]),
        &of_mean(&input["treatment"]),
        alpha(input),
    )
    .unwrap();
    object!({
        "delta": json(test.delta), "se": json(test.se), "df": json(test.df), "t": json(test.t), "p_value": json(test.p_value),
        "ci_lower": json(test.interval.lower), "ci_upper": json(test.interval.upper),
    })
}

fn rate_interval(input: &Value) -> Value {
    let of = Proportion {
        successes: whole(input, "successes"),
        n: whole(input, "n"),
    };
    let interval = wilson(of, alpha(input));
    object!({
        "rate": of.rate().map(json),
        "lower": interval.map(|i| json(i.lower)), "upper": interval.map(|i| json(i.upper)),
    })
}

fn z_test(input: &Value) -> Value {
    let side = |x, n| Proportion {
        successes: whole(input, x),
        n: whole(input, n),
    };
    let test = two_proportion_z(
        side("x_control", "n_control"),
        side("x_treatment", "n_treatment"),
        alpha(input),
    )
    .unwrap();
    object!({
        "delta": json(test.delta), "z": test.z.map(json), "p_value": test.p_value.map(json),
        "ci_lower": json(test.interval.lower), "ci_upper": json(test.interval.upper),
    })
}

fn lift(lift: &Lift) -> Value {
    object!({
        "lift": lift.point.map(json), "status": lift_status(lift.status),
        "lower": lift.interval.map(|i| json(i.lower)), "upper": lift.interval.map(|i| json(i.upper)),
    })
}

fn lift_status(status: LiftStatus) -> &'static str {
    match status {
        LiftStatus::ControlZero => "CONTROL_ZERO",
        LiftStatus::Unbounded => "UNBOUNDED",
        LiftStatus::Ok => "OK",
    }
}

fn mixture(input: &Value) -> Mixture {
    Mixture::tuned(
        number(input, "tuning_n"),
        Alpha::new(number(input, "alpha_rho")).unwrap(),
    )
}

fn confidence_sequence(input: &Value) -> Value {
    let (delta, se, n) = (number(input, "delta"), number(input, "se"), number(input, "n"));
    let mixture = mixture(input);
    let multiplier = mixture.multiplier(n, alpha(input));
    object!({
        "rho2": json(mixture.rho2()), "multiplier": json(multiplier),
        "lower": json(delta - multiplier * se), "upper": json(delta + multiplier * se),
        "log_e": json(mixture.log_e(n, delta / se)), "p_value": json(mixture.p_value(n, delta / se)),
    })
}

fn one_sided(input: &Value) -> Value {
    let (n, z) = (number(input, "n"), number(input, "z"));
    object!({
        "multiplier": json(mixture(input).one_sided_multiplier(n, alpha(input))),
        "p_value": json(mixture(input).one_sided_p_value(n, z)),
    })
}

pub(super) fn kind(name: &Value) -> Kind {
    match name.as_str().unwrap() {
        "BINARY" => Kind::Binary,
        "SCALAR" => Kind::Scalar,
        "RATIO" => Kind::Ratio,
        "QUANTILE" => Kind::Quantile,
        other => panic!("unknown kind `{other}`"),
    }
}

fn mode(name: &Value) -> Mode {
    match name.as_str().unwrap() {
        "HYBRID" => Mode::Hybrid,
        "ANYTIME" => Mode::Anytime,
        other => panic!("unknown mode `{other}`"),
    }
}

pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::NoData => "NO_DATA",
        Status::NoVariance => "NO_VARIANCE",
        Status::LowData => "LOW_DATA",
        Status::Ok => "OK",
    }
}

fn comparison(input: &Value) -> Value {
    let design = Design {
        kind: kind(&input["kind"]),
        alpha: alpha(input),
        mode: mode(&input["mode"]),
        tuning_units: number(input, "tuning_n"),
    };
    let c = compare(
        &estimate(&input["control"]),
        &estimate(&input["treatment"]),
        number(input, "v0"),
        &design,
    );
    figures(&c)
}

fn figures(c: &Comparison) -> Value {
    let of = |f: fn(Evidence) -> f64| c.evidence.map(|e| json(f(e)));
    let end = |bounds: fn(Evidence) -> Bounds, end: fn(Interval) -> f64| {
        c.evidence.map(|e| json(end(bounds(e).effect)))
    };
    let lift_end = |end: fn(Interval) -> f64| c.lift.and_then(|l| l.interval).map(|i| json(end(i)));
    object!({
        "status": status_name(c.status),
        "lift_status": c.lift.map(|l| lift_status(l.status)),
        "delta": c.delta.map(json),
        "lift": c.lift.and_then(|l| l.point).map(json),
        "lift_lower": lift_end(|i| i.lower), "lift_upper": lift_end(|i| i.upper),
        "kappa": of(|e| e.kappa), "se": of(|e| e.se), "df": of(|e| e.df), "z": of(|e| e.z),
        "p_fixed": of(|e| e.p_fixed), "p_anytime": of(|e| e.p_anytime),
        "multiplier": of(|e| e.anytime.multiplier),
        "ci_fixed_lower": end(|e| e.fixed, |i| i.lower), "ci_fixed_upper": end(|e| e.fixed, |i| i.upper),
        "ci_lower": end(|e| e.anytime, |i| i.lower), "ci_upper": end(|e| e.anytime, |i| i.upper),
    })
}

fn margin(input: &Value) -> Value {
    let (control, treatment) = (estimate(&input["control"]), estimate(&input["treatment"]));
    let mixture = Mixture::tuned(number(input, "tuning_n"), Mode::Hybrid.looks(alpha(input)));
    let test = noninferiority(
        &control,
        &treatment,
        number(input, "margin"),
        direction(input),
        mixture,
    );
    object!({
        "z": test.map(|t| json(t.z)), "p_anytime": test.map(|t| json(t.p_anytime)), "p_fixed": test.map(|t| json(t.p_fixed)),
        "status": if test.is_some() { "OK" } else { "UNDEFINED" },
    })
}
