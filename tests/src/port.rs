//! A TCP port that stays ours while nobody listens on it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A free port of 127.0.0.1, reserved until this value is dropped.
///
/// It is held by a socket that is bound but does not listen. A server that sets `SO_REUSEADDR` (all of ours do) can
/// listen on it, nobody else is given it as a free port, and while no server listens, connecting is refused at once:
/// so a killed server can come back on its port without a race.
#[derive(Debug)]
pub struct Port {
    socket: TcpSocket,
    addr: SocketAddr,
}

impl Port {
    /// Reserves a port that is free now.
    ///
    /// # Errors
    /// When the system has no free port.
    pub fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let addr = socket.local_addr()?;
        Ok(Self { socket, addr })
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The bare number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.addr.port()
    }

    /// Listens on this port in this process.
    ///
    /// # Errors
    /// When somebody listens on it already.
    pub fn listen(&self) -> io::Result<tokio::net::TcpListener> {
        debug_assert_eq!(self.socket.local_addr().ok(), Some(self.addr));
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.addr)?;
        socket.listen(1024)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn refuses_connections_until_somebody_listens_and_again_after() {
        let port = Port::reserve().unwrap();
        // A client whose own port happens to be this one would reach itself.
        let refused = async || {
            for _ in 0..10 {
                if let Err(error) = TcpStream::connect(port.addr()).await {
                    return error.kind();
                }
            }
            panic!("somebody listens")
        };
        assert_eq!(refused().await, ErrorKind::ConnectionRefused);
        let listener = port.listen().unwrap();
        TcpStream::connect(port.addr()).await.unwrap();
        drop(listener);
        assert_eq!(refused().await, ErrorKind::ConnectionRefused);
        port.listen().unwrap();
    }

    #[tokio::test]
    async fn is_given_to_nobody_else() {
        let port = Port::reserve().unwrap();
        for _ in 0..200 {
            assert_ne!(Port::reserve().unwrap().number(), port.number());
            let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            assert_ne!(other.local_addr().unwrap().port(), port.number());
        }
    }
}
