//! Generations and whole namespaces on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Waiting;

/// The verbs of generations.
#[derive(Debug, Subcommand)]
pub(crate) enum GenerationVerb {
    /// List them, latest first: who made each, and how.
    List {
        /// Most to list, at least 1.
        #[arg(long, default_value = "20", value_parser = super::at_least_one)]
        limit: usize,
    },
    /// Show all that was published at one.
    Show {
        /// Its number.
        generation: u64,
    },
    /// Say what differs between two, resource by resource.
    Diff {
        /// The one to begin from.
        from: u64,
        /// The one to compare with it. Default: the newest.
        to: Option<u64>,
    },
    /// Publish anew what one served; results keep their history.
    Rollback {
        /// The one whose answers to restore.
        generation: u64,
        /// Why.
        #[arg(long)]
        reason: String,
        /// The newest one, as you have seen it. Default: the newest one now.
        #[arg(long, value_name = "GENERATION")]
        expected: Option<u64>,
        /// Only say what would change.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        waiting: Waiting,
    },
}

/// What a namespace is to have.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// YAML or JSON files of resources, each document with its `kind`; a directory stands for all files in it, `-` for stdin.
    #[arg(short, long = "file", value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) how: Applying,
}

/// What to put into a namespace.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(crate) from: Option<Foreign>,
    /// What `assay export` has printed; a directory stands for all files in it, `-` for stdin.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) how: Applying,
}

/// Whose file to translate: flags, segments and draft experiments that give every unit what it got there, and a list of what could not
/// be carried over.
#[derive(Debug, Subcommand)]
pub(crate) enum Foreign {
    /// A features payload of GrowthBook, as its SDKs download it.
    Growthbook(ForeignArgs),
    /// A flag file of flagd.
    Flagd {
        #[command(flatten)]
        args: ForeignArgs,
        /// What `fractional` computes in the flagd in use; each change there moved units.
        #[arg(long, value_parser = ["percent", "scaled", "cbor"], default_value = "scaled")]
        fractional: String,
    },
}

/// A file of another system.
#[derive(Debug, Args)]
pub(crate) struct ForeignArgs {
    /// JSON, or YAML; `-` for stdin.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) how: Applying,
}

/// How to change a namespace.
#[derive(Debug, Args)]
pub(crate) struct Applying {
    /// Remove what the files do not name: drafts, and what nothing uses. Never an experiment that has begun, nor what it uses.
    #[arg(long)]
    pub(crate) prune: bool,
    /// Only print the plan.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: end with exit code 3 when there is something to change.
    #[arg(long, requires = "dry_run")]
    pub(crate) exit_code: bool,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}
