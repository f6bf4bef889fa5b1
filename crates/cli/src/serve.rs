//! Running the platform: which store stands behind which port is decided here, and nowhere else.

pub(crate) mod auth;
mod cluster;
pub(crate) mod data_dir;
pub(crate) mod embedded;

use std::{net::SocketAddr, path::Path};

use assay_platform::{
    Clock, Observed, Shutdown, SystemClock, server::bind, shutdown::run_until_signal, telemetry,
};

use crate::{
    args::{Global, ServeArgs, Service},
    error::Error,
    output,
    settings::Settings,
};
use auth::Door;
use embedded::{Doors, Listeners};

/// Serves until a signal.
pub(crate) async fn run(global: &Global, args: ServeArgs) -> Result<(), Error> {
    let mut settings = Settings::load(global.settings.as_deref())?;
    if let Some(data_dir) = args.data_dir {
        settings.stores.data_dir = data_dir;
    }
    let name = args.service.map_or("assay", service_name);
    if settings.telemetry.service_name == "assay" {
        settings.telemetry.service_name = name.to_owned();
    }
    let telemetry = telemetry::init(&settings.telemetry)?;
    let observed = Observed::new();
    settings.observed_by(&observed);
    let served = run_until_signal(name, |shutdown| async move {
        observe(&settings, observed, &shutdown).await?;
        match args.service {
            None => all(settings, shutdown).await,
            Some(service) => cluster::serve(service, settings, shutdown).await,
        }
    });
    let served = served.await;
    telemetry.shutdown().await;
    served?
}

/// Tells of this process on a port of its own, if the settings name one.
async fn observe(settings: &Settings, observed: Observed, shutdown: &Shutdown) -> Result<(), Error> {
    let Some(listen) = settings.observe.listen else {
        return Ok(());
    };
    let listener = bind(&listen.to_string()).await?;
    let address = listener.local_addr().map_err(Error::internal)?;
    output::note(format!(
        "assay: metrics, health and status on http://{address}/metrics, /healthz, /readyz, /status"
    ));
    tokio::spawn(assay_platform::observe::serve(
        listener,
        observed,
        shutdown.clone(),
    ));
    Ok(())
}

fn service_name(service: Service) -> &'static str {
    match service {
        Service::Config => "assay-config",
        Service::Assignment => "assay-assignment",
        Service::Ingest => "assay-ingest",
        Service::Analysis => "assay-analysis",
    }
}

async fn all(mut settings: Settings, shutdown: Shutdown) -> Result<(), Error> {
    settings.check_one_process()?;
    let stores = &settings.stores;
    if !(stores.postgres_url.is_empty() && stores.redis_url.is_empty() && stores.etcd_endpoints.is_empty()) {
        output::note(
            "assay: all services run on SQLite here; the Postgres, etcd and Redis of the settings are for `assay serve SERVICE`",
        );
    }
    let listeners = Listeners::bind(&settings).await?;
    let doors = listeners.doors()?;
    let platform = embedded::Platform::open(&settings).await?;
    let clock = SystemClock::shared();
    let door = Door::embedded(&settings.auth, doors.are_local(), &clock, &shutdown);
    platform.first_key(&door, &settings, &clock).await?;
    door.guard(&mut settings);
    output::lines(welcome(&doors, &settings.stores.data_dir, door.access.is_open()))?;
    platform
        .serve(settings, &door.channel_options(), listeners, clock, shutdown)
        .await
}

/// What runs where.
fn welcome(doors: &Doors, data_dir: &Path, is_open: bool) -> String {
    let rows = doors
        .list()
        .into_iter()
        .map(|(name, address, what)| vec![name.to_owned(), address.to_string(), what.to_owned()]);
    let reach = match (doors.are_local(), is_open) {
        (false, true) => {
            "Reachable from other machines, without authentication: keep these ports to networks you trust."
        }
        (false, false) => "Reachable from other machines; callers need an API key.",
        (true, false) => "On loopback only; callers need an API key.",
        (true, true) => "On loopback only; `listen` in the section of a service opens it to other machines.",
    };
    format!(
        "Assay runs in this process, on SQLite in {}.\n\n{}\n\n{reach}\nStop it with ctrl-c.",
        data_dir.display(),
        output::table(&["service", "address", "for"], rows, &[])
    )
}

/// The address under which this process reaches `bound`: a wildcard is reached on loopback.
pub(crate) fn reachable(bound: SocketAddr) -> String {
    let ip = match bound.ip() {
        ip if !ip.is_unspecified() => ip,
        std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    format!("http://{}", SocketAddr::new(ip, bound.port()))
}

/// Now, as core sees it.
pub(crate) fn now() -> assay_core::time::Timestamp {
    assay_core::time::Timestamp::from_micros(SystemClock.now_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_reached_on_loopback() {
        assert_eq!(
            reachable("0.0.0.0:7071".parse().unwrap()),
            "http://127.0.0.1:7071"
        );
        assert_eq!(reachable("[::]:7071".parse().unwrap()), "http://[::1]:7071");
        assert_eq!(reachable("10.0.0.7:1".parse().unwrap()), "http://10.0.0.7:1");
    }
}
