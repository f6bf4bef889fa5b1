//! What every [`AccessStore`] must do. A law panics when it is broken. The store must be fresh.

use std::sync::Arc;

use assay_core::{key::Namespace, time::Timestamp};

use super::{AccessStore, ApiKey, AuditFilter};
use crate::{Error, config_store::Audit};

/// Every law, on a fresh store.
pub async fn all(store: Arc<dyn AccessStore>) {
    an_id_and_a_hash_are_used_once(&*store).await;
    a_key_is_revoked_once(&*store).await;
    of_concurrent_makers_one_wins(&store).await;
    the_trail_pages_and_filters(&*store).await;
    nothing_is_known_of_keys_that_were_not_used(&*store).await;
}

/// A key for namespace `law-keys` when `n` is even, else for all.
pub(crate) fn key(id: &str, n: u8) -> ApiKey {
    ApiKey {
        id: id.to_owned(),
        hash: [n; 32],
        roles: vec!["editor".to_owned(), "viewer".to_owned()],
        namespaces: (n.is_multiple_of(2) && n >= 100)
            .then(|| vec!["law-keys".to_owned(), "other".to_owned()]),
        created_by: "ann".to_owned(),
        created_at: Timestamp::from_micros(i64::from(n)),
        expires_at: (n >= 100).then(|| Timestamp::from_micros(9_000)),
        revoked_at: None,
    }
}

/// A deed of `actor`.
pub(crate) fn audit(actor: &str) -> Audit {
    Audit {
        actor: actor.to_owned(),
        action: "key.check".to_owned(),
        subject: "key/check".to_owned(),
        reason: "a law".to_owned(),
        traceparent: String::new(),
        peer: "10.0.0.7".to_owned(),
    }
}

async fn an_id_and_a_hash_are_used_once(store: &dyn AccessStore) {
    let (one, two) = (key("a", 100), key("b", 101));
    store.create_key(&one, &audit("ann")).await.expect("new");
    store.create_key(&two, &audit("ann")).await.expect("new");
    assert_eq!(store.keys().await.expect("keys"), [one.clone(), two]);
    for taken in [key("a", 102), key("c", 100)] {
        let refused = store
            .create_key(&taken, &audit("ann"))
            .await
            .expect_err("used before");
        assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused:?}");
    }
    assert_eq!(store.keys().await.expect("keys").len(), 2);
    let here = Namespace::new("law-keys").expect("key");
    let rows = store
        .trail(&here, &AuditFilter::default(), None, 10)
        .await
        .expect("trail");
    assert_eq!(rows.len(), 1, "what was refused left no row");
    let row = rows.first().expect("one");
    assert!(
        row.after.contains("\"key/a\"") && row.before.contains("null"),
        "{row:?}"
    );
    assert!(!row.after.contains("hash"), "{row:?}");
    for (here, elsewhere) in [("law-keys", "other"), ("other", "law-keys")] {
        let namespace = Namespace::new(here).expect("key");
        let filter = AuditFilter::default();
        let rows = store.trail(&namespace, &filter, None, 10).await.expect("trail");
        assert_eq!(rows.len(), 1, "{here} has a row of a key that is for it");
        let told = format!("{rows:?}");
        assert!(
            told.contains(&format!("\\\"{here}\\\"")) && !told.contains(&format!("\\\"{elsewhere}\\\"")),
            "{here} is told of {elsewhere}: {told}"
        );
    }
}

async fn a_key_is_revoked_once(store: &dyn AccessStore) {
    store
        .create_key(&key("revoked", 110), &audit("ann"))
        .await
        .expect("new");
    let (first, later) = (Timestamp::from_micros(500), Timestamp::from_micros(600));
    for at in [first, later] {
        let revoked = store
            .revoke_key("revoked", at, &audit("bob"))
            .await
            .expect("revoke");
        assert_eq!(revoked.revoked_at, Some(first));
    }
    let here = Namespace::new("law-keys").expect("key");
    let by_bob = AuditFilter {
        actor: Some("bob".to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(
        store.trail(&here, &by_bob, None, 10).await.expect("trail").len(),
        1
    );
    let missing = store.revoke_key("nobody", first, &audit("bob")).await;
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let chain = store.verify(&here).await.expect("verify");
    assert_eq!((chain.n_rows, chain.first_broken), (3, None));
}

async fn of_concurrent_makers_one_wins(store: &Arc<dyn AccessStore>) {
    let makers = (120..128).map(|n| {
        let store = store.clone();
        async move { store.create_key(&key("first", n), &audit("ann")).await.is_ok() }
    });
    let won = futures::future::join_all(makers).await;
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
}

async fn the_trail_pages_and_filters(store: &dyn AccessStore) {
    let here = Namespace::default();
    for n in 130..135 {
        let mut new = key(&format!("paged{n}"), n);
        new.namespaces = None;
        store.create_key(&new, &audit("carl")).await.expect("new");
    }
    let by_carl = |from: Option<i64>, until: Option<i64>| AuditFilter {
        actor: Some("carl".to_owned()),
        from: from.map(Timestamp::from_micros),
        until: until.map(Timestamp::from_micros),
        ..AuditFilter::default()
    };
    let all = store
        .trail(&here, &by_carl(None, None), None, 10)
        .await
        .expect("trail");
    let times: Vec<_> = all.iter().map(|row| row.at.micros()).collect();
    assert_eq!(times, [134, 133, 132, 131, 130]);
    let first = store
        .trail(&here, &by_carl(None, None), None, 2)
        .await
        .expect("trail");
    let before = first.last().map(|row| row.id);
    let rest = store
        .trail(&here, &by_carl(None, None), before, 10)
        .await
        .expect("trail");
    assert_eq!([first, rest].concat(), all);
    let some = store
        .trail(&here, &by_carl(Some(131), Some(133)), None, 10)
        .await
        .expect("trail");
    assert_eq!(some.len(), 2);
    assert_eq!(store.verify(&here).await.expect("verify").first_broken, None);
}

async fn nothing_is_known_of_keys_that_were_not_used(store: &dyn AccessStore) {
    store
        .keep_answer("ann", "unused", b"x")
        .await
        .expect("keeps nothing");
    assert_eq!(store.done("ann", "unused").await.expect("done"), None);
}
