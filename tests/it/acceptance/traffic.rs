//! Who is in.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use assay_proto::assignment::v1::{Exposure, Reason};

use super::{Given, World, variants};

pub(super) async fn a_segment_is_exact_at_its_bounds(world: &World) -> Result<()> {
    let shop = world.shop("bounds").await?;
    shop.ok("segment create settled --rule 'platform eq ios' --rule 'days_since_install gte 7'")
        .await?;
    shop.ok("segment create early --rule 'level between 1,5'").await?;
    for (segment, unit, is_in) in [
        ("settled", "-a platform=ios -a days_since_install=7", true),
        ("settled", "-a platform=ios -a days_since_install=6", false),
        ("settled", "-a platform=ios", false),
        ("early", "-a level=1", true),
        ("early", "-a level=5", true),
        ("early", "-a level=0", false),
        ("early", "-a level=6", false),
    ] {
        let tested = shop.json(&format!("segment test {segment} {unit}")).await?;
        ensure!(tested["matches"] == is_in, "{segment} {unit}: {tested}");
    }
    Ok(())
}

/// Each of the nine operators: a match, a miss, the attribute missing, a value of the wrong type.
pub(super) async fn operators_match_miss_and_do_without(world: &World) -> Result<()> {
    let shop = world.shop("operators").await?;
    for (rule, hit, miss, wrong) in [
        ("x eq a", "a", "b", "7"),
        ("x neq a", "b", "a", ""),
        ("x in a,b", "b", "c", "7"),
        ("x nin a,b", "c", "a", ""),
        ("x gt 5", "6", "5", "six"),
        ("x gte 5", "5", "4", "five"),
        ("x lt 5", "4", "5", "four"),
        ("x lte 5", "5", "6", "five"),
        ("x between 1,5", "5", "6", "three"),
    ] {
        let test = async |unit: String| {
            let tested = shop.json(&format!("segment test --rule '{rule}' {unit}")).await?;
            Ok::<_, anyhow::Error>(tested["matches"] == true)
        };
        ensure!(test(format!("-a x={hit}")).await?, "{rule}: {hit} is in");
        ensure!(!test(format!("-a x={miss}")).await?, "{rule}: {miss} is out");
        ensure!(!test(String::new()).await?, "{rule}: without x it is out");
        if !wrong.is_empty() {
            ensure!(
                !test(format!("-a x={wrong}")).await?,
                "{rule}: {wrong} is of another type, and out"
            );
        }
    }
    Ok(())
}

pub(super) async fn an_override_on_a_live_segment_is_refused(world: &World) -> Result<()> {
    let shop = world.shop("conflict").await?;
    shop.ok("segment create ios --rule 'platform eq ios'").await?;
    shop.start("page", "--segment ios").await?;
    let document = "kind: flag\nkey: page\nsegmentOverrides: [{segmentKey: ios, value: B}]\n";
    let said = world.cli.run_with("-n conflict apply -f -", document).await?;
    ensure!(
        said.code == 1 && said.err.contains("OVERRIDE_CONFLICT") && said.err.contains("page"),
        "{said:?}"
    );
    Ok(())
}

/// 100,000 units: within 3 σ for one of three salts, which are random, and within 5 σ for each.
pub(super) async fn a_split_is_even(world: &World) -> Result<()> {
    let shop = world.shop("even").await?;
    let mut off = Vec::new();
    for key in ["one", "two", "three"] {
        shop.start(key, "").await?;
        let given = shop.peek(key, 0..100_000).await?;
        let share = given.values().filter(|answer| answer.is_control).count() as f64 / 100_000.0;
        off.push((share - 0.5).abs() / 0.001_581);
    }
    ensure!(
        off.iter().any(|sigmas| *sigmas < 3.0) && off.iter().all(|sigmas| *sigmas < 5.0),
        "{off:?} σ"
    );
    Ok(())
}

pub(super) async fn growing_coverage_moves_nobody(world: &World) -> Result<()> {
    let shop = world.shop("growing").await?;
    shop.start("page", "--coverage 10%").await?;
    let before = inside(&shop.assign("page", 0..10_000, Exposure::Record).await?);
    shop.ok("experiment update page --coverage 50%").await?;
    shop.apply("kind: layer\nkey: any\n").await?;
    let after = inside(&shop.assign("page", 0..10_000, Exposure::Record).await?);
    ensure!(
        (800..1_200).contains(&before.len()) && (4_700..5_300).contains(&after.len()),
        "{} → {}",
        before.len(),
        after.len()
    );
    for (id, variant) in &before {
        ensure!(
            after.iter().any(|(i, v)| i == id && v == variant),
            "unit {id} had {variant}"
        );
    }
    Ok(())
}

pub(super) async fn layers_exclude_within_and_overlap_between(world: &World) -> Result<()> {
    let shop = world.shop("layers").await?;
    for layer in ["page", "mail"] {
        shop.ok(&format!("layer create {layer}")).await?;
    }
    shop.start("header", "--layer page --coverage 40%").await?;
    shop.start("footer", "--layer page --coverage 40%").await?;
    shop.start("letter", "--layer mail --coverage 50%").await?;
    shop.refused("experiment create more --layer page --coverage 30% --hypothesis h --variant a=A --variant b=B --metric bought:primary --start", &["LAYER"])
        .await?;
    let ids = async |key: &str| -> Result<BTreeSet<usize>> {
        let given = inside(&shop.peek(key, 0..10_000).await?);
        Ok(given.into_iter().map(|(id, _)| id).collect())
    };
    let (header, footer, letter) = (ids("header").await?, ids("footer").await?, ids("letter").await?);
    ensure!(header.is_disjoint(&footer) && header.len() > 3_700 && footer.len() > 3_700);
    let both = header.intersection(&letter).count();
    // 20 % of 10,000 within 5 σ.
    ensure!((1_800..=2_200).contains(&both), "{both} are in both");
    Ok(())
}

/// Those who were split, and their variants.
fn inside(given: &Given) -> BTreeSet<(usize, String)> {
    let split = |(id, _): &(usize, String)| given[id].reason() == Reason::Split;
    variants(given).into_iter().filter(split).collect()
}
