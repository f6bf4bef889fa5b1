//! Laws that hold for all inputs.

use assay_stats::{
    Alpha, BetaPrior, Cap, CohortCounts, Comparison, CupedMoments, CupedSummary, Design, Direction, Estimate,
    Interval, Kind, LiftStatus, Mixture, Mode, Moments, Normal, Proportion, RatioMoments, Retained,
    Retention, RetentionWindow, SRM_CONCENTRATIONS, Scale, Sketch, Status, benjamini_hochberg, compare,
    cuped, holm, norm_ppf, norm_sf, ptbb_beta, ptbb_estimates, ptbb_normal, relative_lift, srm_chi2,
    srm_log_e, srm_sequential, stratify, t_ppf, t_sf,
};
use proptest::collection::vec;
use proptest::prelude::*;

const LARGEST: i64 = 1 << 53;

fn unit_value() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(1), -1000_i64..1000, -LARGEST..=LARGEST]
}

fn total(values: &[i64]) -> Moments {
    values
        .iter()
        .fold(Moments::default(), |cell, y| cell.merge(Moments::of(*y)).unwrap())
}

fn cuped_total(units: &[(i64, i64)]) -> CupedMoments {
    let cells = units.iter().map(|(y, x)| CupedMoments::of(*y, &[*x]));
    cells.fold(CupedMoments::default(), |sum, cell| sum.merge(&cell).unwrap())
}

/// The summary of units with a covariate that depends on their value.
fn with_covariate(y: &[i64], x: impl Fn(i64) -> i64) -> CupedSummary {
    let units: Vec<_> = y.iter().map(|y| (*y, x(*y))).collect();
    cuped_total(&units).summary(Scale::ONE).unwrap()
}

fn sketch(values: &[i64]) -> Sketch {
    let mut sketch = Sketch::default();
    values.iter().for_each(|y| sketch.insert(*y, &[]).unwrap());
    sketch
}

/// Estimates as they come from units: a mean of any size, any number of units, and a standard deviation of one unit
/// between a ten-thousandth and ten thousand times that size.
fn estimate() -> impl Strategy<Value = Estimate> {
    let parts = (2_u64..1_000_000, 0.0..=1.0, -3.0..3.0, -6.0..6.0, -4.0..4.0);
    parts.prop_map(|(n, share, mean, log_mean, log_spread)| {
        let (mean, sd) = (mean * libm::exp10(log_mean), libm::exp10(log_mean + log_spread));
        Estimate::of_mean(n, (n as f64 * share) as u64, mean, sd * sd)
    })
}

fn design() -> impl Strategy<Value = Design> {
    (
        0.001..0.5,
        prop_oneof![Just(Mode::Hybrid), Just(Mode::Anytime)],
        100.0..1e6,
    )
        .prop_map(|(alpha, mode, tuning_units)| Design {
            kind: Kind::Scalar,
            alpha: Alpha::new(alpha).unwrap(),
            mode,
            tuning_units,
        })
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::Increase), Just(Direction::Decrease)]
}

fn near(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * a.abs().max(b.abs())
}

fn times(e: Estimate, factor: f64) -> Estimate {
    Estimate {
        mean: e.mean.map(|m| m * factor),
        v: e.v.map(|v| v * factor * factor),
        ..e
    }
}

