//! A rule, compiled: its operands typed and sorted once, to be compared many times.

use std::{cmp::Ordering, ops::Bound};

use regex::{Regex, RegexBuilder};

use super::{MAX_PATTERN_BYTES, Operator, Outcome, Rule, version::Version};
use crate::{
    time::Timestamp,
    value::{Attribute, Attributes},
};

/// Largest compiled pattern, in bytes: what bounds the time of compiling it.
const MAX_PATTERN_SIZE: usize = 128 * 1024;
/// What a pattern may use to remember where it has been, in bytes; beyond it starts to remember anew.
const MAX_PATTERN_CACHE: usize = 256 * 1024;
/// Deepest nesting within a pattern.
const MAX_PATTERN_DEPTH: u32 = 32;

/// Why a rule cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Too few or too many operands.
    #[error("`{operator}` has {given} operands; give {needed}", needed = needed(*.operator))]
    OperandCount {
        /// The rule's operator.
        operator: Operator,
        /// How many operands it has.
        given: usize,
    },
    /// An operand of a type that the operator does not compare.
    #[error("`{operator}` compares {compared} only; give its operands as {compared}", compared = compared(*.operator))]
    OperandType {
        /// The rule's operator.
        operator: Operator,
    },
    /// NaN or an infinity.
    #[error("an operand is not a finite number; give a finite one")]
    OperandNotFinite,
    /// Bounds that hold nothing.
    #[error("the first operand of `{operator}` is greater than the second; give the lower one first")]
    OperandOrder {
        /// The rule's operator.
        operator: Operator,
    },
    /// A text that everything holds.
    #[error("an operand of `{operator}` is empty, and every text has that; give at least one character")]
    OperandEmpty {
        /// The rule's operator.
        operator: Operator,
    },
    /// A text that is no version.
    #[error("{text:?} is not a version; write one like 2.10.0 or 2.10.0-rc.1")]
    NotAVersion {
        /// The refused operand.
        text: String,
    },
    /// A text that is no time.
    #[error("{text:?} is not a time; write one like 2026-11-21 or 2026-11-21T09:00:00Z")]
    NotATime {
        /// The refused operand.
        text: String,
    },
    /// A pattern that is none.
    #[error("the pattern is wrong: {problem}; the syntax is that of RE2")]
    Pattern {
        /// What is wrong with it.
        problem: String,
    },
    /// A pattern beyond what is allowed.
    #[error("the pattern is too large: give at most {MAX_PATTERN_BYTES} bytes, and lower its repetitions")]
    PatternTooLarge,
}

fn needed(operator: Operator) -> &'static str {
    use Operator::{Between, Contains, DateBetween, EndsWith, Exists, In, Nin, SemverBetween, StartsWith};
    match operator {
        Exists => "none",
        In | Nin | Contains | StartsWith | EndsWith => "one or more",
        Between | SemverBetween | DateBetween => "two",
        _ => "one",
    }
}

fn compared(operator: Operator) -> &'static str {
    use Operator::{After, Before, Between, DateBetween, Gt, Gte, Lt, Lte};
    match operator {
        Gt | Gte | Lt | Lte | Between => "numbers",
        Before | After | DateBetween => "times, which are texts,",
        _ => "texts",
    }
}

/// A compiled [`Rule`].
#[derive(Debug, Clone)]
pub struct Predicate {
    rule: Rule,
    test: Test,
}

/// What an attribute that is present must be.
#[derive(Debug, Clone)]
enum Test {
    Exists,
    /// Equal to one of these.
    OneOf(Set),
    /// Equal to none of these.
    NoneOf(Set),
    Number(Range<f64>),
    Contains(Vec<String>),
    StartsWith(Vec<String>),
    EndsWith(Vec<String>),
    Matches(Regex),
    Version(Box<Range<Version<String>>>),
    Time(Range<Timestamp>),
}

/// Values in [`order`].
#[derive(Debug, Clone)]
struct Set(Vec<Attribute>);

#[derive(Debug, Clone)]
struct Range<T>(Bound<T>, Bound<T>);

