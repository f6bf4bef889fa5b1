//! What the errors of the SQL drivers mean to a caller.

use std::sync::Arc;

use sea_orm::{
    DbErr, RuntimeErr, SqlErr,
    sqlx::{self, error::DatabaseError, postgres::PgDatabaseError},
};

use crate::Error;

/// What `error` means: may the same call succeed later, is there no room, is what is stored broken, or is it refused for good.
///
/// Check [`unique_violation`] first where one is expected: here it is only [`Error::AlreadyExists`] of a constraint.
pub(crate) fn classify(error: DbErr) -> Error {
    match error {
        DbErr::ConnectionAcquire(source) => Error::Unavailable {
            store: "database",
            source: source.into(),
        },
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => classify_driver(&error),
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } | DbErr::ConvertFromU64(_) => {
            corrupt("database", error.to_string())
        }
        other => Error::Refused {
            store: "database",
            source: other.into(),
        },
    }
}

/// The name or message of the unique constraint that `error` says is violated.
pub(crate) fn unique_violation(error: &DbErr) -> Option<String> {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(message)) => Some(message),
        _ => None,
    }
}

/// As [`classify`], for what the driver says.
pub(super) fn classify_driver(error: &Arc<sqlx::Error>) -> Error {
    let source = || Box::new(Arc::clone(error));
    match &**error {
        sqlx::Error::Database(refusal) => match refusal.try_downcast_ref::<PgDatabaseError>() {
            Some(postgres) => classify_state(postgres.code(), error),
            None => classify_sqlite(&**refusal, error),
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => Error::Unavailable {
            store: "database",
            source: source(),
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => corrupt("database", error.to_string()),
        _ => Error::Refused {
            store: "database",
            source: source(),
        },
    }
}

/// By SQLSTATE (Postgres documentation, appendix A).
fn classify_state(state: &str, error: &Arc<sqlx::Error>) -> Error {
    let store = "postgres";
    let source = Box::new(Arc::clone(error));
    match state {
        "23505" => Error::AlreadyExists {
            what: error.to_string(),
        },
        // disk_full, configuration_limit_exceeded
        "53100" | "53400" => Error::Full { store, source },
        // A standby, a canceled statement, a lock or a serialization lost: another try, or another server, can do it.
        "25006" | "57014" | "55P03" | "40001" | "40P01" | "25P03" => Error::Unavailable { store, source },
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => corrupt(store, error.to_string()),
        // Connection exceptions, insufficient resources, operator intervention, system errors.
        _ if ["08", "53", "57", "58"]
            .iter()
            .any(|class| state.starts_with(class)) =>
        {
            Error::Unavailable { store, source }
        }
        _ => Error::Refused { store, source },
    }
}

/// By primary result code (SQLite documentation, "Result and Error Codes").
fn classify_sqlite(refusal: &dyn DatabaseError, error: &Arc<sqlx::Error>) -> Error {
    let store = "sqlite";
    let source = Box::new(Arc::clone(error));
    let code: i32 = refusal.code().and_then(|code| code.parse().ok()).unwrap_or(0);
    match (code, code & 0xff) {
        // SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
        (1555 | 2067, _) => Error::AlreadyExists {
            what: error.to_string(),
        },
        // FULL
        (_, 13) => Error::Full { store, source },
        // BUSY, LOCKED, INTERRUPT, IOERR, CANTOPEN, PROTOCOL
        (_, 5 | 6 | 9 | 10 | 14 | 15) => Error::Unavailable { store, source },
        // CORRUPT, NOTADB
        (_, 11 | 26) => Error::Corrupt {
            store,
            what: "the file".into(),
            detail: error.to_string(),
        },
        _ => Error::Refused { store, source },
    }
}

fn corrupt(store: &'static str, detail: String) -> Error {
    Error::Corrupt {
        store,
        what: "a row".into(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_state(state: &str) -> Error {
        classify_state(state, &Arc::new(sqlx::Error::RowNotFound))
    }

    #[test]
    fn states_that_pass_are_unavailable() {
        for state in [
            "25006", "57P01", "57P03", "08006", "08001", "53300", "55P03", "40001", "40P01", "57014", "58030",
        ] {
            assert!(matches!(of_state(state), Error::Unavailable { .. }), "{state}");
        }
    }

    #[test]
    fn states_that_stay_are_not() {
        assert!(matches!(of_state("53100"), Error::Full { .. }));
        assert!(matches!(of_state("23505"), Error::AlreadyExists { .. }));
        assert!(matches!(of_state("XX001"), Error::Corrupt { .. }));
        for state in ["42P01", "22021", "28P01", "3D000", "23503"] {
            assert!(matches!(of_state(state), Error::Refused { .. }), "{state}");
        }
    }

    #[test]
    fn a_lost_connection_is_unavailable() {
        let lost = DbErr::Conn(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(
            std::io::ErrorKind::ConnectionReset.into(),
        ))));
        assert!(classify(lost).is_transient());
        assert!(classify(DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout)).is_transient());
        assert!(matches!(classify(DbErr::Type("x".into())), Error::Corrupt { .. }));
    }
}
