//! Use cases of the audit trail: what a change changed, field by field.

use std::{collections::BTreeSet, sync::Arc};

use assay_storage::{
    access_store::{AccessStore, AuditFilter, Chain},
    config_store::AuditEntry,
};
use serde_json::{Map, Value};

use crate::{
    error::Error,
    list::{PageRequest, limit, token},
    truth::Call,
};

/// One field that a change changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldChange {
    pub(crate) resource: String,
    pub(crate) path: String,
    /// As JSON; absent when it was not there.
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// One page of the changes of a namespace, the latest first, and the token of the next one.
pub(crate) async fn list_audit(
    store: &Arc<dyn AccessStore>,
    call: &Call,
    filter: &AuditFilter,
    page: &PageRequest,
) -> Result<(Vec<AuditEntry>, String), Error> {
    let limit = limit(page.size)?;
    let scope = format!("audit {} {filter:?}", call.namespace);
    let before = token::read(&page.token, &scope)?.and_then(|id| id.parse().ok());
    let mut rows = store
        .trail(&call.namespace, filter, before, limit.saturating_add(1))
        .await?;
    let more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| token::write(&row.id.to_string(), &scope));
    Ok((rows, next.unwrap_or_default()))
}

/// Whether the chain of a namespace is whole.
pub(crate) async fn verify_audit(store: &Arc<dyn AccessStore>, call: &Call) -> Result<Chain, Error> {
    Ok(store.verify(&call.namespace).await?)
}

/// What changed between two objects of documents by resource, in order of resource and path.
pub(crate) fn changes(before: &str, after: &str) -> Vec<FieldChange> {
    let (before, after) = (documents(before), documents(after));
    let resources: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    let mut changes = Vec::new();
    for resource in resources {
        let present = |documents: &Map<String, Value>| {
            let document = documents.get(&resource).filter(|document| !document.is_null());
            document.cloned()
        };
        compare(
            &mut changes,
            &resource,
            String::new(),
            present(&before).as_ref(),
            present(&after).as_ref(),
        );
    }
    changes
}

fn documents(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn compare(
    changes: &mut Vec<FieldChange>,
    resource: &str,
    path: String,
    before: Option<&Value>,
    after: Option<&Value>,
) {
    match (before, after) {
        (Some(one), Some(two)) if one == two => {}
        (Some(Value::Object(one)), Some(Value::Object(two))) => {
            let names: BTreeSet<_> = one.keys().chain(two.keys()).collect();
            for name in names {
                let below = match path.is_empty() {
                    true => name.clone(),
                    false => format!("{path}.{name}"),
                };
                compare(changes, resource, below, one.get(name), two.get(name));
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(two))) => {
            for i in 0..one.len().max(two.len()) {
                compare(changes, resource, format!("{path}[{i}]"), one.get(i), two.get(i));
            }
        }
        (None, None) => {}
        _ => changes.push(FieldChange {
            resource: resource.to_owned(),
            path,
            before: before.map(Value::to_string),
            after: after.map(Value::to_string),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> Vec<String> {
        let shown = |change: FieldChange| {
            let side = |side: Option<String>| side.unwrap_or_else(|| "-".to_owned());
            let (before, after) = (side(change.before), side(change.after));
            format!("{} {}: {before} > {after}", change.resource, change.path)
        };
        changes(before, after).into_iter().map(shown).collect()
    }

    #[test]
    fn only_what_changed_is_told_by_its_path() {
        let before = r#"{"flag/a": {"name": "x", "list": [1, {"k": 2}], "gone": true}, "flag/b": null}"#;
        let after = r#"{"flag/a": {"name": "x", "list": [1, {"k": 3}, 4], "new": null}, "flag/b": {"v": 1}}"#;
        let expected = [
            "flag/a gone: true > -",
            "flag/a list[1].k: 2 > 3",
            "flag/a list[2]: - > 4",
            "flag/a new: - > null",
            r#"flag/b : - > {"v":1}"#,
        ];
        assert_eq!(shown(before, after), expected);
        assert_eq!(shown(after, after), [""; 0]);
        assert_eq!(
            shown(r#"{"flag/b": {"v": 1}}"#, r#"{"flag/b": null}"#),
            [r#"flag/b : {"v":1} > -"#]
        );
    }
}
