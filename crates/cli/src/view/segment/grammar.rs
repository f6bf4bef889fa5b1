//! Conditions in words, both ways: what is printed can be read again.
//!
//! `country in DE,AT` · `level between 5,10` · `mail matches @example\.org$` · `paying exists` · `any_of(A; B)` · `all_of(A; B)` ·
//! `not(A)` · `segment(payers)` · `segment(payers@3)`. Operands are separated by commas; `true`, `false` and numbers are taken as such,
//! in double quotes as texts. Operators that compare texts take all operands as texts, and a pattern is the whole rest.
//! What holds a comma, a semicolon or a single parenthesis stands in double quotes, as in JSON.

use std::{fmt, str::FromStr};

use serde_json::Value;

use super::{Rule, SegmentReference, scalar};

impl FromStr for Rule {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        let written = written.trim();
        match call(written) {
            Some(("any_of", inner)) => Ok(Self {
                any_of: parts(inner)?,
                ..Self::default()
            }),
            Some(("all_of", inner)) => Ok(Self {
                all_of: parts(inner)?,
                ..Self::default()
            }),
            Some(("not", inner)) => Ok(Self {
                not: Some(Box::new(inner.parse()?)),
                ..Self::default()
            }),
            Some(("segment", inner)) => Ok(Self {
                segment: Some(reference(inner)?),
                ..Self::default()
            }),
            _ => comparison(written),
        }
    }
}

/// `word(inner)` → (word, inner).
fn call(written: &str) -> Option<(&str, &str)> {
    let (word, rest) = written.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    Some((word.trim_end(), inner))
}

fn parts(inner: &str) -> Result<Vec<Rule>, String> {
    let parts = split(inner, ';')?;
    parts.into_iter().map(str::parse).collect()
}

fn reference(inner: &str) -> Result<SegmentReference, String> {
    let inner = inner.trim();
    let Some((key, version)) = inner.split_once('@') else {
        return Ok(SegmentReference {
            key: inner.to_owned(),
            ..SegmentReference::default()
        });
    };
    let wrong = |_| format!("`{version}` is not a version; write one like segment({key}@3)");
    Ok(SegmentReference {
        key: key.to_owned(),
        version: version.parse().map_err(wrong)?,
        ..SegmentReference::default()
    })
}

fn comparison(written: &str) -> Result<Rule, String> {
    if attribute_is_call(written) {
        return Err(format!(
            "`{written}` begins like a group and does not end like one; close it with `)`, or put an attribute of that name into a file"
        ));
    }
    let mut words = written.splitn(3, char::is_whitespace);
    let (attribute, operator, rest) = (words.next(), words.next(), words.next().map(str::trim));
    let wrong = || {
        format!(
            "`{written}` is not a rule; write one like `country in DE,AT`, `paying exists` or `any_of(country eq DE; level gte 10)`"
        )
    };
    let (Some(attribute), Some(operator)) = (attribute, operator) else {
        return Err(wrong());
    };
    let operator = operator.to_uppercase();
    let operands = match (operator.as_str(), rest) {
        ("EXISTS", None) => Vec::new(),
        ("MATCHES", Some(pattern)) => vec![text(pattern)],
        (_, Some(rest)) => {
            if split(rest, ';')?.len() > 1 {
                return Err(format!(
                    "`{written}` is more than one rule; give each with a --rule of its own, or put a text that has a `;` into double quotes"
                ));
            }
            let one = if compares_texts(&operator) { text } else { scalar };
            split(rest, ',')?.into_iter().map(one).collect()
        }
        _ => return Err(wrong()),
    };
    Ok(Rule {
        attribute: attribute.to_owned(),
        operator,
        operands,
        ..Rule::default()
    })
}

/// Whether the first word opens a parenthesis, as no attribute does.
fn attribute_is_call(written: &str) -> bool {
    let attribute = written.split(char::is_whitespace).next().unwrap_or_default();
    attribute.contains('(')
}

fn compares_texts(operator: &str) -> bool {
    let words = [
        "CONTAINS",
        "STARTS_WITH",
        "ENDS_WITH",
        "BEFORE",
        "AFTER",
        "DATE_BETWEEN",
    ];
    operator.starts_with("SEMVER_") || words.contains(&operator)
}

/// A text that need not be quoted.
fn text(written: &str) -> Value {
    match serde_json::from_str(written) {
        Ok(value @ Value::String(_)) => value,
        _ => Value::String(written.to_owned()),
    }
}

