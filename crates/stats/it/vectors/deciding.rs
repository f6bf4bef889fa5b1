//! Planning and recommending.

use assay_stats::{
    Action, Alpha, Health, MetricEvidence, Plan, PlannedEndEvidence, Progress, Reason, Role,
    SignalThresholds, Status, StopRule, VariantEvidence, Warning, decide, mde_binary, power, runtime,
};
use serde_json::{Value, json as object};

use super::bayes::direction;
use super::comparing::{alpha, kind};
use super::{json, list, number, whole};

pub(super) fn answer(name: &str, input: &Value) -> Option<Value> {
    let x = |field| number(input, field);
    Some(match name {
        "sample_size" => {
            let n = plan(input, x("ratio")).sample_size(x("delta"));
            object!({ "n_control": n.map(|n| n.n_control), "n_treatment": n.map(|n| n.n_treatment) })
        }
        "sample_size_anytime" => {
            let n = plan(input, x("ratio")).sample_size_anytime(x("delta"), input["tuning_n"].as_f64());
            object!({ "n_total": n })
        }
        "mde" => {
            let n = x("n_control");
            object!({ "delta": plan(input, x("n_treatment") / n).mde(n).map(json) })
        }
        "mde_binary" => {
            let delta = mde_binary(
                x("p_control"),
                x("n_control"),
                x("n_treatment"),
                alpha(input),
                x("power"),
            );
            object!({ "delta": delta.map(json) })
        }
        "power" => {
            let se = (x("var_control") / x("n_control") + x("var_treatment") / x("n_treatment")).sqrt();
            object!({ "power": power(x("delta"), se, alpha(input)).map(json) })
        }
        "runtime" => {
            let (window, least) = (whole(input, "window_days"), whole(input, "min_days"));
            let runtime = runtime(whole(input, "n_total"), x("units_per_day"), window, least);
            object!({ "enrollment_days": runtime.map(|r| r.enrollment_days), "total_days": runtime.map(|r| r.total_days) })
        }
        "decide" => recommendation(input),
        _ => return None,
    })
}

fn plan(input: &Value, ratio: f64) -> Plan {
    Plan {
        var_control: number(input, "var_control"),
        var_treatment: number(input, "var_treatment"),
        ratio,
        alpha: alpha(input),
        power: number(input, "power"),
    }
}

fn recommendation(input: &Value) -> Value {
    let metrics: Vec<MetricEvidence> = list(input, "metrics").iter().map(metric).collect();
    let r = decide(
        &progress(&input["experiment"]),
        &health(&input["health"]),
        &metrics,
    );
    object!({
        "action": action(r.action),
        "reason": reason(r.reason),
        "variant": r.variant,
        "metric": r.metric.map(|m| input["metrics"][m]["id"].clone()),
        "warnings": r.warnings.iter().map(|w| warning(*w)).collect::<Vec<_>>(),
    })
}

fn progress(e: &Value) -> Progress {
    let rule = match e["stop_rule"].as_str().unwrap() {
        "SIGNIFICANT" => StopRule::Significant,
        "PLANNED_END" => StopRule::PlannedEnd,
        "THRESHOLD" => StopRule::Threshold,
        other => panic!("unknown rule `{other}`"),
    };
    Progress {
        days_running: number(e, "days_running"),
        min_days: number(e, "min_days"),
        planned_end_evaluated: e["horizon_reached"].as_bool().unwrap(),
        rule,
        alpha: Alpha::new(number(e, "alpha")).unwrap(),
        signal: SignalThresholds {
            prob_best: number(e, "win_probability"),
            lift: number(e, "min_lift"),
        },
        suspicious_lift: number(e, "suspicious_lift"),
    }
}

fn health(h: &Value) -> Health {
    Health {
        total_units: whole(h, "total_units"),
        srm_flagged: h["srm_flagged"].as_bool().unwrap(),
        multi_exposed_units: whole(h, "multi_exposed_units"),
        multi_exposure_rate: number(h, "multi_exposure_rate"),
        data_quality_ok: h["data_quality_ok"].as_bool().unwrap(),
    }
}

