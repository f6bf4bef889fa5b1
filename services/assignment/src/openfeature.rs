//! OpenFeature: the same answers for providers that speak flagd's protocol or OFREP.
//!
//! Read in this order: [`mapping`] (what is told of an assignment), [`context`] (whom a flag is for), this file (the use cases),
//! [`changes`] (what streams tell), then the edges: [`flagd`] (gRPC), [`connect`] (the same over HTTP/1.1 and JSON), [`ofrep`].
//!
//! The edges ask who calls themselves: each protocol has its own form of a refusal, and browsers ask without a key what they may send.

mod changes;
mod connect;
mod context;
mod flagd;
mod mapping;
mod ofrep;
mod sse;
mod track;
mod web;

use std::{sync::Arc, time::Duration};

use assay_core::{
    assign::{Assignment, Reason as Cause},
    key::{FlagKey, MAX_KEY_BYTES, Namespace, Unit},
    snapshot::Snapshot,
    value::{Attributes, Value},
};
use assay_platform::{Access, Code, Failure, Health, Principal, Server, Shutdown};
use assay_proto::{
    assignment::v1 as assignment,
    field::FieldErrors,
    flagd::evaluation::{v1, v2},
};
use http::HeaderMap;
use tokio::sync::watch;
use tonic::service::Routes;

use crate::{
    Assignments, OpenFeatureDoors,
    acknowledge::Serves,
    assign::{Sitting, Use},
    callers::name_of,
    error::Refusal,
    freshness::Freshness,
};
use context::Context;
use mapping::{Asked, Circumstances, Problem, Reason, tell};

/// Where a provider says which flags it means: `flagSetId=<namespace>`.
pub(crate) const SELECTOR: &str = "flagd-selector";
const FLAG_SET: &str = "flagSetId=";
const DEFAULT_NAMESPACE: &str = "default";

/// How long a generation is served here before what is the same for everyone may be kept by providers: by then every replica serves it,
/// and none that lags behind can give a provider an older value to keep.
const SETTLED: Duration = Duration::from_secs(10);

/// What all doors of OpenFeature share.
pub(crate) struct OpenFeature {
    pub(crate) assignments: Arc<Assignments>,
    pub(crate) access: Access,
    /// What is served here, and since when.
    pub(crate) serves: watch::Receiver<Serves>,
    pub(crate) freshness: Arc<Freshness>,
    /// Triggered when streams are to end.
    pub(crate) draining: Shutdown,
}

/// What the edges are made of.
pub(crate) struct Edges {
    pub(crate) doors: OpenFeatureDoors,
    pub(crate) assignments: Arc<Assignments>,
    pub(crate) access: Access,
    pub(crate) reflection: bool,
    pub(crate) serves: watch::Receiver<Serves>,
    pub(crate) freshness: Arc<Freshness>,
    pub(crate) health: Health,
}

impl Edges {
    /// The servers of the doors that are open.
    pub(crate) fn servers(self) -> Vec<Server> {
        let Edges { doors, health, .. } = self;
        let shared = |draining| {
            Arc::new(OpenFeature {
                assignments: self.assignments.clone(),
                access: self.access.clone(),
                serves: self.serves.clone(),
                freshness: self.freshness.clone(),
                draining,
            })
        };
        let cors = Arc::new(web::Cors(doors.cors_origins));
        let mut servers = Vec::new();
        if let Some(listener) = doors.flagd {
            let mut server = Server::new("assay-openfeature-flagd", listener, health.clone()).accept_http1();
            let flagd = flagd::Flagd(shared(server.draining()));
            let first = connect::Edge {
                grpc: v1::service_server::ServiceServer::new(flagd.clone()),
                flagd: flagd.clone(),
                cors: cors.clone(),
            };
            let second = connect::Edge {
                grpc: v2::service_server::ServiceServer::new(flagd.clone()),
                flagd,
                cors: cors.clone(),
            };
            server = server.routes(Routes::new(first).add_service(second));
            if self.reflection {
                server = server.reflection([assay_proto::DESCRIPTORS]);
            }
            servers.push(server);
        }
        if let Some(listener) = doors.ofrep {
            let server = Server::new("assay-openfeature-ofrep", listener, health).accept_http1();
            let edge = ofrep::Edge {
                open: shared(server.draining()),
                cors,
                ingest: doors.ingest,
            };
            servers.push(server.routes(Routes::new(edge)));
        }
        servers
    }
}

