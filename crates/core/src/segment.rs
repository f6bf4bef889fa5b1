//! Segments: named audience predicates.

use std::{cmp::Ordering, fmt, ops::Bound, ops::RangeBounds};

use crate::{
    flag::Meta,
    key::{Namespace, SegmentKey},
    value::{Attribute, Attributes},
};

/// How a rule compares an attribute with its operands. A missing attribute makes every rule false, `Neq` and `Nin` included.
///
/// Numbers compare as numbers, and nothing is taken for a value of another type: the text `1` is not equal to the number 1,
/// so `Eq` and `In` are false and `Neq` and `Nin` true; the comparisons `Gt` to `Between` are false for what is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal to the operand.
    Eq,
    /// Present and not equal to the operand.
    Neq,
    /// Equal to one of the operands.
    In,
    /// Present and equal to none of the operands.
    Nin,
    /// Number greater than the operand.
    Gt,
    /// Number greater than or equal to the operand.
    Gte,
    /// Number less than the operand.
    Lt,
    /// Number less than or equal to the operand.
    Lte,
    /// Number between two operands, both included.
    Between,
}

/// One condition on one attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Attribute name, dotted for nested fields.
    pub attribute: String,
    /// The comparison.
    pub operator: Operator,
    /// One operand; two for `Between` (low ≤ high); one or more for `In` and `Nin`.
    pub operands: Vec<Attribute>,
}

/// A named audience: the units for which all rules hold. No rule = all units.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Where it lives.
    pub namespace: Namespace,
    /// Key, unique in the namespace, fixed.
    pub key: SegmentKey,
    /// What people call it; may be empty.
    pub name: String,
    /// Whom it describes; may be empty.
    pub description: String,
    /// Conditions, combined with AND.
    pub rules: Vec<Rule>,
    /// Version and times.
    pub meta: Meta,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eq => "eq",
            Self::Neq => "neq",
            Self::In => "in",
            Self::Nin => "nin",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Between => "between",
        })
    }
}

/// Why a rule cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Too few or too many operands.
    #[error("`{operator}` has {given} operands; give {needed}", needed = needed(*.operator))]
    OperandCount {
        /// The rule's operator.
        operator: Operator,
        /// How many operands it has.
        given: usize,
    },
    /// A comparison of something else than numbers.
    #[error("`{operator}` compares numbers only; give its operands as numbers")]
    OperandType {
        /// The rule's operator.
        operator: Operator,
    },
    /// NaN or an infinity.
    #[error("an operand is not a finite number; give a finite one")]
    OperandNotFinite,
    /// Bounds that hold nothing.
    #[error("the first operand of `between` is greater than the second; give the lower one first")]
    OperandOrder,
}

fn needed(operator: Operator) -> &'static str {
    match operator {
        Operator::In | Operator::Nin => "one or more",
        Operator::Between => "two",
        _ => "one",
    }
}

impl Rule {
    /// Whether a unit with `attributes` keeps this rule; a rule that [`Rule::compile`] refuses matches nobody.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        self.compile()
            .is_ok_and(|predicate| predicate.matches(attributes))
    }

    /// This rule with its operands typed and sorted once, to be evaluated many times.
    ///
    /// # Errors
    /// [`RuleError`] when the operands do not fit the operator.
    pub fn compile(&self) -> Result<Predicate, RuleError> {
        use Attribute::Number;
        use Bound::{Excluded, Included, Unbounded};

        let operator = self.operator;
        let operands = self.operands.as_slice();
        if operands.iter().any(|o| matches!(o, Number(x) if !x.is_finite())) {
            return Err(RuleError::OperandNotFinite);
        }
        let test = match (operator, operands) {
            (Operator::Eq, [_]) | (Operator::In, [_, ..]) => Test::OneOf(sorted(operands)),
            (Operator::Neq, [_]) | (Operator::Nin, [_, ..]) => Test::NoneOf(sorted(operands)),
            (Operator::Gt, [Number(x)]) => Test::Within(Excluded(*x), Unbounded),
            (Operator::Gte, [Number(x)]) => Test::Within(Included(*x), Unbounded),
            (Operator::Lt, [Number(x)]) => Test::Within(Unbounded, Excluded(*x)),
            (Operator::Lte, [Number(x)]) => Test::Within(Unbounded, Included(*x)),
            (Operator::Between, [Number(low), Number(high)]) if low > high => {
                return Err(RuleError::OperandOrder);
            }
            (Operator::Between, [Number(low), Number(high)]) => Test::Within(Included(*low), Included(*high)),
            (Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte, [_])
            | (Operator::Between, [_, _]) => {
                return Err(RuleError::OperandType { operator });
            }
            _ => {
                return Err(RuleError::OperandCount {
                    operator,
                    given: operands.len(),
                });
            }
        };
        Ok(Predicate {
            attribute: self.attribute.clone(),
            test,
        })
    }
}

