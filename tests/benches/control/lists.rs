//! Pages of experiments through gRPC.

use std::time::Instant;

use anyhow::{Result, ensure};
use assay_client::Client;
use assay_proto::config::v1::{self as pb, ListExperimentsRequest};
use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement};

use super::quantiles;
use crate::report;

const CALLS: usize = 300;
const LIMIT_MS: u32 = 20;

pub(crate) async fn measure(client: &Client, postgres: &str) -> Result<()> {
    bare(postgres).await?;
    let all = ListExperimentsRequest::default;
    let running = || ListExperimentsRequest {
        states: vec![pb::ExperimentState::Running.into()],
        ..all()
    };
    let team = || ListExperimentsRequest {
        owner: "owner-7@example.org".into(),
        tags: vec!["checkout".into()],
        ..all()
    };
    let text = || ListExperimentsRequest {
        text: "later gate interviews".into(),
        ..all()
    };
    let of_flag = || ListExperimentsRequest {
        flag_key: "flag-0500".into(),
        ..all()
    };
    let deep = deep(client, all(), 9).await?;
    let deep_running = self::deep(client, running(), 0).await?;
    let deep_text = self::deep(client, text(), 9).await?;
    for (what, request) in [
        ("the first page", all()),
        ("the page after 9,000", deep),
        ("running, the first page", running()),
        ("running, the page after 900", deep_running),
        ("by owner and tag, the first page", team()),
        ("by three words, the first page", text()),
        ("by three words, the page after 9,000", deep_text),
        ("of one flag", of_flag()),
    ] {
        page(client, what, request).await?;
    }
    Ok(())
}

/// The documents of a page, read by their keys and by nobody of ours.
async fn bare(postgres: &str) -> Result<()> {
    let database = sea_orm::Database::connect(postgres).await?;
    let sql = "select document from resources where namespace = 'default' and kind = 'experiment' and key > 'experiment-05000' \
               order by key limit 100";
    let mut took = Vec::new();
    for _ in 0..CALLS {
        let start = Instant::now();
        let statement = Statement::from_string(DatabaseBackend::Postgres, sql);
        let rows = database.query_all_raw(statement).await?;
        took.push(start.elapsed());
        ensure!(rows.len() == 100, "{} rows", rows.len());
    }
    let (p50, p99) = quantiles(took);
    report(&format!(
        "control: for scale: 100 documents read from Postgres by key: p50 {p50:.1} ms, p99 {p99:.1} ms"
    ));
    Ok(())
}

/// The request of the default page that begins after `pages` of 1,000 experiments; after 900 when that is none.
async fn deep(
    client: &Client,
    mut request: ListExperimentsRequest,
    pages: usize,
) -> Result<ListExperimentsRequest> {
    let sizes = match pages {
        0 => vec![900],
        pages => vec![1_000; pages],
    };
    for size in sizes {
        request.page_size = size;
        let page = client
            .experiments()
            .list_experiments(request.clone())
            .await?
            .into_inner();
        ensure!(!page.next_page_token.is_empty(), "the list is too short");
        request.page_token = page.next_page_token;
    }
    request.page_size = 0;
    Ok(request)
}

async fn page(client: &Client, what: &str, request: ListExperimentsRequest) -> Result<()> {
    let (mut took, mut found) = (Vec::new(), 0);
    for _ in 0..CALLS {
        let start = Instant::now();
        let page = client
            .experiments()
            .list_experiments(request.clone())
            .await?
            .into_inner();
        took.push(start.elapsed());
        found = page.experiments.len();
    }
    ensure!(found > 0, "{what}: an empty page");
    let (p50, p99) = quantiles(took);
    report(&format!(
        "control: list of experiments, {what} ({found}): p50 {p50:.1} ms, p99 {p99:.1} ms; limit {LIMIT_MS} ms"
    ));
    Ok(())
}
