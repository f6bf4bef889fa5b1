use assay_platform::{Exit, SettingsError};

use super::*;

/// Loads defaults and `set`, pairs of a key and its text.
fn load(set: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let variable = |key: &str| format!("ASSAY__{}", key.to_uppercase().replace('.', "__"));
    let set = set
        .iter()
        .map(|(key, value)| (variable(key), (*value).to_owned()));
    settings::load_from(None, set)
}

/// The keys that are refused.
fn refused(set: &[(&str, &str)]) -> Vec<String> {
    let check = load(set).unwrap().check();
    check.wrong().iter().map(|one| one.key.clone()).collect()
}

/// Every setting with a range: its key, what is just below, the limits, and what is just above.
const RANGES: &[(&str, &str, [&str; 2], &str)] = &[
    ("config.reconcile_interval_seconds", "0", ["1", "3600"], "3601"),
    ("config.schedule_interval", "9ms", ["10ms", "1m"], "60001ms"),
    ("config.callers_window", "119s", ["2m", "720h"], "43201m"),
    ("config.winner_probability", "0.49", ["0.5", "1.0"], "1.01"),
    ("config.winner_lift", "-0.01", ["0.0", "10.0"], "10.1"),
    ("config.winner_srm_p_value", "-0.01", ["0.0", "0.5"], "0.51"),
    ("assignment.bus_wait", "", ["0s", "60s"], "60001ms"),
    ("assignment.callers_interval", "9ms", ["10ms", "1h"], "3600001ms"),
    ("assignment.compare_interval", "999ms", ["1s", "24h"], "86401s"),
    (
        "assignment.exposures.spool_bytes",
        "4194303",
        ["8388608", "1099511627776"],
        "1099511627777",
    ),
    (
        "assignment.exposures.spool_segment_bytes",
        "65535",
        ["65536", "268435456"],
        "1073741825",
    ),
    (
        "assignment.exposures.buffer_bytes",
        "4194303",
        ["4194304", "4294967296"],
        "4294967297",
    ),
    (
        "assignment.exposures.ship_interval",
        "0ms",
        ["1ms", "10s"],
        "10001ms",
    ),
    (
        "assignment.exposures.drain_deadline",
        "99ms",
        ["100ms", "4s"],
        "4001ms",
    ),
    ("ingest.lateness_allowance", "59s", ["1m", "8760h"], "525601m"),
    ("analysis.readers", "0", ["1", "1024"], "1025"),
    ("analysis.batch_entries", "0", ["1", "1024"], "1025"),
    ("analysis.poll_interval", "9ms", ["10ms", "1m"], "60001ms"),
    ("analysis.settle", "99ms", ["100ms", "1h"], "876000h"),
    ("analysis.trim_interval", "999ms", ["1s", "24h"], "86401s"),
    ("stores.partitions", "0", ["1", "1024"], "1025"),
    ("stores.postgres_connections", "0", ["1", "1000"], "1001"),
    ("telemetry.sample_ratio", "-0.001", ["0", "1"], "1.001"),
    ("telemetry.sample_ratio", "nan", ["0.0", "1.0"], "inf"),
];

