//! Win probabilities.

use assay_stats::{BetaPrior, Direction, Normal, Proportion, Ptbb, bayes_effect, ptbb_beta, ptbb_normal};
use serde_json::{Value, json as object};

use super::comparing::alpha;
use super::{json, json_list, list, number, numbers, whole};

pub(super) fn answer(name: &str, input: &Value) -> Option<Value> {
    Some(match name {
        "ptbb_beta" => {
            let side = |v: &Value| Proportion {
                successes: whole(v, "successes"),
                n: whole(v, "n"),
            };
            let variants: Vec<_> = list(input, "variants").iter().map(side).collect();
            let prior = numbers(input, "prior");
            ptbb(ptbb_beta(
                &variants,
                BetaPrior::new(prior[0], prior[1]).unwrap(),
                direction(input),
            ))
        }
        "ptbb_normal" => {
            let side = |v: &Value| Normal {
                mean: number(v, "mean"),
                v: number(v, "v"),
            };
            let variants: Vec<_> = list(input, "variants").iter().map(side).collect();
            ptbb(ptbb_normal(&variants, direction(input)))
        }
        "bayes_effect" => effect(input),
        _ => return None,
    })
}

pub(super) fn direction(input: &Value) -> Direction {
    if number(input, "direction") > 0.0 {
        Direction::Increase
    } else {
        Direction::Decrease
    }
}

fn ptbb(ptbb: Option<Ptbb>) -> Value {
    object!({
        "prob_best": ptbb.as_ref().map(|p| json_list(&p.prob_best)),
        "expected_loss": ptbb.as_ref().map(|p| json_list(&p.expected_loss)),
        "prob_beats_control": ptbb.map(|p| p.prob_beats_control.into_iter().map(|b| b.map(json)).collect::<Vec<_>>()),
    })
}

fn effect(input: &Value) -> Value {
    let normal = |mean, sd| Normal {
        mean: number(input, mean),
        v: number(input, sd) * number(input, sd),
    };
    let e = bayes_effect(
        normal("lift", "se"),
        normal("prior_mean", "prior_sd"),
        alpha(input),
        direction(input),
    )
    .unwrap();
    object!({
        "mean": json(e.posterior.mean), "sd": json(e.posterior.v.sqrt()),
        "lower": json(e.interval.lower), "upper": json(e.interval.upper),
        "prob_beats_control": json(e.prob_beats_control),
        "loss_control": json(e.loss_control), "loss_treatment": json(e.loss_treatment),
    })
}
