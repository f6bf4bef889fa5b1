//! API keys from their making to their end, and what a key of one tenant sees of another.

use assay_platform::{
    Access, Code, Failure, MockClock, Principal, Role,
    access::{Key, Permission, Scope, hash_key, permissions},
};
use assay_proto::config::v1::{
    self as pb, access_service_client::AccessServiceClient, flag_service_client::FlagServiceClient,
};
use bytes::{Buf, BufMut};
use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use crate::support::{NOW, Service, database, make, refused};

const ADMIN: &str = "assay_admin";

fn fixed(secret: &str, role: Role, scope: Scope) -> Key {
    Key {
        hash: hash_key(secret),
        principal: Principal {
            name: secret.to_owned(),
            roles: [role].into(),
            scope,
        },
        expires_at_micros: None,
    }
}

fn only(namespace: &str) -> Scope {
    Scope::Only([namespace.to_owned()].into())
}

async fn guarded() -> Service {
    let clock = MockClock::at(NOW);
    let mut keys = vec![fixed(ADMIN, Role::Admin, Scope::All)];
    keys.extend(Role::ALL.map(|role| fixed(role.name(), role, only("shop"))));
    let access = Access::keys(keys, clock.shared());
    Service::start_guarded(access, database().await, clock).await
}

fn with<T>(secret: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {secret}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn key(id: &str, role: pb::Role, namespaces: &[&str]) -> pb::CreateApiKeyRequest {
    let key = pb::ApiKey {
        id: id.to_owned(),
        roles: vec![role.into()],
        namespaces: namespaces.iter().map(ToString::to_string).collect(),
        all_namespaces: namespaces.is_empty(),
        ..Default::default()
    };
    pb::CreateApiKeyRequest {
        key: Some(key),
        reason: "a test".to_owned(),
    }
}

fn get_flag(namespace: &str) -> pb::GetFlagRequest {
    pb::GetFlagRequest {
        namespace: namespace.to_owned(),
        key: "gate".to_owned(),
    }
}

fn create_flag(namespace: &str) -> pb::CreateFlagRequest {
    let flag = pb::Flag {
        namespace: namespace.to_owned(),
        ..make::flag("gate")
    };
    pb::CreateFlagRequest { flag: Some(flag) }
}

#[tokio::test]
async fn a_key_works_from_its_making_until_it_is_revoked() {
    let service = guarded().await;
    let mut access = AccessServiceClient::new(service.channel.clone());
    let mut flags = FlagServiceClient::new(service.channel.clone());
    let made = access
        .create_api_key(with(ADMIN, key("shop-ci", pb::Role::Editor, &["shop"])))
        .await
        .unwrap()
        .into_inner();
    assert!(made.secret.starts_with("assay_") && made.secret.len() == 70);
    assert_eq!(made.key.unwrap().created_by, ADMIN);
    flags
        .create_flag(with(&made.secret, create_flag("shop")))
        .await
        .unwrap();
    let foreign = flags.create_flag(with(&made.secret, create_flag("bank"))).await;
    refused(foreign, Code::NotFound, "NAMESPACE_NOT_FOUND");
    let who = access
        .who_am_i(with(&made.secret, pb::WhoAmIRequest {}))
        .await
        .unwrap();
    let who = who.into_inner();
    assert_eq!(
        (who.principal.as_str(), who.namespaces),
        ("shop-ci", vec!["shop".to_owned()])
    );

    let again = access
        .create_api_key(with(ADMIN, key("shop-ci", pb::Role::Viewer, &["shop"])))
        .await;
    refused(again, Code::AlreadyExists, "ALREADY_EXISTS");
    let listed = access
        .list_api_keys(with(ADMIN, pb::ListApiKeysRequest::default()))
        .await;
    let listed = listed.unwrap().into_inner().keys;
    assert_eq!(listed.len(), 1);
    assert!(!format!("{listed:?}").contains(&made.secret));

    let revoke = || pb::RevokeApiKeyRequest {
        id: "shop-ci".to_owned(),
        reason: String::new(),
    };
    let foreign = access
        .revoke_api_key(with(
            "admin",
            pb::RevokeApiKeyRequest {
                id: "x".into(),
                ..revoke()
            },
        ))
        .await;
    refused(foreign, Code::NotFound, "NOT_FOUND");
    for _ in 0..2 {
        access.revoke_api_key(with(ADMIN, revoke())).await.unwrap();
    }
    let late = flags.get_flag(with(&made.secret, get_flag("shop"))).await;
    refused(late, Code::Unauthenticated, "KEY_NOT_VALID");
    let none = flags.get_flag(get_flag("shop")).await;
    refused(none, Code::Unauthenticated, "KEY_REQUIRED");
}

#[tokio::test]
async fn a_key_expires_and_is_no_larger_than_its_makers() {
    let service = guarded().await;
    let mut access = AccessServiceClient::new(service.channel.clone());
    let mut flags = FlagServiceClient::new(service.channel.clone());
    let mut soon = key("soon", pb::Role::Viewer, &["shop"]);
    let end = |seconds: i64| {
        Some(prost_types::Timestamp {
            seconds: NOW / 1_000_000 + seconds,
            nanos: 0,
        })
    };
    soon.key.as_mut().unwrap().expires_at = end(0);
    let past = access.create_api_key(with(ADMIN, soon.clone())).await;
    refused(past, Code::InvalidArgument, "INVALID_ARGUMENT");
    soon.key.as_mut().unwrap().expires_at = end(60);
    let secret = access
        .create_api_key(with(ADMIN, soon))
        .await
        .unwrap()
        .into_inner()
        .secret;
    let found = flags.get_flag(with(&secret, get_flag("shop"))).await;
    refused(found, Code::NotFound, "NOT_FOUND");
    service.clock.advance(std::time::Duration::from_secs(60));
    let late = flags.get_flag(with(&secret, get_flag("shop"))).await;
    refused(late, Code::Unauthenticated, "KEY_NOT_VALID");

    // `admin` is an administrator of `shop` alone.
    let foreign = access
        .create_api_key(with("admin", key("a", pb::Role::Viewer, &["shop", "bank"])))
        .await;
    refused(foreign, Code::NotFound, "NAMESPACE_NOT_FOUND");
    let all = access
        .create_api_key(with("admin", key("a", pb::Role::Viewer, &[])))
        .await;
    refused(all, Code::InvalidArgument, "INVALID_ARGUMENT");
    for bad in [
        key("local", pb::Role::Viewer, &["shop"]),
        key("", pb::Role::Viewer, &["shop"]),
        key("a", pb::Role::Service, &["shop"]),
        key("a", pb::Role::Unspecified, &["shop"]),
        key("a", pb::Role::Viewer, &["no namespace"]),
    ] {
        let wrong = access.create_api_key(with(ADMIN, bad)).await;
        refused(wrong, Code::InvalidArgument, "INVALID_ARGUMENT");
    }
}

/// A message of bytes, for methods that are only known by their descriptors.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
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

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// A method of the service, its request and what it needs.
struct Method {
    name: String,
    request: DescriptorProto,
    needs: Permission,
}

/// The methods that config serves, by the descriptors.
fn methods() -> (FileDescriptorSet, Vec<Method>) {
    let set = FileDescriptorSet::decode(assay_proto::DESCRIPTORS).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "assay.config.v1");
    let mut methods = Vec::new();
    for (service, method) in files.flat_map(|f| {
        f.service
            .iter()
            .flat_map(|s| s.method.iter().map(move |m| (s, m)))
    }) {
        let name = format!("assay.config.v1.{}/{}", service.name(), method.name());
        methods.push(Method {
            request: message(&set, method.input_type()).unwrap(),
            needs: permissions::permission(&name).unwrap(),
            name,
        });
    }
    (set, methods)
}

