//! Why a command did not do what it was asked: one sentence, and an exit code.

use std::{fmt, io, path::PathBuf};

use assay_platform::{
    Code, Exit, Failure, SettingsError,
    error::{BoxError, chain},
    server::BindError,
    shutdown::Aborted,
    telemetry::TelemetryError,
};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// A service refused, or cannot be reached.
    Client(assay_client::Error),
    /// What was asked makes no sense as it is written.
    Usage(String),
    /// A file that was named cannot be read or does not say what it should.
    File { path: PathBuf, problem: String },
    /// The settings are wrong.
    Settings(SettingsError),
    /// A setting is right by itself and wrong for what was asked.
    Setting { key: &'static str, problem: String },
    /// The telemetry settings are wrong.
    Telemetry(TelemetryError),
    /// The data directory cannot be used.
    DataDir { path: PathBuf, problem: String },
    /// A database in the data directory cannot be opened.
    Database {
        path: PathBuf,
        source: assay_storage::Error,
    },
    /// Another process works on the data directory.
    DataDirInUse { path: PathBuf },
    /// An address cannot be listened on.
    Bind(BindError),
    /// A store is away, or does not do what it is asked.
    Store(assay_storage::Error),
    /// A store of the cluster, at the place that a setting names, cannot be used.
    StoreAt {
        key: &'static str,
        place: String,
        source: assay_storage::Error,
    },
    /// A service ended before its time.
    Serve { service: &'static str, source: BoxError },
    /// The end did not come in time.
    Aborted(Aborted),
    /// A record was refused.
    Refused(String),
    /// What was waited for did not come.
    Waited(String),
    /// There is something to change, and who asked wants to know by the exit code.
    Changes(usize),
    /// What was printed could not be written.
    Output(io::Error),
    /// A bug.
    Internal(BoxError),
}

impl Error {
    /// A bug.
    pub(crate) fn internal(error: impl Into<BoxError>) -> Self {
        Self::Internal(error.into())
    }

    /// With which code the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Client(assay_client::Error::Endpoint(_)) => Exit::Settings,
            Self::Client(assay_client::Error::Call(failure)) if is_elsewhere(failure) => Exit::Unavailable,
            Self::Client(error) => error.code().map_or(Exit::Failure, Exit::from),
            Self::Usage(_) => Exit::Usage,
            Self::Changes(_) => Exit::Changes,
            Self::File { .. } | Self::Refused(_) | Self::Output(_) => Exit::Failure,
            Self::Settings(_) | Self::Setting { .. } | Self::Telemetry(_) => Exit::Settings,
            Self::DataDir { .. } | Self::Database { .. } => Exit::CannotCreate,
            Self::Bind(error) if error.kind == io::ErrorKind::AddrInUse => Exit::Temporary,
            Self::Bind(_) => Exit::Settings,
            Self::Store(error) | Self::StoreAt { source: error, .. } if error.is_transient() => {
                Exit::Unavailable
            }
            Self::Store(_) | Self::StoreAt { .. } => Exit::Failure,
            Self::Aborted(Aborted::SecondSignal) => Exit::Interrupted,
            Self::DataDirInUse { .. } | Self::Aborted(Aborted::Deadline { .. }) | Self::Waited(_) => {
                Exit::Temporary
            }
            Self::Serve { .. } | Self::Internal(_) => Exit::Internal,
        }
    }

    /// Whether a service refused to create what is there already.
    pub(crate) fn already_exists(&self) -> bool {
        matches!(self, Self::Client(error) if error.code() == Some(Code::AlreadyExists))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => client(f, error),
            Self::Usage(problem) | Self::Refused(problem) | Self::Waited(problem) => f.write_str(problem),
            Self::Changes(1) => f.write_str("1 change is to be made"),
            Self::Changes(n) => write!(f, "{n} changes are to be made"),
            Self::File { path, problem } => write!(f, "file `{}`: {problem}", path.display()),
            Self::Settings(error) => f.write_str(&chain(error)),
            Self::Setting { key, problem } => write!(f, "setting `{key}` {problem}"),
            Self::Telemetry(error) => f.write_str(&chain(error)),
            Self::DataDir { path, problem } => {
                write!(
                    f,
                    "data directory `{}` cannot be used: {problem}; choose another with --data-dir",
                    path.display()
                )
            }
            Self::Database { path, source } => {
                let remedy = match source {
                    assay_storage::Error::Corrupt { .. } => {
                        "move the file away or bring back a backup, or choose"
                    }
                    _ => "choose",
                };
                let (path, cause) = (path.display(), chain(source));
                write!(
                    f,
                    "database `{path}` cannot be used: {cause}; {remedy} another directory with --data-dir"
                )
            }
            Self::DataDirInUse { path } => write!(
                f,
                "data directory `{}` is in use by another process; stop it or choose another with --data-dir",
                path.display()
            ),
            Self::Bind(error) => write!(f, "{error}"),
            Self::Store(error) => f.write_str(&chain(error)),
            Self::StoreAt { key, place, source } => write!(
                f,
                "the store at {place} cannot be used: {}; see to it, or name another with setting `{key}`",
                chain(source)
            ),
            Self::Serve { service, source } => write!(f, "{service} ended: {}", chain(source.as_ref())),
            Self::Aborted(error) => write!(f, "{error}"),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
            Self::Internal(error) => write!(f, "internal error: {}", chain(error.as_ref())),
        }
    }
}