/// Who asks, and about which namespace.
pub(crate) struct Caller {
    pub(crate) principal: Arc<Principal>,
    name: String,
    pub(crate) namespace: Namespace,
    /// Whether the namespace was named.
    pub(crate) has_selected: bool,
}

/// The answer for one flag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resolution {
    pub(crate) value: Value,
    /// Never empty.
    pub(crate) variant: String,
    pub(crate) reason: Reason,
    pub(crate) metadata: Vec<(&'static str, Fact)>,
}

/// One value of metadata: providers know no other types.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Bool(bool),
    Number(u64),
    Text(String),
}

/// The answers for all flags of a namespace, in order of key.
pub(crate) struct Everything {
    pub(crate) namespace: Namespace,
    pub(crate) generation: u64,
    pub(crate) answers: Vec<(FlagKey, Result<Resolution, Problem>)>,
    /// The default of each flag for which a unit is missing: for protocols that have no place for a problem.
    pub(crate) defaults: Vec<(FlagKey, Resolution)>,
    /// Whether some answer would be another one if a store were in reach.
    pub(crate) is_degraded: bool,
}

impl OpenFeature {
    /// Who calls `method` with `headers`; for them alone the rest is.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `PERMISSION_DENIED`, `UNAVAILABLE`.
    pub(crate) fn admit(&self, method: &str, headers: &HeaderMap) -> Result<Arc<Principal>, Failure> {
        let admitted = self.access.admit(method, headers)?;
        Ok(admitted.unwrap_or_else(|| Arc::new(Principal::local())))
    }

    /// The caller with the namespace that `headers` select.
    ///
    /// # Errors
    /// A selector of another form, and a namespace that is not the caller's.
    pub(crate) fn caller(&self, principal: Arc<Principal>, headers: &HeaderMap) -> Result<Caller, Failure> {
        let selector = headers.get(SELECTOR).map(|value| value.to_str().unwrap_or("?"));
        let selected = selector.map(str::trim).filter(|selector| !selector.is_empty());
        let namespace = match selected {
            None => Ok(Namespace::new(DEFAULT_NAMESPACE)),
            Some(selector) => selector
                .strip_prefix(FLAG_SET)
                .map(Namespace::new)
                .ok_or(selector),
        };
        let namespace = namespace
            .map_err(bad_selector)?
            .map_err(|error| bad_selector(&format!("{}: {error}", selector.unwrap_or_default())))?;
        principal.check_namespace(namespace.as_str())?;
        Ok(Caller {
            name: name_of(&principal, headers).to_owned(),
            principal,
            namespace,
            has_selected: selected.is_some(),
        })
    }

    /// What `key` is for `context`: an exposure, where an experiment splits.
    ///
    /// # Errors
    /// A [`Problem`], or nothing to answer from.
    pub(crate) async fn one(
        &self,
        caller: &Caller,
        key: &str,
        asked: Asked,
        context: &Context,
    ) -> Result<Result<Resolution, Problem>, Refusal> {
        let used = Use {
            records: true,
            remembers: true,
        };
        let mut sitting = Sitting::begin(&self.assignments, caller.namespace.as_str(), used)?;
        self.saw(caller, key);
        let snapshot = sitting.snapshot();
        let keys = [key.to_owned()];
        sitting.recall(&keys, &known(context)).await;
        let decided = sitting.decide(key, context.unit.as_ref(), &context.attributes);
        let told = self.resolution(&snapshot, key, asked, &decided, context);
        // What could not be given was not seen: then nothing is recorded.
        if told.is_ok()
            && let Some(recorded) = sitting.end()
        {
            recorded.await;
        }
        Ok(told)
    }

