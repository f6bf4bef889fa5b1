//! Cookie Cats: a mobile game moved its first gate from level 30 to level 40, and 90,189 players were randomized.

use assay_core::time::{MICROS_PER_DAY, Timestamp};
use assay_proto::{
    analysis::v1::ExperimentResult,
    common::v1::Unit,
    config::v1 as pb,
    convert::timestamp,
    ingest::v1::{Event, Exposure},
};

use super::{Stage, replay, setup, wait};
use crate::{
    error::Error,
    output::{self, progress::Progress},
};

/// Key of the experiment.
pub(super) const EXPERIMENT: &str = "cookie-cats";
const FLAG: &str = "first-gate";
const RETENTION_7: &str = "retention_7";
const RETENTION_1: &str = "retention_1";
/// The event of a player who plays.
const SESSION: &str = "session";

/// The published counts: variant, came back on day 1, came back on day 7, players.
const PUBLISHED: [(&str, bool, bool, u32); 8] = [
    ("gate_30", false, false, 22_840),
    ("gate_30", false, true, 1_826),
    ("gate_30", true, false, 13_358),
    ("gate_30", true, true, 6_676),
    ("gate_40", false, false, 23_597),
    ("gate_40", false, true, 1_773),
    ("gate_40", true, false, 13_613),
    ("gate_40", true, true, 6_506),
];

/// 2024-03-04T00:00:00Z, where the synthetic installs begin: fixed, so that a second run sends the same records.
const START: i64 = 1_709_510_400_000_000;
/// Over how many days they are spread.
const INSTALL_DAYS: i64 = 14;
/// All windows have closed by then.
const END: i64 = START + (INSTALL_DAYS + 9) * MICROS_PER_DAY;

/// Replays it and prints what came of it.
pub(super) async fn show(stage: &Stage) -> Result<ExperimentResult, Error> {
    stage.say(
        "Cookie Cats: a mobile game moved its first gate from level 30 to level 40.\n\
         Rebuilt from the published counts of 90,189 players; install times are synthetic.",
    )?;
    prepare(stage).await?;
    let players = players().count() as u64;
    let visits = players_visits().count() as u64;
    let progress = Progress::start("replaying players", players, stage.terminal);
    let exposed =
        replay::exposures(stage, self::players().map(|player| player.exposure()), &progress).await?;
    progress.finish();
    let progress = Progress::start("replaying visits", visits, stage.terminal);
    let visited = replay::events(stage, players_visits(), &progress).await?;
    progress.finish();
    let through = exposed.max(visited).unwrap_or_default();
    let result = wait::caught_up(stage, EXPERIMENT, through, players).await?;
    stage.say(format!("\n{}\n\n", output::results::render(&result)))?;
    Ok(result)
}

async fn prepare(stage: &Stage) -> Result<(), Error> {
    let flag = pb::Flag {
        key: FLAG.into(),
        name: "Level of the first gate".into(),
        variations: vec![
            setup::variation("gate_30", setup::number(30.0)),
            setup::variation("gate_40", setup::number(40.0)),
        ],
        ..Default::default()
    };
    setup::ensure(stage, flag).await?;
    for (key, day) in [(RETENTION_7, 7), (RETENTION_1, 1)] {
        let retention = pb::RetentionMetric {
            event: SESSION.into(),
            day,
            width_days: 1,
            ..Default::default()
        };
        let metric = pb::Metric {
            key: key.into(),
            name: format!("Came back on day {day}"),
            kind: Some(pb::metric::Kind::Retention(retention)),
            ..Default::default()
        };
        setup::ensure(stage, metric).await?;
    }
    let experiment = pb::Experiment {
        key: EXPERIMENT.into(),
        name: "Cookie Cats".into(),
        hypothesis: "A later first gate keeps more players".into(),
        flag_key: FLAG.into(),
        assignment_source: pb::AssignmentSource::Imported.into(),
        metrics: vec![
            setup::measured(RETENTION_7, pb::MetricRole::Primary),
            setup::measured(RETENTION_1, pb::MetricRole::Secondary),
        ],
        start_time: Some(timestamp(Timestamp::from_micros(START))),
        end_time: Some(timestamp(Timestamp::from_micros(END))),
        ..Default::default()
    };
    setup::run(stage, experiment).await
}

