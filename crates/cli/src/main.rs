//! `assay`, the one binary: `serve` runs the platform, `demo` shows it, the other verbs are the operator's.
//!
//! Read [`args`] (what can be asked), then [`verbs`] (clients of the public API), [`serve`] (which stores stand behind which port: only
//! here) and [`demo`] (a client like any other). Only [`output`] prints.

mod args;
mod demo;
mod error;
mod foreign;
mod output;
mod serve;
mod settings;
mod verbs;
mod view;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    args::{Cli, Verb},
    error::Error,
};

fn main() -> ExitCode {
    assay_platform::install_crypto();
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format!("assay: {error}"));
            error.exit().into()
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    runtime.block_on(async {
        match cli.verb {
            Verb::Serve(args) => serve::run(&cli.global, args).await,
            Verb::Demo(args) => demo::run(&cli.global, args).await,
            verb => verbs::run(&cli.global, verb).await,
        }
    })
}