proptest! {
    #[test]
    fn order_batching_and_retraction_leave_cells_bit_equal(
        values in vec(unit_value(), 0..40), extra in vec(unit_value(), 0..10), cut in 0_usize..40,
    ) {
        let whole = total(&values);
        let mut backward = values.clone();
        backward.reverse();
        prop_assert_eq!(total(&backward), whole);
        let (left, right) = values.split_at(cut.min(values.len()));
        prop_assert_eq!(total(right).merge(total(left)).unwrap(), whole);
        let more = total(&extra).merge(whole).unwrap();
        prop_assert_eq!(more.retract(total(&extra)).unwrap(), whole);
        // Even a retraction that arrives before what it retracts.
        prop_assert_eq!(Moments::default().retract(total(&extra)).unwrap().merge(more).unwrap(), whole);
    }

    #[test]
    fn replacing_equals_never_having_had_the_old_value(values in vec((unit_value(), unit_value()), 1..40)) {
        let (old, new): (Vec<_>, Vec<_>) = values.iter().copied().unzip();
        let replaced = values.iter().fold(total(&old), |cell, (o, n)| cell.replace(*o, *n).unwrap());
        prop_assert_eq!(replaced, total(&new));
    }

    #[test]
    fn variance_survives_any_offset(values in vec(-1000_i64..1000, 2..40), offset in -LARGEST / 2..LARGEST / 2) {
        let moved: Vec<i64> = values.iter().map(|y| y + offset).collect();
        prop_assert_eq!(total(&moved).variance(Scale::MICRO), total(&values).variance(Scale::MICRO));
    }

    #[test]
    fn sketches_merge_and_retract_exactly(
        values in vec(unit_value(), 0..40), extra in vec(unit_value(), 0..10), cut in 0_usize..40,
    ) {
        let whole = sketch(&values);
        let (left, right) = values.split_at(cut.min(values.len()));
        let mut merged = sketch(right);
        merged.merge(&sketch(left)).unwrap();
        prop_assert_eq!(&merged, &whole);
        merged.merge(&sketch(&extra)).unwrap();
        extra.iter().for_each(|y| merged.retract(*y, &[]).unwrap());
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(merged.total().unwrap().y, total(&values));
    }

    #[test]
    fn a_quantile_is_within_two_percent_of_the_value_at_its_rank(
        mut values in vec(unit_value(), 1..60), q in 0.01..0.99,
    ) {
        values.sort_unstable();
        let rank = libm::ceil(q * values.len() as f64) as usize;
        let exact = values[rank - 1] as f64;
        let estimate = sketch(&values).quantile(q, Scale::ONE).unwrap().estimate.mean.unwrap();
        prop_assert!((estimate - exact).abs() <= 0.0204 * exact.abs(), "{estimate} is not {exact}");
    }

    #[test]
    fn capped_sums_are_those_of_capped_values(
        units in vec((unit_value(), unit_value()), 1..60), percentile in 0.5..1.0,
    ) {
        let mut sketch = Sketch::default();
        units.iter().for_each(|(y, x)| sketch.insert(*y, &[*x]).unwrap());
        if let Some(cap) = Cap::at_percentile(std::slice::from_ref(&sketch), percentile) {
            let capped: Vec<_> = units.iter().map(|(y, x)| ((*y).min(cap.value()), *x)).collect();
            let above = units.iter().filter(|(y, _)| *y > cap.value()).count() as u64;
            prop_assert_eq!(sketch.capped(cap).unwrap(), (cuped_total(&capped), above));
        }
    }

    #[test]
    fn swapping_sides_negates_the_effect_and_keeps_p(c in estimate(), t in estimate(), design in design()) {
        let (there, back) = (compare(&c, &t, 0.0, &design), compare(&t, &c, 0.0, &design));
        prop_assert_eq!(there.status, back.status);
        prop_assert_eq!(there.delta, back.delta.map(|d| -d));
        if let (Some(a), Some(b)) = (there.evidence, back.evidence) {
            prop_assert!(near(a.z, -b.z, 1e-12));
            prop_assert!(near(a.p_anytime, b.p_anytime, 1e-9) && near(a.p_fixed, b.p_fixed, 1e-9));
        }
    }

    #[test]
    fn another_unit_of_measurement_changes_only_what_is_measured_in_it(
        c in estimate(), t in estimate(), design in design(), exponent in -6..7,
    ) {
        let factor = libm::exp10(f64::from(exponent));
        let plain = compare(&c, &t, 0.0, &design);
        let scaled = compare(&times(c, factor), &times(t, factor), 0.0, &design);
        prop_assert_eq!(plain.status, scaled.status);
        let (Some(a), Some(b)) = (plain.evidence, scaled.evidence) else { return Ok(()) };
        prop_assert!(near(a.se * factor, b.se, 1e-12));
        prop_assert!(near(a.p_fixed, b.p_fixed, 1e-7) && near(a.p_anytime, b.p_anytime, 1e-7));
        prop_assert!((a.anytime.effect.lower * factor - b.anytime.effect.lower).abs() <= 1e-9 * b.se * (1.0 + b.z.abs()));
        let probabilities = [(c, t), (times(c, factor), times(t, factor))]
            .map(|(c, t)| ptbb_estimates(&[c, t], Direction::Increase).unwrap().prob_best[1]);
        prop_assert!((probabilities[0] - probabilities[1]).abs() <= 1e-7);
    }

    #[test]
    fn lift_and_difference_agree_on_significance(
        c in estimate(), t in estimate(), design in design(), v0 in prop_oneof![Just(0.0), 0.0..1.0],
    ) {
        let Some(evidence) = compare(&c, &t, v0, &design).evidence else { return Ok(()) };
        for bounds in [evidence.anytime, evidence.fixed, evidence.end] {
            prop_assert!(bounds.effect.contains(t.mean.unwrap() - c.mean.unwrap()));
            let tie = near(bounds.multiplier, evidence.z.abs(), 1e-9);
            if let Some(lift) = bounds.lift.interval {
                let slack = 1e-9 * (1.0 + bounds.lift.point.unwrap().abs());
                let wider = Interval { lower: lift.lower - slack, upper: lift.upper + slack };
                prop_assert!(wider.contains(bounds.lift.point.unwrap()));
                prop_assert!(tie || lift.contains(0.0) == bounds.effect.contains(0.0));
            }
        }
    }

    #[test]
    fn fieller_ends_solve_the_inequality_with_equality(
        m_c in 0.1..10.0, m_t in -10.0..10.0, v_c in 1e-6..1e-3, v_t in 1e-6..1e-3, v0 in 0.0..1e-3, multiplier in 1.0..5.0,
    ) {
        let lift = relative_lift(Normal { mean: m_c, v: v_c }, Normal { mean: m_t, v: v_t }, multiplier, v0);
        let Some(interval) = lift.interval else { return Ok(()) };
        prop_assert_eq!(lift.status, LiftStatus::Ok);
        for end in [interval.lower, interval.upper] {
            let r = 1.0 + end;
            let distance = (m_t - r * m_c) * (m_t - r * m_c);
            prop_assert!(near(distance, multiplier * multiplier * (v_t + r * r * v_c + end * end * v0), 1e-6));
        }
    }

    #[test]
    fn anytime_p_and_interval_agree_at_every_level(
        n in 2.0..1e8, z in -40.0..40.0_f64, level in 1e-10..0.9, tuning in 100.0..1e6,
    ) {
        let (mixture, level) = (Mixture::tuned(tuning, Alpha::DEFAULT), Alpha::new(level).unwrap());
        let multiplier = mixture.multiplier(n, level);
        if !near(z.abs(), multiplier, 1e-9) {
            prop_assert_eq!(mixture.p_value(n, z) <= level.get(), z.abs() >= multiplier);
        }
        let one_sided = mixture.one_sided_multiplier(n, level);
        if !near(z, one_sided, 1e-9) {
            prop_assert_eq!(mixture.one_sided_p_value(n, z) <= level.get(), z >= one_sided);
        }
    }

    #[test]
    fn adjusted_p_values_keep_their_order_of_strictness(p in vec(0.0..=1.0, 0..20)) {
        let (holm, bh) = (holm(&p), benjamini_hochberg(&p));
        for i in 0..p.len() {
            prop_assert!(holm[i] >= bh[i] * (1.0 - 1e-15) && bh[i] >= p[i] * (1.0 - 1e-15) && holm[i] <= 1.0);
        }
    }

    #[test]
    fn one_cohort_is_not_changed_by_stratifying(cohort in vec(estimate(), 2..5)) {
        let stratified = stratify(std::slice::from_ref(&cohort));
        prop_assert_eq!(stratified.estimates, Some(cohort));
        prop_assert_eq!(stratified.excluded_units, 0);
    }

    #[test]
    fn a_constant_covariate_changes_nothing(y in vec(-1000_i64..1000, 4..40), x in -1000_i64..1000) {
        let halves = y.split_at(y.len() / 2);
        let adjusted = cuped(&[halves.0, halves.1].map(|half| with_covariate(half, |_| x))).unwrap();
        let raw = [total(halves.0), total(halves.1)].map(|c| c.estimate(Scale::ONE));
        prop_assert!(!adjusted.adjusted && adjusted.v0 == 0.0);
        prop_assert_eq!(adjusted.estimates, raw.to_vec());
    }

    #[test]
    fn a_covariate_equal_to_the_value_explains_all_of_it(y in vec(-1000_i64..1000, 4..40)) {
        let halves = y.split_at(y.len() / 2);
        let summaries = [halves.0, halves.1].map(|half| with_covariate(half, |y| y));
        for (estimate, raw) in cuped(&summaries).unwrap().estimates.iter().zip(&summaries) {
            prop_assert!(estimate.v.unwrap() <= 1e-12 * raw.var_y);
        }
    }

    #[test]
    fn cuped_cells_merge_and_retract_exactly(
        units in vec((unit_value(), unit_value()), 0..20), cut in 0_usize..20,
    ) {
        let (left, right) = units.split_at(cut.min(units.len()));
        let (left, right, whole) = (cuped_total(left), cuped_total(right), cuped_total(&units));
        prop_assert_eq!(&right.merge(&left).unwrap(), &whole);
        prop_assert_eq!(whole.retract(&left).unwrap().summary(Scale::ONE), right.summary(Scale::ONE));
    }

    #[test]
    fn a_ratio_over_a_constant_denominator_is_a_mean(y in vec(-1000_i64..1000, 2..40)) {
        let cell = y.iter().fold(RatioMoments::default(), |cell, y| cell.merge(RatioMoments::of(*y, 1)).unwrap());
        let (ratio, mean) = (cell.estimate(Scale::ONE), total(&y).estimate(Scale::ONE));
        prop_assert_eq!(ratio, mean);
    }

    #[test]
    fn a_censored_unit_changes_no_retention_figure(
        units in vec((0_i64..2_000_000, 0_i64..4_000_000), 0..40), late in 0_i64..1_000_000,
    ) {
        let (window, as_of) = (RetentionWindow::days(7, 1, 86_400).unwrap(), 2_000_000);
        let judged = units.iter().map(|(e, x)| window.judge(*e, &[*x], as_of));
        let without = judged.fold(Retention::default(), Retention::with);
        let unit = window.judge(as_of - 8 * 86_400 + 1 + late, &[as_of], as_of);
        prop_assert_eq!(unit, Retained::Censored);
        let with = without.with(unit);
        prop_assert_eq!((with.n, with.successes), (without.n, without.successes));
    }

    #[test]
    fn student_quantiles_invert_tails(p in 1e-12..0.5, df in 1.0..1e9) {
        prop_assert!(near(t_sf(-t_ppf(p, df).unwrap(), df), p, 1e-8));
        prop_assert!(near(norm_sf(-norm_ppf(p).unwrap()), p, 1e-12));
    }

    #[test]
    fn srm_evidence_never_falls_back(daily in vec((0_u64..1000, 0_u64..1000), 1..20), weight in 0.1..0.9) {
        let mut sums = [0, 0];
        let looks = daily.iter().map(|(a, b)| {
            sums = [sums[0] + a, sums[1] + b];
            srm_log_e(&[CohortCounts { counts: &sums, weights: &[weight, 1.0 - weight] }], &SRM_CONCENTRATIONS)
        });
        let p = srm_sequential(&looks.collect::<Vec<_>>());
        prop_assert!(p.windows(2).all(|pair| pair[1] <= pair[0]) && p.iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn nothing_undefined_is_a_number(
        c in (0_u64..5, any::<f64>(), any::<f64>()), t in (0_u64..5, any::<f64>(), any::<f64>()), design in design(),
    ) {
        let side = |(n, mean, v): (u64, f64, f64)| Estimate { n, nonzero: n, mean: Some(mean), v: Some(v) };
        let Comparison { status, delta, lift, evidence } = compare(&side(c), &side(t), 0.0, &design);
        prop_assert!(delta.is_none_or(f64::is_finite));
        prop_assert!(lift.and_then(|l| l.point).is_none_or(f64::is_finite));
        prop_assert!(evidence.is_none() || status >= Status::LowData);
        if let Some(e) = evidence {
            prop_assert!([e.kappa, e.se, e.df, e.z, e.p_fixed, e.p_anytime].iter().all(|x| x.is_finite()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn beta_win_probabilities_are_consistent(
        counts in vec((1_u64..200_000, 0.0..=1.0), 1..5), direction in direction(),
    ) {
        let rates = counts.iter().map(|(n, share)| Proportion { successes: (*n as f64 * share) as u64, n: *n });
        let variants: Vec<Proportion> = rates.collect();
        let ptbb = ptbb_beta(&variants, BetaPrior::JEFFREYS, direction).unwrap();
        let means: Vec<f64> = variants.iter().map(|v| (v.successes as f64 + 0.5) / (v.n as f64 + 1.0)).collect();
        consistent(&ptbb.prob_best, &ptbb.expected_loss, &means, direction)?;
    }

    #[test]
    fn normal_win_probabilities_are_consistent(
        variants in vec((-10.0..10.0, 1e-6..10.0), 1..5), direction in direction(),
    ) {
        let posteriors: Vec<Normal> = variants.iter().map(|(mean, v)| Normal { mean: *mean, v: *v }).collect();
        let ptbb = ptbb_normal(&posteriors, direction).unwrap();
        let means: Vec<f64> = posteriors.iter().map(|p| p.mean).collect();
        consistent(&ptbb.prob_best, &ptbb.expected_loss, &means, direction)?;
    }
}

/// Probabilities sum to 1, losses are not negative and differ as the posterior means do.
fn consistent(best: &[f64], loss: &[f64], means: &[f64], direction: Direction) -> Result<(), TestCaseError> {
    prop_assert!((best.iter().sum::<f64>() - 1.0).abs() <= 1e-9, "{best:?}");
    prop_assert!(loss.iter().all(|l| *l >= 0.0), "{loss:?}");
    let scale = means.iter().fold(1e-3, |largest: f64, m| largest.max(m.abs()));
    for (i, j) in (0..means.len()).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let expected = direction.sign() * (means[j] - means[i]);
        prop_assert!(
            (loss[i] - loss[j] - expected).abs() <= 1e-8 * scale,
            "{loss:?} {means:?}"
        );
    }
    Ok(())
}

#[test]
fn overflowing_sums_are_reported() {
    let huge = Moments {
        sum_yy: i128::MAX,
        ..Moments::default()
    };
    assert!(huge.merge(Moments::of(1)).is_err());
    assert!(
        CupedMoments::of(1, &[1])
            .merge(&CupedMoments {
                sum_x: vec![i128::MAX],
                ..CupedMoments::default()
            })
            .is_err()
    );
}

#[test]
fn a_unit_in_a_variant_without_weight_is_certain_mismatch() {
    let cohort = CohortCounts {
        counts: &[100, 1],
        weights: &[1.0, 0.0],
    };
    assert_eq!(srm_chi2(&[cohort]).p_value, Some(0.0));
    assert_eq!(
        srm_sequential(&[srm_log_e(&[cohort], &SRM_CONCENTRATIONS)]),
        [0.0]
    );
}
