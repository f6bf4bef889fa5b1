//! What is written before and while it runs.

use anyhow::{Result, ensure};

use super::World;

pub(super) async fn weights_sum_to_the_whole(world: &World) -> Result<()> {
    let shop = world.shop("weights").await?;
    let three = "experiment create three --variant c=1 --variant x=2 --variant y=3";
    let made = shop
        .json(&format!("{three} --weight x=33% --weight y=33%"))
        .await?;
    let weights = |made: &serde_json::Value| [0, 1, 2].map(|i| made["variants"][i]["weight"].clone());
    ensure!(
        weights(&made) == ["34%", "33%", "33%"],
        "the control gets the rest: {made}"
    );
    shop.refused(
        "experiment create four --variant c=1 --variant x=2 --variant y=3 --weight x=60% --weight y=50%",
        &["weights sum to 110%, more than 100%"],
    )
    .await?;
    let even = shop
        .json("experiment create even --variant c=1 --variant x=2 --variant y=3")
        .await?;
    ensure!(weights(&even) == ["33.34%", "33.33%", "33.33%"], "{even}");
    Ok(())
}

pub(super) async fn only_a_draft_is_deleted(world: &World) -> Result<()> {
    let shop = world.shop("deleting").await?;
    shop.start("page", "").await?;
    shop.refused("experiment delete page", &["Stop, then Archive"])
        .await?;
    shop.ok("experiment pause page").await?;
    shop.refused("experiment delete page", &["Stop, then Archive"])
        .await?;
    shop.ok("experiment stop page").await?;
    shop.refused("experiment delete page", &["to put it away, Archive"])
        .await?;
    shop.draft("sketch", "").await?;
    shop.ok("experiment delete sketch").await?;
    shop.refused("experiment show sketch", &["does not exist"])
        .await?;
    Ok(())
}

pub(super) async fn a_copy_is_a_draft_of_its_own(world: &World) -> Result<()> {
    let shop = world.shop("copying").await?;
    shop.start("page", "--name Page").await?;
    let first = shop.peek("page", 0..2_000).await?;
    shop.ok("experiment stop page").await?;
    let copy = shop.json("experiment duplicate page").await?;
    ensure!(
        copy["key"] == "page-copy" && copy["state"] == "DRAFT" && copy["name"] == "Page (Copy)",
        "{copy}"
    );
    for nothing in ["startTime", "endTime", "winner", "completedAt", "reason"] {
        ensure!(copy[nothing].is_null(), "{nothing} in {copy}");
    }
    shop.ok("experiment start page-copy --wait").await?;
    let second = shop.peek("page", 0..2_000).await?;
    let same = first
        .iter()
        .filter(|(id, answer)| second[id].variant_key == answer.variant_key)
        .count();
    // By chance half of them: 1,000 within 6 σ.
    ensure!(
        (866..=1_134).contains(&same),
        "{same} of 2,000 have the variant that they had"
    );
    let assigned = shop.json("assignments page-copy").await?;
    ensure!(
        assigned.as_array().is_some_and(Vec::is_empty),
        "a copy begins without results: {assigned}"
    );
    Ok(())
}

pub(super) async fn a_start_that_cannot_be_says_why(world: &World) -> Result<()> {
    let shop = world.shop("starting").await?;
    let variants = "--variant a=A --variant b=B --metric bought:primary";
    shop.ok(&format!("experiment create silent {variants}")).await?;
    let mut told = vec![shop.refused("experiment start silent", &["HYPOTHESIS"]).await?];

    shop.ok("experiment create alone --hypothesis h --variant a=A --metric bought:primary")
        .await?;
    told.push(shop.refused("experiment start alone", &["variants"]).await?);

    shop.ok("segment create ios --rule 'platform eq ios'").await?;
    shop.ok("flag create price --variation a=A --variation b=B")
        .await?;
    shop.ok("experiment create hidden --flag price --segment ios --hypothesis h --metric bought:primary")
        .await?;
    shop.apply("kind: flag\nkey: price\nsegmentOverrides: [{segmentKey: ios, value: A}]\n")
        .await?;
    told.push(shop.refused("experiment start hidden", &["OVERRIDE"]).await?);

    shop.ok("flag create busy --variation a=A --variation b=B")
        .await?;
    for key in ["one", "two"] {
        shop.ok(&format!(
            "experiment create {key} --flag busy --hypothesis h --metric bought:primary"
        ))
        .await?;
    }
    shop.ok("experiment start one").await?;
    told.push(shop.refused("experiment start two", &["one"]).await?);
    told.sort();
    told.dedup();
    ensure!(told.len() == 4, "four different answers: {told:?}");
    Ok(())
}

pub(super) async fn a_running_experiment_is_locked(world: &World) -> Result<()> {
    let shop = world.shop("locked").await?;
    shop.start("page", "").await?;
    shop.refused("experiment update page --weight a=10%", &["CONFIG_LOCKED"])
        .await?;
    shop.refused(
        "experiment update page --hypothesis other",
        &["hypothesis", "CONFIG_LOCKED"],
    )
    .await?;
    Ok(())
}

pub(super) async fn two_primaries_are_a_warning(world: &World) -> Result<()> {
    let shop = world.shop("primaries").await?;
    shop.ok("metric create visited --conversion visit --window 1d")
        .await?;
    shop.draft("page", "--metric visited:primary").await?;
    let said = world.cli.run("-n primaries experiment start page").await?;
    ensure!(
        said.code == 0 && said.err.contains("warning: ") && said.err.contains("primary"),
        "{said:?}"
    );
    Ok(())
}

pub(super) async fn of_two_writers_one_wins(world: &World) -> Result<()> {
    let shop = world.shop("writers").await?;
    shop.draft("page", "").await?;
    let write = async |name: &str| {
        let line = format!("-n writers experiment update page --version 1 --name {name}");
        world.cli.run(&line).await
    };
    let (one, two) = tokio::try_join!(write("one"), write("two"))?;
    let mut codes = [one.code, two.code];
    codes.sort_unstable();
    ensure!(codes == [0, 75], "{one:?} {two:?}");
    let lost = if one.code == 75 { one } else { two };
    ensure!(lost.err.contains("has been changed meanwhile"), "{lost:?}");
    Ok(())
}
