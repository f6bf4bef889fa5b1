//! Gauss–Legendre quadrature.

use std::f64::consts::PI;

/// Nodes and weights on `[-1, 1]` of the `N`-point rule, exact for polynomials of degree `2N - 1`.
///
/// Newton's method on the Legendre polynomial, from Tricomi's approximation of its roots.
pub(crate) fn gauss_legendre<const N: usize>() -> [(f64, f64); N] {
    std::array::from_fn(|i| {
        let mut x = libm::cos(PI * (i as f64 + 0.75) / (N as f64 + 0.5));
        for _ in 0..6 {
            let (value, slope) = legendre(N, x);
            x -= value / slope;
        }
        let (_, slope) = legendre(N, x);
        (x, 2.0 / ((1.0 - x * x) * slope * slope))
    })
}

/// The Legendre polynomial of degree `n` and its derivative at `x`, `|x| < 1`.
fn legendre(n: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, n as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::gauss_legendre;

    #[test]
    fn integrates_polynomials_of_degree_47_exactly() {
        let rule = gauss_legendre::<24>();
        for degree in 0..48 {
            let sum: f64 = rule
                .iter()
                .map(|(x, w)| w * libm::pow(*x, f64::from(degree)))
                .sum();
            let exact = if degree % 2 == 0 {
                2.0 / f64::from(degree + 1)
            } else {
                0.0
            };
            assert!(
                (sum - exact).abs() < 1e-14,
                "degree {degree}: {sum} is not {exact}"
            );
        }
    }
}
