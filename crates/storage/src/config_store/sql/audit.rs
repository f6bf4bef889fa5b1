//! The audit trail: append-only rows, chained by hash within a namespace, with units by their HMAC.
//!
//! Whoever appends holds the lock of the namespace's row, so the row read last is the one before.

use assay_core::{key::Namespace, time::Timestamp};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, Statement,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::row::{count, number, text};
use crate::{
    Error,
    config_store::{Audit, AuditEntry, tables::audit_log},
    sql::{Transaction, classify},
};

/// What the first row of a chain follows.
pub(crate) const CHAIN_START: [u8; 32] = [0; 32];

/// What every hashed row begins with, so that another form of rows can never be taken for this one.
const FORM: &[u8] = b"assay audit row v1";

/// Documents of written resources by subject, such as `flag/gate`, before or after a change.
pub(crate) type Documents = Vec<(String, Option<String>)>;

/// Appends a row.
pub(crate) async fn append(
    transaction: &Transaction,
    namespace: &Namespace,
    generation: u64,
    at: Timestamp,
    audit: &Audit,
    (before, after): (Documents, Documents),
) -> Result<(), Error> {
    let mut row = audit_log::Model {
        id: 0,
        namespace: namespace.to_string(),
        generation: number(generation),
        at_us: at.micros(),
        actor: text(&audit.actor),
        action: text(&audit.action),
        subject: text(&audit.subject),
        reason: text(&audit.reason),
        traceparent: text(&audit.traceparent),
        peer: text(&audit.peer),
        before: object(&hide_units(transaction, before).await?),
        after: object(&hide_units(transaction, after).await?),
        hash: None,
    };
    let last: Option<Option<Vec<u8>>> = audit_log::Entity::find()
        .select_only()
        .column(audit_log::Column::Hash)
        .filter(audit_log::Column::Namespace.eq(namespace.as_str()))
        .order_by_desc(audit_log::Column::Id)
        .limit(1)
        .into_tuple()
        .one(&**transaction)
        .await
        .map_err(classify)?;
    let previous = last.flatten().unwrap_or_else(|| CHAIN_START.to_vec());
    row.hash = Some(hash(&previous, &row).to_vec());
    let mut active = row.into_active_model().reset_all();
    active.id = NotSet;
    audit_log::Entity::insert(active)
        .exec_without_returning(&**transaction)
        .await
        .map_err(classify)?;
    Ok(())
}

/// The hash of `row`, which follows the one with hash `previous`: over all that it says but its id.
pub(crate) fn hash(previous: &[u8], row: &audit_log::Model) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(FORM);
    part(previous);
    part(&row.generation.to_be_bytes());
    part(&row.at_us.to_be_bytes());
    for field in [
        &row.namespace,
        &row.actor,
        &row.action,
        &row.subject,
        &row.reason,
        &row.traceparent,
        &row.peer,
        &row.before,
        &row.after,
    ] {
        part(field.as_bytes());
    }
    hash.finalize().into()
}

/// What a row says.
pub(crate) fn entry(row: audit_log::Model) -> AuditEntry {
    AuditEntry {
        id: count(row.id),
        generation: count(row.generation),
        at: Timestamp::from_micros(row.at_us),
        audit: Audit {
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            reason: row.reason,
            traceparent: row.traceparent,
            peer: row.peer,
        },
        before: row.before,
        after: row.after,
    }
}

/// `documents` with the ids of units replaced by their HMAC under the salt of this database.
async fn hide_units(transaction: &Transaction, mut documents: Documents) -> Result<Documents, Error> {
    let has_units = |document: &String| document.contains("\"unit\"");
    if !documents
        .iter()
        .any(|(_, document)| document.as_ref().is_some_and(has_units))
    {
        return Ok(documents);
    }
    let salt = salt(transaction).await?;
    for (_, document) in &mut documents {
        if let Some(text) = document
            && let Ok(mut value) = serde_json::from_str::<Value>(text)
        {
            hide(&salt, &mut value);
            *text = value.to_string();
        }
    }
    Ok(documents)
}

async fn salt(transaction: &Transaction) -> Result<Vec<u8>, Error> {
    let statement = Statement::from_string(transaction.get_database_backend(), "select salt from audit_salt");
    let row = transaction.query_one_raw(statement).await.map_err(classify)?;
    let salt = row
        .map(|row| row.try_get::<Vec<u8>>("", "salt"))
        .transpose()
        .map_err(classify)?;
    salt.ok_or_else(|| Error::Corrupt {
        store: "database",
        what: "audit_salt".to_owned(),
        detail: "it has no row".to_owned(),
    })
}

/// Replaces `id` in every member `unit`.
fn hide(salt: &[u8], value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::Object(unit) if name == "unit" => {
                        let kind = unit.get("kind").and_then(Value::as_str).unwrap_or_default();
                        if let Some(id) = unit.get("id").and_then(Value::as_str) {
                            let hidden = hidden_unit(salt, kind, id);
                            unit.insert("id".to_owned(), hidden.into());
                        }
                    }
                    other => hide(salt, other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(salt, item)),
        _ => {}
    }
}

/// `hmac:` and the first 128 bits of the HMAC-SHA-256 of the unit.
fn hidden_unit(salt: &[u8], kind: &str, id: &str) -> String {
    let hmac = hmac(salt, format!("{kind}/{id}").as_bytes());
    format!("hmac:{}", hex::encode(hmac.get(..16).unwrap_or_default()))
}

/// HMAC-SHA-256 (RFC 2104) under a key of at most 64 bytes.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let pad = |byte: u8| {
        let mut pad = [byte; BLOCK];
        for (at, of_key) in pad.iter_mut().zip(key) {
            *at ^= of_key;
        }
        pad
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message);
    let outer = Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().into()
}

/// A JSON object of documents, which are JSON already. Subjects are keys: nothing in them needs an escape.
fn object(documents: &[(String, Option<String>)]) -> String {
    let members: Vec<_> = documents
        .iter()
        .map(|(subject, document)| format!("\"{subject}\":{}", document.as_deref().unwrap_or("null")))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_hidden_wherever_they_stand_and_nothing_else_is() {
        let mut value = serde_json::json!({
            "unit_overrides": [{"unit": {"kind": "user", "id": "ann@shop"}, "value": {"json": {"id": "kept"}}}],
            "unit_kind": "user",
        });
        hide(b"salt", &mut value);
        let text = value.to_string();
        assert!(!text.contains("ann@shop") && text.contains("kept"), "{text}");
        let hidden = hidden_unit(b"salt", "user", "ann@shop");
        assert!(text.contains(&hidden) && hidden.len() == 37, "{hidden}");
        for (salt, kind, id) in [
            (&b"other"[..], "user", "ann@shop"),
            (b"salt", "device", "ann@shop"),
            (b"salt", "user", "bob"),
        ] {
            assert_ne!(hidden_unit(salt, kind, id), hidden);
        }
    }

    #[test]
    fn it_is_the_hmac_of_rfc_4231() {
        let found = hex::encode(hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(
            found,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
