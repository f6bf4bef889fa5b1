//! Guardrails with a margin: is the variant shown to be no worse than the control by more than it?

use crate::compare::{variance_guard, welch_df};
use crate::estimate::{Direction, Estimate, finite};
use crate::sequential::Mixture;
use crate::special::t_sf;

/// The one-sided test of "worse than the control by more than the margin". It is shown when the combined p is at most α.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NonInferiority {
    /// Distance from the margin in standard errors; positive on the good side.
    pub z: f64,
    /// Valid at all looks together.
    pub p_anytime: f64,
    /// Valid at one look: the p-value at the planned end, if these are its units.
    pub p_fixed: f64,
}

/// Tests whether `treatment` is no worse than `control` by more than the share `margin > 0` of the control's mean.
///
/// `None` where it is undefined: the control's mean is not above 0, there is no variance, or fewer than two units on a side.
/// Combine both p-values as [`hybrid_p`](crate::hybrid_p) does.
/// Checked against mpmath and scipy in `testdata/stats_golden/noninferiority.json`.
pub fn noninferiority(
    control: &Estimate,
    treatment: &Estimate,
    margin: f64,
    direction: Direction,
    mixture: Mixture,
) -> Option<NonInferiority> {
    let (c, t) = (control.normal()?, treatment.normal()?);
    if c.mean <= 0.0 {
        return None;
    }
    let kappa = variance_guard(&[*control, *treatment])?;
    let factor = 1.0 - direction.sign() * margin;
    let v_c = factor * factor * c.v;
    let z = finite(direction.sign() * (t.mean - factor * c.mean) / (kappa * (t.v + v_c)).sqrt())?;
    Some(NonInferiority {
        z,
        p_anytime: mixture.one_sided_p_value(control.n as f64 + treatment.n as f64, z),
        p_fixed: t_sf(z, welch_df(t.v, treatment.n, v_c, control.n)),
    })
}
