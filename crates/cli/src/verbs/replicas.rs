//! The replicas of assignment, and how far a change has come on them.

use std::time::Duration;

use assay_proto::{Duration as Message, config::v1 as pb};
use serde::Serialize;

use super::Context;
use crate::{
    error::Error,
    output,
    view::text::{self, name_of},
};

/// A replica as it is shown.
#[derive(Debug, Serialize)]
struct Replica {
    id: String,
    generation: u64,
    state: String,
    age: String,
    serving_since: String,
}

impl Replica {
    fn of(replica: pb::Replica) -> Self {
        Self {
            id: replica.id,
            generation: replica.generation,
            state: name_of::<pb::ReplicaState>(replica.state),
            age: text::duration(replica.age),
            serving_since: text::time(replica.serving_since),
        }
    }
}

/// Lists them.
pub(super) async fn list(context: &Context) -> Result<(), Error> {
    let found = context.client.replicas(context.namespace()).await?;
    let replicas: Vec<_> = found.replicas.into_iter().map(Replica::of).collect();
    output::document(context.format, &replicas, || {
        let rows = replicas.iter().map(|replica| {
            vec![
                replica.id.clone(),
                format!("{} of {}", replica.generation, found.generation),
                replica.state.clone(),
                replica.age.clone(),
                replica.serving_since.clone(),
            ]
        });
        output::table(
            &["replica", "generation", "state", "age", "serving since"],
            rows,
            &[],
        )
    })
}

/// Waits until every replica serves `generation`, and says how far it has come.
pub(super) async fn wait(context: &Context, generation: u64, limit: Message) -> Result<(), Error> {
    let Message { seconds, nanos } = limit;
    let limit = Duration::new(
        u64::try_from(seconds).unwrap_or(0),
        u32::try_from(nanos).unwrap_or(0),
    );
    let found = context
        .client
        .wait_for_generation(context.namespace(), generation, limit)
        .await?;
    output::note(line(&found));
    match found.fence_time {
        Some(_) => Ok(()),
        None => Err(Error::Waited(format!(
            "generation {} is not yet served everywhere after {limit:?}; the change is made, wait longer with `--wait=30s`, or look with `assay replicas`",
            found.generation
        ))),
    }
}

fn line(found: &pb::Activation) -> String {
    let slowest = found.slowest.unwrap_or_default();
    let millis = slowest.seconds.saturating_mul(1_000) + i64::from(slowest.nanos) / 1_000_000;
    let (generation, n) = (found.generation, found.replicas);
    let replicas = if n == 1 { "replica" } else { "replicas" };
    let served =
        format!("generation {generation} is served by {n} {replicas}, the slowest after {millis} ms");
    match found.unconfirmed.as_slice() {
        [] => served,
        unconfirmed => format!("{served}; not confirmed by {}", unconfirmed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_is_one_sentence() {
        let found = pb::Activation {
            generation: 7,
            replicas: 2,
            slowest: Some(Message {
                seconds: 1,
                nanos: 20_900_000,
            }),
            ..Default::default()
        };
        assert_eq!(
            line(&found),
            "generation 7 is served by 2 replicas, the slowest after 1020 ms"
        );
        let found = pb::Activation {
            replicas: 1,
            unconfirmed: vec!["a".into(), "b".into()],
            ..found
        };
        assert_eq!(
            line(&found),
            "generation 7 is served by 1 replica, the slowest after 1020 ms; not confirmed by a, b"
        );
    }
}