/// The trimmed parts of `written` between `separator`s that stand neither in quotes nor in parentheses.
fn split(written: &str, separator: char) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in written.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            c if c == separator && depth == 0 => {
                parts.push(written[start..i].trim());
                start = i + c.len_utf8();
            }
            _ => {}
        }
    }
    if quoted || depth != 0 {
        return Err(format!(
            "`{written}` has a quote or parenthesis without its other half; put a text that has one into double quotes"
        ));
    }
    parts.push(written[start..].trim());
    Ok(parts)
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |rules: &[Self]| {
            rules
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        };
        if !self.any_of.is_empty() {
            return write!(f, "any_of({})", join(&self.any_of));
        }
        if !self.all_of.is_empty() {
            return write!(f, "all_of({})", join(&self.all_of));
        }
        match (&self.not, &self.segment) {
            (Some(part), _) => return write!(f, "not({part})"),
            (None, Some(reference)) if reference.version == 0 => {
                return write!(f, "segment({})", reference.key);
            }
            (None, Some(reference)) => return write!(f, "segment({}@{})", reference.key, reference.version),
            (None, None) => {}
        }
        write!(f, "{} {}", self.attribute, self.operator.to_lowercase())?;
        for (i, operand) in self.operands.iter().enumerate() {
            write!(f, "{}{operand}", if i == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_half_a_group_or_two_rules_is_refused() {
        for written in [
            "any_of(country eq DE; level gte 10",
            "not(a eq 1",
            "country eq DE; level gte 10",
        ] {
            assert!(written.parse::<Rule>().is_err(), "{written}");
        }
        assert!(r#"note eq "a; b""#.parse::<Rule>().is_ok());
    }

    #[test]
    fn comparisons_are_written_in_words() {
        for (written, operator, operands, printed) in [
            (
                r#"level in 10,true,DE,"10", "a,b""#,
                "IN",
                vec![json!(10), json!(true), json!("DE"), json!("10"), json!("a,b")],
                r#"level in 10, true, "DE", "10", "a,b""#,
            ),
            (
                "app semver_gte 2.10",
                "SEMVER_GTE",
                vec![json!("2.10")],
                r#"app semver_gte "2.10""#,
            ),
            (
                "code contains 12,x",
                "CONTAINS",
                vec![json!("12"), json!("x")],
                r#"code contains "12", "x""#,
            ),
            (
                "since before 2026-11-21",
                "BEFORE",
                vec![json!("2026-11-21")],
                r#"since before "2026-11-21""#,
            ),
            (
                r"mail matches ^(a|b),c\d$",
                "MATCHES",
                vec![json!(r"^(a|b),c\d$")],
                r#"mail matches "^(a|b),c\\d$""#,
            ),
            ("paying exists", "EXISTS", vec![], "paying exists"),
        ] {
            let rule: Rule = written.parse().unwrap();
            assert_eq!(
                (rule.operator.as_str(), &rule.operands),
                (operator, &operands),
                "{written}"
            );
            assert_eq!(rule.to_string(), printed);
            assert_eq!(printed.parse::<Rule>().as_ref(), Ok(&rule), "{printed}");
        }
    }

    #[test]
    fn groups_hold_conditions() {
        let written = r#"any_of( country in DE,AT; not(all_of(level gte 10; note eq "a;)b")); segment(payers@3);segment(new))"#;
        let rule: Rule = written.parse().unwrap();
        let printed = r#"any_of(country in "DE", "AT"; not(all_of(level gte 10; note eq "a;)b")); segment(payers@3); segment(new))"#;
        assert_eq!(rule.to_string(), printed);
        assert_eq!(printed.parse::<Rule>(), Ok(rule.clone()));
        let versions: Vec<_> = rule
            .any_of
            .iter()
            .filter_map(|part| part.segment.as_ref())
            .map(|s| s.version)
            .collect();
        assert_eq!(versions, [3, 0]);
    }

    #[test]
    fn what_is_no_rule_says_how_to_write_one() {
        for written in ["level", "", "level gte", "any_of(level)", "any_of()"] {
            let error = written.parse::<Rule>().unwrap_err();
            assert!(error.contains("write one like"), "{written}: {error}");
        }
        assert!(
            "any_of(a eq \"x)"
                .parse::<Rule>()
                .unwrap_err()
                .contains("double quotes")
        );
        assert!(
            "segment(a@b)"
                .parse::<Rule>()
                .unwrap_err()
                .contains("segment(a@3)")
        );
    }
}
