//! A/A experiments under daily looks: how often something is declared that is not there.
//!
//! Every day for 28 days the day's units are added and all is recomputed; the planned end is day 14. The number of
//! experiments per scenario is small here; `STATS_CALIBRATION_RUNS` asks for more.

use assay_stats::{
    Action, Alpha, BetaPrior, CohortCounts, Comparison, CupedMoments, Design, Direction, Estimate, Health,
    Kind, MetricEvidence, Mode, Moments, PlannedEndEvidence, Progress, Proportion, Ptbb, RatioMoments,
    Reason, Role, SRM_CONCENTRATIONS, Scale, SignalThresholds, Sketch, StopRule, VariantEvidence, compare,
    cuped, decide, decisive_p, holm, norm_ppf, ptbb_beta, ptbb_estimates, srm_log_e, srm_sequential,
    tuning_units, welch,
};

const DAYS: usize = 28;
const PLANNED_END: usize = 14;

/// The generator `SplitMix64`: a seed gives the same experiments everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in the open interval (0, 1).
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    fn normal(&mut self) -> f64 {
        norm_ppf(self.uniform()).unwrap()
    }

    fn lognormal(&mut self, mean: f64, sd: f64) -> f64 {
        let z = self.normal();
        libm::exp(mean + sd * z)
    }
}

/// What is known after the units of a day were added.
#[derive(Clone)]
struct Look {
    estimates: Vec<Estimate>,
    v0: f64,
}

impl Look {
    fn of(estimates: Vec<Estimate>) -> Look {
        Look { estimates, v0: 0.0 }
    }
}

/// One experiment, day by day.
type Simulation = Box<dyn Fn(&mut Rng) -> Vec<Look>>;

/// A scenario: what it measures, and how.
struct Scenario {
    kind: Kind,
    experiment: Simulation,
}

/// An experiment on scalar values, with the units per day of each variant.
fn scalar(kind: Kind, daily: &'static [u32], value: fn(&mut Rng) -> f64) -> Scenario {
    let experiment = move |rng: &mut Rng| {
        let mut cells = vec![Moments::default(); daily.len()];
        let day = |_| {
            for (cell, units) in cells.iter_mut().zip(daily) {
                for _ in 0..*units {
                    *cell = cell
                        .merge(Moments::of((value(rng) * 1e6).round() as i64))
                        .unwrap();
                }
            }
            Look::of(cells.iter().map(|cell| cell.estimate(Scale::MICRO)).collect())
        };
        (1..=DAYS).map(day).collect()
    };
    Scenario {
        kind,
        experiment: Box::new(experiment),
    }
}

fn rate(daily: &'static [u32], value: fn(&mut Rng) -> f64) -> Scenario {
    scalar(Kind::Binary, daily, value)
}

fn converts(rng: &mut Rng, p: f64) -> f64 {
    f64::from(u8::from(rng.chance(p)))
}

fn revenue(rng: &mut Rng) -> f64 {
    if rng.chance(0.05) {
        rng.lognormal(3.0, 1.2)
    } else {
        0.0
    }
}

/// Retention of day 7: units enter eight days after their exposure.
fn retention() -> Scenario {
    let immediate = rate(&[300, 300], |rng| converts(rng, 0.2));
    let experiment = move |rng: &mut Rng| {
        let looks = (immediate.experiment)(rng);
        let none = Look::of(vec![Estimate::default(); 2]);
        std::iter::repeat_n(none, 8).chain(looks).take(DAYS).collect()
    };
    Scenario {
        kind: Kind::Binary,
        experiment: Box::new(experiment),
    }
}

