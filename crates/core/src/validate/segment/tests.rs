use proptest::prelude::*;

use super::*;
use crate::{
    fixtures::{self, rule},
    segment::SegmentReference,
    validate::tests::{one, owned},
};

fn with(rules: Vec<Condition>) -> Segment {
    Segment {
        rules,
        ..fixtures::segment("s", "x", 1.0)
    }
}

fn errors(rules: Vec<Condition>) -> Vec<(String, &'static str)> {
    owned(segment(&with(rules)))
}

/// The errors of a segment with one rule.
fn rule_errors(attribute: &str, operator: Operator, operands: Vec<Attribute>) -> Vec<(String, &'static str)> {
    errors(vec![rule(attribute, operator, operands)])
}

#[test]
fn a_rule_keeps_its_operands() {
    use Operator::{After, Between, Contains, Eq, Exists, Gt, In, Matches, SemverBetween, SemverGt};
    let operands = "rules[0].operands";
    for (operator, given) in [
        (Eq, vec!["a".into()]),
        (In, vec![1.0.into(); MAX_OPERANDS]),
        (Exists, vec![]),
        (Contains, vec!["a".into(), "b".into()]),
        (Matches, vec!["^(a|b)+$".into()]),
        (SemverBetween, vec!["1.2".into(), "1.10.0".into()]),
        (After, vec!["2026-11-21".into()]),
    ] {
        assert_eq!(rule_errors("x", operator, given), [], "{operator}");
    }
    for (operator, given, broken) in [
        (Eq, vec![], "OPERAND_COUNT"),
        (Exists, vec![true.into()], "OPERAND_COUNT"),
        (Gt, vec!["a".into()], "OPERAND_TYPE"),
        (Contains, vec![1.0.into()], "OPERAND_TYPE"),
        (SemverGt, vec![1.2.into()], "OPERAND_TYPE"),
        (Gt, vec![f64::NAN.into()], "NOT_FINITE"),
        (Between, vec![2.0.into(), 1.0.into()], "OPERAND_ORDER"),
        (
            SemverBetween,
            vec!["1.10.0".into(), "1.2.0".into()],
            "OPERAND_ORDER",
        ),
        (Contains, vec!["".into()], "OPERAND_EMPTY"),
        (SemverGt, vec!["v1".into()], "OPERAND_VERSION"),
        (After, vec!["tomorrow".into()], "OPERAND_TIME"),
        (Matches, vec!["(".into()], "PATTERN_SYNTAX"),
        (Matches, vec!["(?=look)".into()], "PATTERN_SYNTAX"),
        (Matches, vec![r"\w{500}{500}".into()], "PATTERN_TOO_LARGE"),
        (
            Matches,
            vec!["a".repeat(513).as_str().into()],
            "PATTERN_TOO_LARGE",
        ),
        (In, vec![1.0.into(); MAX_OPERANDS + 1], "TOO_MANY"),
    ] {
        assert_eq!(
            rule_errors("x", operator, given),
            one(operands, broken),
            "{operator}"
        );
    }
    assert_eq!(
        rule_errors("", Eq, vec![1.0.into()]),
        one("rules[0].attribute", "ATTRIBUTE_REQUIRED")
    );
    assert_eq!(
        rule_errors(&"x".repeat(257), Eq, vec![1.0.into()]),
        one("rules[0].attribute", "TEXT_TOO_LONG")
    );
}

#[test]
fn what_lies_in_groups_is_told_with_its_path() {
    let good = || rule("x", Operator::Eq, vec![1.0.into()]);
    let bad = || rule("x", Operator::Eq, vec![]);
    let found = errors(vec![
        good(),
        Condition::AnyOf(vec![]),
        Condition::AnyOf(vec![
            bad(),
            Condition::Not(Box::new(Condition::AllOf(vec![good(), bad()]))),
        ]),
        Condition::AllOf(vec![]),
    ]);
    let expected = [
        ("rules[1].any_of", "GROUP_EMPTY"),
        ("rules[2].any_of[0].operands", "OPERAND_COUNT"),
        ("rules[2].any_of[1].not.all_of[1].operands", "OPERAND_COUNT"),
        ("rules[3].all_of", "GROUP_EMPTY"),
    ];
    assert_eq!(found, expected.map(|(field, rule)| (field.to_owned(), rule)));
}

/// `condition` within `n` negations.
fn within(n: usize, condition: Condition) -> Condition {
    (0..n).fold(condition, |inner, _| Condition::Not(Box::new(inner)))
}

