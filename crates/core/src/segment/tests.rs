use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{fixtures, fixtures::rule, value::Attributes};

mod nested;

fn audience(rules: Vec<Condition>) -> Audience {
    let segment = Segment {
        rules,
        ..fixtures::segment("s", "x", 1.0)
    };
    segment.compile(|_| None).unwrap()
}

fn unit(x: Option<Attribute>) -> Attributes {
    x.map(|x| ("x".to_owned(), x)).into_iter().collect()
}

/// What the rule `x operator operands` finds, and whether it is true.
fn ask(operator: Operator, operands: &[Attribute], x: Option<Attribute>) -> (Outcome, bool) {
    let audience = audience(vec![rule("x", operator, operands.to_vec())]);
    let attributes = unit(x);
    let explanation = audience.explain(&attributes);
    assert_eq!(explanation.matches, audience.matches(&attributes));
    let step = explanation.steps.first().unwrap();
    assert_eq!(step.is_true, explanation.matches);
    (step.outcome, step.is_true)
}

/// Each operator × match, miss, missing, wrong type.
#[test]
fn every_operator_matches_misses_and_knows_what_it_does_not_compare() {
    use Operator::{
        After, Before, Between, Contains, DateBetween, EndsWith, Eq, Exists, Gt, Gte, In, Lt, Lte, Matches,
        Neq, Nin, SemverBetween, SemverEq, SemverGt, SemverGte, SemverLt, SemverLte, StartsWith,
    };
    let n = Attribute::Number;
    let t = |text: &str| Attribute::from(text);
    let numbers = |low, high| vec![n(low), n(high)];
    let texts = |all: &[&str]| all.iter().map(|text| t(text)).collect::<Vec<_>>();
    // Operator, operands, matching, missing the mark, of a wrong type.
    let table = [
        (
            Eq,
            vec![n(5.0)],
            vec![n(5.0)],
            vec![n(5.1), n(-5.0)],
            vec![t("5"), true.into()],
        ),
        (
            Neq,
            vec![n(5.0)],
            vec![n(5.1)],
            vec![n(5.0)],
            vec![t("5"), false.into()],
        ),
        (
            In,
            texts(&["a", "5"]),
            texts(&["a", "5"]),
            texts(&["", "A", "aa"]),
            vec![n(5.0), true.into()],
        ),
        (
            Nin,
            texts(&["a", "5"]),
            texts(&["", "A", "aa"]),
            texts(&["a", "5"]),
            vec![n(5.0), true.into()],
        ),
        (
            Gt,
            vec![n(5.0)],
            vec![n(5.1)],
            vec![n(5.0), n(4.9)],
            vec![t("6"), true.into()],
        ),
        (
            Gte,
            vec![n(5.0)],
            vec![n(5.0), n(5.1)],
            vec![n(4.9)],
            vec![t("6"), true.into()],
        ),
        (
            Lt,
            vec![n(5.0)],
            vec![n(4.9)],
            vec![n(5.0), n(5.1)],
            vec![t("4"), false.into()],
        ),
        (
            Lte,
            vec![n(5.0)],
            vec![n(5.0), n(4.9)],
            vec![n(5.1)],
            vec![t("4"), false.into()],
        ),
        (
            Between,
            numbers(1.0, 5.0),
            vec![n(1.0), n(3.0), n(5.0)],
            vec![n(0.9), n(5.1)],
            vec![t("3"), true.into()],
        ),
        (Exists, vec![], vec![n(0.0), t(""), false.into()], vec![], vec![]),
        (
            Contains,
            texts(&["bc", "x"]),
            texts(&["abcd", "bc", "x"]),
            texts(&["", "b c", "BC"]),
            vec![n(5.0)],
        ),
        (
            StartsWith,
            texts(&["ab", "x"]),
            texts(&["ab", "abc", "x"]),
            texts(&["", "a", "cab"]),
            vec![n(5.0)],
        ),
        (
            EndsWith,
            texts(&["@a.org", "x"]),
            texts(&["u@a.org", "x"]),
            texts(&["", "a.org", "u@a.org "]),
            vec![n(5.0)],
        ),
        (
            Matches,
            texts(&["^a.c$"]),
            texts(&["abc", "aüc"]),
            texts(&["", "abcd", "ac"]),
            vec![n(5.0), true.into()],
        ),
        (
            SemverEq,
            texts(&["1.2"]),
            texts(&["1.2.0", "1.2+x"]),
            texts(&["1.2.1", "1.2.0-rc"]),
            vec![n(1.2), t("v1.2")],
        ),
        (
            SemverGt,
            texts(&["1.9.0"]),
            texts(&["1.10.0", "2"]),
            texts(&["1.9.0", "1.9.0-rc"]),
            vec![n(2.0), t("new")],
        ),
        (
            SemverGte,
            texts(&["1.9.0"]),
            texts(&["1.9.0", "2"]),
            texts(&["1.9.0-rc", "1"]),
            vec![n(2.0), t("")],
        ),
        (
            SemverLt,
            texts(&["1.10"]),
            texts(&["1.9.0", "1.10.0-rc"]),
            texts(&["1.10.0"]),
            vec![n(1.0), t("1.x")],
        ),
        (
            SemverLte,
            texts(&["1.10"]),
            texts(&["1.9.0", "1.10.0"]),
            texts(&["1.10.1"]),
            vec![n(1.0), t("1.x")],
        ),
        (
            SemverBetween,
            texts(&["1.2", "1.10"]),
            texts(&["1.2", "1.10"]),
            texts(&["1.1.9", "1.10.1"]),
            vec![n(1.5)],
        ),
        (
            Before,
            texts(&["2026-11-21"]),
            texts(&["2026-11-20", "2026-11-21T00:30:00+01:00"]),
            texts(&["2026-11-21"]),
            vec![n(0.0), t("soon")],
        ),
        (
            After,
            texts(&["2026-11-21T12:00:00Z"]),
            texts(&["2026-11-22", "2026-11-21T12:00:00.000001Z"]),
            texts(&["2026-11-21T12:00:00Z", "2026-11-21"]),
            vec![n(1e18), t("")],
        ),
        (
            DateBetween,
            texts(&["2026-01-01", "2026-01-31"]),
            texts(&["2026-01-01", "2026-01-31", "2026-01-15T12:00:00Z"]),
            texts(&["2025-12-31", "2026-01-31T00:00:01Z"]),
            vec![n(1.0), t("2026-02-30")],
        ),
    ];
    assert_eq!(table.len(), Operator::ALL.len());
    for ((operator, operands, matching, missed, wrong), known) in table.into_iter().zip(Operator::ALL) {
        assert_eq!(operator, known);
        let not_equal = matches!(operator, Neq | Nin);
        let cases = [
            (matching, (Outcome::Matched, true)),
            (missed, (Outcome::NotMatched, false)),
            (wrong, (Outcome::WrongType, not_equal)),
        ];
        for (values, expected) in cases {
            for value in values {
                assert_eq!(
                    ask(operator, &operands, Some(value.clone())),
                    expected,
                    "{operator} {value:?}"
                );
            }
        }
        assert_eq!(
            ask(operator, &operands, None),
            (Outcome::Missing, false),
            "{operator}"
        );
    }
}