    /// What every flag is for `context`: no exposures, for nobody knows which of them will be looked at.
    ///
    /// # Errors
    /// Nothing to answer from.
    pub(crate) async fn all(&self, caller: &Caller, context: &Context) -> Result<Everything, Refusal> {
        let used = Use {
            records: false,
            remembers: true,
        };
        let mut sitting = Sitting::begin(&self.assignments, caller.namespace.as_str(), used)?;
        let snapshot = sitting.snapshot();
        let mut keys: Vec<FlagKey> = snapshot.flags().cloned().collect();
        keys.sort();
        let names: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
        sitting.recall(&names, &known(context)).await;
        let mut everything = Everything {
            namespace: caller.namespace.clone(),
            generation: snapshot.generation(),
            answers: Vec::with_capacity(keys.len()),
            defaults: Vec::new(),
            is_degraded: false,
        };
        for key in keys {
            let decided = sitting.decide(key.as_str(), context.unit.as_ref(), &context.attributes);
            everything.is_degraded |= decided.reason == Cause::Degraded;
            if decided.experiment.is_some() {
                self.saw(caller, key.as_str());
            }
            let told = self.resolution(&snapshot, key.as_str(), Asked::Any, &decided, context);
            if told == Err(Problem::TargetingKeyMissing)
                && let Some(default) = self.default(&snapshot, &key, &decided, context)
            {
                everything.defaults.push((key.clone(), default));
            }
            everything.answers.push((key, told));
        }
        Ok(everything)
    }

    /// Whether `generation` of the caller's namespace, or a newer one, is served here before `wait` is over.
    pub(crate) async fn serves_within(&self, caller: &Caller, generation: u64, wait: Duration) -> bool {
        let mut serves = self.serves.clone();
        let is_served = |serves: &Serves| {
            let served = serves.get(&caller.namespace);
            served.is_some_and(|served| served.generation >= generation)
        };
        let waited = tokio::time::timeout(wait, serves.wait_for(is_served)).await;
        waited.is_ok_and(|served| served.is_ok())
    }

    fn saw(&self, caller: &Caller, key: &str) {
        if key.len() <= MAX_KEY_BYTES {
            let (callers, now) = (&self.assignments.callers, self.assignments.now());
            callers.saw(&caller.name, caller.namespace.as_str(), key, now);
        }
    }

    fn resolution(
        &self,
        snapshot: &Snapshot,
        key: &str,
        asked: Asked,
        decided: &Assignment<'_>,
        context: &Context,
    ) -> Result<Resolution, Problem> {
        let circumstances = Circumstances {
            has_unit: context.unit.is_some(),
            is_settled: self.is_settled(snapshot),
        };
        let told = tell(snapshot, key, asked, decided, circumstances)?;
        Ok(Resolution {
            value: told.value.clone(),
            variant: told.variant.to_owned(),
            reason: told.reason,
            metadata: self.metadata(decided, context),
        })
    }

    /// The flag's default for somebody unknown, and that it is for want of a unit.
    fn default(
        &self,
        snapshot: &Snapshot,
        key: &FlagKey,
        decided: &Assignment<'_>,
        context: &Context,
    ) -> Option<Resolution> {
        let first = snapshot.describe(key.as_str())?.first_variation?;
        let mut metadata = self.metadata(decided, context);
        metadata.push(("errorCode", Fact::Text("TARGETING_KEY_MISSING".to_owned())));
        Some(Resolution {
            value: decided.value?.clone(),
            variant: first.as_str().to_owned(),
            reason: Reason::Default,
            metadata,
        })
    }

