//! What both HTTP edges need: bodies of bounded size, JSON, permission for browsers, and texts in URLs.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use prost_types::{Struct, value::Kind};
use tonic::body::Body;

/// Largest request, in bytes: a context is small.
const MAX_BODY_BYTES: usize = 1 << 20;

/// How long browsers may remember what they may send.
const PREFLIGHT_SECS: &str = "7200";

/// From which origins browsers may ask.
#[derive(Debug, Clone)]
pub(crate) struct Cors(pub(crate) Vec<String>);

impl Cors {
    /// The answer to a browser that asks whether it may send something.
    pub(crate) fn preflight(&self, request: &HeaderMap) -> Response<Body> {
        let mut response = empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET, POST, OPTIONS"),
        );
        if let Some(asked) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        headers.insert(
            header::ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static(PREFLIGHT_SECS),
        );
        self.allow(request, &mut response);
        response
    }

    /// Lets a browser read `response`, if it asked from an origin that may. No cookies are looked at, so none are allowed for.
    pub(crate) fn allow(&self, request: &HeaderMap, response: &mut Response<Body>) {
        let Some(origin) = request.get(header::ORIGIN) else {
            return;
        };
        let allowed = if self.0.iter().any(|allowed| allowed == "*") {
            HeaderValue::from_static("*")
        } else if self
            .0
            .iter()
            .any(|allowed| allowed.as_bytes() == origin.as_bytes())
        {
            origin.clone()
        } else {
            return;
        };
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("etag, retry-after"),
        );
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// Whether a browser asks what it may send.
pub(crate) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
}

/// The whole body.
///
/// # Errors
/// A sentence: too large, or cut off.
pub(crate) async fn read(body: Body) -> Result<Vec<u8>, String> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(format!(
            "the request has more than {MAX_BODY_BYTES} bytes; send less"
        )),
        Err(error) => Err(format!("the request cannot be read ({error}); send it whole")),
    }
}

/// The struct in the field `name` of a JSON object; absent and null are none.
///
/// # Errors
/// A sentence: it is something else.
pub(crate) fn object(json: &serde_json::Value, name: &str) -> Result<Option<Struct>, String> {
    let field = json.get(name).filter(|field| !field.is_null());
    match field.map(assay_proto::convert::json_to).map(|value| value.kind) {
        None => Ok(None),
        Some(Some(Kind::StructValue(object))) => Ok(Some(object)),
        Some(_) => Err(format!("`{name}` is no object; give an object, or leave it out")),
    }
}

/// A JSON object from a body; an empty body is an empty one.
///
/// # Errors
/// A sentence: it is something else.
pub(crate) fn parse(body: &[u8]) -> Result<serde_json::Value, String> {
    if body.is_empty() {
        return Ok(serde_json::json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(json @ serde_json::Value::Object(_)) => Ok(json),
        Ok(_) => Err("the body is no JSON object; send one".to_owned()),
        Err(error) => Err(format!("the body is no JSON ({error}); send a JSON object")),
    }
}

/// JSON of a value of a flag, whole numbers as such.
pub(crate) fn value(value: &assay_core::value::Value) -> serde_json::Value {
    use assay_core::value::Value;
    match value {
        Value::Bool(flag) => (*flag).into(),
        Value::String(text) => text.clone().into(),
        Value::Number(number) => match super::mapping::whole(*number) {
            Some(whole) => whole.into(),
            None => (*number).into(),
        },
        Value::Json(json) => json.clone(),
    }
}

/// JSON of the metadata of an answer.
pub(crate) fn metadata(resolution: &super::Resolution) -> serde_json::Value {
    use super::Fact;
    let fact = |fact: &Fact| match fact {
        Fact::Bool(flag) => (*flag).into(),
        Fact::Number(number) => (*number).into(),
        Fact::Text(text) => text.clone().into(),
    };
    let facts = resolution.metadata.iter();
    let facts = facts.map(|(name, of)| ((*name).to_owned(), fact(of)));
    serde_json::Value::Object(facts.collect())
}

pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = bytes("application/json", body.to_string().into_bytes());
    *response.status_mut() = status;
    response
}

pub(crate) fn bytes(content_type: &'static str, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(bytes::Bytes::from(body))));
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// `text` with its `%41` decoded; nothing when that is no UTF-8.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = (first == b'%').then(|| behind.split_at_checked(2)).flatten();
        match escaped {
            Some((digits, behind)) => {
                let digits = std::str::from_utf8(digits).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok()?);
                rest = behind;
            }
            None => {
                out.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(out).ok()
}

/// The first parameter `name` of a query.
pub(crate) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, text) = pairs.find(|(key, _)| *key == name)?;
    decoded(&text.replace('+', "%20"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_urls_are_decoded() {
        assert_eq!(decoded("a%2Fb%20c").as_deref(), Some("a/b c"));
        assert_eq!(decoded("gate").as_deref(), Some("gate"));
        assert_eq!(decoded("%zz"), None);
        assert_eq!(decoded("%FF"), None, "no UTF-8");
        assert_eq!(decoded("50%").as_deref(), Some("50%"));
        let query = Some("a=1&flagConfigEtag=%2217%22&b=x+y");
        assert_eq!(parameter(query, "flagConfigEtag").as_deref(), Some("\"17\""));
        assert_eq!(parameter(query, "b").as_deref(), Some("x y"));
        assert_eq!(parameter(query, "c"), None);
    }

    #[test]
    fn browsers_may_read_from_the_origins_of_the_settings_only() {
        let ask = |allowed: &[&str], origin: Option<&'static str>| {
            let cors = Cors(allowed.iter().map(|origin| (*origin).to_owned()).collect());
            let mut request = HeaderMap::new();
            if let Some(origin) = origin {
                request.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let mut response = empty(StatusCode::OK);
            cors.allow(&request, &mut response);
            let allowed = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
            allowed.map(|origin| origin.to_str().unwrap().to_owned())
        };
        let shop = "https://shop.example";
        assert_eq!(ask(&["*"], Some(shop)).as_deref(), Some("*"));
        assert_eq!(ask(&[shop], Some(shop)).as_deref(), Some(shop));
        assert_eq!(ask(&[shop], Some("https://evil.example")), None);
        assert_eq!(ask(&[], Some(shop)), None);
        assert_eq!(ask(&["*"], None), None, "no browser");
    }

    #[test]
    fn zero_values_and_whole_numbers_stay_what_they_are_in_json() {
        use assay_core::value::Value;
        let json = |of: Value| value(&of).to_string();
        assert_eq!(json(Value::Bool(false)), "false");
        assert_eq!(json(Value::String(String::new())), "\"\"");
        assert_eq!(json(Value::Number(0.0)), "0");
        assert_eq!(json(Value::Number(0.5)), "0.5");
        assert_eq!(
            json(Value::Json(serde_json::json!({"n": 0, "l": []}))),
            r#"{"l":[],"n":0}"#
        );
    }
}