#[test]
fn numbers_compare_as_numbers() {
    let found = |operator, operands: &[f64], x: f64| {
        let operands: Vec<_> = operands.iter().map(|n| Attribute::Number(*n)).collect();
        ask(operator, &operands, Some(x.into())).1
    };
    assert!(found(Operator::Eq, &[0.0], -0.0));
    assert!(found(Operator::In, &[10.0, 9.0], 10.0));
    assert!(!found(Operator::Eq, &[1.0], f64::NAN));
    assert!(!found(Operator::Between, &[0.0, 1.0], f64::NAN));
}

/// The table of the module's documentation.
#[test]
fn not_negates_the_truth_also_of_what_is_missing() {
    let eq = || rule("x", Operator::Eq, vec![1.0.into()]);
    let rules = [
        eq(),
        rule("x", Operator::Neq, vec![1.0.into()]),
        rule("x", Operator::Gt, vec![1.0.into()]),
        Condition::Not(Box::new(eq())),
        Condition::Not(Box::new(rule("x", Operator::Exists, vec![]))),
    ];
    for (x, expected) in [
        (Some(1.0.into()), [true, false, false, false, false]),
        (Some(2.0.into()), [false, true, true, true, false]),
        (Some("1".into()), [false, true, false, true, false]),
        (None, [false, false, false, true, true]),
    ] {
        let found = rules
            .clone()
            .map(|rule| audience(vec![rule]).matches(&unit(x.clone())));
        assert_eq!(found, expected, "{x:?}");
    }
}

#[test]
fn operands_must_fit_the_operator() {
    let error = |operator, operands| {
        let rule = Rule {
            attribute: "x".into(),
            operator,
            operands,
        };
        rule.compile().unwrap_err().to_string()
    };
    use Operator::{After, Between, Contains, Eq, Exists, Gt, Matches};
    for (operator, operands, message) in [
        (Between, vec![], "`between` has 0 operands; give two"),
        (Eq, vec![1.0.into(), 2.0.into()], "`eq` has 2 operands; give one"),
        (Exists, vec![true.into()], "`exists` has 1 operands; give none"),
        (Contains, vec![], "`contains` has 0 operands; give one or more"),
        (
            Gt,
            vec!["1".into()],
            "`gt` compares numbers only; give its operands as numbers",
        ),
        (
            After,
            vec![1.0.into()],
            "`after` compares times, which are texts, only; give its operands as times, which are texts,",
        ),
        (
            Matches,
            vec!["a(b".into()],
            "the pattern is wrong: unclosed group; the syntax is that of RE2",
        ),
    ] {
        assert_eq!(error(operator, operands), message);
    }
    for operator in Operator::ALL {
        let many = vec!["1".into(); 3];
        let takes_many = matches!(
            operator,
            Operator::In | Operator::Nin | Contains | Operator::StartsWith | Operator::EndsWith
        );
        let compiled = Rule {
            attribute: "x".into(),
            operator,
            operands: many,
        };
        assert_eq!(compiled.compile().is_ok(), takes_many, "{operator}");
    }
}

