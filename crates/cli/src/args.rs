//! The command line: what can be asked, and how it is written.

mod access;
mod generation;
mod resource;
mod traffic;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use access::{AuditVerb, KeyArgs, KeyVerb, TrailArgs};
pub(crate) use generation::{ApplyArgs, Applying, Foreign, GenerationVerb, ImportArgs};
pub(crate) use resource::{
    ExperimentFields, Fields, FlagFields, MetricFields, SegmentFields, no_such_variant, split_weight,
};
pub(crate) use traffic::{HoldoutFields, LayerFields};

use crate::{output::Format, view::segment::Rule};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    refused: the answer says why (bad fields, not found, wrong state)
  2    the command line is wrong
  3    a plan that was asked to say so (--dry-run --exit-code) has changes
  64   the settings are wrong (file or environment)
  69   a service or store cannot be reached, or its address is that of something else
  70   a bug
  73   the data directory, or a database in it, cannot be used
  75   try again: port or data directory in use, lost a race, limit reached, not in time
  77   not permitted
  130  interrupted twice

Settings: defaults, then --settings FILE (TOML), then the environment (ASSAY__SECTION__KEY, such as ASSAY__CLIENT__CONFIG).";

/// Assay: experiments you can trust, and since when.
#[derive(Debug, Parser)]
#[command(name = "assay", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Settings file (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Namespace.
    #[arg(short, long, global = true, default_value = "default")]
    pub(crate) namespace: String,
    /// Form of the answer.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the platform: every service in this process on SQLite, or one service on the cluster's stores.
    Serve(ServeArgs),
    /// Replay two real experiments and run a live one, through the public doors, and print what came of them.
    Demo(DemoArgs),
    /// The named things that experiments change.
    #[command(subcommand)]
    Flag(Plain<FlagFields>),
    /// Named audiences.
    #[command(subcommand)]
    Segment(SegmentVerb),
    /// Definitions over events.
    #[command(subcommand)]
    Metric(Plain<MetricFields>),
    /// Bucket spaces within which experiments exclude each other.
    #[command(subcommand)]
    Layer(Plain<LayerFields>),
    /// Units kept out of all experiments of a scope.
    #[command(subcommand)]
    Holdout(Plain<HoldoutFields>),
    /// Controlled comparisons and their lifecycle.
    #[command(subcommand)]
    Experiment(ExperimentVerb),
    /// What was published, who changed it, and the way back.
    #[command(subcommand)]
    Generation(GenerationVerb),
    /// Make a namespace as files say: plan, then one change or none. What a file leaves out stays as it is.
    Apply(ApplyArgs),
    /// Print the definitions of all that a namespace has, one YAML document a resource (with `-o json`, an array).
    Export,
    /// Put an export into a namespace, in one change or none; or what GrowthBook or flagd has. What it leaves out gets its default.
    Import(ImportArgs),
    /// Ask which variant a unit gets.
    Assign(AssignArgs),
    /// Say why a unit gets what it gets, or got it at a generation: every gate, with what it compared.
    Explain(ExplainArgs),
    /// List the replicas of assignment: what each serves, and how old that is.
    Replicas,
    /// Show what an experiment did.
    Results {
        /// Key of the experiment.
        experiment: String,
    },
    /// List the exposed units of an experiment.
    Assignments(AssignmentsArgs),
    /// Record what happened.
    #[command(subcommand)]
    Event(EventVerb),
    /// API keys: who may call what.
    #[command(subcommand)]
    Key(KeyVerb),
    /// Show who you are to the services, and what you may do.
    Whoami,
    /// The audit trail: who changed what, when and why.
    #[command(subcommand)]
    Audit(AuditVerb),
    /// Print the completion script of a shell.
    Completion {
        /// Which shell.
        shell: Shell,
    },
}

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The one service to run, on etcd, Redis and Postgres. Without it all run in this process, on SQLite.
    #[arg(value_enum)]
    pub(crate) service: Option<Service>,
    /// Directory of this process's files. Default: `stores.data_dir` of the settings, `./assay-data`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Flags, segments, metrics, experiments.
    Config,
    /// Who gets what.
    Assignment,
    /// Events and exposures.
    Ingest,
    /// Results.
    Analysis,
}

/// How to show the platform.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where to keep its data; a second run there resumes. Default: a new temporary directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// End when everything was shown, also on a terminal.
    #[arg(long)]
    pub(crate) exit: bool,
}

/// The verbs of flags, segments, metrics, layers and holdouts.
#[derive(Debug, Subcommand)]
pub(crate) enum Plain<F: Args + std::fmt::Debug> {
    #[command(flatten)]
    Common(Common<F>),
    /// List all.
    List,
}

/// The verbs of segments.
#[derive(Debug, Subcommand)]
pub(crate) enum SegmentVerb {
    #[command(flatten)]
    Plain(Plain<SegmentFields>),
    /// Say whether a unit with given attributes belongs to it, and why, rule by rule.
    Test(SegmentTestArgs),
}

