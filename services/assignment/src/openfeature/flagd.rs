//! `flagd.evaluation` v1 and v2: decode → ask → encode. The two differ in that v2 tells zero from absent and has no `ResolveAll`.

use std::sync::Arc;

use assay_core::{snapshot::Change, value::Value};
use assay_platform::{Failure, Principal};
use assay_proto::{
    convert::{json_to, value_to},
    flagd::evaluation::{v1, v2},
};
use futures::{StreamExt as _, stream::BoxStream};
use prost_types::{Struct, value::Kind};
use tonic::{Request, Response, Status, codegen::http::HeaderMap};

use super::{
    Caller, Everything, Fact, OpenFeature, Resolution,
    changes::Event,
    context::Context,
    failure, invalid_context,
    mapping::{Asked, whole},
    refused,
};

/// The service on the wire, of both versions.
#[derive(Clone)]
pub(crate) struct Flagd(pub(crate) Arc<OpenFeature>);

impl Flagd {
    /// The answer for one flag, or the status that says why there is none.
    pub(crate) async fn one(
        &self,
        caller: &Caller,
        key: &str,
        asked: Asked,
        context: Option<Struct>,
    ) -> Result<Resolution, Failure> {
        let context = Context::read(context).map_err(invalid_context)?;
        let told = self.0.one(caller, key, asked, &context).await.map_err(refused)?;
        told.map_err(|problem| failure(&problem, key, &caller.namespace))
    }

    /// The answers for all flags.
    pub(crate) async fn all(&self, caller: &Caller, context: Option<Struct>) -> Result<Everything, Failure> {
        let context = Context::read(context).map_err(invalid_context)?;
        self.0.all(caller, &context).await.map_err(refused)
    }

    fn caller<T>(&self, request: Request<T>) -> Result<(Caller, T), Failure> {
        let principal = Principal::of(request.extensions());
        let (metadata, _, request) = request.into_parts();
        let headers: HeaderMap = metadata.into_headers();
        Ok((self.0.caller(principal, &headers)?, request))
    }

    async fn ask<T>(
        &self,
        request: Request<T>,
        asked: Asked,
        parts: impl FnOnce(T) -> (String, Option<Struct>),
    ) -> Result<Resolution, Failure> {
        let (caller, request) = self.caller(request)?;
        let (key, context) = parts(request);
        self.one(&caller, &key, asked, context).await
    }
}

/// What `all` gives a protocol that has no place for a problem: the flags that have a value, or else their default.
pub(crate) fn with_values(everything: Everything) -> impl Iterator<Item = (String, Resolution)> {
    let answers = everything.answers.into_iter();
    let given = answers.filter_map(|(key, told)| Some((key, told.ok()?)));
    let all = given.chain(everything.defaults);
    all.map(|(key, resolution)| (key.to_string(), resolution))
}

/// The metadata of an answer.
pub(crate) fn metadata(resolution: &Resolution) -> Struct {
    let fact = |fact: &Fact| match fact {
        Fact::Bool(flag) => Kind::BoolValue(*flag),
        #[expect(clippy::cast_precision_loss, reason = "a count or an age, far below 2^53")]
        Fact::Number(number) => Kind::NumberValue(*number as f64),
        Fact::Text(text) => Kind::StringValue(text.clone()),
    };
    let fields = resolution.metadata.iter().map(|(name, of)| {
        let value = prost_types::Value { kind: Some(fact(of)) };
        ((*name).to_owned(), value)
    });
    Struct {
        fields: fields.collect(),
    }
}

/// The name of an event, and what belongs to it.
pub(crate) fn event(event: &Event) -> (&'static str, Option<serde_json::Value>) {
    match event {
        Event::Ready => ("provider_ready", None),
        Event::KeepAlive => ("keep_alive", None),
        Event::Shutdown => ("provider_shutdown", None),
        Event::Changed(changes) => {
            let flag = |change: &Change| match change {
                Change::Added => serde_json::json!({ "type": "write" }),
                Change::Updated => serde_json::json!({ "type": "update" }),
                Change::Removed => serde_json::json!({ "type": "delete" }),
            };
            let flags: serde_json::Map<_, _> = changes
                .iter()
                .map(|(key, change)| (key.to_string(), flag(change)))
                .collect();
            (
                "configuration_change",
                Some(serde_json::json!({ "flags": flags })),
            )
        }
    }
}

fn object(json: &serde_json::Value) -> Option<Struct> {
    match json_to(json).kind {
        Some(Kind::StructValue(object)) => Some(object),
        _ => None,
    }
}

/// The value that an answer has as what was asked for: of that type, or it would have been refused.
pub(crate) mod typed {
    use super::*;

    pub(crate) fn boolean(value: &Value) -> bool {
        matches!(value, Value::Bool(true))
    }

    pub(crate) fn string(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            _ => String::new(),
        }
    }

    pub(crate) fn float(value: &Value) -> f64 {
        match value {
            Value::Number(number) => *number,
            _ => 0.0,
        }
    }

    pub(crate) fn int(value: &Value) -> i64 {
        whole(float(value)).unwrap_or_default()
    }

    pub(crate) fn structure(value: &Value) -> Struct {
        match value_to(value).kind {
            Some(Kind::StructValue(object)) => object,
            _ => Struct::default(),
        }
    }
}

