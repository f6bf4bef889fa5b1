//! Lists generations, latest first.

use assay_storage::config_store::Generation;

use crate::{
    error::Error,
    list::{PageRequest, limit},
    truth::{Call, Truth},
};

/// The page, and the token of the next one; empty on the last. A token is the number of the last generation on a page.
pub(crate) async fn list(
    truth: &Truth,
    call: &Call,
    page: &PageRequest,
) -> Result<(Vec<Generation>, String), Error> {
    let limit = limit(page.size)?;
    let before = match page.token.as_str() {
        "" => None,
        token => Some(token.parse().map_err(|_| {
            let message = "is not of this list; give `next_page_token` of the page before, or nothing";
            Error::field("page_token", "PAGE_TOKEN", message)
        })?),
    };
    let mut found = truth
        .generations(&call.namespace, before, limit.saturating_add(1))
        .await?;
    let more = found.len() as u64 > limit;
    if more {
        found.pop();
    }
    let next = found.last().filter(|_| more);
    let next = next.map(|last| last.number.to_string()).unwrap_or_default();
    Ok((found, next))
}