/// Every setting without a range: its key, good values, bad ones.
const TEXTS: &[(&str, &[&str], &[&str])] = &[
    ("stores.data_dir", &["x", "ä b"], &[""]),
    (
        "stores.postgres_url",
        &[
            "",
            "postgres://u:p@db:5432/assay",
            "postgresql://db/assay?sslmode=disable",
        ],
        &["db", "mysql://db/x", "sqlite://x", "postgres://db:port/x", " "],
    ),
    (
        "stores.etcd_endpoints",
        &["[]", r#"["http://a:2379", "http://b:2379"]"#],
        &[
            r#"[""]"#,
            r#"["a:2379"]"#,
            r#"["https://a:2379"]"#,
            r#"["http://a:1", "http://a:1"]"#,
            r#"["http://a/x"]"#,
        ],
    ),
    (
        "stores.etcd_prefix",
        &["/a", "/a/b"],
        &["", "a", "/", "/a/", "/a b", "/ä"],
    ),
    (
        "stores.redis_url",
        &[
            "",
            "redis://redis:6379/0",
            "rediss://u:p@redis:6380",
            "redis://[::1]:6379",
        ],
        &["redis", "http://redis:6379", "redis://", "redis://h:port", " "],
    ),
    ("stores.redis_prefix", &["a", "a:b"], &["", "a b", "a{b", "ä"]),
    (
        "client.config",
        &["http://config:7071", "http://[::1]:7071/"],
        &["", "config:7071", "https://c:1", "http://c:1/x"],
    ),
    ("client.assignment", &["http://a:1"], &["", "http://"]),
    ("client.ingest", &["http://a:1"], &["", "http://a b:1"]),
    ("client.analysis", &["http://a:1"], &["", "ftp://a:1"]),
    (
        "config.analysis_endpoint",
        &["http://analysis:7073"],
        &["", "analysis:7073"],
    ),
    (
        "analysis.config_endpoint",
        &["http://config:7071"],
        &["", "config:7071"],
    ),
    (
        "telemetry.otlp_endpoint",
        &["", "http://collector:4317"],
        &["collector:4317", "http://"],
    ),
    ("telemetry.service_name", &["assay-eu"], &["", "a b"]),
    (
        "telemetry.log_filter",
        &["info", "warn,assay_storage=debug", ""],
        &["a=b=c", "info,x=loud"],
    ),
];

#[test]
fn each_limit_is_a_good_value_and_one_beyond_is_refused_by_name() {
    for (key, below, limits, above) in RANGES {
        for limit in limits {
            assert_eq!(refused(&[(key, limit)]), Vec::<String>::new(), "{key} = {limit}");
        }
        for bad in [below, above].into_iter().filter(|bad| !bad.is_empty()) {
            let found = refused(&[(key, bad)]);
            assert!(found.iter().any(|wrong| wrong == key), "{key} = {bad}: {found:?}");
        }
    }
    // The limits that another setting stands in front of.
    let segment = ("assignment.exposures.spool_segment_bytes", "65536");
    assert!(refused(&[segment, ("assignment.exposures.spool_bytes", "4194304")]).is_empty());
    let spool = ("assignment.exposures.spool_bytes", "1099511627776");
    assert!(refused(&[spool, ("assignment.exposures.spool_segment_bytes", "1073741824")]).is_empty());
}

#[test]
fn texts_that_cannot_be_used_are_refused_by_name() {
    for (key, good, bad) in TEXTS {
        for value in *good {
            assert_eq!(
                refused(&[(key, value)]),
                Vec::<String>::new(),
                "{key} = {value:?}"
            );
        }
        for value in *bad {
            let found = refused(&[(key, value)]);
            assert!(
                found.iter().any(|wrong| wrong == key),
                "{key} = {value:?}: {found:?}"
            );
        }
    }
}

#[test]
fn a_segment_of_the_spool_is_no_larger_than_the_spool() {
    let set = [("assignment.exposures.spool_bytes", "4194304")];
    assert_eq!(refused(&set), ["assignment.exposures.spool_segment_bytes"]);
}

#[test]
fn every_sentence_says_what_to_give_and_no_secret() {
    let set = [
        ("analysis.settle", "876000h"),
        ("stores.partitions", "0"),
        ("stores.postgres_url", "mysql://u:hunter2@db/x"),
        ("stores.redis_url", "redis://u:hunter2@h:port"),
        ("stores.etcd_prefix", "assay"),
        ("client.config", "localhost"),
    ];
    let error = Error::from(load(&set).unwrap().check().done().unwrap_err());
    assert_eq!(error.exit(), Exit::Settings);
    let text = error.to_string();
    assert_eq!(text.lines().count(), set.len() + 1, "{text}");
    for line in text.lines().skip(1) {
        assert!(line.contains("ASSAY__"), "{line}");
        assert!(line.contains("; give ") || line.contains("; write "), "{line}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn one_process_does_not_listen_twice_on_one_address() {
    let collisions = |config: &str, ingest: &str| {
        let set = [("config.listen", config), ("ingest.listen", ingest)];
        load(&set)
            .unwrap()
            .check_one_process()
            .map_err(|error| error.to_string())
    };
    assert_eq!(collisions("127.0.0.1:0", "127.0.0.1:0"), Ok(()));
    assert_eq!(collisions("127.0.0.1:1", "127.0.0.2:1"), Ok(()));
    for (one, two) in [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("127.0.0.1:1", "[::]:1"),
    ] {
        let text = collisions(one, two).unwrap_err();
        assert!(
            text.contains("`ingest.listen`") && text.contains("`config.listen`"),
            "{text}"
        );
    }
    // As pods, they have an address each.
    assert!(
        refused(&[
            ("config.listen", "0.0.0.0:7070"),
            ("ingest.listen", "0.0.0.0:7070")
        ])
        .is_empty()
    );
}

#[test]
fn a_door_for_openfeature_is_an_address_of_its_own_or_off() {
    let off = load(&[("openfeature.flagd_listen", "off")]).unwrap();
    assert_eq!(off.openfeature.flagd_listen, None);
    assert!(
        off.openfeature
            .ofrep_listen
            .is_some_and(|address| address.ip().is_loopback())
    );
    let twice = [("openfeature.ofrep_listen", "127.0.0.1:7070")];
    let text = load(&twice).unwrap().check_one_process().unwrap_err().to_string();
    assert!(
        text.contains("`openfeature.ofrep_listen`") && text.contains("`assignment.listen`"),
        "{text}"
    );
    let text = load(&[("openfeature.flagd_listen", "nowhere")])
        .err()
        .unwrap()
        .to_string();
    assert!(
        text.contains("`nowhere` is no address") && text.contains("`off`"),
        "{text}"
    );
    let origin = [("openfeature.cors_origins", "[\"https://shop.example/page\"]")];
    assert!(load(&origin).unwrap().check().done().is_err());
    let origin = [("openfeature.cors_origins", "[\"https://shop.example\", \"*\"]")];
    assert!(load(&origin).unwrap().check().done().is_ok());
}

#[test]
fn the_defaults_are_good() {
    let settings = load(&[]).unwrap();
    assert!(settings.check().done().is_ok());
    assert!(settings.check_one_process().is_ok());
}

#[test]
fn the_defaults_listen_on_loopback_and_the_verbs_find_them() {
    let settings: Settings = settings::load_from(None, []).unwrap();
    let listen = [
        settings.config.listen,
        settings.assignment.listen,
        settings.ingest.listen,
        settings.analysis.listen,
    ];
    assert!(
        listen.iter().all(|address| address.ip().is_loopback()),
        "{listen:?}"
    );
    let client = [
        settings.client.config,
        settings.client.assignment,
        settings.client.ingest,
        settings.client.analysis,
    ];
    assert_eq!(listen.map(|address| format!("http://{address}")), client);
}

#[test]
fn s11_reflection_is_on_in_one_process_unless_set_and_elsewhere_when_set() {
    let of = |settings: &Settings| {
        [
            settings.config.reflection,
            settings.assignment.reflection,
            settings.ingest.reflection,
            settings.analysis.reflection,
        ]
    };
    let mut settings = load(&[("ingest.reflection", "false"), ("analysis.reflection", "true")]).unwrap();
    assert_eq!(of(&settings), [None, None, Some(false), Some(true)]);
    settings.reflect_by_default();
    assert_eq!(of(&settings), [Some(true), Some(true), Some(false), Some(true)]);
}

#[test]
fn unknown_keys_stop_the_start_with_64() {
    let set = [("ASSAY__STORES__DATADIR".to_owned(), "x".to_owned())];
    let error = Error::from(settings::load_from::<Settings>(None, set).unwrap_err());
    assert_eq!(error.exit(), assay_platform::Exit::Settings);
    assert!(error.to_string().contains("ASSAY__STORES__DATADIR"), "{error}");
}
