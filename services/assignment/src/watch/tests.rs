use std::sync::Arc;

use assay_core::key::Namespace;
use futures::{FutureExt, StreamExt, stream::BoxStream};

use super::*;

fn namespace() -> Namespace {
    Namespace::default()
}

/// The view of `generation` with these entries; their bytes are large where `bytes` is.
fn view(generation: u64, entries: &[(&str, usize)]) -> View {
    let entries = entries
        .iter()
        .map(|(key, bytes)| ((*key).to_owned(), vec![1; *bytes].into()));
    View {
        generation,
        entries: entries.collect(),
    }
}

fn cursor(base: u64, generation: u64, position: u64) -> pb::ConfigCursor {
    pb::ConfigCursor {
        base,
        generation,
        position,
    }
}

fn watch(views: &Arc<Views>, from: pb::ConfigCursor) -> BoxStream<'static, pb::WatchConfigResponse> {
    views.watch(namespace(), from, Shutdown::new()).unwrap().boxed()
}

/// What is due at once.
fn now(watch: &mut BoxStream<'static, pb::WatchConfigResponse>) -> Option<pb::WatchConfigResponse> {
    watch.next().now_or_never().map(Option::unwrap)
}

fn keys(response: &pb::WatchConfigResponse) -> Vec<&str> {
    response.entries.iter().map(|entry| entry.key.as_str()).collect()
}

#[tokio::test]
async fn the_whole_comes_first_then_what_changes() {
    let views = Arc::new(Views::new());
    views.publish(
        &namespace(),
        Told::Whole(view(1, &[("flag/a", 1), ("flag/b", 1)])),
    );
    let mut watch = watch(&views, cursor(0, 0, 0));
    let whole = now(&mut watch).unwrap();
    assert_eq!(
        (whole.base, whole.generation, keys(&whole)),
        (0, 1, vec!["flag/a", "flag/b"])
    );
    assert!(whole.complete && whole.digest == view(1, &[("flag/a", 1), ("flag/b", 1)]).digest());
    assert_eq!(now(&mut watch), None);
    views.publish(&namespace(), Told::Whole(view(2, &[("flag/b", 2)])));
    let change = now(&mut watch).unwrap();
    assert_eq!(
        (change.base, change.generation, keys(&change)),
        (1, 2, vec!["flag/a", "flag/b"])
    );
    assert!(change.complete && change.entries[0].resource.is_empty());
}

#[tokio::test]
async fn a_slow_watcher_passes_generations_over_and_nothing_is_queued_for_it() {
    let views = Arc::new(Views::new());
    views.publish(&namespace(), Told::Whole(view(1, &[("flag/a", 1)])));
    let mut watch = watch(&views, cursor(0, 0, 0));
    now(&mut watch).unwrap();
    for generation in 2..200 {
        views.publish(
            &namespace(),
            Told::Whole(view(generation, &[("flag/a", generation as usize)])),
        );
    }
    let change = now(&mut watch).unwrap();
    assert_eq!((change.base, change.generation, change.complete), (1, 199, true));
    assert_eq!(now(&mut watch), None);
}

#[tokio::test]
async fn a_large_view_comes_in_parts_and_goes_on_where_it_was_cut() {
    let entries = [("flag/a", 200_000), ("flag/b", 200_000), ("flag/c", 200_000)];
    let views = Arc::new(Views::new());
    views.publish(&namespace(), Told::Whole(view(3, &entries)));
    let mut first = watch(&views, cursor(0, 0, 0));
    let part = now(&mut first).unwrap();
    assert_eq!(
        (keys(&part), part.position, part.complete),
        (vec!["flag/a", "flag/b"], 2, false)
    );
    drop(first);
    let mut second = watch(&views, cursor(0, 3, part.position));
    let rest = now(&mut second).unwrap();
    assert_eq!(
        (keys(&rest), rest.position, rest.complete),
        (vec!["flag/c"], 3, true)
    );
}

#[tokio::test]
async fn who_comes_back_gets_what_has_changed_or_is_told_to_begin_anew() {
    let views = Arc::new(Views::new());
    for generation in 1..=50 {
        views.publish(
            &namespace(),
            Told::Whole(view(
                generation,
                &[("flag/a", 1), ("flag/b", generation as usize)],
            )),
        );
    }
    let known = now(&mut watch(&views, cursor(49, 0, 0))).unwrap();
    assert_eq!(
        (known.base, known.generation, keys(&known)),
        (49, 50, vec!["flag/b"])
    );
    let forgotten = now(&mut watch(&views, cursor(3, 0, 0))).unwrap();
    assert_eq!(
        (forgotten.base, forgotten.generation, keys(&forgotten)),
        (0, 50, vec!["flag/a", "flag/b"])
    );
    assert_eq!(now(&mut watch(&views, cursor(50, 0, 0))), None);
}

#[tokio::test]
async fn nobody_is_led_back() {
    let views = Arc::new(Views::new());
    views.publish(&namespace(), Told::Whole(view(4, &[("flag/a", 1)])));
    let mut ahead = watch(&views, cursor(6, 0, 0));
    assert_eq!(now(&mut ahead), None);
    views.publish(&namespace(), Told::Whole(view(6, &[("flag/a", 2)])));
    assert_eq!(now(&mut ahead), None);
    views.publish(&namespace(), Told::Whole(view(7, &[("flag/a", 3)])));
    let whole = now(&mut ahead).unwrap();
    assert_eq!((whole.base, whole.generation), (0, 7));
}

#[tokio::test]
async fn a_namespace_without_configuration_is_empty() {
    let views = Arc::new(Views::new());
    let mut watch = watch(&views, cursor(0, 0, 0));
    let empty = now(&mut watch).unwrap();
    assert_eq!((empty.base, empty.generation, empty.complete), (0, 0, true));
    assert_eq!(now(&mut watch), None);
}

#[tokio::test]
async fn signs_of_life_come_when_nothing_changes_and_the_end_ends_it() {
    let views = Arc::new(Views::with_sign_of_life(Duration::from_millis(1)));
    views.publish(&namespace(), Told::Whole(view(4, &[("flag/a", 1)])));
    let draining = Shutdown::new();
    let watch = views
        .watch(namespace(), cursor(4, 0, 0), draining.clone())
        .unwrap();
    let mut watch = watch.boxed();
    let sign = watch.next().await.unwrap();
    assert_eq!(
        (sign.base, sign.generation, sign.entries.len(), sign.complete),
        (4, 4, 0, false)
    );
    draining.trigger();
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn watches_have_a_limit() {
    let views = Arc::new(Views::new());
    let watches: Vec<_> = (0..MAX_WATCHES).map(|_| watch(&views, cursor(0, 0, 0))).collect();
    let one_more = || views.watch(namespace(), cursor(0, 0, 0), Shutdown::new());
    assert!(matches!(one_more().err(), Some(Refusal::TooManyWatches { .. })));
    drop(watches);
    assert!(one_more().is_ok());
}