fn message(set: &FileDescriptorSet, full_name: &str) -> Option<DescriptorProto> {
    let (package, name) = full_name.strip_prefix('.')?.rsplit_once('.')?;
    let files = set.file.iter().filter(|file| file.package() == package);
    let mut messages = files.flat_map(|file| &file.message_type);
    messages.find(|message| message.name() == name).cloned()
}

/// A request that names `namespace`, in itself or in a message that it holds; nothing when it can name none.
fn naming(set: &FileDescriptorSet, request: &DescriptorProto, namespace: &str) -> Option<Vec<u8>> {
    let field = |message: &DescriptorProto| {
        message
            .field
            .iter()
            .find(|f| f.name() == "namespace")
            .map(|f| f.number())
    };
    let delimited = |number: i32, bytes: &[u8]| {
        let mut out = Vec::new();
        prost::encoding::encode_key(
            u32::try_from(number).unwrap(),
            prost::encoding::WireType::LengthDelimited,
            &mut out,
        );
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    };
    if let Some(number) = field(request) {
        let mut named = delimited(number, namespace.as_bytes());
        if let Some(key) = request.field.iter().find(|f| f.name() == "key") {
            named.extend(delimited(key.number(), b"gate"));
        }
        return Some(named);
    }
    request
        .field
        .iter()
        .filter(|f| f.r#type() == Type::Message)
        .find_map(|outer| {
            let inner = field(&message(set, outer.type_name())?)?;
            Some(delimited(outer.number(), &delimited(inner, namespace.as_bytes())))
        })
}

async fn call(service: &Service, secret: &str, method: &str, request: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let mut client = Grpc::new(service.channel.clone());
    client.ready().await.unwrap();
    let path = format!("/{method}").parse().unwrap();
    let answer = client.unary(with(secret, request), path, Raw).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| Failure::from_status(&status))
}

