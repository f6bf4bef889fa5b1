//! Rows 13 and 16 of the fault matrix: a process dies at each of its named points. The points are those of [`Point::ALL`]: a new one is tested
//! by existing.

mod assignment;
mod config;

use std::fmt::Display;

use anyhow::{Context, Result, ensure};
use assay_failpoint::Point;
use futures::{StreamExt, TryStreamExt, stream};

/// Stories told at the same time.
const AT_ONCE: usize = 3;

/// Tells `story` with a process of `service` armed at each of its points, to die there the first and the `later` time; it says whether it did.
/// It must the first time: a point that is never reached is a mistake.
async fn at_each_point(
    service: &str,
    later: impl Display + Copy,
    story: impl AsyncFn(&str) -> Result<bool>,
) -> Result<()> {
    let points = Point::ALL.iter().map(|point| point.name());
    let points = points.filter(|name| name.split_once('.').is_some_and(|(of, _)| of == service));
    let runs = points.flat_map(|point| [(point, "1".to_owned()), (point, later.to_string())]);
    stream::iter(runs)
        .map(|(point, nth)| {
            let story = &story;
            async move {
                let armed = format!("{point}@{nth}");
                let died = story(&armed).await.with_context(|| armed.clone())?;
                ensure!(died || nth != "1", "{point} was never reached");
                anyhow::Ok(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}