/// A value and a covariate that share most of their variance.
fn adjusted() -> Scenario {
    let experiment = |rng: &mut Rng| {
        let mut cells = vec![CupedMoments::default(); 2];
        let day = |_| {
            for cell in &mut cells {
                for _ in 0..200 {
                    let x = rng.lognormal(1.0, 0.8);
                    let y = 0.8 * x + rng.lognormal(0.5, 0.8);
                    *cell = cell
                        .merge(&CupedMoments::of((y * 1e6) as i64, &[(x * 1e6) as i64]))
                        .unwrap();
                }
            }
            let summaries: Vec<_> = cells
                .iter()
                .map(|cell| cell.summary(Scale::MICRO).unwrap())
                .collect();
            let adjusted = cuped(&summaries).unwrap();
            Look {
                v0: adjusted.v0,
                ..Look::of(adjusted.estimates)
            }
        };
        (1..=DAYS).map(day).collect()
    };
    Scenario {
        kind: Kind::Scalar,
        experiment: Box::new(experiment),
    }
}

/// Clicks per visit, of units whose own rates and numbers of visits differ.
fn clicks_per_visit() -> Scenario {
    let experiment = |rng: &mut Rng| {
        let mut cells = [RatioMoments::default(); 2];
        let day = |_| {
            for cell in &mut cells {
                for _ in 0..200 {
                    let (visits, p) = (1 + rng.next() % 6, 0.1 + 0.2 * rng.uniform());
                    let clicks = (0..visits).filter(|_| rng.chance(p)).count();
                    *cell = cell
                        .merge(RatioMoments::of(clicks as i64, visits as i64))
                        .unwrap();
                }
            }
            Look::of(cells.iter().map(|cell| cell.estimate(Scale::ONE)).collect())
        };
        (1..=DAYS).map(day).collect()
    };
    Scenario {
        kind: Kind::Ratio,
        experiment: Box::new(experiment),
    }
}

fn ninth_decile() -> Scenario {
    let experiment = |rng: &mut Rng| {
        let mut sketches = [Sketch::default(), Sketch::default()];
        let day = |_| {
            for sketch in &mut sketches {
                (0..100).for_each(|_| {
                    sketch
                        .insert((rng.lognormal(4.0, 1.0) * 1e6) as i64, &[])
                        .unwrap()
                });
            }
            let quantiles = sketches
                .each_ref()
                .map(|sketch| sketch.quantile(0.9, Scale::MICRO).unwrap());
            Look::of(quantiles.map(|q| q.estimate).to_vec())
        };
        (1..=DAYS).map(day).collect()
    };
    Scenario {
        kind: Kind::Quantile,
        experiment: Box::new(experiment),
    }
}

/// Whether something was declared at some look of an A/A experiment.
#[derive(Default)]
struct Declared {
    naive: bool,
    anytime: bool,
    hybrid: bool,
    significant_winner: bool,
    planned_end_winner: bool,
}

/// One experiment with its looks, and the comparisons at the planned end.
struct Experiment<'a> {
    kind: Kind,
    looks: &'a [Look],
    end: Vec<Comparison>,
}

fn design(kind: Kind, looks: &[Look], mode: Mode) -> Design {
    let units: u64 = looks[PLANNED_END - 1].estimates.iter().take(2).map(|e| e.n).sum();
    Design {
        kind,
        alpha: Alpha::DEFAULT,
        mode,
        tuning_units: tuning_units(Some(units as f64)),
    }
}

fn comparisons(look: &Look, design: &Design) -> Vec<Comparison> {
    look.estimates[1..]
        .iter()
        .map(|t| compare(&look.estimates[0], t, look.v0, design))
        .collect()
}

