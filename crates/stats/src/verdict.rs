//! What each comparison says by itself: better, worse, promotable, harmed. [`crate::decide`] combines them.

use crate::compare::Status;
use crate::decide::{MetricEvidence, Progress, Role, SignalThresholds, StopRule, VariantEvidence};
use crate::estimate::{Direction, Kind};

/// Whether the raw figures make a variant promotable: of a rate its probability to be best, of all others its lift.
///
/// It has no guard against chance or repeated looks. Undefined figures give no signal.
pub fn winner_signal(
    kind: Kind,
    direction: Direction,
    prob_best: Option<f64>,
    lift: Option<f64>,
    thresholds: SignalThresholds,
) -> bool {
    match kind {
        Kind::Binary => prob_best.is_some_and(|p| p >= thresholds.prob_best),
        _ => lift.is_some_and(|l| direction.sign() * l >= thresholds.lift),
    }
}

/// What a guardrail says of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guardrail {
    Fine,
    Harmed,
    /// Not yet shown to be no worse than its margin.
    Open,
}

/// All comparisons of an experiment, with the questions that the rules ask.
pub(crate) struct Verdicts<'a> {
    pub(crate) progress: &'a Progress,
    metrics: &'a [MetricEvidence],
    /// The probability to beat the control that counts at the planned end.
    wanted: f64,
}

impl<'a> Verdicts<'a> {
    pub(crate) fn new(progress: &'a Progress, metrics: &'a [MetricEvidence]) -> Verdicts<'a> {
        let primaries = metrics.iter().filter(|m| m.role == Role::Primary);
        let comparisons = primaries.map(|m| m.variants.len()).sum::<usize>().max(1);
        Verdicts {
            progress,
            metrics,
            wanted: 1.0 - (1.0 - progress.signal.prob_best) / comparisons as f64,
        }
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = (usize, &'a MetricEvidence)> {
        self.metrics
            .iter()
            .enumerate()
            .filter(move |(_, m)| m.role == role)
    }

    fn first_primary(&self) -> Option<(usize, &'a MetricEvidence)> {
        self.of_role(Role::Primary).next()
    }

    /// The treatments, by position in each metric's list.
    fn treatments(&self) -> std::ops::Range<usize> {
        0..self.metrics.first().map_or(0, |m| m.variants.len())
    }

    /// The first variant, and its first metric of `role`, for which `question` holds.
    fn first(
        &self,
        role: Role,
        question: impl Fn(&MetricEvidence, &VariantEvidence) -> bool,
    ) -> Option<(usize, usize)> {
        self.treatments().find_map(|t| {
            let mut metrics = self.of_role(role);
            let (metric, m) = metrics.find(|(_, m)| question(m, &m.variants[t]))?;
            Some((m.variants[t].variant, metric))
        })
    }

    /// Whether `question` holds for treatment `t` on some metric of `role`.
    fn on_some(
        &self,
        role: Role,
        t: usize,
        question: impl Fn(&MetricEvidence, &VariantEvidence) -> bool,
    ) -> bool {
        self.of_role(role).any(|(_, m)| question(m, &m.variants[t]))
    }

    fn significant(&self, v: &VariantEvidence) -> bool {
        v.status == Status::Ok && v.p_adjusted.is_some_and(|p| p <= self.progress.alpha.get())
    }

    fn better(&self, v: &VariantEvidence) -> bool {
        self.significant(v) && v.effect_sign > 0
    }

    fn worse(&self, v: &VariantEvidence) -> bool {
        self.significant(v) && v.effect_sign < 0
    }

    fn signal(&self, m: &MetricEvidence, v: &VariantEvidence) -> bool {
        v.status == Status::Ok
            && winner_signal(m.kind, m.direction, v.prob_best, v.lift, self.progress.signal)
    }

    fn qualifies(&self, m: &MetricEvidence, v: &VariantEvidence) -> bool {
        if v.status != Status::Ok {
            return false;
        }
        let significant = self.signal(m, v) && self.better(v);
        match self.progress.rule {
            StopRule::Significant => significant,
            StopRule::PlannedEnd => significant || self.qualifies_at_planned_end(m, v),
            StopRule::Threshold => self.signal(m, v),
        }
    }

    fn qualifies_at_planned_end(&self, m: &MetricEvidence, v: &VariantEvidence) -> bool {
        v.planned_end.is_some_and(|end| {
            end.status == Status::Ok
                && winner_signal(m.kind, m.direction, end.prob_best, end.lift, self.progress.signal)
                && end.prob_beats_control.is_some_and(|p| p >= self.wanted)
        })
    }

    fn guardrail(&self, m: &MetricEvidence, v: &VariantEvidence) -> Guardrail {
        match (m.margin, self.worse(v)) {
            (Some(_), _) if self.within_its_margin(v) => Guardrail::Fine,
            (_, true) => Guardrail::Harmed,
            (None, false) => Guardrail::Fine,
            (Some(_), false) => Guardrail::Open,
        }
    }

    /// Whether non-inferiority is shown.
    fn within_its_margin(&self, v: &VariantEvidence) -> bool {
        v.status == Status::Ok && v.noninferiority_p.is_some_and(|p| p <= self.progress.alpha.get())
    }

    pub(crate) fn first_guardrail(&self, verdict: Guardrail) -> Option<(usize, usize)> {
        self.first(Role::Guardrail, |m, v| self.guardrail(m, v) == verdict)
    }

