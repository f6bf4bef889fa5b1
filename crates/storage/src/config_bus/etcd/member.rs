//! One endpoint of etcd.

use std::time::Duration;

use etcd_client::{
    Certificate, Client, Compare, ConnectOptions, Identity, KvClient, LeaseClient, TlsOptions, Txn, TxnOp,
    TxnOpResponse, WatchClient,
};
use tokio::sync::OnceCell;

use super::{EtcdOptions, classify::bounded, stale, stored};
use crate::{Error, config_bus::Publication};

const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long one transaction may take.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(5);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// A page of the largest values.
const MAX_MESSAGE: usize = 512 << 20;

/// One endpoint. A channel over several would send a share of all calls to one that is down.
pub(super) struct Member {
    endpoint: String,
    options: ConnectOptions,
    clients: OnceCell<Clients>,
}

/// Two connections: a watch must come from a member that has a leader, a read may come from one without.
pub(super) struct Clients {
    pub(super) kv: KvClient,
    pub(super) leases: LeaseClient,
    pub(super) watches: WatchClient,
}

impl Member {
    pub(super) fn new(endpoint: &str, options: ConnectOptions) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            options,
            clients: OnceCell::new(),
        }
    }

    /// The clients. They connect by themselves; only to log in, etcd must answer here.
    pub(super) async fn clients(&self) -> Result<&Clients, Error> {
        let client = |require_leader| {
            let options = self.options.clone().with_require_leader(require_leader);
            bounded(CONNECT_LIMIT, Client::connect([&self.endpoint], Some(options)))
        };
        let make = async || {
            let plain = client(false).await?;
            let kv = plain.kv_client().max_decoding_message_size(MAX_MESSAGE);
            let leases = plain.lease_client();
            let watches = client(true)
                .await?
                .watch_client()
                .max_decoding_message_size(MAX_MESSAGE);
            Ok(Clients { kv, leases, watches })
        };
        self.clients.get_or_try_init(make).await
    }

    /// Runs `operations` if the manifest `stands`. Returns the revision of the transaction.
    pub(super) async fn guarded(
        &self,
        publication: &Publication,
        manifest: &str,
        stands: Vec<Compare>,
        operations: Vec<TxnOp>,
    ) -> Result<i64, Error> {
        let transaction = Txn::new()
            .when(stands)
            .and_then(operations)
            .or_else([TxnOp::get(manifest, None)]);
        let answer = bounded(WRITE_LIMIT, self.clients().await?.kv.clone().txn(transaction)).await?;
        if answer.succeeded() {
            return Ok(answer.header().map_or(0, etcd_client::ResponseHeader::revision));
        }
        let found = answer
            .op_responses()
            .into_iter()
            .find_map(|response| match response {
                TxnOpResponse::Get(get) => stored(get.kvs()).0,
                _ => None,
            });
        Err(stale(publication, found))
    }
}

pub(super) fn connect_options(options: &EtcdOptions) -> ConnectOptions {
    let mut connect = ConnectOptions::new()
        .with_connect_timeout(CONNECT_LIMIT)
        .with_keep_alive(KEEP_ALIVE, KEEP_ALIVE_TIMEOUT)
        .with_keep_alive_while_idle(true)
        .with_auto_token_refresh(true);
    if let Some((user, password)) = &options.user {
        connect = connect.with_user(user, password);
    }
    if let Some(tls) = &options.tls {
        let mut client = TlsOptions::new().ca_certificate(Certificate::from_pem(&tls.authority));
        if let Some((certificate, key)) = &tls.identity {
            client = client.identity(Identity::from_pem(certificate, key));
        }
        if let Some(domain) = &tls.domain {
            client = client.domain_name(domain);
        }
        connect = connect.with_tls(client);
    }
    connect
}
