//! The short way for one method: its message in, its answer out, no generated code and no routing between.
//!
//! A call takes it when it is ordinary: a POST of one whole, uncompressed message of moderate size. Every other call of the method
//! goes through the routes with all that was read of it, so the two ways must answer alike, and one may leave any call to the other.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::server::TcpConnectInfo;
use tower::Service;

use super::deadline::Deadline;
use super::in_flight::InFlight;
use super::limits::Gate;
use super::refusal::Explained;
use crate::access::{Access, Principal, refusal};
use crate::error::Failure;

/// Larger messages go through the routes.
const MAX_BYTES: usize = 64 * 1024;

/// A message on the wire begins with whether it is compressed (1 byte) and its length (4 bytes, big-endian).
const PREFIX: usize = 5;

/// What the methods of health begin with.
const HEALTH: &str = "/grpc.health.";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The routes, with what goes around them alone.
type LongWay = Deadline<Explained<Routes>>;

/// What an answer waits for before it goes out.
pub type After = Option<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// Answers the ordinary calls of one method.
pub trait Unary: Send + Sync + 'static {
    /// The method, such as `/assay.assignment.v1.AssignmentService/Assign`.
    fn path(&self) -> &'static str;

    /// Appends the answer to `message`, an encoded request of `caller` that came with `headers`, to `out`, encoded. `None` leaves the call to
    /// the routes, whatever was appended; that is the way to refuse one, too.
    fn answer(
        &self,
        caller: &Principal,
        headers: &HeaderMap,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<After>;
}

/// Takes each call that `access` admits the short way or through the routes.
#[derive(Clone)]
pub(super) struct Ways {
    gate: Arc<Gate>,
    in_flight: InFlight,
    access: Option<Access>,
    short: Option<Arc<dyn Unary>>,
    routes: LongWay,
}

impl Ways {
    pub(super) fn new(
        gate: Gate,
        in_flight: InFlight,
        access: Option<Access>,
        short: Option<Arc<dyn Unary>>,
        routes: Routes,
    ) -> Self {
        let routes = Deadline::new(Explained::new(routes.prepare()));
        Self {
            gate: Arc::new(gate),
            in_flight,
            access,
            short,
            routes,
        }
    }
}

impl Service<Request<Incoming>> for Ways {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = WaysFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<RequestBody>>::poll_ready(&mut self.routes, cx)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> WaysFuture {
        if let Err(failure) = self.admit(&mut request) {
            return WaysFuture::Refused(Some(Box::new(refusal(&request, failure))));
        }
        let short = self
            .short
            .as_ref()
            .filter(|short| request.uri().path() == short.path() && is_ordinary(&request));
        let Some(short) = short.cloned() else {
            let request = request.map(|rest| RequestBody { read: None, rest });
            return WaysFuture::Routed(Box::new(self.routes.call(request)));
        };
        WaysFuture::Reading(Box::new(Reading {
            request,
            read: Bytes::new(),
            short,
            routes: self.routes.clone(),
        }))
    }
}

impl Ways {
    /// Whether the call may come in, with who makes it. Health is asked when it matters most: it always may.
    fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Failure> {
        let is_health = request.uri().path().starts_with(HEALTH);
        if !is_health {
            self.gate.admit(self.in_flight.count())?;
        }
        let caller = match &self.access {
            Some(access) => access.admit(request.uri().path(), request.headers())?,
            None => None,
        };
        if !is_health {
            let peer = request.extensions().get::<TcpConnectInfo>();
            let peer = peer.and_then(TcpConnectInfo::remote_addr).map(|peer| peer.ip());
            self.gate.admit_caller(caller.as_deref(), peer)?;
        }
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        Ok(())
    }
}

/// What its head says of a call that may go the short way.
fn is_ordinary<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::POST
        && headers.get(http::header::CONTENT_TYPE) == Some(&GRPC)
        && headers
            .get("grpc-encoding")
            .is_none_or(|encoding| encoding == "identity")
}

/// A call of which the message is read.
pub(super) struct Reading {
    request: Request<Incoming>,
    read: Bytes,
    short: Arc<dyn Unary>,
    routes: LongWay,
}

