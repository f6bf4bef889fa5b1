//! What Assay does, on real data: a client of the public doors alone, beside a platform that runs in the same process.

mod cookie_cats;
mod live;
mod nsw;
mod replay;
mod setup;
mod wait;

use std::{
    io::IsTerminal,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use assay_client::{Client, Endpoints};
use assay_core::key::Namespace;
use assay_platform::{
    ChannelOptions, Shutdown, SystemClock, TelemetrySettings, shutdown::run_until_signal, telemetry,
};
use serde::Serialize;

use crate::{
    args::{DemoArgs, Global},
    error::Error,
    output::{self, Format},
    serve::embedded::{Doors, Listeners, Platform},
    settings::Settings,
    view::result::ExperimentResult as ResultView,
};

/// Beyond the default of calls within a cluster: the first result after a replay is asked for while the machine is busy.
const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What every part of the demo works with.
pub(crate) struct Stage {
    client: Client,
    endpoints: Endpoints,
    namespace: Namespace,
    /// In which form the answer is printed.
    format: Format,
    /// Whether to draw progress bars.
    terminal: bool,
}

/// Shows the platform.
pub(crate) async fn run(global: &Global, args: DemoArgs) -> Result<(), Error> {
    let mut settings = Settings::load(global.settings.as_deref())?;
    if settings.telemetry.log_filter == TelemetrySettings::default().log_filter {
        settings.telemetry.log_filter = "warn".to_owned();
    }
    let telemetry = telemetry::init(&settings.telemetry)?;
    let namespace = Namespace::new(global.namespace.as_str())
        .map_err(|error| Error::Usage(format!("--namespace `{}` {error}", global.namespace)))?;
    let format = global.output;
    let shown = run_until_signal("demo", |shutdown| {
        perform(settings, namespace, format, args, shutdown)
    })
    .await;
    telemetry.shutdown().await;
    shown?
}

async fn perform(
    mut settings: Settings,
    namespace: Namespace,
    format: Format,
    args: DemoArgs,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let directory = Directory::of(args.data_dir)?;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    settings.stores.data_dir = directory.path().to_owned();
    settings.config.listen = any_port;
    settings.assignment.listen = any_port;
    settings.ingest.listen = any_port;
    settings.analysis.listen = any_port;
    settings.openfeature.flagd_listen = None;
    settings.openfeature.ofrep_listen = None;
    let listeners = Listeners::bind(&settings).await?;
    let doors = listeners.doors()?;
    let platform = Platform::open(&settings).await?;
    let serving = tokio::spawn(serve(platform, settings, listeners, shutdown.clone()));

    let terminal = std::io::stdout().is_terminal();
    let stage = Stage::new(doors.endpoints(), namespace, format, terminal)?;
    let stay = terminal && !args.exit;
    let told = shutdown
        .or_done(tell(&stage, &doors, directory.path(), stay))
        .await;
    if stay && matches!(told, Some(Ok(()))) {
        shutdown.triggered().await;
    }
    shutdown.trigger();
    // What the platform says of its end tells more than what a client met by then.
    serving.await.map_err(Error::internal)??;
    told.unwrap_or_else(|| Err(Error::Waited("the demo was stopped before its end".to_owned())))
}

/// The platform as the demo needs it: on loopback, and nobody needs a key.
async fn serve(
    platform: Platform,
    settings: Settings,
    listeners: Listeners,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let between = ChannelOptions::default();
    platform
        .serve(settings, &between, listeners, SystemClock::shared(), shutdown)
        .await
}

impl Stage {
    fn new(
        endpoints: Endpoints,
        namespace: Namespace,
        format: Format,
        terminal: bool,
    ) -> Result<Self, Error> {
        let client = connect(&endpoints)?;
        Ok(Self {
            client,
            endpoints,
            namespace,
            format,
            terminal,
        })
    }

    /// Tells people something: on stdout, unless that is for a document.
    fn say(&self, text: impl AsRef<str>) -> Result<(), Error> {
        match self.format {
            Format::Table => output::lines(text),
            Format::Json | Format::Yaml => {
                output::note(text);
                Ok(())
            }
        }
    }
}

/// A client with connections of its own.
fn connect(endpoints: &Endpoints) -> Result<Client, Error> {
    let options = ChannelOptions {
        request_timeout: REQUEST_TIMEOUT,
        ..ChannelOptions::default()
    };
    Ok(Client::connect_with(endpoints, &options)?)
}

/// What the three acts came to, as a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    cookie_cats: ResultView,
    nsw: ResultView,
    live: live::Reached,
}

/// The three acts.
async fn tell(stage: &Stage, doors: &Doors, directory: &Path, stay: bool) -> Result<(), Error> {
    stage.say(format!(
        "Assay, every service in this process, on SQLite in {}.\n",
        directory.display()
    ))?;
    let shown = Shown {
        cookie_cats: ResultView::of(cookie_cats::show(stage).await?),
        nsw: ResultView::of(nsw::show(stage).await?),
        live: live::show(stage).await?,
    };
    if stage.format != Format::Table {
        output::document(stage.format, &shown, String::new)?;
    }
    if stay {
        stage.say(next_steps(doors))
    } else {
        Ok(())
    }
}

/// What to try while it stays up.
fn next_steps(doors: &Doors) -> String {
    let exports = doors.list().into_iter().map(|(name, address, _)| {
        format!("  export ASSAY__CLIENT__{}=http://{address}", name.to_uppercase())
    });
    let assignment = doors.endpoints().assignment;
    let assignment = assignment.trim_start_matches("http://");
    format!(
        "\nThe platform stays up until ctrl-c. In another terminal:\n\n{}\n\n  assay experiment list\n  \
         assay experiment show {cookie}\n  assay results {cookie} -o json\n  assay assignments {nsw} --limit 5\n  \
         assay assign 42 {flag} --attribute country=DE\n  assay experiment pause {live}\n  \
         grpcurl -plaintext -d '{{\"unit\":{{\"id\":\"42\"}},\"flag_keys\":[\"{flag}\"]}}' {assignment} \
         assay.assignment.v1.AssignmentService/Assign\n",
        exports.collect::<Vec<_>>().join("\n"),
        cookie = cookie_cats::EXPERIMENT,
        nsw = nsw::EXPERIMENT,
        live = live::EXPERIMENT,
        flag = live::FLAG,
    )
}

/// Where the data are: a directory that was given and stays, or one of our own that goes.
struct Directory {
    path: PathBuf,
    temporary: bool,
}

impl Directory {
    fn of(given: Option<PathBuf>) -> Result<Self, Error> {
        if let Some(path) = given {
            return Ok(Self {
                path,
                temporary: false,
            });
        }
        let path = std::env::temp_dir().join(format!("assay-demo-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| Error::DataDir {
            path: path.clone(),
            problem: error.to_string(),
        })?;
        Ok(Self {
            path,
            temporary: true,
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            output::note(format!(
                "the temporary directory {} stays: {error}",
                self.path.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests;
