//! What an operator may choose for this service.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use assay_core::winner::Thresholds;
use assay_platform::{Access, Check, Limits, Observed};
use serde::Deserialize;

const RECONCILE_SECONDS: RangeInclusive<u64> = 1..=3_600;
const PROBABILITY: RangeInclusive<f64> = 0.5..=1.0;
const LIFT: RangeInclusive<f64> = 0.0..=10.0;
const SRM_P_VALUE: RangeInclusive<f64> = 0.0..=0.5;
const CALLERS_WINDOW: RangeInclusive<Duration> = Duration::from_secs(120)..=Duration::from_secs(30 * 86_400);
const SCHEDULE_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

/// Settings of the service, section `[config]` of the file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address to listen on; loopback unless told otherwise.
    pub listen: SocketAddr,
    /// How often the whole bus is compared with the truth, in seconds, 1 to 3600. Changes made here are published at once;
    /// this finds what others have changed or lost, by default within the 10 s that C2 promises.
    pub reconcile_interval_seconds: u64,
    /// How often to look for experiments whose start or end time has come, 10 ms to 60 s.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub schedule_interval: Duration,
    /// Where the analysis service answers, which is asked whether there is a winner.
    pub analysis_endpoint: String,
    /// Of a binary primary metric: the least probability of being best that is a winner signal, 0.5 to 1.
    pub winner_probability: f64,
    /// Of any other primary metric: the least lift that is a winner signal, 0 to 10 (0.05 is 5 %).
    pub winner_lift: f64,
    /// A p-value of the test for sample ratio mismatch of at most this much takes the signal away, 0 to 0.5.
    pub winner_srm_p_value: f64,
    /// How long callers of an experiment or its flag count as seen lately when it is ended, 2 minutes to 30 days.
    #[serde(deserialize_with = "assay_platform::settings::duration")]
    pub callers_window: Duration,
    /// Whether to answer gRPC reflection. When not set: while one process runs every service, and not in a cluster.
    pub reflection: Option<bool>,
    /// What it takes at most.
    pub limits: Limits,
    /// Where it tells of itself.
    #[serde(skip)]
    pub observed: Observed,
    /// Who may call; everyone, unless `auth` of the process says otherwise.
    #[serde(skip)]
    pub access: Access,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7071)),
            reconcile_interval_seconds: 5,
            schedule_interval: Duration::from_secs(1),
            analysis_endpoint: "http://127.0.0.1:7073".into(),
            winner_probability: Thresholds::default().probability_best,
            winner_lift: Thresholds::default().lift,
            winner_srm_p_value: Thresholds::default().srm_p_value,
            callers_window: Duration::from_secs(3_600),
            reflection: None,
            limits: Limits::default(),
            observed: Observed::default(),
            access: Access::open(),
        }
    }
}

impl Settings {
    /// What is wrong with the values.
    pub fn check(&self) -> Check {
        let mut check = Check::section("config");
        check.number(
            "reconcile_interval_seconds",
            self.reconcile_interval_seconds,
            &RECONCILE_SECONDS,
        );
        check.duration("schedule_interval", self.schedule_interval, &SCHEDULE_INTERVAL);
        check.server("analysis_endpoint", &self.analysis_endpoint);
        check.duration("callers_window", self.callers_window, &CALLERS_WINDOW);
        check.number("winner_probability", self.winner_probability, &PROBABILITY);
        check.number("winner_lift", self.winner_lift, &LIFT);
        check.number("winner_srm_p_value", self.winner_srm_p_value, &SRM_P_VALUE);
        check.join(self.limits.check("config.limits"));
        check
    }

    pub(crate) fn thresholds(&self) -> Thresholds {
        Thresholds {
            probability_best: self.winner_probability,
            lift: self.winner_lift,
            srm_p_value: self.winner_srm_p_value,
        }
    }

    pub(crate) fn reconcile_interval(&self) -> Duration {
        Duration::from_secs(self.reconcile_interval_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_of_nothing_or_of_days_is_refused() {
        for (seconds, n_wrong) in [(0, 1), (1, 0), (3_600, 0), (3_601, 1)] {
            let settings = Settings {
                reconcile_interval_seconds: seconds,
                ..Settings::default()
            };
            assert_eq!(settings.check().wrong().len(), n_wrong, "{seconds}");
        }
    }

    #[test]
    fn thresholds_that_no_figure_can_have_are_refused() {
        let settings = Settings {
            winner_probability: 90.0,
            winner_lift: f64::NAN,
            winner_srm_p_value: -0.1,
            ..Settings::default()
        };
        assert_eq!(settings.check().wrong().len(), 3);
    }

    #[test]
    fn a_schedule_that_is_never_or_always_looked_at_is_refused() {
        for (millis, n_wrong) in [(9, 1), (10, 0), (60_000, 0), (60_001, 1)] {
            let settings = Settings {
                schedule_interval: Duration::from_millis(millis),
                ..Settings::default()
            };
            assert_eq!(settings.check().wrong().len(), n_wrong, "{millis}");
        }
    }

    #[test]
    fn an_empty_section_means_the_defaults_and_unknown_keys_are_refused() {
        assert_eq!(
            serde_json::from_str::<Settings>("{}").unwrap(),
            Settings::default()
        );
        let error = serde_json::from_str::<Settings>(r#"{"listne": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `listne`"), "{error}");
    }
}