impl Reading {
    /// Reads up to the end, or to where it is clear that the call is not ordinary; the answer is whether it has come to the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        while self.read.len() <= MAX_BYTES {
            let body = Pin::new(self.request.body_mut());
            let frame = match ready!(body.poll_frame(cx)) {
                None => return Poll::Ready(true),
                // The routes meet the error when they read on.
                Some(Err(_)) => return Poll::Ready(false),
                Some(Ok(frame)) => frame,
            };
            if let Ok(data) = frame.into_data() {
                self.read = join(std::mem::take(&mut self.read), data);
            }
        }
        Poll::Ready(false)
    }

    /// The answer to the one message that was read, in the form of the wire.
    fn answer(&self) -> Option<(Vec<u8>, After)> {
        let (prefix, message) = self.read.split_at_checked(PREFIX)?;
        let [0, length @ ..] = prefix else { return None };
        let length: [u8; 4] = length.try_into().ok()?;
        if u32::from_be_bytes(length) as usize != message.len() {
            return None;
        }
        let mut out = Vec::with_capacity(256);
        out.resize(PREFIX, 0);
        let caller = Principal::of(self.request.extensions());
        let headers = self.request.headers();
        let after = self.short.answer(&caller, headers, message, &mut out)?;
        let length = u32::try_from(out.len() - PREFIX).ok()?.to_be_bytes();
        out[1..PREFIX].copy_from_slice(&length);
        Some((out, after))
    }

    /// The call through the routes, with what was read of it in front.
    fn reroute(mut self) -> WaysFuture {
        let read = Some(self.read).filter(|read| !read.is_empty());
        let request = self.request.map(|rest| RequestBody { read, rest });
        WaysFuture::Routed(Box::new(self.routes.call(request)))
    }
}

fn join(first: Bytes, second: Bytes) -> Bytes {
    if first.is_empty() {
        return second;
    }
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(&first);
    both.extend_from_slice(&second);
    both.freeze()
}

/// The answer to come.
pub(super) enum WaysFuture {
    /// No way: the caller may not.
    Refused(Option<Box<Response<Body>>>),
    /// The short way, first half.
    Reading(Box<Reading>),
    /// The short way, second half.
    Waiting(Vec<u8>, After),
    /// The long way.
    Routed(Box<<LongWay as Service<Request<RequestBody>>>::Future>),
    /// Between two of these.
    Moving,
}

impl Future for WaysFuture {
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match &mut *self {
                Self::Refused(refusal) => match refusal.take() {
                    Some(refusal) => return Poll::Ready(Ok(refusal.map(AnswerBody::Routed))),
                    None => *self = Self::Moving,
                },
                Self::Reading(reading) => {
                    let is_whole = ready!(reading.poll_read(cx));
                    let answered = if is_whole { reading.answer() } else { None };
                    let reading = std::mem::replace(&mut *self, Self::Moving);
                    *self = match (answered, reading) {
                        (Some((answer, after)), _) => Self::Waiting(answer, after),
                        (None, Self::Reading(reading)) => reading.reroute(),
                        (None, other) => other,
                    };
                }
                Self::Waiting(answer, after) => {
                    if let Some(after) = after {
                        ready!(after.as_mut().poll(cx));
                    }
                    let message = Bytes::from(std::mem::take(answer));
                    return Poll::Ready(Ok(answer_of(AnswerBody::Short(Some(message)))));
                }
                Self::Routed(routed) => {
                    let response = ready!(Pin::new(routed).poll(cx))?;
                    return Poll::Ready(Ok(response.map(AnswerBody::Routed)));
                }
                Self::Moving => {
                    let status = Status::internal("a call was asked for its answer after it had given it");
                    return Poll::Ready(Ok(status.into_http::<Body>().map(AnswerBody::Routed)));
                }
            }
        }
    }
}

fn answer_of(body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, GRPC);
    response
}

/// What the routes get to read: what was read before, then the rest.
pub(super) struct RequestBody {
    read: Option<Bytes>,
    rest: Incoming,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.read.take() {
            Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.read.as_ref().map_or(0, Bytes::remaining) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

/// What the caller gets to read.
pub(super) enum AnswerBody {
    /// One message, then the status OK.
    Short(Option<Bytes>),
    /// What the routes say.
    Routed(Body),
    /// Nothing more.
    End,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Routed(body) => Pin::new(body).poll_frame(cx),
            Self::End => Poll::Ready(None),
            Self::Short(message) => match message.take() {
                Some(message) => Poll::Ready(Some(Ok(Frame::data(message)))),
                None => {
                    *self = Self::End;
                    let mut trailers = HeaderMap::with_capacity(1);
                    trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
                    Poll::Ready(Some(Ok(Frame::trailers(trailers))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Routed(body) => body.is_end_stream(),
            Self::Short(_) => false,
            Self::End => true,
        }
    }
}

#[cfg(test)]
mod tests;