impl Segment {
    /// Whether a unit with `attributes` keeps all rules.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        self.rules.iter().all(|rule| rule.matches(attributes))
    }

    /// This segment compiled, to be evaluated many times.
    ///
    /// # Errors
    /// [`RuleError`] of the first rule that [`Rule::compile`] refuses.
    pub fn compile(&self) -> Result<Audience, RuleError> {
        self.rules
            .iter()
            .map(Rule::compile)
            .collect::<Result<_, _>>()
            .map(Audience)
    }
}

/// A compiled [`Segment`]: the predicates that must all hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Audience(Vec<Predicate>);

impl Audience {
    /// Whether a unit with `attributes` belongs to it. Does not allocate.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        self.0.iter().all(|predicate| predicate.matches(attributes))
    }

    /// The names of the attributes that it looks at, one for each rule.
    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|predicate| predicate.attribute.as_str())
    }
}

/// A compiled [`Rule`].
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    attribute: String,
    test: Test,
}

/// What an attribute that is present must be.
#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// Equal to one of these, which are in [`order`].
    OneOf(Vec<Attribute>),
    /// Equal to none of these, which are in [`order`].
    NoneOf(Vec<Attribute>),
    /// A number between these bounds.
    Within(Bound<f64>, Bound<f64>),
}

impl Predicate {
    /// Whether a unit with `attributes` keeps it. Does not allocate.
    pub fn matches(&self, attributes: &Attributes) -> bool {
        attributes
            .get(&self.attribute)
            .is_some_and(|attribute| self.test.holds(attribute))
    }
}

impl Test {
    fn holds(&self, attribute: &Attribute) -> bool {
        match (self, attribute) {
            (Self::OneOf(operands), _) => contains(operands, attribute),
            (Self::NoneOf(operands), _) => !contains(operands, attribute),
            (&Self::Within(low, high), Attribute::Number(x)) => (low, high).contains(x),
            (Self::Within(..), _) => false,
        }
    }
}

fn sorted(operands: &[Attribute]) -> Vec<Attribute> {
    let mut operands = operands.to_vec();
    operands.sort_by(order);
    operands
}

fn contains(operands: &[Attribute], attribute: &Attribute) -> bool {
    operands
        .binary_search_by(|operand| order(operand, attribute))
        .is_ok()
}

/// A total order of attributes with finite numbers, in which equal means equal of one type. NaN equals nothing.
fn order(a: &Attribute, b: &Attribute) -> Ordering {
    use Attribute::{Bool, Number, String};
    match (a, b) {
        (Bool(a), Bool(b)) => a.cmp(b),
        (Number(a), Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Less),
        (String(a), String(b)) => a.cmp(b),
        (Bool(_), _) | (Number(_), String(_)) => Ordering::Less,
        (String(_), _) | (Number(_), Bool(_)) => Ordering::Greater,
    }
}

#[cfg(test)]
mod tests;
