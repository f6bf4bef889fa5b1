//! Several metrics and variants: p-values adjusted for the size of their family.

/// Holm's adjusted p-values: the chance that any true null of the family falls to `a` or below is at most `a`.
///
/// Valid at any look if the p-values are. Each at most 1, in the order given.
/// Source: Holm (1979). Checked against statsmodels `multipletests` in `testdata/stats_golden/multiplicity.json`.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut largest: f64 = 0.0;
    for (rank, i) in ascending(p).into_iter().enumerate() {
        largest = largest.max((p.len() - rank) as f64 * p[i]);
        adjusted[i] = largest.min(1.0);
    }
    adjusted
}

/// Benjamini and Hochberg's adjusted p-values: of those at `a` or below, a share of at most `a` is false in the mean.
///
/// Each at most 1, in the order given.
/// Source: Benjamini, Hochberg (1995). Checked against statsmodels `multipletests` in
/// `testdata/stats_golden/multiplicity.json`.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p.len()];
    let mut smallest: f64 = 1.0;
    for (rank, i) in ascending(p).into_iter().enumerate().rev() {
        smallest = smallest.min(p.len() as f64 / (rank + 1) as f64 * p[i]);
        adjusted[i] = smallest;
    }
    adjusted
}

/// The indices of `p` from the smallest value to the largest.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|i, j| p[*i].total_cmp(&p[*j]));
    order
}
