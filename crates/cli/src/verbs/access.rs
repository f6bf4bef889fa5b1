//! API keys, and who the caller is.

use assay_client::retry;
use assay_proto::config::v1 as pb;
use serde::Serialize;

use super::Context;
use crate::{
    args::{KeyArgs, KeyVerb},
    error::Error,
    output,
    view::text,
};

/// A key as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: String,
    roles: Vec<String>,
    /// None for all.
    namespaces: Option<Vec<String>>,
    created_by: String,
    created_at: String,
    expires_at: String,
    revoked_at: String,
    /// Only of one that was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Key {
    fn of(key: pb::ApiKey) -> Self {
        Self {
            roles: roles(&key.roles),
            namespaces: (!key.all_namespaces).then_some(key.namespaces),
            created_by: key.created_by,
            created_at: text::time(key.created_at),
            expires_at: text::time(key.expires_at),
            revoked_at: text::time(key.revoked_at),
            id: key.id,
            secret: None,
        }
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.roles.join(" "),
            namespaces(self.namespaces.as_ref()),
            self.expires_at.clone(),
            self.revoked_at.clone(),
        ]
    }
}

/// Does a verb of keys.
pub(super) async fn run(context: &Context, verb: KeyVerb) -> Result<(), Error> {
    match verb {
        KeyVerb::Create(args) => create(context, args).await,
        KeyVerb::List => list(context).await,
        KeyVerb::Revoke { id, reason } => revoke(context, id, reason).await,
    }
}

async fn create(context: &Context, args: KeyArgs) -> Result<(), Error> {
    let roles = args.roles.iter().map(|role| role_named(role));
    let mut namespaces = vec![context.namespace().to_owned()];
    namespaces.extend(args.also);
    if args.all_namespaces {
        namespaces.clear();
    }
    let key = pb::ApiKey {
        id: args.id,
        roles: roles.collect::<Result<_, _>>()?,
        namespaces,
        all_namespaces: args.all_namespaces,
        expires_at: text::parse_time(&args.expires_at, "--expires-at")?,
        ..Default::default()
    };
    let request = pb::CreateApiKeyRequest {
        key: Some(key),
        reason: args.reason,
    };
    // Never repeated: an answer that is lost takes the secret with it, and the id shows that the key was made.
    let made = context.client.access().create_api_key(request).await;
    let made =
        made.map_err(|status| assay_client::Error::from(assay_platform::Failure::from_status(&status)))?;
    let made = made.into_inner();
    let mut key = Key::of(made.key.unwrap_or_default());
    let id = key.id.clone();
    key.secret = Some(made.secret.clone());
    output::document(context.format, &key, || made.secret)?;
    output::note(format!(
        "key {id} is made. Its secret is shown this once: keep it where its holder reads it (ASSAY__CLIENT__API_KEY)."
    ));
    Ok(())
}

async fn list(context: &Context) -> Result<(), Error> {
    let mut keys: Vec<Key> = Vec::new();
    let mut request = pb::ListApiKeysRequest {
        page_size: 1_000,
        ..Default::default()
    };
    loop {
        let page = retry(|| {
            let (mut service, request) = (context.client.access(), request.clone());
            async move { service.list_api_keys(request).await }
        });
        let page = page.await?;
        keys.extend(page.keys.into_iter().map(Key::of));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    output::document(context.format, &keys, || match keys.as_slice() {
        [] => "no keys".to_owned(),
        keys => {
            let header = ["id", "roles", "namespaces", "expires", "revoked"];
            output::table(&header, keys.iter().map(Key::row), &[])
        }
    })
}

async fn revoke(context: &Context, id: String, reason: String) -> Result<(), Error> {
    let request = pb::RevokeApiKeyRequest { id, reason };
    let revoked = retry(|| {
        let (mut service, request) = (context.client.access(), request.clone());
        async move { service.revoke_api_key(request).await }
    });
    let key = Key::of(revoked.await?.key.unwrap_or_default());
    output::document(context.format, &key, || {
        format!("key {} is revoked; every service knows within seconds", key.id)
    })
}

/// Somebody, as the services see them.
#[derive(Serialize)]
struct Who {
    principal: String,
    roles: Vec<String>,
    /// None for all.
    namespaces: Option<Vec<String>>,
}

/// Shows who calls.
pub(super) async fn who_am_i(context: &Context) -> Result<(), Error> {
    let answer = retry(|| {
        let mut service = context.client.access();
        async move { service.who_am_i(pb::WhoAmIRequest {}).await }
    });
    let answer = answer.await?;
    let who = Who {
        principal: answer.principal,
        roles: roles(&answer.roles),
        namespaces: (!answer.all_namespaces).then_some(answer.namespaces),
    };
    output::document(context.format, &who, || {
        output::facts(vec![
            ("principal", who.principal.clone()),
            ("roles", who.roles.join(" ")),
            ("namespaces", namespaces(who.namespaces.as_ref())),
        ])
    })
}

fn roles(roles: &[i32]) -> Vec<String> {
    let known = roles.iter().filter_map(|role| pb::Role::try_from(*role).ok());
    known
        .map(|role| role.as_str_name().trim_start_matches("ROLE_").to_lowercase())
        .collect()
}

fn role_named(text: &str) -> Result<i32, Error> {
    let role = pb::Role::from_str_name(&format!("ROLE_{}", text.to_uppercase()));
    let role = role.filter(|role| *role != pb::Role::Unspecified);
    role.map(Into::into).ok_or_else(|| {
        Error::Usage(format!(
            "`{text}` is no role; give viewer, editor, operator, admin, assigner, recorder or importer"
        ))
    })
}

fn namespaces(names: Option<&Vec<String>>) -> String {
    names.map_or_else(|| "all".to_owned(), |names| names.join(" "))
}