/// One player, the same in every run.
#[derive(Debug, Clone, Copy)]
struct Player {
    number: u64,
    variant: &'static str,
    day_1: bool,
    day_7: bool,
}

/// All players, in an order that mixes the variants.
fn players() -> impl Iterator<Item = Player> {
    let mut left = PUBLISHED;
    let total: u32 = PUBLISHED.iter().map(|(_, _, _, n)| n).sum();
    (1..=u64::from(total)).scan((), move |(), number| {
        let remaining: u64 = left.iter().map(|(_, _, _, n)| u64::from(*n)).sum();
        let mut draw = mixed(number) % remaining;
        for (variant, day_1, day_7, n) in &mut left {
            if draw < u64::from(*n) {
                *n -= 1;
                return Some(Player {
                    number,
                    variant,
                    day_1: *day_1,
                    day_7: *day_7,
                });
            }
            draw -= u64::from(*n);
        }
        None
    })
}

/// All return visits.
fn players_visits() -> impl Iterator<Item = Event> {
    players().flat_map(|player| player.visits())
}

impl Player {
    fn unit(&self) -> Option<Unit> {
        Some(Unit {
            kind: "user".into(),
            id: format!("player-{}", self.number),
        })
    }

    fn installed(&self) -> i64 {
        START + below(mixed(self.number.rotate_left(32)), INSTALL_DAYS * MICROS_PER_DAY)
    }

    fn exposure(&self) -> Exposure {
        Exposure {
            experiment_key: EXPERIMENT.into(),
            variant_key: self.variant.into(),
            unit: self.unit(),
            time: Some(timestamp(Timestamp::from_micros(self.installed()))),
            attributes: None,
        }
    }

    /// A visit within the 24 hours of each day on which the player came back.
    fn visits(self) -> impl Iterator<Item = Event> {
        let days = [(1_i64, self.day_1), (7, self.day_7)]
            .into_iter()
            .filter(|(_, came)| *came);
        days.map(move |(day, _)| {
            let within = below(
                mixed(self.number.rotate_left(17) ^ day.unsigned_abs()),
                MICROS_PER_DAY,
            );
            let time = self.installed() + day * MICROS_PER_DAY + within;
            Event {
                event_id: format!("player-{}-day-{day}", self.number),
                unit: self.unit(),
                name: SESSION.into(),
                time: Some(timestamp(Timestamp::from_micros(time))),
                value: None,
                properties: None,
            }
        })
    }
}

/// `SplitMix64`: a fixed scramble, not a source of chance.
pub(super) fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// `number` brought below `bound` > 0.
fn below(number: u64, bound: i64) -> i64 {
    i64::try_from(number >> 1).unwrap_or_default() % bound
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    #[test]
    fn the_published_counts_are_rebuilt() {
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        for player in players() {
            *counts
                .entry((player.variant, player.day_1, player.day_7))
                .or_default() += 1;
        }
        let published: BTreeMap<_, _> = PUBLISHED
            .iter()
            .map(|(v, one, seven, n)| ((*v, *one, *seven), *n))
            .collect();
        assert_eq!(counts, published);
        assert_eq!(counts.values().sum::<u32>(), 90_189);
    }

    #[test]
    fn every_visit_is_within_its_day_and_has_its_own_id() {
        let mut ids = HashSet::new();
        for player in players() {
            assert!((START..START + INSTALL_DAYS * MICROS_PER_DAY).contains(&player.installed()));
            for visit in player.visits() {
                let time = assay_proto::convert::timestamp_from(visit.time, "time")
                    .unwrap()
                    .micros();
                let day = (time - player.installed()) / MICROS_PER_DAY;
                assert!(
                    (day == 1 && player.day_1) || (day == 7 && player.day_7),
                    "{visit:?}"
                );
                assert!(time < END);
                assert!(ids.insert(visit.event_id));
            }
        }
        assert_eq!(ids.len(), 40_153 + 16_781);
    }

    #[test]
    fn the_order_mixes_the_variants() {
        let first: Vec<_> = players().take(1000).map(|player| player.variant).collect();
        let gate_30 = first.iter().filter(|variant| **variant == "gate_30").count();
        assert!((400..600).contains(&gate_30), "{gate_30}");
    }
}
