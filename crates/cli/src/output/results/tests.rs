use super::*;

fn estimate(key: &str, units: i64, hits: i64, mean: f64, best: f64) -> pb::VariantEstimate {
    pb::VariantEstimate {
        variant_key: key.into(),
        units,
        nonzero_units: hits,
        mean: Some(mean),
        mean_interval: Some(pb::Interval {
            lower: mean - 0.0036,
            upper: mean + 0.0036,
        }),
        probability_best: Some(best),
        ..Default::default()
    }
}

fn sample() -> pb::ExperimentResult {
    let comparison = pb::Comparison {
        variant_key: "b".into(),
        status: pb::ComparisonStatus::Ok.into(),
        difference: Some(-0.008_20),
        lift: Some(-0.043_12),
        lift_status: pb::LiftStatus::Ok.into(),
        lift_interval: Some(pb::Interval {
            lower: -0.0689,
            upper: -0.0168,
        }),
        classic: Some(pb::ClassicFigures {
            test: pb::ClassicTest::TwoProportionZ.into(),
            statistic: -3.16,
            p_value: 0.001_554,
            interval: Some(pb::Interval {
                lower: -0.013_3,
                upper: -0.003_1,
            }),
        }),
        probability_beats_control: Some(0.000_8),
        ..Default::default()
    };
    let metric = pb::MetricResult {
        metric_key: "retention_7".into(),
        role: pb::MetricRole::Primary.into(),
        kind: pb::MetricKind::Binary.into(),
        direction: pb::Direction::Increase.into(),
        variants: vec![
            estimate("a", 44_700, 8_502, 0.190_20, 0.999_2),
            estimate("b", 45_489, 8_279, 0.182_00, 0.000_8),
        ],
        comparisons: vec![comparison],
        ..Default::default()
    };
    let count = |key: &str, units| pb::VariantCount {
        variant_key: key.into(),
        weight: 0.5,
        units,
        set_aside_units: 0,
    };
    pb::ExperimentResult {
        namespace: "default".into(),
        experiment_key: "gates".into(),
        generation: 7,
        confidence: 0.95,
        variants: vec![
            count("a", 44_700),
            pb::VariantCount {
                set_aside_units: 2,
                ..count("b", 45_489)
            },
        ],
        srm: Some(pb::SrmResult {
            p_value: Some(0.008_608),
            suspected: false,
        }),
        metrics: vec![metric],
        records: Some(pb::RecordCounts {
            duplicates: 1_200,
            ..Default::default()
        }),
        data_through: Some(assay_proto::Timestamp { seconds: 0, nanos: 0 }),
        ..Default::default()
    }
}

#[test]
fn a_result_reads_as_people_expect() {
    let text = render(&sample());
    for line in [
        "gates (default/gates)",
        "retention_7 (primary, larger is better)",
        "    b: retention_7 19.02 % vs 18.20 %, difference −0.82 points (−4.31 %), 95 % interval −1.33 to −0.31 points, \
         two-sided p = 0.00155 (two-proportion z-test), P(better than control) < 0.1 %",
        "units         a 44,700 of 50 %, b 45,489 of 50 % (+ 2 set aside, they met several variants)",
        "split         SRM p = 0.00861",
        "data through  1970-01-01T00:00:00.000000Z",
        "not counted   late 0, duplicates 1,200, conflicts 0, invalid 0 (whole namespace)",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line}\nis missing in\n{text}"
        );
    }
    let row = text
        .lines()
        .find(|line| line.trim_start().starts_with("b "))
        .unwrap();
    for cell in [
        "45,489",
        "8,279",
        "18.20 %",
        "−4.3 %",
        "−6.9 % to −1.7 %",
        "< 0.1 %",
    ] {
        assert!(row.contains(cell), "{cell} is missing in {row}");
    }
}

#[test]
fn what_cannot_be_said_is_not_said() {
    let mut result = sample();
    result.srm = Some(pb::SrmResult {
        p_value: Some(1e-9),
        suspected: true,
    });
    let metric = &mut result.metrics[0];
    metric.variants[1] = pb::VariantEstimate {
        variant_key: "b".into(),
        pending_units: 5,
        ..Default::default()
    };
    metric.comparisons[0] = pb::Comparison {
        variant_key: "b".into(),
        status: pb::ComparisonStatus::NoData.into(),
        ..Default::default()
    };
    let text = render(&result);
    assert!(text.contains("    b: no data yet"), "{text}");
    assert!(
        text.contains("b: not in the numbers: 5 (window not closed yet)"),
        "{text}"
    );
    assert!(text.contains("SRM p < 0.0001: the split is broken"), "{text}");
}

#[test]
fn a_metric_that_is_not_computed_says_why_and_nothing_else() {
    let mut result = sample();
    let metric = &mut result.metrics[0];
    metric.status = pb::MetricStatus::NotComputedYet.into();
    metric.status_reason = "no sketch yet".into();
    metric.comparisons.clear();
    let text = render(&result);
    assert!(text.contains("\n  not computed yet: no sketch yet\n"), "{text}");
    assert!(!text.contains("classic"), "{text}");
}

#[test]
fn a_cap_shows_whom_it_met_and_the_lift_without_it() {
    let mut result = sample();
    let metric = &mut result.metrics[0];
    metric.cap = Some(500.0);
    metric.variants[1].capped_units = 12;
    metric.comparisons[0].uncapped_lift = Some(-0.25);
    let text = render(&result);
    assert!(text.contains("larger is better, capped at 500"), "{text}");
    assert!(
        text.contains("b: 12 units capped; lift without the cap −25.0 %"),
        "{text}"
    );
}
