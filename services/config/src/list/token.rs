//! Page tokens: the last key of a page, bound to the list that it belongs to. They hold no secret; what they prove is that a caller goes on
//! with the list that it began.

use assay_core::key::{ExperimentKey, Namespace};
use assay_storage::config_store::Filter;
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Bytes of the scope's hash in a token.
const SCOPE_BYTES: usize = 8;

/// What must be the same on every page of one list.
pub(crate) fn scope(kind: &str, namespace: &Namespace, filter: &Filter) -> String {
    // In this form no two filters look alike.
    format!("{kind} {namespace} {filter:?}")
}

/// The token of the page after `key`.
pub(crate) fn write(key: &str, scope: &str) -> String {
    let bytes = hash(key, scope).into_iter().chain(key.bytes());
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The key in `token`; none in the empty one.
pub(crate) fn read(token: &str, scope: &str) -> Result<Option<String>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let key = key_in(token, scope).ok_or_else(|| {
        let message = "is not of this list; give `next_page_token` of the page before with the same filters, or nothing";
        Error::field("page_token", "PAGE_TOKEN", message)
    })?;
    Ok(Some(key))
}

fn key_in(token: &str, scope: &str) -> Option<String> {
    let bytes = unhex(token)?;
    let (proof, key) = bytes.split_at_checked(SCOPE_BYTES)?;
    let key = String::from_utf8(key.to_vec()).ok()?;
    // Keys of all kinds have one grammar.
    ExperimentKey::new(key.as_str()).ok()?;
    (proof == hash(&key, scope)).then_some(key)
}

fn hash(key: &str, scope: &str) -> [u8; SCOPE_BYTES] {
    let digest = Sha256::new()
        .chain_update(scope)
        .chain_update("\n")
        .chain_update(key)
        .finalize();
    std::array::from_fn(|i| digest[i])
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_on_with_its_own_list_only() {
        let flags = scope("flag", &Namespace::default(), &Filter::default());
        let segments = scope("segment", &Namespace::default(), &Filter::default());
        let token = write("gate.v2_x", &flags);
        assert_eq!(read(&token, &flags).unwrap().as_deref(), Some("gate.v2_x"));
        assert_eq!(read("", &flags).unwrap(), None);
        for bad in [
            "x",
            "00",
            "é",
            &token[1..],
            &token[..token.len() - 2],
            &format!("{token}00"),
        ] {
            assert!(read(bad, &flags).is_err(), "{bad}");
        }
        assert!(read(&token, &segments).is_err());
    }
}