/// The sentence of the service, its reason, and the fields that are wrong, one on a line.
fn client(f: &mut fmt::Formatter<'_>, error: &assay_client::Error) -> fmt::Result {
    write!(f, "{error}")?;
    let Some(failure) = error.failure() else {
        return Ok(());
    };
    if let Some(section) = called(failure) {
        let variable = section.to_uppercase();
        write!(
            f,
            "; start {section} there (`assay serve`), or set `client.{section}` (ASSAY__CLIENT__{variable}) to its address"
        )?;
    }
    if failure.reason != failure.code.name() && failure.violations.is_empty() {
        write!(f, " ({})", failure.reason)?;
    }
    for violation in &failure.violations {
        write!(
            f,
            "\n  {}: {} ({})",
            violation.field, violation.description, violation.reason
        )?;
    }
    Ok(())
}

/// The service whose address may be wrong, when the channel to it says that it could not be called.
fn called(failure: &Failure) -> Option<&str> {
    let is_channel = failure.metadata.iter().any(|(name, _)| name == "server");
    let (_, service) = failure
        .metadata
        .iter()
        .find(|(name, _)| is_channel && name == "service")?;
    service.strip_prefix("assay.")?.split('.').next()
}

/// Whether a server answered that does not have the service: the address is that of another one.
fn is_elsewhere(failure: &Failure) -> bool {
    failure.code == Code::Unimplemented && called(failure).is_some()
}

impl std::error::Error for Error {}

macro_rules! from {
    ($source:ty, $variant:ident) => {
        impl From<$source> for Error {
            fn from(error: $source) -> Self {
                Self::$variant(error)
            }
        }
    };
}

from!(assay_client::Error, Client);
from!(SettingsError, Settings);
from!(TelemetryError, Telemetry);
from!(BindError, Bind);
from!(assay_storage::Error, Store);
from!(Aborted, Aborted);

impl From<assay_platform::channel::ChannelError> for Error {
    fn from(error: assay_platform::channel::ChannelError) -> Self {
        Self::Client(error.into())
    }
}

#[cfg(test)]
mod tests {
    use assay_platform::FieldViolation;

    use super::*;

    #[test]
    fn every_wrong_field_has_its_line() {
        let failure = Failure::invalid(vec![
            FieldViolation::new(
                "flag.key",
                "KEY_REQUIRED",
                "is empty; give at least one character",
            ),
            FieldViolation::new("flag.type", "UNKNOWN_VALUE", "is 9"),
        ]);
        let error = Error::Client(failure.into());
        assert_eq!(error.exit(), Exit::Failure);
        let text = error.to_string();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("\n  flag.type: is 9 (UNKNOWN_VALUE)"), "{text}");
    }

    #[test]
    fn a_service_that_is_not_there_names_the_setting_of_its_address() {
        for (code, exit) in [
            (Code::Unavailable, Exit::Unavailable),
            (Code::Unimplemented, Exit::Unavailable),
            (Code::DeadlineExceeded, Exit::Temporary),
        ] {
            let failure = Failure::new(code, code.name(), "cannot reach http://x:1")
                .with_metadata("server", "http://x:1")
                .with_metadata("service", "assay.analysis.v1.AnalysisService");
            let error = Error::Client(failure.into());
            assert_eq!(
                error.to_string(),
                "cannot reach http://x:1; start analysis there (`assay serve`), or set `client.analysis` \
                 (ASSAY__CLIENT__ANALYSIS) to its address"
            );
            assert_eq!(error.exit(), exit);
        }
        let wrong = assay_client::Client::connect(&assay_client::Endpoints {
            config: "nowhere".to_owned(),
            ..Default::default()
        });
        assert_eq!(Error::from(wrong.unwrap_err()).exit(), Exit::Settings);
    }

    #[test]
    fn a_reason_is_told_once() {
        let failure = Failure::new(
            Code::FailedPrecondition,
            "INVALID_TRANSITION",
            "START is not possible",
        );
        assert_eq!(
            Error::Client(failure.into()).to_string(),
            "START is not possible (INVALID_TRANSITION)"
        );
        let failure = Failure::new(Code::Unavailable, "UNAVAILABLE", "cannot reach http://x");
        let error = Error::Client(failure.into());
        assert_eq!(
            (error.to_string().as_str(), error.exit()),
            ("cannot reach http://x", Exit::Unavailable)
        );
    }
}
