//! A store that fails: callers see a code, a reason and a remedy, never what its driver said.

use std::sync::Arc;

use assay_core::{key::Namespace, segment::Segment, time::Timestamp};
use assay_platform::{Code, Failure};
use assay_proto::config::v1 as pb;
use assay_storage::{
    Error,
    config_bus::EmbeddedConfigBus,
    config_store::{
        AuditEntry, Change, Committed, ConfigStore, DueMark, Fence, Filter, Generation, Kind, Page,
        Published, Publishing, Resource, Start, Unpublished,
    },
};
use async_trait::async_trait;

use crate::support::{Service, make, refused};

const SECRET: &str = "connection to 10.0.0.7:5432 refused: select * from resources";

/// Fails each call in one way.
struct Broken(fn() -> Error);

#[async_trait]
impl ConfigStore for Broken {
    async fn commit(&self, _: Change) -> Result<Committed, Error> {
        Err(self.0())
    }

    async fn get(&self, _: &Namespace, _: Kind, _: &str) -> Result<Option<Resource>, Error> {
        Err(self.0())
    }

    async fn segment_version(&self, _: &Namespace, _: &str, _: u64) -> Result<Option<Segment>, Error> {
        Err(self.0())
    }

    async fn list(&self, _: &Namespace, _: Kind, _: &Filter, _: Option<&str>, _: u64) -> Result<Page, Error> {
        Err(self.0())
    }

    async fn get_all(&self, _: &Namespace, _: Kind, _: &[String]) -> Result<Vec<Resource>, Error> {
        Err(self.0())
    }

    async fn due(&self, _: Timestamp, _: Option<&DueMark>, _: u64) -> Result<Vec<Resource>, Error> {
        Err(self.0())
    }

    async fn audit(
        &self,
        _: &Namespace,
        _: Option<&str>,
        _: Option<u64>,
        _: u64,
    ) -> Result<Vec<AuditEntry>, Error> {
        Err(self.0())
    }

    async fn open_fence(&self, _: &Publishing) -> Result<(), Error> {
        Err(self.0())
    }

    async fn open_fences(&self) -> Result<Vec<Publishing>, Error> {
        Err(self.0())
    }

    async fn close_fence(&self, _: &Namespace, _: u64, _: &Fence) -> Result<(), Error> {
        Err(self.0())
    }

    async fn fence(&self, _: &Namespace, _: u64) -> Result<Option<(Publishing, Option<Fence>)>, Error> {
        Err(self.0())
    }

    async fn starts(&self, _: &Namespace, _: &[String]) -> Result<Vec<Start>, Error> {
        Err(self.0())
    }

    async fn namespaces(&self) -> Result<Vec<(Namespace, u64)>, Error> {
        Err(self.0())
    }

    async fn unpublished(&self) -> Result<Vec<Unpublished>, Error> {
        Err(self.0())
    }

    async fn published(&self, _: &Namespace) -> Result<Published, Error> {
        Err(self.0())
    }

    async fn published_at(&self, _: &Namespace, _: u64) -> Result<Option<Published>, Error> {
        Err(self.0())
    }

    async fn generations(&self, _: &Namespace, _: Option<u64>, _: u64) -> Result<Vec<Generation>, Error> {
        Err(self.0())
    }

    async fn mark_published(&self, _: &Namespace, _: u64) -> Result<(), Error> {
        Err(self.0())
    }

    async fn raise_generation(&self, _: &Namespace, _: u64) -> Result<(), Error> {
        Err(self.0())
    }
}

/// What a reader and a writer are told, without any of [`SECRET`].
async fn told(error: fn() -> Error, code: Code, reason: &str) -> Failure {
    let mut service = Service::start_on(Arc::new(Broken(error)), Arc::new(EmbeddedConfigBus::new())).await;
    let request = pb::GetFlagRequest {
        key: "gate".to_owned(),
        ..Default::default()
    };
    let read = refused(service.flags.get_flag(request).await, code, reason);
    let request = pb::CreateFlagRequest {
        flag: Some(make::flag("gate")),
    };
    let written = refused(service.flags.create_flag(request).await, code, reason);
    assert_eq!(read.message, written.message);
    for word in SECRET.split(' ').chain(["postgres", "sqlite"]) {
        assert!(
            word.len() < 5 || !format!("{read:?}").contains(word),
            "{word}: {read:?}"
        );
    }
    read
}

#[tokio::test]
async fn s11_a_store_that_is_away_says_when_to_try_again() {
    let away = || Error::Unavailable {
        store: "postgres",
        source: SECRET.into(),
    };
    let failure = told(away, Code::Unavailable, "STORE_UNAVAILABLE").await;
    assert!(
        failure.retry_after.is_some() && failure.message.contains("try again"),
        "{failure}"
    );
}

#[tokio::test]
async fn s11_a_full_store_says_so() {
    let full = || Error::Full {
        store: "postgres",
        source: SECRET.into(),
    };
    let failure = told(full, Code::ResourceExhausted, "STORE_FULL").await;
    assert!(failure.message.contains("full"), "{failure}");
}

#[tokio::test]
async fn s11_what_nobody_expects_is_an_internal_error() {
    let refused = || Error::Refused {
        store: "postgres",
        source: SECRET.into(),
    };
    told(refused, Code::Internal, "INTERNAL").await;
    let corrupt = || Error::Corrupt {
        store: "postgres",
        what: "flag/gate of namespace default".into(),
        detail: SECRET.into(),
    };
    told(corrupt, Code::DataLoss, "STORE_CORRUPT").await;
}
