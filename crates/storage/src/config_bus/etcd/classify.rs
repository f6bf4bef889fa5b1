//! What the errors of the etcd client mean to a caller.

use std::{future::Future, time::Duration};

use crate::Error;

pub(super) const STORE: &str = "etcd";

/// Codes of gRPC, which the client shows only by number.
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// What `error` means: may the same call succeed later, is there no room, or is it refused for good.
pub(super) fn classify(error: etcd_client::Error) -> Error {
    use etcd_client::Error as Driver;
    let refused = match &error {
        Driver::GRpcStatus(status) => match status.code() as i32 {
            code::RESOURCE_EXHAUSTED if status.message().contains("space") => {
                return Error::Full {
                    store: STORE,
                    source: error.into(),
                };
            }
            // Else "too many requests", which passes.
            code::RESOURCE_EXHAUSTED => status.message().contains("larger than max"),
            code::INVALID_ARGUMENT
            | code::NOT_FOUND
            | code::PERMISSION_DENIED
            | code::FAILED_PRECONDITION
            | code::OUT_OF_RANGE
            | code::UNIMPLEMENTED
            | code::UNAUTHENTICATED => true,
            // Unavailable, deadline exceeded, canceled, aborted; unknown and internal are broken connections.
            _ => false,
        },
        Driver::InvalidArgs(_)
        | Driver::InvalidUri(_)
        | Driver::InvalidMetadataValue(_)
        | Driver::EndpointError(_) => true,
        _ => false,
    };
    match refused {
        true => Error::Refused {
            store: STORE,
            source: error.into(),
        },
        false => Error::Unavailable {
            store: STORE,
            source: error.into(),
        },
    }
}

/// Whether `error` says that a revision was compacted away.
pub(super) fn is_compacted(error: &etcd_client::Error) -> bool {
    matches!(error, etcd_client::Error::GRpcStatus(status) if status.code() as i32 == code::OUT_OF_RANGE)
}

/// Whether `error` says that a lease has ended.
pub(super) fn is_lease_gone(error: &etcd_client::Error) -> bool {
    match error {
        etcd_client::Error::GRpcStatus(status) => status.code() as i32 == code::NOT_FOUND,
        etcd_client::Error::LeaseKeepAliveError(why) => why.contains("not found"),
        _ => false,
    }
}

/// Something that etcd did and that passes.
pub(super) fn unavailable(why: impl Into<String>) -> Error {
    Error::Unavailable {
        store: STORE,
        source: why.into().into(),
    }
}

/// Makes `call`, at most for `limit`.
pub(super) async fn bounded<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(result) => result.map_err(classify),
        Err(_) => Err(unavailable(format!("no answer within {limit:?}"))),
    }
}