#[tokio::test]
async fn s1_every_method_with_each_role_is_admitted_as_the_table_says() {
    let service = guarded().await;
    let (_, methods) = methods();
    assert!(methods.len() > 25);
    for method in &methods {
        for role in Role::ALL {
            let answer = call(&service, role.name(), &method.name, Vec::new()).await;
            let denied = matches!(&answer, Err(failure) if failure.reason == "ROLE_REQUIRED");
            let may = match method.needs {
                Permission::Public | Permission::Anyone => true,
                Permission::Role(needed) | Permission::Global(needed) => role.covers(needed),
            };
            assert_eq!(denied, !may, "{} by {}: {answer:?}", method.name, role.name());
        }
        let nobody = call(&service, "assay_unknown", &method.name, Vec::new()).await;
        assert!(
            matches!(&nobody, Err(f) if matches!(f.code, Code::Unauthenticated | Code::Unavailable)),
            "{}: {nobody:?}",
            method.name
        );
    }
}

#[tokio::test]
async fn s2_another_tenants_namespace_looks_as_if_it_did_not_exist() {
    let mut service = guarded().await;
    let mut flags = FlagServiceClient::new(service.channel.clone());
    flags.create_flag(with(ADMIN, create_flag("bank"))).await.unwrap();
    let (set, methods) = methods();
    let mut n_tried = 0;
    for method in methods.iter().filter(|m| matches!(m.needs, Permission::Role(_))) {
        let Permission::Role(needed) = method.needs else {
            continue;
        };
        for namespace in ["bank", "nowhere"] {
            let request = naming(&set, &method.request, namespace)
                .unwrap_or_else(|| panic!("{} names no namespace: is it `Global`?", method.name));
            let answer = call(&service, needed.name(), &method.name, request).await;
            let failure = answer.expect_err(&method.name);
            assert_eq!(
                (
                    failure.code,
                    &*failure.reason,
                    failure.message.replace(namespace, "X").as_str()
                ),
                (
                    Code::NotFound,
                    "NAMESPACE_NOT_FOUND",
                    "there is no namespace `X` for this API key; check the namespace"
                ),
                "{}",
                method.name
            );
            n_tried += 1;
        }
    }
    assert!(n_tried > 50, "{n_tried}");
    service.stop().await;
}

/// An editor writes drafts; what units get from now on is for an operator to say.
#[tokio::test]
async fn s1_an_editor_starts_nothing_and_reaches_no_more_units() {
    let service = guarded().await;
    let channel = service.channel.clone();
    let mut experiments = pb::experiment_service_client::ExperimentServiceClient::new(channel.clone());
    let mut metrics = pb::metric_service_client::MetricServiceClient::new(channel);
    let in_shop = |experiment: pb::Experiment| pb::Experiment {
        namespace: "shop".to_owned(),
        ..experiment
    };
    let metric = pb::CreateMetricRequest {
        metric: Some(pb::Metric {
            namespace: "shop".to_owned(),
            ..make::retention("retention_7")
        }),
    };
    metrics
        .create_metric(with(Role::Editor.name(), metric))
        .await
        .unwrap();
    let create = |start| pb::CreateExperimentRequest {
        experiment: Some(in_shop(pb::Experiment {
            coverage: Some(1_000),
            ..make::ready("a")
        })),
        start,
        ..Default::default()
    };
    let started = experiments
        .create_experiment(with(Role::Editor.name(), create(true)))
        .await;
    refused(started, Code::PermissionDenied, "ROLE_REQUIRED");
    let operator = [Role::Operator.name(), Role::Editor.name()];
    let started = experiments
        .create_experiment(with(operator[0], create(true)))
        .await
        .unwrap()
        .into_inner();
    let running = started.experiment.unwrap();
    let update = |path: &str, experiment: pb::Experiment| pb::UpdateExperimentRequest {
        experiment: Some(experiment),
        update_mask: make::mask(&[path]),
    };
    let wider = pb::Experiment {
        coverage: Some(5_000),
        ..running.clone()
    };
    let widened = experiments
        .update_experiment(with(operator[1], update("coverage", wider.clone())))
        .await;
    refused(widened, Code::PermissionDenied, "ROLE_REQUIRED");
    let named = pb::Experiment {
        name: "a better name".to_owned(),
        ..running
    };
    let named = experiments
        .update_experiment(with(operator[1], update("name", named)))
        .await
        .unwrap()
        .into_inner();
    let wider = pb::Experiment {
        version: named.experiment.unwrap().version,
        ..wider
    };
    experiments
        .update_experiment(with(operator[0], update("coverage", wider)))
        .await
        .unwrap();
}