impl Rule {
    /// This rule with its operands typed and sorted once, to be evaluated many times.
    ///
    /// # Errors
    /// [`RuleError`] when the operands do not fit the operator.
    pub fn compile(&self) -> Result<Predicate, RuleError> {
        use Operator::{
            After, Before, Between, Contains, DateBetween, EndsWith, Eq, Exists, Gt, Gte, In, Lt, Lte,
            Matches, Neq, Nin, SemverBetween, SemverEq, SemverGt, SemverGte, SemverLt, SemverLte, StartsWith,
        };
        let operands = self.operands.as_slice();
        if operands
            .iter()
            .any(|o| matches!(o, Attribute::Number(x) if !x.is_finite()))
        {
            return Err(RuleError::OperandNotFinite);
        }
        self.check_count()?;
        let test = match self.operator {
            Exists => Test::Exists,
            Eq | In => Test::OneOf(Set::new(operands)),
            Neq | Nin => Test::NoneOf(Set::new(operands)),
            Gt | Gte | Lt | Lte | Between => Test::Number(self.range(self.numbers()?, f64::partial_cmp)?),
            Contains => Test::Contains(self.parts()?),
            StartsWith => Test::StartsWith(self.parts()?),
            EndsWith => Test::EndsWith(self.parts()?),
            Matches => Test::Matches(self.pattern()?),
            SemverEq | SemverGt | SemverGte | SemverLt | SemverLte | SemverBetween => {
                let order = |a: &Version<String>, b: &Version<String>| Some(a.precedence(b));
                Test::Version(Box::new(self.range(self.versions()?, order)?))
            }
            Before | After | DateBetween => Test::Time(self.range(self.times()?, Timestamp::partial_cmp)?),
        };
        Ok(Predicate {
            rule: self.clone(),
            test,
        })
    }

    fn check_count(&self) -> Result<(), RuleError> {
        let given = self.operands.len();
        let fits = match needed(self.operator) {
            "none" => given == 0,
            "one" => given == 1,
            "two" => given == 2,
            _ => given > 0,
        };
        let operator = self.operator;
        if fits {
            Ok(())
        } else {
            Err(RuleError::OperandCount { operator, given })
        }
    }

    /// The bounds that the operator makes of its one or two operands.
    fn range<T: Clone>(
        &self,
        operands: Vec<T>,
        order: impl Fn(&T, &T) -> Option<Ordering>,
    ) -> Result<Range<T>, RuleError> {
        use Bound::{Excluded, Included, Unbounded};
        use Operator::{After, Before, Gt, Gte, Lt, Lte, SemverGt, SemverGte, SemverLt, SemverLte};
        let operator = self.operator;
        match (operator, operands.as_slice()) {
            (Gt | SemverGt | After, [x]) => Ok(Range(Excluded(x.clone()), Unbounded)),
            (Gte | SemverGte, [x]) => Ok(Range(Included(x.clone()), Unbounded)),
            (Lt | SemverLt | Before, [x]) => Ok(Range(Unbounded, Excluded(x.clone()))),
            (Lte | SemverLte, [x]) => Ok(Range(Unbounded, Included(x.clone()))),
            (_, [x]) => Ok(Range(Included(x.clone()), Included(x.clone()))),
            (_, [low, high]) if order(low, high) == Some(Ordering::Greater) => {
                Err(RuleError::OperandOrder { operator })
            }
            (_, [low, high]) => Ok(Range(Included(low.clone()), Included(high.clone()))),
            (_, other) => Err(RuleError::OperandCount {
                operator,
                given: other.len(),
            }),
        }
    }

    fn numbers(&self) -> Result<Vec<f64>, RuleError> {
        let number = |operand: &Attribute| match operand {
            Attribute::Number(number) => Ok(*number),
            _ => Err(self.wrong_type()),
        };
        self.operands.iter().map(number).collect()
    }

    fn texts(&self) -> Result<Vec<&str>, RuleError> {
        let mut texts = Vec::with_capacity(self.operands.len());
        for operand in &self.operands {
            match operand {
                Attribute::String(text) => texts.push(text.as_str()),
                Attribute::Bool(_) | Attribute::Number(_) => return Err(self.wrong_type()),
            }
        }
        Ok(texts)
    }

    /// Texts of at least one character.
    fn parts(&self) -> Result<Vec<String>, RuleError> {
        let texts = self.texts()?;
        let operator = self.operator;
        match texts.iter().any(|text| text.is_empty()) {
            true => Err(RuleError::OperandEmpty { operator }),
            false => Ok(texts.into_iter().map(str::to_owned).collect()),
        }
    }

    fn versions(&self) -> Result<Vec<Version<String>>, RuleError> {
        let version = |text: &str| {
            let parsed = Version::parse(text).map(Version::to_owned);
            parsed.ok_or_else(|| RuleError::NotAVersion {
                text: text.to_owned(),
            })
        };
        self.texts()?.into_iter().map(version).collect()
    }

    fn times(&self) -> Result<Vec<Timestamp>, RuleError> {
        let time = |text: &str| {
            Timestamp::parse(text).ok_or_else(|| RuleError::NotATime {
                text: text.to_owned(),
            })
        };
        self.texts()?.into_iter().map(time).collect()
    }

