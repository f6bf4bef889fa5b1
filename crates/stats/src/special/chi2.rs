//! The chi-squared distribution with a whole number of degrees of freedom.

/// `P(X > x)` of chi-squared with `df` degrees of freedom; 1 for `x <= 0`.
///
/// With `h = x/2`, each two degrees add `h^a e^-h / Γ(a+1)`: a finite sum of positive terms, so nothing cancels.
/// Source: Abramowitz and Stegun 26.4.4, 26.4.5. Checked against mpmath in
/// `testdata/stats_golden/special_functions.json`.
pub fn chi2_sf(x: f64, df: u32) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let half = 0.5 * x;
    let odd = df % 2 == 1;
    let (mut tail, first) = if odd {
        (libm::erfc(half.sqrt()), 0.5)
    } else {
        (0.0, 0.0)
    };
    for step in 0..df / 2 {
        let a = f64::from(step) + first;
        tail += libm::exp(a * libm::log(half) - half - libm::lgamma(a + 1.0));
    }
    tail
}
