//! Waiting for a condition, never for a time.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const PAUSE: Duration = Duration::from_millis(10);

/// Tries `condition` until it holds, and returns what it found. While it does not hold, its error is the state it saw.
///
/// ```
/// # use std::time::Duration;
/// # use assay_tests::eventually;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let mut generation = 0;
/// let seen = eventually(Duration::from_secs(5), async || {
///     generation += 1;
///     if generation == 3 { Ok(generation) } else { Err(format!("generation {generation}")) }
/// })
/// .await;
/// assert_eq!(seen.unwrap(), 3);
/// # });
/// ```
///
/// # Errors
/// When `deadline` has passed: the last state seen.
pub async fn eventually<T, E: Display>(
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, E>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    let mut last = String::from("none");
    loop {
        match timeout_at(end, condition()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(state)) => last = format!("{state:#}"),
            Err(_) => anyhow::bail!("no answer within {deadline:?}; last state seen before: {last}"),
        }
        if Instant::now() + PAUSE >= end {
            anyhow::bail!("not within {deadline:?}; last state seen: {last}");
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reports_the_last_state_seen() {
        let mut n = 0;
        let error = eventually(Duration::from_millis(100), async || {
            n += 1;
            Err::<(), _>(format!("attempt {n}"))
        })
        .await
        .unwrap_err();
        assert!(n > 1);
        assert_eq!(
            error.to_string(),
            format!("not within 100ms; last state seen: attempt {n}")
        );
    }

    #[tokio::test]
    async fn an_attempt_that_hangs_is_cut_off() {
        let mut n = 0;
        let error = eventually(Duration::from_millis(100), async || {
            n += 1;
            if n > 1 {
                std::future::pending::<()>().await;
            }
            Err::<(), _>("first")
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no answer within 100ms; last state seen before: first"
        );
    }
}