    fn pattern(&self) -> Result<Regex, RuleError> {
        let texts = self.texts()?;
        let pattern = texts.first().copied().unwrap_or_default();
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(RuleError::PatternTooLarge);
        }
        let compiled = RegexBuilder::new(pattern)
            .size_limit(MAX_PATTERN_SIZE)
            .dfa_size_limit(MAX_PATTERN_CACHE)
            .nest_limit(MAX_PATTERN_DEPTH)
            .build();
        compiled.map_err(|error| match error {
            regex::Error::Syntax(text) => RuleError::Pattern {
                problem: last_line(&text),
            },
            _ => RuleError::PatternTooLarge,
        })
    }

    fn wrong_type(&self) -> RuleError {
        RuleError::OperandType {
            operator: self.operator,
        }
    }
}

/// What a pattern's compiler says in the end, after it has shown where.
fn last_line(text: &str) -> String {
    let line = text.lines().next_back().unwrap_or(text);
    line.trim_start_matches("error: ").to_owned()
}

impl Predicate {
    /// What it was compiled from.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The attribute that it looks at, if the unit has it.
    pub fn seen<'a>(&self, attributes: &'a Attributes) -> Option<&'a Attribute> {
        attributes.get(&self.rule.attribute)
    }

    /// What it finds in `attributes`. Does not allocate, but that a pattern makes itself room to remember at its first use.
    pub fn outcome(&self, attributes: &Attributes) -> Outcome {
        self.seen(attributes)
            .map_or(Outcome::Missing, |seen| self.test.outcome(seen))
    }

    /// Whether an `outcome` of this rule makes it true: what matches, and what is of another type than what it must not equal.
    pub fn is_true(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Matched => true,
            Outcome::WrongType => matches!(self.test, Test::NoneOf(_)),
            Outcome::NotMatched | Outcome::Missing => false,
        }
    }
}

impl Test {
    fn outcome(&self, seen: &Attribute) -> Outcome {
        use Attribute::{Number, String};
        let holds = match (self, seen) {
            (Self::Exists, _) => true,
            (Self::OneOf(set), seen) if set.compares(seen) => set.contains(seen),
            (Self::NoneOf(set), seen) if set.compares(seen) => !set.contains(seen),
            (Self::Number(range), Number(x)) => range.holds(|bound| x.partial_cmp(bound)),
            (Self::Contains(parts), String(text)) => parts.iter().any(|part| text.contains(part.as_str())),
            (Self::StartsWith(parts), String(text)) => {
                parts.iter().any(|part| text.starts_with(part.as_str()))
            }
            (Self::EndsWith(parts), String(text)) => parts.iter().any(|part| text.ends_with(part.as_str())),
            (Self::Matches(pattern), String(text)) => pattern.is_match(text),
            (Self::Version(range), String(text)) => match Version::parse(text) {
                Some(version) => range.holds(|bound| Some(version.precedence(bound))),
                None => return Outcome::WrongType,
            },
            (Self::Time(range), String(text)) => match Timestamp::parse(text) {
                Some(time) => range.holds(|bound| Some(time.cmp(bound))),
                None => return Outcome::WrongType,
            },
            _ => return Outcome::WrongType,
        };
        if holds {
            Outcome::Matched
        } else {
            Outcome::NotMatched
        }
    }
}

impl<T> Range<T> {
    /// Whether something is within, `against` being its order against a bound.
    fn holds(&self, against: impl Fn(&T) -> Option<Ordering>) -> bool {
        use Ordering::{Equal, Greater, Less};
        let above = match &self.0 {
            Bound::Unbounded => true,
            Bound::Excluded(low) => against(low) == Some(Greater),
            Bound::Included(low) => matches!(against(low), Some(Greater | Equal)),
        };
        above
            && match &self.1 {
                Bound::Unbounded => true,
                Bound::Excluded(high) => against(high) == Some(Less),
                Bound::Included(high) => matches!(against(high), Some(Less | Equal)),
            }
    }
}

impl Set {
    fn new(values: &[Attribute]) -> Self {
        let mut values = values.to_vec();
        values.sort_by(order);
        values.dedup();
        Self(values)
    }

    fn contains(&self, value: &Attribute) -> bool {
        self.0.binary_search_by(|other| order(other, value)).is_ok()
    }

    /// Whether it has a value of the same type. Types do not mix in [`order`], so looking beside where `value` would stand is enough.
    fn compares(&self, value: &Attribute) -> bool {
        let at = self
            .0
            .partition_point(|other| order(other, value) == Ordering::Less);
        let beside = [at.checked_sub(1), Some(at)].into_iter().flatten();
        let mut beside = beside.filter_map(|i| self.0.get(i));
        beside.any(|other| std::mem::discriminant(other) == std::mem::discriminant(value))
    }
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