/// Which segment to test, and on whom.
#[derive(Debug, Args)]
pub(crate) struct SegmentTestArgs {
    /// Key of a stored segment.
    #[arg(required_unless_present_any = ["file", "rules"])]
    pub(crate) key: Option<String>,
    /// Its version. Default: the latest.
    #[arg(long, conflicts_with_all = ["file", "rules"])]
    pub(crate) version: Option<u64>,
    /// YAML or JSON of one that is not stored; `-` is stdin.
    #[arg(short, long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) file: Option<PathBuf>,
    /// A rule of one that is not stored, such as `country in DE,AT`; all must hold.
    #[arg(long = "rule", value_name = "RULE", conflicts_with_all = ["key", "file"])]
    pub(crate) rules: Vec<Rule>,
    /// An attribute of the unit, such as `country=DE` or `level=12`.
    #[arg(short, long = "attribute", value_name = "NAME=VALUE")]
    pub(crate) attributes: Vec<String>,
}

/// The verbs of every kind of resource.
#[derive(Debug, Subcommand)]
pub(crate) enum Common<F: Args + std::fmt::Debug> {
    /// Create one, from a file, from the options, or from a file changed by the options.
    Create(Written<F>),
    /// Show one.
    #[command(alias = "get")]
    Show {
        /// Its key.
        key: String,
    },
    /// Change one: what the file and the options say, all else stays.
    Update(Written<F>),
    /// Remove one.
    Delete(Named),
}

/// A resource as it is written down.
#[derive(Debug, Args)]
pub(crate) struct Written<F: Args + std::fmt::Debug> {
    /// Its key; may stand in the file instead.
    pub(crate) key: Option<String>,
    /// YAML or JSON with the API's JSON names (`defaultValue`); `-` is stdin.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// For update: the version that must be stored. Default: the present one.
    #[arg(long)]
    pub(crate) version: Option<u64>,
    #[command(flatten)]
    pub(crate) fields: F,
}

/// One resource in one version.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its key.
    pub(crate) key: String,
    /// The version that must be stored. Default: the present one.
    #[arg(long)]
    pub(crate) version: Option<u64>,
}

/// Whether to wait until a change has taken hold.
#[derive(Debug, Args)]
pub(crate) struct Waiting {
    /// Wait, such as `20s`, until every replica serves the change, and say how long the slowest took. Without a duration: 10 s.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "10s")]
    pub(crate) wait: Option<String>,
}

/// Why something is done to an experiment.
#[derive(Debug, Args)]
pub(crate) struct Commanded {
    #[command(flatten)]
    pub(crate) named: Named,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
    /// Why, for the audit trail.
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
}

/// The verbs of experiments.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "parsed once")]
pub(crate) enum ExperimentVerb {
    #[command(flatten)]
    Common(Common<ExperimentFields>),
    /// List them; the archived only with --state ARCHIVED.
    List {
        /// Only those in one of these states.
        #[arg(long = "state", value_name = "STATE")]
        states: Vec<String>,
        /// Only those of this flag.
        #[arg(long, default_value = "")]
        flag: String,
        /// Only those of this owner.
        #[arg(long, default_value = "")]
        owner: String,
        /// Only those with all of these tags.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
        /// Only those with words that begin like each of these.
        #[arg(long, default_value = "")]
        text: String,
    },
    /// Say what Start would refuse, of a stored experiment or of a file.
    Validate {
        /// Key of a stored experiment.
        key: Option<String>,
        /// YAML or JSON of one that is not stored; `-` is stdin.
        #[arg(
            short,
            long,
            value_name = "FILE",
            conflicts_with = "key",
            required_unless_present = "key"
        )]
        file: Option<PathBuf>,
    },
    /// Begin, now or at its start time: live units may see another variant from then on.
    Start {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Take back a start that lies ahead.
    Unschedule(Commanded),
    /// Hold, reversibly.
    Pause {
        #[command(flatten)]
        commanded: Commanded,
        /// What units get meanwhile: `serve-default` or `hold-enrollment`.
        #[arg(long, default_value = "")]
        mode: String,
    },
    /// Go on after a pause.
    Resume(Commanded),
    /// Split units not seen before in another way; all others keep what they have. Needs `sticky` STORED.
    AddCohort {
        #[command(flatten)]
        commanded: Commanded,
        /// The new share of a variant, such as `green=33%`; one that is not given gets the rest.
        #[arg(long = "weight", value_name = "KEY=SHARE", required_unless_present = "close")]
        weights: Vec<String>,
        /// The variant that gets no new units; the others share what it had.
        #[arg(
            long,
            value_name = "KEY",
            default_value = "",
            hide_default_value = true,
            conflicts_with = "weights"
        )]
        close: String,
    },
    /// Complete without winner; the flag serves its default. Final after a minute.
    Stop(Commanded),
    /// Complete with a winner: everyone gets it, and it becomes the flag's default. Final after a minute.
    DeclareWinner {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        waiting: Waiting,
        /// Key of the variant that won.
        variant: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Declare it without a winner signal from analysis.
        #[arg(long)]
        force: bool,
    },
    /// Take back a stop or a winner, within a minute.
    Undo(Commanded),
    /// Serve nothing for it any more; reports stay.
    End {
        #[command(flatten)]
        commanded: Commanded,
        /// End it although it is still asked for.
        #[arg(long)]
        force: bool,
    },
    /// Hide it from lists; all data are kept.
    Archive(Commanded),
    /// Show it in lists again.
    Unarchive(Commanded),
    /// Copy it into a new draft.
    Duplicate {
        /// Key of the one to copy.
        key: String,
        /// Key of the copy. Default: `<key>-copy`.
        #[arg(default_value = "")]
        new_key: String,
    },
}

