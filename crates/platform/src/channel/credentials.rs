use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderValue;

use crate::settings::Secret;

/// The API key that a channel presents with each call. Clones are the same one: after [`Credentials::replace`] every channel that was made
/// with one of them presents the new key.
#[derive(Clone, Default)]
pub struct Credentials(Arc<RwLock<Presented>>);

#[derive(Clone, Default, PartialEq, Eq)]
enum Presented {
    #[default]
    Nothing,
    Key(HeaderValue),
    /// It has characters that no header has.
    Unusable,
}

impl Credentials {
    /// From now on calls present `key`; none when it is empty.
    pub fn replace(&self, key: &Secret) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Presented::from(key);
    }

    pub(super) fn is_usable(&self) -> bool {
        self.presented() != Presented::Unusable
    }

    pub(super) fn header(&self) -> Option<HeaderValue> {
        match self.presented() {
            Presented::Key(header) => Some(header),
            Presented::Nothing | Presented::Unusable => None,
        }
    }

    fn presented(&self) -> Presented {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<&Secret> for Credentials {
    fn from(key: &Secret) -> Self {
        Self(Arc::new(RwLock::new(Presented::from(key))))
    }
}

impl From<&Secret> for Presented {
    fn from(key: &Secret) -> Self {
        if key.is_empty() {
            return Self::Nothing;
        }
        match HeaderValue::from_str(&format!("Bearer {}", key.expose())) {
            Ok(mut header) => {
                // Hidden from whoever prints headers.
                header.set_sensitive(true);
                Self::Key(header)
            }
            Err(_) => Self::Unusable,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response, header::AUTHORIZATION};
    use tower::{Service, service_fn};

    use super::*;
    use crate::{ChannelOptions, channel::Deadlines, connect_lazy};

    #[tokio::test]
    async fn the_next_call_presents_the_key_that_was_told_last() {
        let seen = Arc::new(RwLock::new(Vec::new()));
        let server = seen.clone();
        let server = service_fn(move |request: Request<()>| {
            let key = request.headers().get(AUTHORIZATION).cloned();
            server.write().unwrap().push(key);
            std::future::ready(Ok::<_, Infallible>(Response::new(())))
        });
        let credentials = Credentials::from(&Secret::new("one"));
        let mut channel = Deadlines::new(server, "http://config:7071", credentials.clone());
        for next in ["two", ""] {
            channel.call(Request::new(())).await.unwrap();
            credentials.replace(&Secret::new(next));
        }
        channel.call(Request::new(())).await.unwrap();
        let seen = seen.read().unwrap();
        let text = |key: &Option<HeaderValue>| key.as_ref().map(|key| key.to_str().unwrap().to_owned());
        let seen: Vec<_> = seen.iter().map(text).collect();
        assert_eq!(
            seen,
            [Some("Bearer one".to_owned()), Some("Bearer two".to_owned()), None]
        );
    }

    #[tokio::test]
    async fn a_key_that_cannot_be_sent_makes_no_channel_and_is_not_printed() {
        let api_key = Credentials::from(&Secret::new("hunter2\n"));
        assert!(!format!("{api_key:?}").contains("hunter2"));
        let options = ChannelOptions {
            api_key,
            ..Default::default()
        };
        let error = connect_lazy("http://config:7071", &options)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("characters that no key has") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
