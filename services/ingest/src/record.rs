//! What both use cases share: each record is judged alone, the accepted ones are written together.

use assay_proto::field::{FieldError, FieldErrors};

use crate::{Ingest, error::Error, write::Record};

/// A record as decoded, or why it could not be.
pub(crate) type Decoded<T> = Result<T, FieldErrors>;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Accepted,
    Refused(FieldError),
    Retry(String),
}

/// Judges each of `sent` by `accept`, writes the accepted ones, and answers in order.
pub(crate) async fn record<S, R: Record>(
    ingest: &Ingest,
    sent: Vec<Decoded<S>>,
    accept: impl Fn(S) -> Result<R, FieldError>,
) -> Result<Vec<Fate>, Error> {
    let mut fates = vec![Fate::Accepted; sent.len()];
    let mut accepted = Vec::new();
    for (index, sent) in sent.into_iter().enumerate() {
        match sent.map_err(first).and_then(&accept) {
            Ok(record) => accepted.push((index, record)),
            Err(error) => fates[index] = Fate::Refused(error),
        }
    }
    for (index, message) in ingest.writer.append(accepted).await.map_err(Error::Log)? {
        fates[index] = Fate::Retry(message);
    }
    Ok(fates)
}

fn first(errors: FieldErrors) -> FieldError {
    errors
        .0
        .into_iter()
        .next()
        .unwrap_or_else(|| FieldError::new("", "INVALID", "is not a record"))
}
