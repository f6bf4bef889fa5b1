//! Lists resources of any kind, page by page.

pub(crate) mod token;

use assay_storage::config_store::Filter;

use crate::{
    error::Error,
    truth::{Call, Stored, Truth},
};

/// Resources on a page of a list that does not say how many.
const DEFAULT_PAGE: u64 = 100;
/// Most resources on a page.
const MAX_PAGE: i32 = 1_000;

/// Which page of a list.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) size: i32,
    /// What came with the page before; empty for the first.
    pub(crate) token: String,
}

/// The page in order of key, and the token of the next one; empty on the last.
pub(crate) async fn list<R: Stored>(
    truth: &Truth,
    call: &Call,
    filter: &Filter,
    page: &PageRequest,
) -> Result<(Vec<R>, String), Error> {
    let limit = limit(page.size)?;
    let scope = token::scope(R::NAME, &call.namespace, filter);
    let after = token::read(&page.token, &scope)?;
    let (resources, next) = truth
        .page(&call.namespace, filter, after.as_deref(), limit)
        .await?;
    Ok((
        resources,
        next.map(|key| token::write(&key, &scope)).unwrap_or_default(),
    ))
}

pub(crate) fn limit(size: i32) -> Result<u64, Error> {
    match u64::try_from(size) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(limit) if size <= MAX_PAGE => Ok(limit),
        _ => {
            let message = format!("is {size}; give 1 to {MAX_PAGE}, or 0 for {DEFAULT_PAGE}");
            Err(Error::field("page_size", "PAGE_SIZE", message))
        }
    }
}
