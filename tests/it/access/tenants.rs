//! S2: two tenants of one cluster. Whatever `red` asks for that is `blue`'s is answered as if it did not exist.
//!
//! Blue's keys begin with `canary`, all else that blue has written down begins with `hidden`. Red asks each question twice: of what
//! blue has, and of its twin, in which `canary` is `absent` and the namespace `blue` is `void`, where there is nothing. The answers must be twins, too:
//! the words are equally long, so what is encoded around them is the same.

pub(super) mod blue;
pub(super) mod probes;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use assay_proto::{analysis::v1 as analysis, config::v1 as pb};
use assay_tests::{eventually, raw::Answer};
use prost::Message;
use tonic::Code;

use super::{ADMIN_KEY, Guarded, matrix::methods};
use probes::Probe;

const DEADLINE: Duration = Duration::from_secs(30);

/// What stands for blue's things where there are none.
const TWINS: [(&str, &str); 2] = [("canary", "absent"), ("blue", "void")];

fn replaced(bytes: &[u8]) -> Vec<u8> {
    let mut twin = bytes.to_vec();
    for (from, to) in TWINS {
        let mut at = 0;
        while let Some(found) = twin[at..].windows(from.len()).position(|w| w == from.as_bytes()) {
            at += found;
            twin[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
    }
    twin
}

/// The answer as it would be to the twin.
fn twin(answer: &Answer) -> Answer {
    Answer {
        message: String::from_utf8_lossy(&replaced(answer.message.as_bytes())).into_owned(),
        bytes: replaced(&answer.bytes),
        ..answer.clone()
    }
}

/// A key of everything in `namespace`.
pub(super) fn tenant(id: &str, namespace: &str) -> pb::ApiKey {
    pb::ApiKey {
        id: id.to_owned(),
        roles: vec![pb::Role::Admin.into()],
        namespaces: vec![namespace.to_owned()],
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_another_tenants_things_look_as_if_they_did_not_exist() -> Result<()> {
    let guarded = Guarded::start(&[]).await?;
    let blue = guarded.make(tenant("hidden-keeper", "blue")).await?;
    let red = guarded.make(tenant("red-keeper", "red")).await?;
    for key in [&blue, &red] {
        guarded.settle(key, true).await?;
    }
    blue::write_down(&guarded, &blue, "blue").await?;
    // Red has things of its own, so that its lists are not empty.
    blue::write_down(&guarded, &red, "red").await?;
    let before = kept(&guarded).await?;

    in_its_namespace(&guarded, &blue, &red).await?;
    at_home(&guarded, &red).await?;
    keys(&guarded, &red).await?;
    ensure!(kept(&guarded).await? == before, "red has changed what blue has");
    replay(&guarded, &blue, &red).await?;
    pages(&guarded, &blue, &red).await?;
    guarded.cluster.stop_all().await
}

/// Red names blue's namespace, in every method that takes one.
async fn in_its_namespace(guarded: &Guarded, blue: &str, red: &str) -> Result<()> {
    let mut asked = BTreeSet::new();
    for probe in probes::all("blue") {
        // Whoever may is told: the question is a good one.
        if probe.tells {
            let answer = guarded
                .call(Some(blue), &probe.method, probe.request.clone())
                .await?;
            ensure!(
                answer.contains("hidden") || answer.contains("canary"),
                "{probe:?}: {answer:?}"
            );
        }
        let answer = ask(guarded, red, &probe).await?;
        let refused = (answer.code, answer.reason.as_str(), answer.message.as_str());
        let missing = "there is no namespace `blue` for this API key; check the namespace";
        ensure!(
            refused == (Code::NotFound, "NAMESPACE_NOT_FOUND", missing),
            "{probe:?}: {answer:?}"
        );
        asked.insert(probe.method.clone());
    }
    // Of a stream each question has its own answer, and is refused in that.
    let in_stream = probes::in_stream("blue");
    let answer = ask(guarded, red, &in_stream).await?;
    ensure!(
        answer.contains("NAMESPACE_NOT_FOUND"),
        "{in_stream:?}: {answer:?}"
    );
    asked.insert(in_stream.method);
    for (service, name) in methods()? {
        let method = format!("{service}/{name}");
        ensure!(
            service.ends_with(".AccessService") || asked.contains(&method),
            "{method} is not asked"
        );
    }
    Ok(())
}

/// Red names blue's things in its own namespace, first in things of its own.
async fn at_home(guarded: &Guarded, red: &str) -> Result<()> {
    for probe in probes::references() {
        let answer = ask(guarded, red, &probe).await?;
        ensure!(answer.code == Code::InvalidArgument, "{probe:?}: {answer:?}");
    }
    for probe in probes::all("red") {
        let answer = ask(guarded, red, &probe).await?;
        if probe.names {
            ensure!(answer.code == Code::NotFound, "{probe:?}: {answer:?}");
        }
    }
    Ok(())
}

/// Red asks, of blue's and of the twin.
async fn ask(guarded: &Guarded, red: &str, probe: &Probe) -> Result<Answer> {
    let answer = guarded
        .call(Some(red), &probe.method, probe.request.clone())
        .await?;
    let absent = guarded
        .call(Some(red), &probe.method, replaced(&probe.request))
        .await?;
    ensure!(!answer.contains("hidden"), "{probe:?}: {answer:?}");
    ensure!(
        answer.code == absent.code,
        "{probe:?}: {answer:?}, but {absent:?}"
    );
    // What is done or read has times and generations.
    if answer.code != Code::Ok {
        ensure!(twin(&answer) == absent, "{probe:?}: {answer:?}, but {absent:?}");
    }
    Ok(answer)
}

/// What blue has: its definitions, and what was counted.
async fn kept(guarded: &Guarded) -> Result<(Vec<u8>, Vec<(String, i64)>)> {
    let request = pb::ExportNamespaceRequest {
        namespace: "blue".to_owned(),
    };
    let method = "assay.config.v1.GenerationService/ExportNamespace";
    let exported = guarded
        .call(Some(ADMIN_KEY), method, request.encode_to_vec())
        .await?;
    ensure!(exported.contains("hidden"), "{exported:?}");
    let counted = eventually(DEADLINE, async || {
        let request = analysis::GetResultsRequest {
            namespace: "blue".to_owned(),
            experiment_key: "canary-experiment".to_owned(),
        };
        let method = "assay.analysis.v1.AnalysisService/GetResults";
        let answer = guarded
            .call(Some(ADMIN_KEY), method, request.encode_to_vec())
            .await?;
        ensure!(answer.code == Code::Ok, "{answer:?}");
        let result = analysis::GetResultsResponse::decode(&*answer.bytes)?.result;
        let result = result.context("a result")?;
        let counted = result.variants.iter();
        let counted: Vec<_> = counted.map(|of| (of.variant_key.clone(), of.units)).collect();
        let units: i64 = counted.iter().map(|(_, units)| units).sum();
        ensure!(units == blue::UNITS, "{units} units are counted");
        anyhow::Ok(counted)
    });
    Ok((exported.bytes, counted.await?))
}

/// Keys are in no namespace: those that are for blue do not exist for red.
async fn keys(guarded: &Guarded, red: &str) -> Result<()> {
    let method = |name: &str| format!("assay.config.v1.AccessService/{name}");
    let list = pb::ListApiKeysRequest::default().encode_to_vec();
    let listed = guarded.call(Some(red), &method("ListApiKeys"), list).await?;
    ensure!(
        listed.code == Code::Ok && listed.contains("red-keeper"),
        "{listed:?}"
    );
    ensure!(
        !listed.contains("hidden") && !listed.contains("blue"),
        "{listed:?}"
    );
    let revoke = |id: &str| pb::RevokeApiKeyRequest {
        id: id.to_owned(),
        ..Default::default()
    };
    let name = method("RevokeApiKey");
    let foreign = guarded
        .call(Some(red), &name, revoke("hidden-keeper").encode_to_vec())
        .await?;
    let absent = guarded
        .call(Some(red), &name, revoke("absent-keeper").encode_to_vec())
        .await?;
    let message = absent.message.replace("absent", "hidden");
    ensure!(
        (foreign.code, &foreign.message) == (Code::NotFound, &message),
        "{foreign:?}, but {absent:?}"
    );
    let create = pb::CreateApiKeyRequest {
        key: Some(tenant("red-spy", "blue")),
        ..Default::default()
    };
    let made = guarded
        .call(Some(red), &method("CreateApiKey"), create.encode_to_vec())
        .await?;
    ensure!(made.reason == "NAMESPACE_NOT_FOUND", "{made:?}");
    shared_key(guarded, red).await?;
    let who = guarded.call(Some(red), &method("WhoAmI"), Vec::new()).await?;
    ensure!(who.contains("red") && !who.contains("blue"), "{who:?}");
    Ok(())
}

/// A key for both is in both trails, and red's does not tell that blue has it, too.
async fn shared_key(guarded: &Guarded, red: &str) -> Result<()> {
    let key = pb::ApiKey {
        namespaces: vec!["blue".to_owned(), "red".to_owned()],
        ..tenant("shared", "red")
    };
    guarded.make(key).await?;
    let request = pb::ListAuditRequest {
        namespace: "red".to_owned(),
        resource: "key/shared".to_owned(),
        ..Default::default()
    };
    let method = "assay.config.v1.AuditService/ListAudit";
    let answer = guarded.call(Some(red), method, request.encode_to_vec()).await?;
    ensure!(
        answer.contains("key.create") && !answer.contains("blue"),
        "{answer:?}"
    );
    Ok(())
}

/// The answer to one tenant's request is not given to another who sends it again.
async fn replay(guarded: &Guarded, blue: &str, red: &str) -> Result<()> {
    let door = guarded.door("config")?.once("a key of one request");
    let method = "assay.config.v1.FlagService/CreateFlag";
    let flag = Some(blue::flag("blue", "canary-once"));
    let request = pb::CreateFlagRequest { flag }.encode_to_vec();
    let made = door.call(Some(blue), method, request.clone()).await;
    let again = door.call(Some(blue), method, request.clone()).await;
    ensure!(made.code == Code::Ok && made == again, "{made:?}, {again:?}");
    let stolen = door.call(Some(red), method, request).await;
    ensure!(stolen.reason == "NAMESPACE_NOT_FOUND", "{stolen:?}");
    let delete = pb::DeleteFlagRequest {
        namespace: "blue".to_owned(),
        key: "canary-once".to_owned(),
        version: 1,
    };
    let method = "assay.config.v1.FlagService/DeleteFlag";
    let gone = guarded.call(Some(blue), method, delete.encode_to_vec()).await?;
    ensure!(gone.code == Code::Ok, "{gone:?}");
    Ok(())
}

/// A page token of blue's opens nothing to red.
async fn pages(guarded: &Guarded, blue: &str, red: &str) -> Result<()> {
    let method = "assay.config.v1.FlagService/ListFlags";
    let list = |namespace: &str, page_token: String| pb::ListFlagsRequest {
        namespace: namespace.to_owned(),
        page_size: 1,
        page_token,
    };
    let first = guarded
        .call(Some(blue), method, list("blue", String::new()).encode_to_vec())
        .await?;
    let token = pb::ListFlagsResponse::decode(&*first.bytes)?.next_page_token;
    ensure!(!token.is_empty(), "{first:?}");
    for namespace in ["red", "blue"] {
        let request = list(namespace, token.clone()).encode_to_vec();
        let answer = guarded.call(Some(red), method, request).await?;
        ensure!(answer.code != Code::Ok, "{answer:?}");
        ensure!(
            !answer.contains("hidden") && !answer.contains("canary"),
            "{answer:?}"
        );
    }
    Ok(())
}
