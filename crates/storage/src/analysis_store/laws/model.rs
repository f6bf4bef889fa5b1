//! The state of analysis as maps in memory, and random changes of it.

use std::collections::{BTreeMap, BTreeSet};

use assay_core::{
    key::{ExperimentKey, MetricKey, Namespace, Unit, UnitKind, VariantKey},
    record::Event,
    time::{Day, Timestamp},
    value::Attributes,
};

use super::super::{
    AnalysisStore, CellKey, Contribution, EventRow, ExposureRow, Measure, Sums, UnitChange, UnitRef,
    UnitState,
};

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit` ≥ 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_micros(self.below(1 << 52) as i64 - (1 << 51))
    }
}

/// What a store of one namespace should hold.
#[derive(Debug, Clone)]
pub struct Model {
    namespace: Namespace,
    units: BTreeMap<UnitRef, State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    partition: u32,
    exposures: BTreeMap<(ExperimentKey, VariantKey, u32), ExposureRow>,
    events: BTreeMap<String, EventRow>,
    contributions: BTreeMap<(ExperimentKey, Measure), Contribution>,
    dues: BTreeSet<Timestamp>,
}

const EXPERIMENTS: [&str; 3] = ["gate", "shop", "shop.v2"];
const VARIANTS: [&str; 3] = ["control", "a", "b"];

fn experiment(key: &str) -> ExperimentKey {
    ExperimentKey::new(key).expect("experiment")
}

fn variant(key: &str) -> VariantKey {
    VariantKey::new(key).expect("variant")
}

impl Model {
    /// An empty model of `namespace`.
    pub fn new(namespace: Namespace) -> Self {
        Self {
            namespace,
            units: BTreeMap::new(),
        }
    }

    /// Random changes of units of `partition`, which the model makes too.
    pub fn random_changes(&mut self, random: &mut Random, partition: u32) -> Vec<UnitChange> {
        (0..random.below(12))
            .map(|_| self.random_change(random, partition))
            .collect()
    }

    fn random_change(&mut self, random: &mut Random, partition: u32) -> UnitChange {
        let kind = UnitKind::new(*random.pick(&["user", "device"])).expect("kind");
        let id = format!("{partition}/{} 'ü'", random.below(25));
        let unit = UnitRef {
            namespace: self.namespace.clone(),
            unit: Unit::new(kind, id).expect("unit"),
        };
        let state = self.units.entry(unit.clone()).or_default();
        state.partition = partition;
        let exposures: Vec<_> = (0..random.below(3)).map(|_| random_exposure(random)).collect();
        let events: Vec<_> = (0..random.below(4))
            .map(|_| random_event(random, &unit))
            .collect();
        let (retracted, added) = random_contributions(random, &unit, &state.contributions);
        let dues_removed: Vec<_> = state
            .dues
            .iter()
            .filter(|_| random.below(3) == 0)
            .copied()
            .collect();
        let dues_added: Vec<_> = (0..random.below(3)).map(|_| random.time()).collect();
        let change = UnitChange {
            unit,
            exposures,
            events,
            retracted,
            added,
            dues_removed,
            dues_added,
        };
        state.apply(&change);
        change
    }

    /// Panics unless `store` holds exactly this for the namespace.
    pub async fn assert_holds(&self, store: &dyn AnalysisStore) {
        let units: Vec<_> = self.units.keys().cloned().collect();
        let expected: Vec<_> = self.units.values().map(State::expected).collect();
        assert_eq!(store.units(&units).await.expect("units"), expected);
        for key in EXPERIMENTS {
            let found = store
                .cells(&self.namespace, &experiment(key))
                .await
                .expect("cells");
            assert_eq!(found, self.cells(key), "sums of {key}");
            let found = store
                .assignments(&self.namespace, &experiment(key), None, None, 1_000)
                .await
                .expect("assignments");
            let exposed = self
                .units
                .iter()
                .filter(|(_, state)| state.exposures.keys().any(|(found, ..)| found.as_str() == key));
            let exposed: Vec<_> = exposed.map(|(unit, _)| unit.unit.clone()).collect();
            assert_eq!(
                found.into_iter().map(|row| row.unit).collect::<Vec<_>>(),
                exposed,
                "units of {key}"
            );
        }
        for partition in [20, 21] {
            let mut found = store.due(partition, Timestamp::MAX, 10_000).await.expect("due");
            found.retain(|due| due.unit.namespace == self.namespace);
            let found: Vec<_> = found.into_iter().map(|due| (due.at, due.unit)).collect();
            let waiting = self
                .units
                .iter()
                .filter(|(_, state)| state.partition == partition);
            let waiting: BTreeSet<_> = waiting
                .flat_map(|(unit, state)| state.dues.iter().map(|at| (*at, unit.clone())))
                .collect();
            assert_eq!(found, Vec::from_iter(waiting));
        }
    }

    /// The sums that follow from all contributions.
    fn cells(&self, key: &str) -> Vec<(CellKey, Sums)> {
        let mut cells: BTreeMap<CellKey, Sums> = BTreeMap::new();
        for Contribution { cell, value } in self.units.values().flat_map(|state| state.contributions.values())
        {
            if cell.experiment.as_str() == key {
                let sums = cells.entry(cell.clone()).or_default();
                let value = i128::from(*value);
                sums.n += 1;
                sums.nonzero += i64::from(value != 0);
                sums.sum += value;
                sums.sum_squares += value * value;
            }
        }
        cells.into_iter().collect()
    }
}

impl State {
    fn apply(&mut self, change: &UnitChange) {
        for row in &change.exposures {
            self.exposures.insert(
                (row.experiment.clone(), row.variant.clone(), row.cohort),
                row.clone(),
            );
        }
        for row in &change.events {
            self.events.insert(row.event.event_id.clone(), row.clone());
        }
        for Contribution { cell, .. } in &change.retracted {
            self.contributions
                .remove(&(cell.experiment.clone(), cell.measure.clone()));
        }
        for contribution in &change.added {
            let key = (
                contribution.cell.experiment.clone(),
                contribution.cell.measure.clone(),
            );
            self.contributions.insert(key, contribution.clone());
        }
        self.dues.retain(|at| !change.dues_removed.contains(at));
        self.dues.extend(&change.dues_added);
    }

    fn expected(&self) -> UnitState {
        UnitState {
            exposures: self.exposures.values().cloned().collect(),
            events: self.events.values().cloned().collect(),
            contributions: self.contributions.values().cloned().collect(),
            dues: self.dues.iter().copied().collect(),
        }
    }
}

fn random_exposure(random: &mut Random) -> ExposureRow {
    ExposureRow {
        experiment: experiment(EXPERIMENTS[random.below(3) as usize]),
        variant: variant(VARIANTS[random.below(3) as usize]),
        cohort: 1 + random.below(2) as u32,
        time: random.time(),
    }
}

fn random_event(random: &mut Random, unit: &UnitRef) -> EventRow {
    let event_id = random.pick(&["1", "2", "é{},\"\\", "10", "Z"]).to_string();
    let values = [
        None,
        Some(0),
        Some(-1),
        Some(1 << 53),
        Some(random.number() as i64),
    ];
    let properties = [
        Attributes::new(),
        Attributes::from([
            ("a.b".to_owned(), 0.1.into()),
            ("null\0".to_owned(), "\"{}\\\0'".into()),
            ("c".to_owned(), true.into()),
        ]),
        Attributes::from([
            ("n".to_owned(), f64::from_bits(random.number() >> 2).into()),
            ("m".to_owned(), (-1e300).into()),
        ]),
    ];
    let event = Event {
        namespace: unit.namespace.clone(),
        unit: unit.unit.clone(),
        event_id,
        name: random.pick(&["login", "buy it, {now} \"\\ 'ü'", ""]).to_string(),
        time: random.time(),
        received_at: random.time(),
        value_micros: *random.pick(&values),
        properties: random.pick(&properties).clone(),
        clamped: random.below(2) == 0,
        late: random.below(2) == 0,
        imported: random.below(2) == 0,
    };
    let hash = std::array::from_fn(|_| random.number() as u8);
    EventRow { event, hash }
}

/// Ends some of what is `stored` and begins others, at most one for each experiment and measure, as a correct caller does.
fn random_contributions(
    random: &mut Random,
    unit: &UnitRef,
    stored: &BTreeMap<(ExperimentKey, Measure), Contribution>,
) -> (Vec<Contribution>, Vec<Contribution>) {
    let metric = |key: &str| MetricKey::new(key).expect("metric");
    let measures = [
        Measure::Exposed,
        Measure::SetAside,
        Measure::Excluded(metric("m")),
        Measure::Metric(metric("m")),
        Measure::Metric(metric("m.2")),
        Measure::Denominator(metric("m")),
        Measure::Total(metric("m")),
        Measure::Excess(metric("m.2")),
    ];
    let (mut retracted, mut added) = (Vec::new(), Vec::new());
    for key in EXPERIMENTS.map(experiment) {
        for measure in &measures {
            let old = stored.get(&(key.clone(), measure.clone()));
            let (ends, begins) = (random.below(2) == 0, random.below(3) == 0);
            if let Some(old) = old.filter(|_| ends) {
                retracted.push(old.clone());
            }
            if begins && (ends || old.is_none()) {
                let cell = CellKey {
                    namespace: unit.namespace.clone(),
                    experiment: key.clone(),
                    cohort: 1 + random.below(2) as u32,
                    variant: variant(VARIANTS[random.below(3) as usize]),
                    measure: measure.clone(),
                    day: Day(random.below(3) as i32 - 1),
                };
                let values = [0, 1, -1, i64::from(u32::MAX) << 21, random.number() as i64 / 64];
                added.push(Contribution {
                    cell,
                    value: *random.pick(&values),
                });
            }
        }
    }
    (retracted, added)
}
