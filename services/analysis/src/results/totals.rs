//! Sums of an experiment, by variant and measure.

use std::collections::BTreeMap;

use assay_core::{experiment::Experiment, key::VariantKey};
use assay_stats::Moments;
use assay_storage::analysis_store::{CellKey, Measure, Sums};

/// Sums over cohorts and days, by variant and measure; `None` where they leave 128 bits.
pub(super) struct Totals<'a>(BTreeMap<(&'a VariantKey, &'a Measure), Option<Moments>>);

impl<'a> Totals<'a> {
    pub(super) fn of(experiment: &Experiment, cells: &'a [(CellKey, Sums)]) -> Self {
        let mut totals: BTreeMap<_, Option<Moments>> = BTreeMap::new();
        for (key, sums) in cells.iter().filter(|(key, _)| key.experiment == experiment.key) {
            let total = totals
                .entry((&key.variant, &key.measure))
                .or_insert(Some(Moments::default()));
            *total = total.and_then(|total| total.merge(moments(sums)).ok());
        }
        Self(totals)
    }

    pub(super) fn get(&self, variant: &VariantKey, measure: &Measure) -> Option<Moments> {
        self.0
            .get(&(variant, measure))
            .copied()
            .unwrap_or(Some(Moments::default()))
    }

    pub(super) fn units(&self, variant: &VariantKey, measure: &Measure) -> i64 {
        self.get(variant, measure)
            .and_then(|m| i64::try_from(m.n).ok())
            .unwrap_or(i64::MAX)
    }
}

fn moments(sums: &Sums) -> Moments {
    Moments {
        n: sums.n.into(),
        nonzero: sums.nonzero.into(),
        sum_y: sums.sum,
        sum_yy: sums.sum_squares,
    }
}
