//! HTTP/1.1 as a browser or a script speaks it, on a plain connection.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request under way, of which the answer is read bit by bit.
pub(crate) struct Exchange {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Exchange {
    /// Sends a request; `headers` are whole lines.
    pub(crate) async fn begin(address: &str, line: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut head = format!("{line} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let read = Vec::new();
        Self { stream, read }
    }

    /// Reads until `text` has come; all that has come up to there is taken off.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        let wait = async {
            loop {
                let wanted = text.as_bytes();
                let found = self.read.windows(wanted.len()).position(|here| here == wanted);
                if let Some(at) = found {
                    let rest = self.read.split_off(at + wanted.len());
                    let so_far = std::mem::replace(&mut self.read, rest);
                    return String::from_utf8_lossy(&so_far).into_owned();
                }
                let mut more = [0; 4096];
                match self.stream.read(&mut more).await.unwrap() {
                    0 => panic!(
                        "it ended before `{text}`: {}",
                        String::from_utf8_lossy(&self.read)
                    ),
                    n => self.read.extend_from_slice(&more[..n]),
                }
            }
        };
        timeout(Duration::from_secs(20), wait).await.unwrap()
    }

    /// Reads to the end.
    pub(crate) async fn end(mut self) -> Response {
        let read = self.stream.read_to_end(&mut self.read);
        timeout(Duration::from_secs(20), read).await.unwrap().unwrap();
        let at = self.read.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(self.read[..at].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response {
            status,
            head,
            body: self.read[at + 4..].to_vec(),
        };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = unchunked(&response.body);
        }
        response
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = rest.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&rest[..at]).unwrap();
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        let begin = at + 2;
        out.extend_from_slice(&rest[begin..begin + length]);
        rest = &rest[begin + length + 2..];
        if length == 0 {
            break;
        }
    }
    out
}

/// A POST of JSON.
pub(crate) async fn post(address: &str, path: &str, headers: &[&str], body: &Value) -> Response {
    let line = format!("POST {path}");
    let mut all = vec!["content-type: application/json"];
    all.extend(headers);
    let body = match body {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    };
    Exchange::begin(address, &line, &all, &body).await.end().await
}
