//! The doors for OpenFeature, through real connections.

mod connect;
mod flagd;
mod http;
mod ofrep;
mod track;

use assay_assignment::{OpenFeatureDoors, Settings};
use assay_core::{
    experiment::Experiment,
    flag::{Flag, Variation},
    key::VariantKey,
    lifecycle::{Outcome, State},
    value::Value,
};
use assay_platform::Channel;
use assay_proto::bus::Published;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    fixtures::{experiment, flag},
    support::{Running, World},
};

/// A service with its doors for OpenFeature.
pub(crate) struct Open {
    pub(crate) running: Running,
    /// `127.0.0.1:port` of flagd's protocol.
    pub(crate) flagd: String,
    /// The same of OFREP.
    pub(crate) ofrep: String,
}

impl Open {
    pub(crate) async fn start(world: &World, settings: Settings) -> Self {
        Self::start_with(world, settings, None).await
    }

    /// With tracking calls going to `ingest`.
    pub(crate) async fn start_with(world: &World, settings: Settings, ingest: Option<Channel>) -> Self {
        let flagd = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ofrep = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let (at_flagd, at_ofrep) = (address(&flagd), address(&ofrep));
        let doors = OpenFeatureDoors {
            flagd: Some(flagd),
            ofrep: Some(ofrep),
            cors_origins: vec!["*".into()],
            ingest,
        };
        Self {
            running: world.start_at(doors, settings).await,
            flagd: at_flagd,
            ofrep: at_ofrep,
        }
    }

    /// Serving [`flags`] as generation 1.
    pub(crate) async fn serving(world: &World) -> Self {
        world.bus.publish("default", 1, &flags()).await;
        let mut open = Self::start(world, Settings::default()).await;
        open.running.until(1).await;
        open
    }
}

/// A flag whose first value is the zero of its type.
pub(crate) fn zero(key: &str, zero: Value, other: Value) -> Flag {
    let variation = |key, value| Variation {
        key: VariantKey::new(key).unwrap(),
        name: String::new(),
        value,
    };
    Flag {
        value_type: zero.value_type(),
        default_value: zero.clone(),
        variations: vec![variation("zero", zero), variation("other", other)],
        ..flag(key)
    }
}

/// `gate` splits, `done` has a winner, the others have no experiment; `list` is no object.
pub(crate) fn flags() -> Vec<Published> {
    let winner = Outcome::Winner(VariantKey::new("on").unwrap());
    let done = Experiment {
        completed_at: Some(Default::default()),
        ..experiment("done", State::Completed(winner))
    };
    let zeros = [
        zero("bool", Value::Bool(false), Value::Bool(true)),
        zero("text", Value::String(String::new()), Value::String("x".into())),
        zero("number", Value::Number(0.0), Value::Number(0.5)),
        zero("half", Value::Number(0.5), Value::Number(1.0)),
        zero(
            "object",
            Value::Json(json!({"n": 0, "s": "", "b": false})),
            Value::Json(json!({})),
        ),
        zero("list", Value::Json(json!([])), Value::Json(json!([0]))),
    ];
    let mut all: Vec<_> = zeros.into_iter().map(Published::Flag).collect();
    all.extend([
        Published::Flag(flag("gate")),
        Published::Experiment(experiment("gate", State::Running)),
        Published::Flag(flag("done")),
        Published::Experiment(done),
    ]);
    all
}
