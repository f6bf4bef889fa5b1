use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why an address cannot be listened on: one sentence that says which and what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {advice}")]
pub struct BindError {
    /// The address as it was given.
    pub address: String,
    /// What is wrong and what to do.
    pub advice: String,
    /// What the operating system said; part of the advice.
    pub kind: ErrorKind,
}

/// Listens on `address`, such as `127.0.0.1:7071`, `[::]:7071`, or port 0 for any free port.
///
/// # Errors
/// [`BindError`] if it is not an address, is in use, or may not be used.
pub async fn bind(address: &str) -> Result<TcpListener, BindError> {
    let parsed: SocketAddr = address.parse().map_err(|_| BindError {
        address: address.to_owned(),
        advice: "that is not an address; write one like 127.0.0.1:7071 or [::]:7071".to_owned(),
        kind: ErrorKind::InvalidInput,
    })?;
    TcpListener::bind(parsed).await.map_err(|error| BindError {
        address: address.to_owned(),
        advice: advice(&error),
        kind: error.kind(),
    })
}

fn advice(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another process uses this port; stop it or choose another port".to_owned(),
        ErrorKind::PermissionDenied => {
            "permission denied; choose a port above 1023 or grant CAP_NET_BIND_SERVICE".to_owned()
        }
        ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; use one of its own, or 0.0.0.0 for all".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_says_so() {
        let first = bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap().to_string();
        let error = bind(&address).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::AddrInUse);
        let expected = format!("cannot listen on {address}: another process uses this port; ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[tokio::test]
    async fn other_mistakes_say_what_to_do() {
        let error = bind("localhost").await.unwrap_err().to_string();
        assert!(error.contains("write one like"), "{error}");
        let error = bind("192.0.2.1:0").await.unwrap_err().to_string();
        assert!(error.contains("does not have that address"), "{error}");
        let denied = std::io::Error::from(ErrorKind::PermissionDenied);
        assert!(advice(&denied).contains("above 1023"));
    }
}