    fn metadata(&self, decided: &Assignment<'_>, context: &Context) -> Vec<(&'static str, Fact)> {
        let mut facts = vec![
            ("generation", Fact::Number(decided.generation)),
            ("cause", Fact::Text(cause(decided.reason).to_owned())),
        ];
        if let Some(experiment) = decided.experiment {
            facts.push(("experiment", Fact::Text(experiment.to_string())));
        }
        if let Some(age) = self.freshness.stale_secs(self.assignments.now().micros()) {
            facts.push(("stale", Fact::Bool(true)));
            facts.push(("configAgeSeconds", Fact::Number(age)));
        }
        if !context.ignored.is_empty() {
            facts.push(("ignoredAttributes", Fact::Text(context.ignored.join(","))));
        }
        facts
    }

    /// Whether every replica serves this generation, or a newer one.
    fn is_settled(&self, snapshot: &Snapshot) -> bool {
        let serves = self.serves.borrow();
        let Some(served) = serves.get(snapshot.namespace()) else {
            return false;
        };
        let age = self
            .assignments
            .now()
            .micros()
            .saturating_sub(served.since.micros());
        served.generation == snapshot.generation()
            && u64::try_from(age).is_ok_and(|age| Duration::from_micros(age) >= SETTLED)
    }
}

fn known(context: &Context) -> Vec<(&Unit, &Attributes)> {
    let unit = context.unit.iter();
    unit.map(|unit| (unit, &context.attributes)).collect()
}

fn bad_selector(selector: &str) -> Failure {
    let message = format!("the header `{SELECTOR}` is `{selector}`; give `{FLAG_SET}NAMESPACE`, or none");
    Failure::new(Code::FailedPrecondition, "INVALID_SELECTOR", message)
}

/// What went wrong, as gRPC and Connect say it.
pub(crate) fn failure(problem: &Problem, key: &str, namespace: &Namespace) -> Failure {
    let failure = match problem {
        Problem::FlagNotFound => {
            let message = format!("there is no flag `{key}` in namespace `{namespace}`; check both");
            Failure::not_found(code(problem), message)
        }
        Problem::ParseError => {
            let message = format!("flag `{key}` is broken, and no good version of it was seen; repair it");
            Failure::new(Code::DataLoss, code(problem), message)
        }
        Problem::TypeMismatch { is, asked } => {
            let message = format!(
                "flag `{key}` is a {is}, and its value cannot be given as {asked:?}; ask for its type"
            );
            Failure::new(Code::InvalidArgument, code(problem), message)
        }
        Problem::TargetingKeyMissing => {
            let message = format!("flag `{key}` is split by unit; give the unit's id as targeting key");
            Failure::new(Code::FailedPrecondition, code(problem), message)
        }
    };
    failure.with_metadata("flag", key)
}

/// The error code of OpenFeature.
pub(crate) fn code(problem: &Problem) -> &'static str {
    match problem {
        Problem::FlagNotFound => "FLAG_NOT_FOUND",
        Problem::ParseError => "PARSE_ERROR",
        Problem::TypeMismatch { .. } => "TYPE_MISMATCH",
        Problem::TargetingKeyMissing => "TARGETING_KEY_MISSING",
    }
}

/// A context that cannot be used. It is no `INVALID_ARGUMENT`, which providers take for a flag of another type.
pub(crate) fn invalid_context(errors: FieldErrors) -> Failure {
    let mut failure = Failure::from(Refusal::from(errors));
    failure.code = Code::FailedPrecondition;
    failure.reason = "INVALID_CONTEXT".into();
    failure
}

/// How a stream ends with this process. Some providers take an end in order for no end at all, and would never come back.
pub(crate) fn ended() -> Failure {
    let message = "this replica ends; connect again";
    Failure::unavailable("SHUTTING_DOWN", message, Duration::from_secs(1))
}

/// Why, in the words of `Assign`.
fn cause(reason: Cause) -> &'static str {
    let name = assignment::Reason::from(reason).as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

/// What is not loaded yet, in the words of OpenFeature; all else as ever.
pub(crate) fn refused(refusal: Refusal) -> Failure {
    let mut failure = Failure::from(refusal);
    if failure.code == Code::Unavailable {
        failure.reason = "PROVIDER_NOT_READY".into();
    }
    failure
}