    pub(crate) fn first_worse_primary(&self) -> Option<(usize, usize)> {
        self.first(Role::Primary, |_, v| self.worse(v))
    }

    pub(crate) fn first_signal(&self) -> Option<(usize, usize)> {
        self.first(Role::Primary, |m, v| self.signal(m, v))
    }

    pub(crate) fn any_primary_ok(&self) -> bool {
        self.first(Role::Primary, |_, v| v.status == Status::Ok).is_some()
    }

    pub(crate) fn within_margin(&self) -> bool {
        let within = |m: &MetricEvidence, v: &VariantEvidence| {
            m.margin.is_some() && self.within_its_margin(v) && self.worse(v)
        };
        self.first(Role::Guardrail, within).is_some()
    }

    pub(crate) fn secondary_worse(&self) -> bool {
        self.first(Role::Secondary, |_, v| self.worse(v)).is_some()
    }

    /// The best of the variants that qualify on some primary, are worse on none and have all guardrails fine; with the first
    /// primary it qualifies on, and its lift there.
    pub(crate) fn winner(&self) -> Option<(usize, usize, f64)> {
        let mut best: Option<(f64, (usize, usize, f64))> = None;
        for t in self.treatments() {
            let barred = self.on_some(Role::Primary, t, |_, v| self.worse(v))
                || self.on_some(Role::Guardrail, t, |m, v| self.guardrail(m, v) != Guardrail::Fine);
            let qualified = self
                .of_role(Role::Primary)
                .find(|(_, m)| self.qualifies(m, &m.variants[t]));
            if let Some((metric, m)) = qualified.filter(|_| !barred) {
                let v = &m.variants[t];
                let prob_best = v.prob_best.unwrap_or(0.0);
                if best.is_none_or(|(most, _)| prob_best > most) {
                    best = Some((prob_best, (v.variant, metric, v.lift.unwrap_or(0.0))));
                }
            }
        }
        best.map(|(_, winner)| winner)
    }

    /// A variant that qualifies on one primary, and the primary on which it is worse.
    pub(crate) fn conflict(&self) -> Option<(usize, usize)> {
        self.first_of_qualified(Role::Primary, |_, v| self.worse(v))
    }

    /// A variant that qualifies, and its first guardrail that is open.
    pub(crate) fn qualified_but_open(&self) -> Option<(usize, usize)> {
        self.first_of_qualified(Role::Guardrail, |m, v| self.guardrail(m, v) == Guardrail::Open)
    }

    fn first_of_qualified(
        &self,
        role: Role,
        question: impl Fn(&MetricEvidence, &VariantEvidence) -> bool,
    ) -> Option<(usize, usize)> {
        let qualified = |t: &usize| self.on_some(Role::Primary, *t, |m, v| self.qualifies(m, v));
        self.treatments().filter(qualified).find_map(|t| {
            let mut metrics = self.of_role(role);
            let (metric, m) = metrics.find(|(_, m)| question(m, &m.variants[t]))?;
            Some((m.variants[t].variant, metric))
        })
    }

    /// The first primary, if on it the control is better than every variant.
    pub(crate) fn control_wins(&self) -> Option<usize> {
        let (metric, m) = self.first_primary()?;
        let sound = !m.variants.is_empty() && m.variants.iter().all(|v| v.status == Status::Ok);
        let every_worse = m.variants.iter().all(|v| self.worse(v));
        let also = match self.progress.rule {
            StopRule::Significant => false,
            StopRule::PlannedEnd => m.variants.iter().all(|v| self.loses_at_planned_end(v)),
            StopRule::Threshold => self.control_signal(m),
        };
        (sound && (every_worse || also)).then_some(metric)
    }

    fn loses_at_planned_end(&self, v: &VariantEvidence) -> bool {
        let end = v.planned_end.filter(|end| end.status == Status::Ok);
        end.and_then(|end| end.prob_beats_control)
            .is_some_and(|p| p <= 1.0 - self.wanted)
    }

    /// The winner signal for the control.
    fn control_signal(&self, m: &MetricEvidence) -> bool {
        let thresholds = self.progress.signal;
        match m.kind {
            Kind::Binary => m.control_prob_best.is_some_and(|p| p >= thresholds.prob_best),
            _ => m
                .variants
                .iter()
                .all(|v| v.lift.is_some_and(|l| m.direction.sign() * l <= -thresholds.lift)),
        }
    }

    /// The first primary, if at the planned end no variant can move it by the lift that counts.
    pub(crate) fn no_meaningful_lift(&self) -> Option<usize> {
        let (metric, m) = self.first_primary()?;
        let small = |v: &VariantEvidence| {
            v.planned_end
                .and_then(|end| end.best_lift)
                .is_some_and(|l| l < self.progress.signal.lift)
        };
        m.variants.iter().all(small).then_some(metric)
    }

    /// The variant, control included, with the highest probability to be best on the first primary; ties to the lower.
    pub(crate) fn leading(&self) -> Option<(usize, f64)> {
        let (_, m) = self.first_primary()?;
        let control = m.control_prob_best.map(|p| (0, p));
        let treatments = m
            .variants
            .iter()
            .filter_map(|v| v.prob_best.map(|p| (v.variant, p)));
        control
            .into_iter()
            .chain(treatments)
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}