/// Whom to decide for.
#[derive(Debug, Args)]
pub(crate) struct AssignArgs {
    /// The unit, as `kind/id` or, of kind user, `id`.
    pub(crate) unit: String,
    /// Keys of flags, or of experiments. None: all flags of the namespace.
    pub(crate) flags: Vec<String>,
    /// An attribute, such as `country=DE` or `level=12`.
    #[arg(short, long = "attribute", value_name = "NAME=VALUE")]
    pub(crate) attributes: Vec<String>,
    /// Record the answers as exposures. Without it this is a look that nothing counts.
    #[arg(long)]
    pub(crate) record: bool,
}

/// Whom and what to explain.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Key of a flag, or of an experiment.
    pub(crate) flag: String,
    /// The unit, as `kind/id` or, of kind user, `id`.
    #[arg(long, value_name = "KIND/ID")]
    pub(crate) unit: Option<String>,
    /// An attribute, such as `country=DE` or `level=12`.
    #[arg(short, long = "attribute", value_name = "NAME=VALUE")]
    pub(crate) attributes: Vec<String>,
    /// A generation of the past. Default: what is served now.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) generation: Option<u64>,
}

/// Which assignments to list.
#[derive(Debug, Args)]
pub(crate) struct AssignmentsArgs {
    /// Key of the experiment.
    pub(crate) experiment: String,
    /// Only this unit.
    #[arg(long, value_name = "KIND/ID")]
    pub(crate) unit: Option<String>,
    /// Most to list, at least 1.
    #[arg(long, default_value = "1000", value_parser = at_least_one)]
    pub(crate) limit: usize,
}

/// The verbs of events.
#[derive(Debug, Subcommand)]
pub(crate) enum EventVerb {
    /// Record one event.
    Record(EventArgs),
}

/// An event.
#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    /// Who acted, as `kind/id` or, of kind user, `id`.
    pub(crate) unit: String,
    /// What was done.
    pub(crate) name: String,
    /// A number.
    #[arg(long, allow_hyphen_values = true, value_parser = finite)]
    pub(crate) value: Option<f64>,
    /// When, in RFC 3339. Default: now.
    #[arg(long, default_value = "")]
    pub(crate) time: String,
    /// The id under which it counts once. Default: a new one.
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// More about it, such as `item=hat`.
    #[arg(short, long = "property", value_name = "NAME=VALUE")]
    pub(crate) properties: Vec<String>,
    /// Keep the time it gives, however old.
    #[arg(long)]
    pub(crate) imported: bool,
}

/// A number of things to show.
fn at_least_one(written: &str) -> Result<usize, String> {
    let number = written.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "give a whole number of at least 1".to_owned())
}

/// A number that is one: not `nan`, not `inf`.
fn finite(written: &str) -> Result<f64, String> {
    let number = written.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "give a finite number, such as 19.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_segment_to_test_is_named_or_written() {
        let parsed =
            |options: &[&str]| Cli::try_parse_from([&["assay", "segment", "test"], options].concat()).is_ok();
        assert!(parsed(&["payers", "--version", "3", "-a", "country=DE"]));
        assert!(parsed(&[
            "--rule",
            "country eq DE",
            "--rule",
            "not(level exists)"
        ]));
        assert!(parsed(&["-f", "segment.yaml"]));
        assert!(!parsed(&["-a", "country=DE"]));
        assert!(!parsed(&["payers", "--rule", "country eq DE"]));
        assert!(!parsed(&["--version", "3", "-f", "segment.yaml"]));
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        let cli = Cli::try_parse_from(["assay", "flag", "list", "-o", "json", "-n", "shop"]).unwrap();
        assert_eq!(
            (cli.global.output, cli.global.namespace.as_str()),
            (Format::Json, "shop")
        );
        let cli = Cli::try_parse_from(["assay", "experiment", "get", "x"]).unwrap();
        assert!(matches!(
            cli.verb,
            Verb::Experiment(ExperimentVerb::Common(Common::Show { .. }))
        ));
    }
}
