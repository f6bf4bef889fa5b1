//! Calls by name, with messages of bytes: for methods that are known by their descriptors alone.

use std::{fmt, time::Duration};

use anyhow::Result;
use assay_platform::Failure;
use bytes::{Buf, BufMut};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

/// Longer than any call may take that waits for nothing.
const LIMIT: Duration = Duration::from_secs(10);

/// A server, as any program that reaches its port sees it.
#[derive(Debug, Clone)]
pub struct Door {
    channel: Channel,
    idempotency_key: Option<String>,
}

/// Everything that a server has answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    /// The code of gRPC.
    pub code: Code,
    /// The sentence of a refusal.
    pub message: String,
    /// The message, or the details of a refusal.
    pub bytes: Vec<u8>,
    /// The reason of a refusal, by its details.
    pub reason: String,
}

impl Door {
    /// The server at `uri`, connected when first used.
    ///
    /// # Errors
    /// When `uri` is none.
    pub fn to(uri: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(uri.to_owned())?.connect_lazy();
        Ok(Self {
            channel,
            idempotency_key: None,
        })
    }

    /// The same server, whose calls are all one request under this idempotency key.
    #[must_use]
    pub fn once(&self, idempotency_key: &str) -> Self {
        Self {
            channel: self.channel.clone(),
            idempotency_key: Some(idempotency_key.to_owned()),
        }
    }

    /// Calls `method`, such as `assay.config.v1.FlagService/GetFlag`, with the API key `key`; of a stream the first message is the answer.
    pub async fn call(&self, key: Option<&str>, method: &str, message: Vec<u8>) -> Answer {
        let answered = tokio::time::timeout(LIMIT, self.first(key, method, message)).await;
        match answered.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time"))) {
            Ok(bytes) => Answer {
                code: Code::Ok,
                message: String::new(),
                bytes,
                reason: String::new(),
            },
            Err(status) => Answer {
                code: status.code(),
                message: status.message().to_owned(),
                bytes: status.details().to_vec(),
                reason: Failure::from_status(&status).reason.to_string(),
            },
        }
    }

    async fn first(&self, key: Option<&str>, method: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut request = Request::new(tokio_stream::once(message));
        let bearer = key.map(|key| format!("Bearer {key}"));
        let headers = [
            ("authorization", bearer),
            ("idempotency-key", self.idempotency_key.clone()),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                let value = value.parse();
                let value = value.map_err(|_| Status::invalid_argument("that is no header"))?;
                request.metadata_mut().insert(name, value);
            }
        }
        let path = format!("/{method}").parse();
        let path = path.map_err(|_| Status::invalid_argument("that is no method"))?;
        let mut client = Grpc::new(self.channel.clone());
        let away = |error: tonic::transport::Error| Status::unavailable(error.to_string());
        client.ready().await.map_err(away)?;
        let mut answers = client.streaming(request, path, Bytes).await?.into_inner();
        Ok(answers.message().await?.unwrap_or_default())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            message,
            reason,
            bytes,
        } = self;
        let bytes = String::from_utf8_lossy(bytes);
        write!(f, "{code:?} {reason} {message:?} {bytes:?}")
    }
}

impl Answer {
    /// Whether `text` is anywhere in it.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        let mut windows = self.bytes.windows(text.len().max(1));
        self.message.contains(text) || windows.any(|window| window == text.as_bytes())
    }

    /// Whether the caller was let in: neither the key nor the role was missing.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        !matches!(self.code, Code::Unauthenticated | Code::PermissionDenied)
    }
}

/// A message is its bytes.
#[derive(Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
