//! Stop, winner, end, archive, undo.

use anyhow::{Result, ensure};
use assay_proto::assignment::v1::{Exposure, Reason};
use assay_tests::eventually;

use super::{DEADLINE, World, all, attributes, variants};

pub(super) async fn a_stop_is_final(world: &World) -> Result<()> {
    let shop = world.shop("stopping").await?;
    shop.start("page", "").await?;
    shop.ok("experiment stop page --wait").await?;
    for verb in ["resume", "start"] {
        shop.refused(&format!("experiment {verb} page"), &["to take that back, Undo"])
            .await?;
    }
    shop.refused("experiment delete page", &["to put it away, Archive"])
        .await?;
    all(&shop.peek("page", 0..100).await?, Reason::Completed, "A")
}

pub(super) async fn a_winner_is_served_to_everyone(world: &World) -> Result<()> {
    let shop = world.shop("winning").await?;
    shop.ok("segment create ios --rule 'platform eq ios'").await?;
    shop.start("page", "--segment ios").await?;
    let ios = attributes(&[("platform", "ios")]);
    let before = shop.assign_as("page", 0..200, &ios, Exposure::Record).await?;
    ensure!(
        before.values().any(|answer| answer.is_control),
        "some unit was in A"
    );
    all(&shop.peek("page", 0..200).await?, Reason::NotInSegment, "A")?;
    shop.ok("experiment declare-winner page b --reason 'sells more' --force --wait")
        .await?;
    all(
        &shop.assign_as("page", 0..200, &ios, Exposure::Peek).await?,
        Reason::Winner,
        "B",
    )?;
    // New units, and those outside of the segment.
    all(&shop.peek("page", 0..400).await?, Reason::Winner, "B")?;
    let flag = shop.json("flag show page").await?;
    ensure!(flag["defaultValue"] == "B", "{flag}");
    Ok(())
}

pub(super) async fn a_winner_needs_a_signal_or_force(world: &World) -> Result<()> {
    let shop = world.shop("signal").await?;
    shop.start("page", "").await?;
    shop.refused(
        "experiment declare-winner page b --reason 'I like it'",
        &["NO_WINNER_SIGNAL", "force"],
    )
    .await?;
    let said = shop
        .ok("experiment declare-winner page b --reason 'I like it' --force")
        .await?;
    ensure!(said.contains("COMPLETED (WINNER b)"), "{said}");
    Ok(())
}

pub(super) async fn an_end_keeps_results_and_an_archive_assignments(world: &World) -> Result<()> {
    let shop = world.shop("ending").await?;
    shop.start("page", "").await?;
    shop.assign("page", 0..100, Exposure::Record).await?;
    let counted = async || {
        let listed = shop.json("assignments page").await?;
        let n = listed.as_array().map_or(0, Vec::len);
        ensure!(n == 100, "{n} of 100 are counted");
        Ok(())
    };
    eventually(DEADLINE, counted).await?;
    shop.ok("experiment stop page").await?;
    shop.ok("experiment end page --force --wait").await?;
    all(&shop.peek("page", 0..100).await?, Reason::Ended, "A")?;
    let result = shop.json("results page").await?;
    ensure!(result.to_string().contains("bought"), "{result}");
    shop.ok("experiment archive page").await?;
    let listed = shop.json("experiment list").await?;
    ensure!(listed.as_array().is_some_and(Vec::is_empty), "{listed}");
    counted().await
}

pub(super) async fn an_undo_restores_everything(world: &World) -> Result<()> {
    let shop = world.shop("undoing").await?;
    shop.start("page", "").await?;
    let before = shop.peek("page", 0..1_000).await?;
    let flag = shop.json("flag show page").await?;
    shop.ok("experiment declare-winner page b --reason 'sells more' --force --wait")
        .await?;
    all(&shop.peek("page", 0..1_000).await?, Reason::Winner, "B")?;
    shop.ok("experiment undo page --wait").await?;
    let after = shop.peek("page", 0..1_000).await?;
    ensure!(
        variants(&before) == variants(&after),
        "each unit has its variant again"
    );
    let restored = shop.json("flag show page").await?;
    for field in ["defaultValue", "variations"] {
        ensure!(restored[field] == flag[field], "{field}: {restored}");
    }
    ensure!(shop.json("experiment show page").await?["state"] == "RUNNING");
    Ok(())
}
