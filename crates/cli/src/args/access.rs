//! Keys and the audit trail on the command line.

use clap::{Args, Subcommand};

/// The verbs of API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyVerb {
    /// Make one. Its secret is printed once and cannot be shown again.
    Create(KeyArgs),
    /// List them, the revoked and the expired ones too.
    List,
    /// Make one invalid, for ever.
    Revoke {
        /// Its id.
        id: String,
        /// Why, for the audit trail.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// A key.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Its id, which is its holder's name in the audit trail.
    pub(crate) id: String,
    /// What it is for: viewer, editor, operator, admin, assigner, recorder or importer; may be given several times.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub(crate) roles: Vec<String>,
    /// A further namespace that it is for, besides that of --namespace.
    #[arg(long = "also", value_name = "NAMESPACE")]
    pub(crate) also: Vec<String>,
    /// For all namespaces, also those to come.
    #[arg(long, conflicts_with = "also")]
    pub(crate) all_namespaces: bool,
    /// When it ends, in RFC 3339. Default: never.
    #[arg(long, default_value = "", value_name = "TIME")]
    pub(crate) expires_at: String,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

/// The verbs of the audit trail.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// List changes, the latest first.
    List(TrailArgs),
    /// Prove that no row was changed or taken out, and print the head of the chain.
    Verify {
        /// The head that an earlier run has printed as it is now expected to be.
        #[arg(long, value_name = "HEX")]
        head: Option<String>,
    },
}

/// Which changes.
#[derive(Debug, Args)]
pub(crate) struct TrailArgs {
    /// Only of this resource, such as `experiment/cookie-cats`.
    #[arg(long, default_value = "")]
    pub(crate) resource: String,
    /// Only by this principal.
    #[arg(long, default_value = "")]
    pub(crate) actor: String,
    /// Only at or after this time, in RFC 3339.
    #[arg(long, default_value = "", value_name = "TIME")]
    pub(crate) since: String,
    /// Only before this time, in RFC 3339.
    #[arg(long, default_value = "", value_name = "TIME")]
    pub(crate) until: String,
    /// Most to list, at least 1.
    #[arg(long, default_value = "100", value_parser = super::at_least_one)]
    pub(crate) limit: usize,
}
