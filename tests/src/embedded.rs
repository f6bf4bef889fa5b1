//! The platform as one process of the `assay` binary, on SQLite.

use std::time::Duration;

use anyhow::{Context, Result};
use assay_client::{Client, Endpoints};
use tempfile::TempDir;

use crate::{port::Port, process::Process};

const START: Duration = Duration::from_secs(30);

/// One process with its data, running or not.
pub struct Embedded {
    data_dir: TempDir,
    /// Of config, assignment, ingest and analysis.
    ports: [Port; 4],
    process: Option<Process>,
}

impl Embedded {
    /// Starts it on a new data directory and waits until it listens.
    ///
    /// # Errors
    /// When it does not start; with what it wrote.
    pub async fn start() -> Result<Self> {
        let mut embedded = Self {
            data_dir: tempfile::tempdir()?,
            ports: [
                Port::reserve()?,
                Port::reserve()?,
                Port::reserve()?,
                Port::reserve()?,
            ],
            process: None,
        };
        embedded.begin().await?;
        Ok(embedded)
    }

    /// Starts it again on the same data.
    ///
    /// # Errors
    /// When it does not start; with what it wrote.
    pub async fn begin(&mut self) -> Result<()> {
        let [config, assignment, ingest, analysis] =
            self.ports.each_ref().map(|port| port.addr().to_string());
        let data_dir = self.data_dir.path().display().to_string();
        let env = [
            ("ASSAY__CONFIG__LISTEN", config.as_str()),
            ("ASSAY__ASSIGNMENT__LISTEN", &assignment),
            ("ASSAY__INGEST__LISTEN", &ingest),
            ("ASSAY__ANALYSIS__LISTEN", &analysis),
            ("ASSAY__OPENFEATURE__FLAGD_LISTEN", "off"),
            ("ASSAY__OPENFEATURE__OFREP_LISTEN", "off"),
            ("ASSAY__STORES__DATA_DIR", &data_dir),
        ];
        let mut process = Process::assay(&["serve"], &env)?;
        process.wait_for_line("Assay runs in this process", START).await?;
        self.process = Some(process);
        Ok(())
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("it is not running")?.kill()?;
        Ok(())
    }

    /// A client of all services, for this life and the next.
    ///
    /// # Errors
    /// Never for addresses that [`Embedded::start`] made.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.endpoints())?)
    }

    /// Where its services answer, in this life and the next.
    pub fn endpoints(&self) -> Endpoints {
        let [config, assignment, ingest, analysis] = self
            .ports
            .each_ref()
            .map(|port| format!("http://{}", port.addr()));
        Endpoints {
            config,
            assignment,
            ingest,
            analysis,
        }
    }
}
