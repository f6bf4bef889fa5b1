//! Client channels: connected on first use, kept alive, bounded in time, traced.

mod credentials;
mod deadline;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use http::HeaderValue;
use tonic::transport::{ClientTlsConfig, Endpoint, Uri};

use crate::telemetry::rpc::ClientTrace;
pub use credentials::Credentials;
pub use deadline::Deadlines;

/// A client channel, for any generated client: `ConfigServiceClient::new(channel)`. Clones share the connection.
pub type Channel = ClientTrace<Deadlines<tonic::transport::Channel>>;

/// How a channel behaves; the defaults suit calls within one cluster.
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for an answer to begin, unless the request says less. Streams may go on for longer.
    pub request_timeout: Duration,
    /// How often an idle connection is probed. Always on: without it a channel never notices that a network partition
    /// has healed.
    pub keepalive_interval: Duration,
    /// How long a probe may stay unanswered before the connection is given up.
    pub keepalive_timeout: Duration,
    /// TLS for `https` URIs: the trusted authority and, where asked for, our own certificate.
    pub tls: Option<ClientTlsConfig>,
    /// The API key that every call presents; none when empty.
    pub api_key: Credentials,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            keepalive_interval: Duration::from_secs(10),
            keepalive_timeout: Duration::from_secs(5),
            tls: None,
            api_key: Credentials::default(),
        }
    }
}

/// Why a channel cannot be made from what was given.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Not the address of a gRPC server.
    #[error("`{uri}` is not a server address: {problem}; write one like `http://config:7071`")]
    BadUri {
        /// What was given.
        uri: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The API key cannot be sent.
    #[error("the API key for `{uri}` has characters that no key has; give it as it was shown")]
    ApiKey {
        /// The server.
        uri: String,
    },
    /// The certificates do not fit together or cannot be read.
    #[error("TLS settings for `{uri}` are not usable")]
    Tls {
        /// The server.
        uri: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// A channel to the server at `uri`, such as `http://config:7071`. It connects on first use and again whenever the
/// connection is lost; call it within a tokio runtime.
///
/// # Errors
/// [`ChannelError`] if `uri` or the TLS options are wrong. A server that is away is no error here: calls then fail
/// with `UNAVAILABLE`.
pub fn connect_lazy(uri: &str, options: &ChannelOptions) -> Result<Channel, ChannelError> {
    let parsed = parse(uri, options.tls.is_some())?;
    let mut endpoint = Endpoint::from(parsed)
        .connect_timeout(options.connect_timeout)
        .timeout(options.request_timeout)
        .http2_keep_alive_interval(options.keepalive_interval)
        .keep_alive_timeout(options.keepalive_timeout)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    if let Some(tls) = &options.tls {
        let tls_error = |source| ChannelError::Tls {
            uri: uri.to_owned(),
            source,
        };
        endpoint = endpoint.tls_config(tls.clone()).map_err(tls_error)?;
    }
    let api_key = options.api_key.clone();
    if !api_key.is_usable() {
        return Err(ChannelError::ApiKey { uri: uri.to_owned() });
    }
    Ok(ClientTrace::new(Deadlines::new(
        endpoint.connect_lazy(),
        uri,
        api_key,
    )))
}

/// Makes `calls`, all on behalf of one request: a server that has made the change that the first of them asked for answers the others
/// alike, without making it again.
pub async fn as_one_request<F: Future>(calls: F) -> F::Output {
    // Two hashes under keys of their own: not secret, only never the same twice.
    let part = || RandomState::new().hash_one(std::process::id());
    let text = format!("{:016x}{:016x}", part(), part());
    let key = HeaderValue::from_str(&text).expect("hex digits are header characters");
    deadline::REQUEST_KEY.scope(key, calls).await
}

/// Whether `uri` is an address that [`connect_lazy`] takes when no TLS is set up.
///
/// # Errors
/// [`ChannelError::BadUri`] if it is not.
pub fn check_address(uri: &str) -> Result<(), ChannelError> {
    parse(uri, false).map(|_| ())
}

fn parse(uri: &str, has_tls: bool) -> Result<Uri, ChannelError> {
    let bad = |problem: &str| ChannelError::BadUri {
        uri: uri.to_owned(),
        problem: problem.to_owned(),
    };
    let parsed: Uri = uri
        .trim_end_matches('/')
        .parse()
        .map_err(|e: http::uri::InvalidUri| bad(&e.to_string()))?;
    match (parsed.scheme_str(), has_tls) {
        (Some("http"), false) | (Some("https"), true) => {}
        (Some("http"), true) => return Err(bad("TLS is set up, which needs `https`")),
        (Some("https"), false) => return Err(bad("`https` needs TLS to be set up")),
        _ => return Err(bad("it does not begin with `http://` or `https://`")),
    }
    match (parsed.path(), parsed.query()) {
        _ if parsed.host().is_none_or(str::is_empty) => Err(bad("it has no host")),
        ("" | "/", None) => Ok(parsed),
        _ => Err(bad("it has a path")),
    }
}

#[cfg(test)]
mod tests;
