//! The official Rust provider of flagd: version 1 over gRPC.

use std::{fmt::Debug, time::Duration};

use anyhow::{Context as _, Result, ensure};
use open_feature::{
    EvaluationContext, EvaluationErrorCode, EvaluationReason, provider::FeatureProvider as _,
};
use open_feature_flagd::{CacheSettings, FlagdOptions, FlagdProvider, ResolverType};

fn check<T: PartialEq + Debug>(name: &str, told: T, expected: T) -> Result<()> {
    ensure!(
        told == expected,
        "FAILED: {name}: {told:?}, expected {expected:?}"
    );
    println!("ok: {name}");
    Ok(())
}

fn reason(reason: Option<EvaluationReason>) -> String {
    match reason {
        Some(EvaluationReason::Other(name)) => name,
        other => format!("{other:?}"),
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let port = std::env::var("FLAGD_PORT")
        .context("FLAGD_PORT is not set")?
        .parse()?;
    let options = FlagdOptions {
        host: "127.0.0.1".to_owned(),
        port,
        resolver_type: ResolverType::Rpc,
        deadline_ms: 2_000,
        cache_settings: Some(CacheSettings {
            ttl: Some(Duration::ZERO),
            ..CacheSettings::default()
        }),
        ..FlagdOptions::default()
    };
    let provider = FlagdProvider::new(options)
        .await
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let dutch = EvaluationContext::default()
        .with_targeting_key("u1")
        .with_custom_field("country", "NL");
    let nobody = EvaluationContext::default();

    let told = provider
        .resolve_bool_value("gate", &dutch)
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    check(
        "rust: split",
        (told.value, told.variant, reason(told.reason)),
        (true, Some("on".into()), "SPLIT".into()),
    )?;
    let told = provider
        .resolve_bool_value("zero-bool", &dutch)
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    check(
        "rust: false",
        (told.value, told.variant, reason(told.reason)),
        (false, Some("zero".into()), "DEFAULT".into()),
    )?;
    let told = provider
        .resolve_string_value("zero-string", &dutch)
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    check(
        "rust: empty text",
        (told.value, told.variant),
        (String::new(), Some("zero".into())),
    )?;
    let told = provider
        .resolve_int_value("zero-number", &dutch)
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    check(
        "rust: integer 0",
        (told.value, told.variant),
        (0, Some("zero".into())),
    )?;
    let told = provider
        .resolve_float_value("half", &dutch)
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    check("rust: float", told.value, 0.5)?;
    let told = provider
        .resolve_struct_value("zero-object", &dutch)
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))?;
    check("rust: object", told.value.fields.len(), 3)?;

    let refused = provider
        .resolve_bool_value("nowhere", &dutch)
        .await
        .err()
        .map(|error| error.code);
    check(
        "rust: unknown flag",
        refused,
        Some(EvaluationErrorCode::FlagNotFound),
    )?;
    // This provider has names of its own for two codes: what is another type for the others is an invalid context here, and what is
    // missing is another type.
    let refused = provider
        .resolve_string_value("zero-bool", &dutch)
        .await
        .err()
        .map(|error| error.code);
    check(
        "rust: another type",
        refused,
        Some(EvaluationErrorCode::InvalidContext),
    )?;
    let refused = provider
        .resolve_bool_value("gate", &nobody)
        .await
        .err()
        .map(|error| error.code);
    check(
        "rust: no targeting key",
        refused,
        Some(EvaluationErrorCode::TypeMismatch),
    )?;
    Ok(())
}
