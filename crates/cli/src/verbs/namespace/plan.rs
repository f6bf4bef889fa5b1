//! A plan: what would change, or has changed, field by field.

use assay_proto::config::v1 as pb;
use serde::Serialize;
use serde_json::{Map, Value};

use super::documents::{Documents, Places};
use crate::{
    foreign::{Remark, Translation},
    output,
    view::{experiment::Finding, text::name_of},
};

/// Longest value of a plan for people, in characters.
const MAX_VALUE: usize = 200;

/// What would change, or has changed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Plan {
    /// The generation that was planned on.
    planned_on: u64,
    /// The generation that the changes made; absent when nothing is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    changes: Vec<Change>,
    warnings: Vec<String>,
    /// What a translation could not carry over; absent when nothing was translated.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_carried_over: Option<Vec<Remark>>,
    /// What a translation carried over in a way that is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Remark>,
}

/// What becomes of one resource.
#[derive(Debug, Serialize)]
struct Change {
    resource: String,
    /// `ADDED`, `CHANGED` or `REMOVED`.
    kind: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
}

/// What becomes of one field.
#[derive(Debug, Serialize)]
struct Field {
    field: String,
    before: Value,
    after: Value,
}

impl Plan {
    /// What the `answer` to an import, planned on generation `planned_on`, says of `stored` and `given` documents.
    pub(super) fn new(
        planned_on: u64,
        answer: &pb::ImportNamespaceResponse,
        stored: &Documents,
        given: &Documents,
        places: &Places,
    ) -> Self {
        let change = |difference: &pb::ResourceDifference| {
            let before = stored.get(&difference.resource);
            let after = given.get(&difference.resource);
            let field = |name: &String| {
                let field = camel(name);
                Field {
                    before: value(before, &field),
                    after: value(after.or(before), &field),
                    field,
                }
            };
            Change {
                resource: difference.resource.clone(),
                kind: name_of::<pb::DifferenceKind>(difference.kind),
                fields: difference.fields.iter().map(field).collect(),
            }
        };
        let warning = |finding: &pb::Finding| {
            let place = places.of(&finding.field);
            Finding::of(pb::Finding {
                field: place,
                ..finding.clone()
            })
            .line()
        };
        Self {
            planned_on,
            generation: Some(answer.generation).filter(|made| *made > planned_on),
            changes: answer.differences.iter().map(change).collect(),
            warnings: answer.warnings.iter().map(warning).collect(),
            not_carried_over: None,
            notes: Vec::new(),
        }
    }

    /// The plan with what is to be said of the translation that it comes from.
    pub(super) fn from(self, translation: Option<Translation>) -> Self {
        match translation {
            None => self,
            Some(translation) => Self {
                not_carried_over: Some(translation.left_out),
                notes: translation.notes,
                ..self
            },
        }
    }

    pub(super) fn n_changes(&self) -> usize {
        self.changes.len()
    }

    /// The generation that the changes made, if any were made.
    pub(super) fn made(&self) -> Option<u64> {
        self.generation
    }

    /// Says what is worth a look.
    pub(super) fn warn(&self) {
        for warning in &self.warnings {
            output::note(format!("warning: {warning}"));
        }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let mut lines: Vec<String> = self.changes.iter().flat_map(Change::lines).collect();
        let say = |remark: &Remark| format!("    {}: {}", remark.path, remark.reason);
        if !self.notes.is_empty() {
            lines.push("to know:".to_owned());
            lines.extend(self.notes.iter().map(say));
        }
        match self.not_carried_over.as_deref() {
            None => {}
            Some([]) => lines.push("everything is carried over".to_owned()),
            Some(left_out) => {
                lines.push("not carried over:".to_owned());
                lines.extend(left_out.iter().map(say));
            }
        }
        let count = |kind: &str| self.changes.iter().filter(|change| change.kind == kind).count();
        let counts = format!(
            "{} to add, {} to change, {} to remove",
            count("ADDED"),
            count("CHANGED"),
            count("REMOVED")
        );
        lines.push(match (self.changes.is_empty(), self.generation) {
            (true, _) => format!("nothing to change at generation {}", self.planned_on),
            (false, None) => format!(
                "{counts}, planned on generation {}; nothing is written",
                self.planned_on
            ),
            (false, Some(generation)) => {
                format!(
                    "{}: done, as generation {generation}",
                    counts
                        .replace("to add", "added")
                        .replace("to change", "changed")
                        .replace("to remove", "removed")
                )
            }
        });
        lines.join("\n")
    }
}

impl Change {
    fn lines(&self) -> Vec<String> {
        let sign = match self.kind.as_str() {
            "ADDED" => '+',
            "REMOVED" => '-',
            _ => '~',
        };
        let first = format!("{sign} {}", self.resource);
        let field = |field: &Field| {
            let (before, after) = (short(&field.before), short(&field.after));
            match before == after {
                true => format!("    {}", field.field),
                false => format!("    {}: {before} → {after}", field.field),
            }
        };
        [first].into_iter().chain(self.fields.iter().map(field)).collect()
    }
}

fn value(fields: Option<&Map<String, Value>>, name: &str) -> Value {
    fields
        .and_then(|fields| fields.get(name))
        .cloned()
        .unwrap_or(Value::Null)
}

/// `value` on one line, cut where it is too long to read; nothing for what is not there.
fn short(value: &Value) -> String {
    if value.is_null() {
        return "nothing".to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// `default_value` as files write it: `defaultValue`.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        all.push_str(letters.as_str());
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_reads_field_by_field() {
        let flag = |description: &str| pb::Flag {
            key: "gate".to_owned(),
            description: description.to_owned(),
            ..Default::default()
        };
        let documents = |description: &str| {
            Documents::of(pb::NamespaceContents {
                flags: vec![flag(description)],
                ..Default::default()
            })
            .unwrap()
        };
        let difference = |resource: &str, kind: pb::DifferenceKind, fields: &[&str]| pb::ResourceDifference {
            resource: resource.to_owned(),
            kind: kind.into(),
            fields: fields.iter().map(ToString::to_string).collect(),
        };
        let planned = pb::ImportNamespaceResponse {
            generation: 7,
            differences: vec![
                difference("flag/gate", pb::DifferenceKind::Changed, &["description"]),
                difference("segment/ios", pb::DifferenceKind::Removed, &[]),
            ],
            ..Default::default()
        };
        let (old, new, places) = (documents("old"), documents("new"), Places::default());
        let said = Plan::new(7, &planned, &old, &new, &places).words();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(
            lines,
            [
                "~ flag/gate",
                "    description: \"old\" → \"new\"",
                "- segment/ios",
                "0 to add, 1 to change, 1 to remove, planned on generation 7; nothing is written",
            ]
        );
        let made = pb::ImportNamespaceResponse {
            generation: 8,
            ..planned
        };
        let plan = Plan::new(7, &made, &old, &new, &places);
        assert!(
            plan.words()
                .ends_with("0 added, 1 changed, 1 removed: done, as generation 8")
        );
    }

    #[test]
    fn fields_are_named_as_files_name_them() {
        assert_eq!(camel("segment_overrides"), "segmentOverrides");
        assert_eq!(camel("type"), "type");
        assert_eq!(short(&Value::String("x".repeat(300))).chars().count(), 201);
    }
}
