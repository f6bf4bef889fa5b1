//! How a process says why it ended.

use std::process::ExitCode;

use crate::error::Code;

/// The exit codes of `assay`, after `sysexits.h` so that supervisors and scripts can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything went well.
    Ok = 0,
    /// The operation failed for a reason without a code of its own, such as a refused request.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A plan that was asked to say so has changes.
    Changes = 3,
    /// The settings are wrong (file or environment). Restarting does not help.
    Settings = 64,
    /// A store or a server could not be reached.
    Unavailable = 69,
    /// A bug: something that cannot happen did.
    Internal = 70,
    /// An output file or the data directory cannot be created.
    CannotCreate = 73,
    /// A temporary failure, such as a port in use or a missed shutdown deadline: trying again may help.
    Temporary = 75,
    /// The caller may not do this.
    Permission = 77,
    /// A second signal cut the shutdown short.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Code> for Exit {
    /// The exit code of a command whose RPC failed with `code`.
    fn from(code: Code) -> Self {
        match code {
            Code::Unavailable => Self::Unavailable,
            Code::Aborted | Code::ResourceExhausted | Code::DeadlineExceeded => Self::Temporary,
            Code::PermissionDenied | Code::Unauthenticated => Self::Permission,
            Code::Internal | Code::DataLoss => Self::Internal,
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Unimplemented => Self::Failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_sysexits() {
        assert_eq!(Exit::Settings as u8, 64);
        assert_eq!(Exit::Unavailable as u8, 69);
        assert_eq!(Exit::from(Code::Unavailable), Exit::Unavailable);
    }
}