#[test]
fn a_segment_without_rules_is_everyone() {
    assert!(Audience::default().matches(&Attributes::new()));
    assert_eq!(Audience::default().explain(&Attributes::new()).steps, []);
}

#[test]
fn an_explanation_lists_every_condition_with_its_place() {
    let audience = audience(vec![
        rule("country", Operator::Eq, vec!["DE".into()]),
        Condition::AnyOf(vec![
            rule("level", Operator::Gte, vec![10.0.into()]),
            Condition::Not(Box::new(rule("paying", Operator::Exists, vec![]))),
        ]),
    ]);
    let attributes = Attributes::from([("country".into(), "FR".into()), ("level".into(), "12".into())]);
    let explanation = audience.explain(&attributes);
    let steps: Vec<_> = explanation
        .steps
        .iter()
        .map(|s| (s.path.as_str(), s.outcome, s.is_true))
        .collect();
    use Outcome::{Matched, Missing, NotMatched, WrongType};
    let expected = [
        ("rules[0]", NotMatched, false),
        ("rules[1]", Matched, true),
        ("rules[1].any_of[0]", WrongType, false),
        ("rules[1].any_of[1]", Matched, true),
        ("rules[1].any_of[1].not", Missing, false),
    ];
    assert_eq!(
        (explanation.matches, steps.as_slice()),
        (false, expected.as_slice())
    );
    let Subject::Rule { rule, seen } = &explanation.steps[2].subject else {
        panic!("a rule");
    };
    assert_eq!(
        (rule.attribute.as_str(), seen.clone()),
        ("level", Some("12".into()))
    );
    let names: Vec<_> = audience.attributes().collect();
    assert_eq!(names, ["country", "level", "paying"]);
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<bool>().prop_map(Attribute::Bool),
        (-3..3_i32).prop_map(|x| Attribute::Number(f64::from(x))),
        "[ab1]{0,2}".prop_map(Attribute::String),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let operands = prop::collection::vec(attribute(), 1..4);
    let leaf = (
        "[xy]",
        prop::sample::select(vec![Operator::In, Operator::Nin]),
        operands,
    );
    let leaf = leaf.prop_map(|(attribute, operator, operands)| rule(&attribute, operator, operands));
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::AllOf),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::AnyOf),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
}

/// What a condition means, said as plainly as can be.
fn holds(condition: &Condition, attributes: &Attributes) -> bool {
    match condition {
        Condition::Rule(rule) => match (attributes.get(&rule.attribute), rule.operator) {
            (None, _) => false,
            (Some(x), Operator::In) => rule.operands.contains(x),
            (Some(x), _) => !rule.operands.contains(x),
        },
        Condition::AllOf(parts) => parts.iter().all(|part| holds(part, attributes)),
        Condition::AnyOf(parts) => parts.iter().any(|part| holds(part, attributes)),
        Condition::Not(part) => !holds(part, attributes),
        Condition::Segment(_) => false,
    }
}

proptest! {
    #[test]
    fn decisions_and_explanations_are_what_the_words_say(
        rules in prop::collection::vec(condition(), 0..4),
        x in prop::option::of(attribute()),
        y in prop::option::of(attribute()),
    ) {
        let found = [("x", x), ("y", y)].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let attributes: Attributes = found.collect();
        let expected = rules.iter().all(|condition| holds(condition, &attributes));
        let count: usize = rules.iter().map(Condition::count).sum();
        let audience = audience(rules);
        prop_assert_eq!(audience.matches(&attributes), expected);
        let explanation = audience.explain(&attributes);
        prop_assert_eq!(explanation.matches, expected);
        prop_assert_eq!(explanation.steps.len(), count);
    }

    #[test]
    fn neq_is_the_opposite_of_eq_when_present(operand in attribute(), x in attribute()) {
        let truth = |operator| ask(operator, std::slice::from_ref(&operand), Some(x.clone())).1;
        prop_assert_eq!(truth(Operator::Eq), operand == x);
        prop_assert_eq!(truth(Operator::Neq), operand != x);
    }
}
