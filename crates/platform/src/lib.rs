//! What every Assay process needs and no service should write twice: settings, telemetry, health, signals, the clock,
//! errors on the wire, servers and client channels.
//!
//! It knows nothing of experiments, but for the names of the methods in [`access::permissions`], and imports none of our crates. It is not a framework: a service stays a plain
//! function that takes a listener, its ports, a clock and a [`Shutdown`]; this crate supplies those arguments and the
//! `tower` layers around them. It is also the only crate that reads the environment, listens to signals and installs
//! process-wide state (the log subscriber, the TLS provider).
//!
//! Read in this order: [`error`] (what callers see when something fails), [`settings`], [`server`] and [`channel`]
//! (the two ends of an RPC), [`telemetry`] (what is recorded between them), [`shutdown`] (how a process ends).

pub mod access;
pub mod backoff;
pub mod channel;
pub mod clock;
pub mod crypto;
pub mod error;
pub mod exit;
pub mod observe;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;

mod body;
#[cfg(test)]
mod test_rpc;

pub use access::{Access, Principal, Role};
pub use backoff::Backoff;
pub use channel::{Channel, ChannelOptions, Credentials, connect_lazy};
pub use clock::{Clock, MockClock, SharedClock, SystemClock};
pub use crypto::install_crypto;
pub use error::{Code, Failure, FieldViolation};
pub use exit::Exit;
pub use observe::{ObserveSettings, Observed};
pub use server::{Health, Limits, Server};
pub use settings::{Check, Secret, SettingsError};
pub use shutdown::Shutdown;
pub use telemetry::{Telemetry, TelemetrySettings};