impl Experiment<'_> {
    fn new(kind: Kind, looks: &[Look]) -> Experiment<'_> {
        let end = comparisons(&looks[PLANNED_END - 1], &design(kind, looks, Mode::Hybrid));
        Experiment { kind, looks, end }
    }

    /// The adjusted p-values at a look.
    fn adjusted(&self, day: usize, mode: Mode) -> Vec<f64> {
        let now = comparisons(&self.looks[day - 1], &design(self.kind, self.looks, mode));
        let ended = day >= PLANNED_END;
        let p = now
            .iter()
            .zip(&self.end)
            .map(|(c, end)| decisive_p(c, ended.then_some(end), mode));
        holm(&p.collect::<Vec<_>>())
    }

    fn judge(&self) -> Declared {
        let mut declared = Declared::default();
        for (day, look) in self.looks.iter().enumerate().map(|(i, look)| (i + 1, look)) {
            let peeked = |t| welch(&look.estimates[0], t, Alpha::DEFAULT).is_some_and(|w| w.p_value <= 0.05);
            declared.naive |= look.estimates[1..].iter().any(peeked);
            declared.anytime |= self.adjusted(day, Mode::Anytime).iter().any(|p| *p <= 0.05);
            let significant = self.adjusted(day, Mode::Hybrid).iter().any(|p| *p <= 0.05);
            declared.hybrid |= significant;
            // Win probabilities are the costly part: only here can they declare a winner.
            if day >= 7 && significant || day == PLANNED_END {
                declared.significant_winner |= self.declares_winner(day, StopRule::Significant);
                declared.planned_end_winner |= self.declares_winner(day, StopRule::PlannedEnd);
            }
        }
        declared
    }

    fn declares_winner(&self, day: usize, rule: StopRule) -> bool {
        let progress = Progress {
            days_running: day as f64,
            min_days: 7.0,
            planned_end_evaluated: day >= PLANNED_END,
            rule,
            alpha: Alpha::DEFAULT,
            signal: SignalThresholds::DEFAULT,
            suspicious_lift: f64::MAX,
        };
        let metric = MetricEvidence {
            role: Role::Primary,
            kind: self.kind,
            direction: Direction::Increase,
            margin: None,
            control_prob_best: None,
            variants: self.evidence(day),
        };
        let recommendation = decide(&progress, &HEALTHY, &[metric]);
        recommendation.action == Action::DeclareWinner && recommendation.reason == Reason::Winner
    }

    fn evidence(&self, day: usize) -> Vec<VariantEvidence> {
        let now = comparisons(&self.looks[day - 1], &design(self.kind, self.looks, Mode::Hybrid));
        let (wins, end_wins) = (self.wins(day), self.wins(PLANNED_END));
        let p = self.adjusted(day, Mode::Hybrid);
        let variant = |k: usize| VariantEvidence {
            variant: k,
            status: now[k - 1].status,
            lift: now[k - 1].lift.and_then(|l| l.point),
            effect_sign: now[k - 1].delta.map_or(0, |d| d.signum() as i8),
            prob_best: wins.as_ref().map(|w| w.prob_best[k]),
            p_adjusted: Some(p[k - 1]),
            noninferiority_p: None,
            planned_end: (day >= PLANNED_END).then(|| PlannedEndEvidence {
                status: self.end[k - 1].status,
                lift: self.end[k - 1].lift.and_then(|l| l.point),
                prob_best: end_wins.as_ref().map(|w| w.prob_best[k]),
                prob_beats_control: end_wins.as_ref().and_then(|w| w.prob_beats_control[k]),
                best_lift: None,
            }),
        };
        (1..=now.len()).map(variant).collect()
    }

    fn wins(&self, day: usize) -> Option<Ptbb> {
        let estimates = &self.looks[day - 1].estimates;
        let rates = estimates.iter().map(|e| Proportion {
            successes: e.nonzero,
            n: e.n,
        });
        match self.kind {
            Kind::Binary => ptbb_beta(
                &rates.collect::<Vec<_>>(),
                BetaPrior::JEFFREYS,
                Direction::Increase,
            ),
            _ => ptbb_estimates(estimates, Direction::Increase),
        }
    }
}

const HEALTHY: Health = Health {
    total_units: 1,
    srm_flagged: false,
    multi_exposed_units: 0,
    multi_exposure_rate: 0.0,
    data_quality_ok: true,
};

/// How many experiments to simulate per scenario.
#[expect(clippy::disallowed_methods, reason = "the size is chosen from outside")]
fn runs() -> usize {
    std::env::var("STATS_CALIBRATION_RUNS").map_or(60, |runs| runs.parse().unwrap())
}

