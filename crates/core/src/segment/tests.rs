use proptest::prelude::*;

use super::*;

fn rule(operator: Operator, operands: Vec<Attribute>) -> Rule {
    Rule {
        attribute: "x".into(),
        operator,
        operands,
    }
}

fn holds(operator: Operator, operands: Vec<Attribute>, x: impl Into<Attribute>) -> bool {
    rule(operator, operands).matches(&Attributes::from([("x".into(), x.into())]))
}

const ALL: [Operator; 9] = [
    Operator::Eq,
    Operator::Neq,
    Operator::In,
    Operator::Nin,
    Operator::Gt,
    Operator::Gte,
    Operator::Lt,
    Operator::Lte,
    Operator::Between,
];

#[test]
fn comparisons_include_what_they_say() {
    use Operator::{Between, Gt, Gte, Lt, Lte};
    let five = || vec![5.0.into()];
    for (operator, below, at, above) in [
        (Gt, false, false, true),
        (Gte, false, true, true),
        (Lt, true, false, false),
        (Lte, true, true, false),
    ] {
        let got = [4.9, 5.0, 5.1].map(|x| holds(operator, five(), x));
        assert_eq!(got, [below, at, above], "{operator}");
    }
    let got = [0.9, 1.0, 1.5, 2.0, 2.1].map(|x| holds(Between, vec![1.0.into(), 2.0.into()], x));
    assert_eq!(got, [false, true, true, true, false]);
}

#[test]
fn a_missing_attribute_makes_every_rule_false() {
    for operator in ALL {
        let operands = if operator == Operator::Between {
            vec![0.0.into(), 9.0.into()]
        } else {
            vec![1.0.into()]
        };
        let rule = rule(operator, operands);
        assert!(rule.compile().is_ok());
        assert!(!rule.matches(&Attributes::new()), "{operator}");
        assert!(
            !rule.matches(&Attributes::from([("y".into(), 1.0.into())])),
            "{operator}"
        );
    }
}

#[test]
fn types_are_never_coerced() {
    assert!(!holds(Operator::Eq, vec![1.0.into()], "1"));
    assert!(!holds(Operator::In, vec!["1".into(), "true".into()], 1.0));
    assert!(!holds(Operator::Eq, vec!["true".into()], true));
    assert!(holds(Operator::Neq, vec![1.0.into()], "1"));
    assert!(holds(Operator::Nin, vec!["1".into()], 1.0));
    assert!(!holds(Operator::Gt, vec![1.0.into()], "2"));
    assert!(!holds(Operator::Lt, vec![1.0.into()], false));
}

#[test]
fn numbers_compare_as_numbers() {
    assert!(holds(Operator::Eq, vec![0.0.into()], -0.0));
    assert!(holds(Operator::In, vec![10.0.into(), 9.0.into()], 10.0));
    assert!(!holds(Operator::Eq, vec![1.0.into()], f64::NAN));
    assert!(!holds(Operator::Between, vec![0.0.into(), 1.0.into()], f64::NAN));
}

#[test]
fn operands_must_fit_the_operator() {
    let error = |operator, operands| rule(operator, operands).compile().unwrap_err();
    for operator in ALL {
        assert_eq!(
            error(operator, vec![]),
            RuleError::OperandCount { operator, given: 0 }
        );
    }
    let two = || vec!["a".into(), "b".into()];
    assert_eq!(
        error(Operator::Eq, two()),
        RuleError::OperandCount {
            operator: Operator::Eq,
            given: 2
        }
    );
    assert_eq!(
        error(Operator::Gt, vec!["1".into()]),
        RuleError::OperandType {
            operator: Operator::Gt
        }
    );
    assert_eq!(
        error(Operator::Between, two()),
        RuleError::OperandType {
            operator: Operator::Between
        }
    );
    assert_eq!(
        error(Operator::Between, vec![2.0.into(), 1.0.into()]),
        RuleError::OperandOrder
    );
    assert_eq!(
        error(Operator::In, vec!["a".into(), f64::NAN.into()]),
        RuleError::OperandNotFinite
    );
    assert_eq!(
        error(Operator::Between, vec![]).to_string(),
        "`between` has 0 operands; give two"
    );
}

#[test]
fn a_segment_without_rules_is_everyone() {
    assert!(Audience::default().matches(&Attributes::new()));
}

fn attribute() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        any::<bool>().prop_map(Attribute::Bool),
        (-3..3_i32).prop_map(|x| Attribute::Number(f64::from(x))),
        "[ab1]{0,2}".prop_map(Attribute::String),
    ]
}

proptest! {
    #[test]
    fn sets_are_what_linear_search_says(operands in prop::collection::vec(attribute(), 1..20), x in attribute()) {
        let found = operands.contains(&x);
        prop_assert_eq!(holds(Operator::In, operands.clone(), x.clone()), found);
        prop_assert_eq!(holds(Operator::Nin, operands, x), !found);
    }

    #[test]
    fn neq_is_the_opposite_of_eq_when_present(operand in attribute(), x in attribute()) {
        let eq = holds(Operator::Eq, vec![operand.clone()], x.clone());
        prop_assert_eq!(holds(Operator::Neq, vec![operand], x), !eq);
    }
}