fn metric(m: &Value) -> MetricEvidence {
    let role = match m["role"].as_str().unwrap() {
        "PRIMARY" => Role::Primary,
        "GUARDRAIL" => Role::Guardrail,
        "SECONDARY" => Role::Secondary,
        other => panic!("unknown role `{other}`"),
    };
    MetricEvidence {
        role,
        kind: kind(&m["kind"]),
        direction: direction(m),
        margin: m["margin"].as_f64(),
        control_prob_best: m["control_prob_best"].as_f64(),
        variants: list(m, "variants").iter().map(variant).collect(),
    }
}

fn variant(v: &Value) -> VariantEvidence {
    VariantEvidence {
        variant: whole(v, "variant") as usize,
        status: status(&v["status"]),
        lift: v["lift"].as_f64(),
        effect_sign: number(v, "effect_sign") as i8,
        prob_best: v["prob_best"].as_f64(),
        p_adjusted: v["p_adjusted"].as_f64(),
        noninferiority_p: v["ni_p"].as_f64(),
        planned_end: v["horizon"].is_object().then(|| planned_end(&v["horizon"])),
    }
}

fn planned_end(h: &Value) -> PlannedEndEvidence {
    PlannedEndEvidence {
        status: status(&h["status"]),
        lift: h["lift"].as_f64(),
        prob_best: h["prob_best"].as_f64(),
        prob_beats_control: h["prob_beats_control"].as_f64(),
        best_lift: h["lift_best"].as_f64(),
    }
}

fn status(name: &Value) -> Status {
    match name.as_str().unwrap() {
        "NO_DATA" => Status::NoData,
        "NO_VARIANCE" => Status::NoVariance,
        "LOW_DATA" => Status::LowData,
        "OK" => Status::Ok,
        other => panic!("unknown status `{other}`"),
    }
}

fn action(action: Action) -> &'static str {
    match action {
        Action::KeepRunning => "KEEP_RUNNING",
        Action::DeclareWinner => "DECLARE_WINNER",
        Action::Investigate => "INVESTIGATE",
    }
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NoData => "NO_DATA",
        Reason::NoExposures => "NO_EXPOSURES",
        Reason::DataQuality => "DATA_QUALITY",
        Reason::Srm => "SRM",
        Reason::MultipleExposure => "MULTIPLE_EXPOSURE",
        Reason::GuardrailHarm => "GUARDRAIL_HARM",
        Reason::PrimaryHarm => "PRIMARY_HARM",
        Reason::MinRuntime => "MIN_RUNTIME",
        Reason::NotEnoughData => "NOT_ENOUGH_DATA",
        Reason::TooGoodToBeTrue => "TOO_GOOD_TO_BE_TRUE",
        Reason::Winner => "WINNER",
        Reason::MetricConflict => "METRIC_CONFLICT",
        Reason::GuardrailInconclusive => "GUARDRAIL_INCONCLUSIVE",
        Reason::ControlWins => "CONTROL_WINS",
        Reason::NoMeaningfulLift => "NO_MEANINGFUL_LIFT",
        Reason::NoDifference => "NO_DIFFERENCE",
        Reason::ThresholdMetWaiting => "THRESHOLD_MET_WAITING",
        Reason::Inconclusive => "INCONCLUSIVE",
    }
}

fn warning(warning: Warning) -> &'static str {
    match warning {
        Warning::GuardrailHarm => "GUARDRAIL_HARM",
        Warning::GuardrailWorseWithinMargin => "GUARDRAIL_WORSE_WITHIN_MARGIN",
        Warning::PrimaryWorse => "PRIMARY_WORSE",
        Warning::SecondaryWorse => "SECONDARY_WORSE",
    }
}