/// Simulates a scenario, asserts the limits, and returns the number of experiments in which plain peeking rejected.
fn calibrate(seed: u64, scenario: &Scenario) -> usize {
    let mut rng = Rng(seed);
    let declared: Vec<Declared> = (0..runs())
        .map(|_| Experiment::new(scenario.kind, &(scenario.experiment)(&mut rng)).judge())
        .collect();
    let at_most = |what: &str, limit: f64, of: fn(&Declared) -> bool| {
        let (count, runs) = (declared.iter().filter(|d| of(d)).count() as f64, runs() as f64);
        let allowed = runs * limit + 4.0 * (runs * limit * (1.0 - limit)).sqrt();
        assert!(
            count <= allowed,
            "{what}: {count} of {runs}, at most {allowed} allowed"
        );
    };
    at_most("anytime", 0.05, |d| d.anytime);
    at_most("hybrid", 0.05, |d| d.hybrid);
    at_most("winner by rule SIGNIFICANT", 0.03, |d| d.significant_winner);
    at_most("winner by rule PLANNED_END", 0.11, |d| d.planned_end_winner);
    declared.iter().filter(|d| d.naive).count()
}

/// The limits hold, while plain Welch under the same looks fails by far: the test could fail.
#[test]
fn rates_are_calibrated_where_peeking_is_not() {
    let peeked = calibrate(1, &rate(&[500, 500], |rng| converts(rng, 0.1)));
    assert!(
        peeked as f64 >= 0.15 * runs() as f64,
        "plain peeking rejected only {peeked} times"
    );
}

#[test]
fn rare_conversions_in_unequal_groups_are_calibrated() {
    calibrate(2, &rate(&[1800, 200], |rng| converts(rng, 0.005)));
}

#[test]
fn four_variants_are_calibrated() {
    calibrate(3, &rate(&[250, 250, 250, 250], |rng| converts(rng, 0.1)));
}

#[test]
fn heavy_tailed_revenue_is_calibrated() {
    calibrate(4, &scalar(Kind::Scalar, &[500, 500], revenue));
}

#[test]
fn heavy_tailed_revenue_in_unequal_groups_is_calibrated() {
    calibrate(5, &scalar(Kind::Scalar, &[1800, 200], revenue));
}

#[test]
fn covariate_adjusted_means_are_calibrated() {
    calibrate(6, &adjusted());
}

#[test]
fn ratios_are_calibrated() {
    calibrate(7, &clicks_per_visit());
}

#[test]
fn quantiles_are_calibrated() {
    calibrate(8, &ninth_decile());
}

#[test]
fn retention_is_calibrated() {
    calibrate(9, &retention());
}

/// At most 1 % of healthy experiments are ever flagged, and a real mismatch is.
#[test]
fn sample_ratio_mismatch_is_calibrated() {
    let mut rng = Rng(10);
    let mut flagged = |p: f64| {
        let mut counts = [0, 0];
        let day = |_| {
            (0..2000).for_each(|_| counts[usize::from(rng.chance(p))] += 1);
            srm_log_e(
                &[CohortCounts {
                    counts: &counts,
                    weights: &[0.5, 0.5],
                }],
                &SRM_CONCENTRATIONS,
            )
        };
        let log_e: Vec<_> = (0..DAYS).map(day).collect();
        srm_sequential(&log_e).last().is_some_and(|p| *p <= 0.01)
    };
    let false_flags = (0..runs()).filter(|_| flagged(0.5)).count() as f64;
    let allowed = runs() as f64 * 0.01 + 4.0 * (runs() as f64 * 0.01 * 0.99).sqrt();
    assert!(
        false_flags <= allowed,
        "{false_flags} healthy experiments flagged, at most {allowed} allowed"
    );
    assert!((0..10).all(|_| flagged(0.48)));
}
