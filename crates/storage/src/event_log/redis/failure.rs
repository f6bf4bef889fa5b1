//! What Redis says, sorted by whether trying again can help.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::Error;

const STORE: &str = "redis";

/// Why a call failed; unlike [`Error`] it can be given to every entry of a pipeline.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The server, or the way to it.
    Redis(RedisError),
    /// Our own refusal.
    Refused(String),
}

impl Failure {
    pub(super) fn no_partition(partition: u32, partitions: u32) -> Self {
        Self::Refused(format!(
            "there is no partition {partition}: the log has {partitions}"
        ))
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Redis(error.into())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Refused(reason) => {
                return Self::Refused {
                    store: STORE,
                    source: reason.into(),
                };
            }
            Failure::Redis(error) => error,
        };
        match class(&error) {
            Class::Unavailable => Self::Unavailable {
                store: STORE,
                source: error.into(),
            },
            Class::Full => Self::Full {
                store: STORE,
                source: error.into(),
            },
            Class::Refused => Self::Refused {
                store: STORE,
                source: error.into(),
            },
        }
    }
}

enum Class {
    Unavailable,
    Full,
    Refused,
}

fn class(error: &RedisError) -> Class {
    match error.kind() {
        ErrorKind::InvalidClientConfig
        | ErrorKind::AuthenticationFailed
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::Server(
            ServerErrorKind::ResponseError | ServerErrorKind::NoPerm | ServerErrorKind::CrossSlot,
        ) => Class::Refused,
        ErrorKind::Extension => match error.code() {
            Some("OOM") => Class::Full,
            // Redis refuses writes because its own disk refuses them.
            Some("MISCONF") if error.detail().is_some_and(|text| text.contains("No space left")) => {
                Class::Full
            }
            Some("NOAUTH" | "WRONGPASS" | "WRONGTYPE") => Class::Refused,
            _ => Class::Unavailable,
        },
        _ => Class::Unavailable,
    }
}

/// Whether the connection on which `error` came should be given up: it is broken or silent, or its server takes no writes any more.
pub(super) fn spoils_connection(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, Moved, ReadOnly};
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::Server(ReadOnly | BusyLoading | MasterDown | ClusterDown | Moved)
    )
}

#[cfg(test)]
mod tests {
    use redis::make_extension_error;

    use super::*;

    fn sorted(code: &str, detail: &str) -> Error {
        Failure::Redis(make_extension_error(code.to_owned(), Some(detail.to_owned()))).into()
    }

    #[test]
    fn answers_say_whether_trying_again_helps() {
        assert!(matches!(
            sorted("OOM", "command not allowed when used memory > 'maxmemory'."),
            Error::Full { .. }
        ));
        assert!(matches!(
            sorted(
                "MISCONF",
                "Errors writing to the AOF file: No space left on device"
            ),
            Error::Full { .. }
        ));
        assert!(matches!(
            sorted("NOREPLICAS", "Not enough good replicas to write."),
            Error::Unavailable { .. }
        ));
        assert!(matches!(
            sorted("WRONGTYPE", "Operation against a key"),
            Error::Refused { .. }
        ));
        let read_only = RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "read only"));
        assert!(spoils_connection(&read_only));
        assert!(matches!(
            Failure::Redis(read_only).into(),
            Error::Unavailable { .. }
        ));
    }
}