/// One function for each kind of answer, from a resolution to the message.
macro_rules! answers {
    ($pb:ident: $($method:ident $response:ident),*) => {
        $(
            pub(crate) fn $method(resolution: &Resolution) -> $pb::$response {
                $pb::$response {
                    value: typed::$method(&resolution.value).into(),
                    reason: resolution.reason.name().to_owned(),
                    variant: resolution.variant.clone().into(),
                    metadata: Some(metadata(resolution)),
                }
            }
        )*
    };
}

/// The messages and the service of one version.
macro_rules! version {
    ($name:ident, $pb:ident, { $($more:item)* }, { $($rpc:tt)* }) => {
        pub(crate) mod $name {
            use super::*;

            answers!($pb: boolean ResolveBooleanResponse, string ResolveStringResponse, float ResolveFloatResponse,
                int ResolveIntResponse, structure ResolveObjectResponse);

            pub(crate) fn event(told: &Event) -> $pb::EventStreamResponse {
                let (name, data) = super::event(told);
                $pb::EventStreamResponse {
                    r#type: name.to_owned(),
                    data: data.as_ref().and_then(object),
                }
            }

            $($more)*

            #[tonic::async_trait]
            impl $pb::service_server::Service for Flagd {
                type EventStreamStream = BoxStream<'static, Result<$pb::EventStreamResponse, Status>>;

                $($rpc)*

                async fn resolve_boolean(
                    &self,
                    request: Request<$pb::ResolveBooleanRequest>,
                ) -> Result<Response<$pb::ResolveBooleanResponse>, Status> {
                    let told = self.ask(request, Asked::Boolean, |r| (r.flag_key, r.context)).await?;
                    Ok(Response::new(boolean(&told)))
                }

                async fn resolve_string(
                    &self,
                    request: Request<$pb::ResolveStringRequest>,
                ) -> Result<Response<$pb::ResolveStringResponse>, Status> {
                    let told = self.ask(request, Asked::String, |r| (r.flag_key, r.context)).await?;
                    Ok(Response::new(string(&told)))
                }

                async fn resolve_float(
                    &self,
                    request: Request<$pb::ResolveFloatRequest>,
                ) -> Result<Response<$pb::ResolveFloatResponse>, Status> {
                    let told = self.ask(request, Asked::Float, |r| (r.flag_key, r.context)).await?;
                    Ok(Response::new(float(&told)))
                }

                async fn resolve_int(
                    &self,
                    request: Request<$pb::ResolveIntRequest>,
                ) -> Result<Response<$pb::ResolveIntResponse>, Status> {
                    let told = self.ask(request, Asked::Int, |r| (r.flag_key, r.context)).await?;
                    Ok(Response::new(int(&told)))
                }

                async fn resolve_object(
                    &self,
                    request: Request<$pb::ResolveObjectRequest>,
                ) -> Result<Response<$pb::ResolveObjectResponse>, Status> {
                    let told = self.ask(request, Asked::Object, |r| (r.flag_key, r.context)).await?;
                    Ok(Response::new(structure(&told)))
                }

                async fn event_stream(
                    &self,
                    request: Request<$pb::EventStreamRequest>,
                ) -> Result<Response<Self::EventStreamStream>, Status> {
                    let (caller, _) = self.caller(request)?;
                    let changes = self.0.changes(&caller).map_err(refused)?;
                    let last = futures::stream::iter([Err(Status::from(super::super::ended()))]);
                    Ok(Response::new(changes.map(|told| Ok(event(&told))).chain(last).boxed()))
                }
            }
        }
    };
}

version!(
    first,
    v1,
    {
        pub(crate) fn all(everything: Everything) -> v1::ResolveAllResponse {
            let (namespace, generation) = (everything.namespace.to_string(), everything.generation);
            let about = serde_json::json!({ "flagSetId": namespace, "generation": generation });
            let flags =
                with_values(everything).filter_map(|(key, resolution)| Some((key, any(&resolution)?)));
            v1::ResolveAllResponse {
                flags: flags.collect(),
                metadata: object(&about),
            }
        }

        /// Nothing for a JSON list, for which the protocol has no place.
        fn any(resolution: &Resolution) -> Option<v1::AnyFlag> {
            use v1::any_flag::Value as Any;
            let value = match &resolution.value {
                Value::Bool(flag) => Any::BoolValue(*flag),
                Value::String(text) => Any::StringValue(text.clone()),
                Value::Number(number) => Any::DoubleValue(*number),
                Value::Json(json) => Any::ObjectValue(object(json)?),
            };
            Some(v1::AnyFlag {
                reason: resolution.reason.name().to_owned(),
                variant: resolution.variant.clone(),
                metadata: Some(metadata(resolution)),
                value: Some(value),
            })
        }
    },
    {
        async fn resolve_all(
            &self,
            request: Request<v1::ResolveAllRequest>,
        ) -> Result<Response<v1::ResolveAllResponse>, Status> {
            let (caller, request) = self.caller(request)?;
            let everything = self.all(&caller, request.context).await?;
            Ok(Response::new(all(everything)))
        }
    }
);

version!(second, v2, {}, {});