#[test]
fn the_limits_are_kept_to_the_last_one() {
    let plain = || rule("x", Operator::Eq, vec![1.0.into()]);
    assert_eq!(errors(vec![plain(); MAX_RULES]), []);
    assert_eq!(errors(vec![plain(); MAX_RULES + 1]), one("rules", "TOO_MANY"));
    let group = |n| vec![Condition::AnyOf(vec![plain(); n])];
    assert_eq!(errors(group(MAX_RULES - 1)), []);
    assert_eq!(errors(group(MAX_RULES)), one("rules", "TOO_MANY"));

    assert_eq!(errors(vec![within(MAX_DEPTH - 1, plain())]), []);
    let path = format!("rules[0]{}", ".not".repeat(MAX_DEPTH));
    assert_eq!(errors(vec![within(MAX_DEPTH, plain())]), one(&path, "TOO_DEEP"));

    let full = || rule("x", Operator::In, vec![1.0.into(); MAX_OPERANDS]);
    assert_eq!(errors(vec![full(); 10]), []);
    let mut more = vec![full(); 10];
    more.push(plain());
    assert_eq!(errors(more), one("rules", "TOO_MANY"));

    let long = |n: usize| rule("x", Operator::In, vec!["a".repeat(n).as_str().into()]);
    assert_eq!(errors(vec![long(MAX_SEGMENT_OPERAND_BYTES)]), []);
    assert_eq!(
        errors(vec![long(MAX_SEGMENT_OPERAND_BYTES + 1)]),
        one("rules", "TOO_MANY")
    );

    let pattern = || rule("x", Operator::Matches, vec!["a".into()]);
    assert_eq!(errors(vec![pattern(); MAX_PATTERNS]), []);
    assert_eq!(
        errors(vec![pattern(); MAX_PATTERNS + 1]),
        one("rules", "TOO_MANY")
    );
}

/// Promise of the fault matrix, row 7: the worst that passes validation can be compiled. How fast is in `make bench`.
#[test]
fn a_harmful_but_valid_segment_compiles() {
    let patterns = [
        r"^\w+[^a]{1,8}\d{1,4}@\w$",
        r"(?i)\w{1,3}",
        r"\pL{4}",
        r"(?:a{0,40}){0,9}b",
        r"(?i)(?:straße|weiß|größe|ſ|K|k){1,9}",
        r"[\w&&[^\d]]{1,20}$",
        r"(((((((((a*)*)*)*)*)*)*)*)*)*b",
    ];
    let accepted: Vec<_> = patterns
        .iter()
        .map(|pattern| rule("x", Operator::Matches, vec![(*pattern).into()]))
        .filter(|rule| errors(vec![rule.clone()]).is_empty())
        .collect();
    assert!(accepted.len() > 2, "some of the patterns are accepted");
    let mut rules: Vec<_> = accepted.into_iter().cycle().take(MAX_PATTERNS).collect();
    let texts = (0..MAX_OPERANDS).map(|i| format!("{:020}", (i * 7919) % MAX_OPERANDS).as_str().into());
    let texts: Vec<Attribute> = texts.collect();
    rules.extend((0..9).map(|i| rule(&format!("y{i}"), Operator::In, texts.clone())));
    let plain = rule("z", Operator::SemverBetween, vec!["1".into(), "2".into()]);
    rules.push(Condition::AnyOf(vec![within(5, plain); 30]));
    let segment = with(rules);
    assert_eq!(owned(super::segment(&segment)), []);
    assert!(segment.compile(|_| None).is_ok());
}

#[test]
fn a_nested_segment_is_one_condition() {
    let nested = Condition::Segment(SegmentReference {
        key: fixtures::segment("other", "x", 1.0).key,
        pinned: None,
        resolved: 0,
    });
    assert_eq!(errors(vec![nested; MAX_RULES]), []);
}

fn operand() -> impl Strategy<Value = Attribute> {
    let texts = [
        "",
        "a",
        "1.2",
        "2.0.0-rc.1",
        "2026-11-21",
        "2026-11-21T09:00:00Z",
        "^a+$",
        "(",
        r"\w{9}{9}{9}",
    ];
    prop_oneof![
        any::<bool>().prop_map(Attribute::Bool),
        prop::sample::select(vec![0.0, 1.0, -3.5, f64::NAN]).prop_map(Attribute::Number),
        prop::sample::select(texts.to_vec()).prop_map(Attribute::from),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let operands = prop::collection::vec(operand(), 0..3);
    let leaf = (prop::sample::select(Operator::ALL.to_vec()), operands);
    let leaf = leaf.prop_map(|(operator, operands)| rule("x", operator, operands));
    leaf.prop_recursive(9, 20, 2, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::AnyOf),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::AllOf),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    /// What is stored can be served, and what cannot be served is not stored.
    #[test]
    fn what_passes_compiles_and_what_compiles_passes(rules in prop::collection::vec(condition(), 0..4)) {
        let segment = with(rules);
        let passes = super::segment(&segment).is_ok();
        prop_assert_eq!(segment.compile(|_| None).is_ok(), passes);
    }
}
