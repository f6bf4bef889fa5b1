//! What every call goes through, from the connection to the routes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;

use super::in_flight::{Call, Counted, InFlight};
use super::unary::{AnswerBody, Ways};
use crate::body::RidingBody;
use crate::telemetry::rpc::{RpcSpan, ServerTrace};

/// Counted, traced, under its deadline. A clone for each connection.
#[derive(Clone)]
pub(super) struct Stack {
    inner: Counted<ServerTrace<Ways>>,
    peer: Option<TcpConnectInfo>,
}

impl Stack {
    pub(super) fn new(ways: Ways, in_flight: InFlight) -> Self {
        Self {
            inner: Counted::new(ServerTrace::new(ways), in_flight),
            peer: None,
        }
    }

    /// The stack for a connection with this `peer`, and how many calls it has under way.
    pub(super) fn for_connection(&self, peer: TcpConnectInfo) -> (Self, Arc<AtomicUsize>) {
        let (inner, calls) = self.inner.for_connection();
        let stack = Self {
            inner,
            peer: Some(peer),
        };
        (stack, calls)
    }
}

impl Service<Request<Incoming>> for Stack {
    type Response = Response<RidingBody<RidingBody<AnswerBody, RpcSpan>, Call>>;
    type Error = Infallible;
    type Future = <Counted<ServerTrace<Ways>> as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        self.inner.call(request)
    }
}
