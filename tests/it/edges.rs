//! Who may import whom, and what may not be in the build at all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Which of our crates each crate may depend on. `assay-tests` may depend on all.
const EDGES: &[(&str, &[&str])] = &[
    ("assay-core", &[]),
    ("assay-failpoint", &[]),
    ("assay-stats", &[]),
    ("assay-platform", &[]),
    ("assay-proto", &["assay-core"]),
    ("assay-storage", &["assay-core", "assay-failpoint"]),
    ("assay-client", &["assay-core", "assay-proto", "assay-platform"]),
    ("assay-config", SERVICE),
    ("assay-assignment", SERVICE),
    ("assay-ingest", SERVICE),
    ("assay-analysis", SERVICE),
    ("assay-console", SERVICE),
    (
        "assay-cli",
        &[
            "assay-core",
            "assay-proto",
            "assay-storage",
            "assay-stats",
            "assay-platform",
            "assay-client",
            "assay-config",
            "assay-assignment",
            "assay-ingest",
            "assay-analysis",
            "assay-console",
        ],
    ),
];

/// Services never import each other: they call over gRPC.
const SERVICE: &[&str] = &[
    "assay-core",
    "assay-failpoint",
    "assay-proto",
    "assay-storage",
    "assay-stats",
    "assay-platform",
];

/// `assay-core` and `assay-stats` are pure functions: no runtime, no wire, no store, no log, no clock, no randomness.
const PURE: &[&str] = &["assay-core", "assay-stats"];
const IMPURE: &[&str] = &[
    "anyhow",
    "chrono",
    "etcd-client",
    "futures",
    "getrandom",
    "hyper",
    "mio",
    "prost",
    "rand",
    "rayon",
    "redis",
    "sea-orm",
    "socket2",
    "sqlx",
    "time",
    "tokio",
    "tonic",
    "tower",
    "tracing",
];

/// Of these the build has one version: two would not understand each other's types.
const SINGLE: &[&str] = &[
    "hyper",
    "opentelemetry",
    "opentelemetry_sdk",
    "prost",
    "rustls",
    "tokio",
    "tonic",
    "tower",
];

/// TLS is rustls with ring alone. A second provider makes rustls panic; OpenSSL would have to be installed.
const ABSENT: &[&str] = &["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];

#[test]
fn crates_depend_only_on_those_they_may() -> Result<()> {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for (package, dependencies) in workspace()? {
        if package == "assay-tests" {
            continue;
        }
        let Some(may) = allowed.get(package.as_str()) else {
            wrong.push(format!("{package} is not in the list of crates"));
            continue;
        };
        let ours = dependencies.iter().filter(|name| name.starts_with("assay-"));
        wrong.extend(
            ours.filter(|name| !may.contains(&name.as_str()))
                .map(|name| format!("{package} → {name}")),
        );
    }
    ensure!(
        wrong.is_empty(),
        "edges that ARCHITECTURE.md does not have: {}",
        wrong.join(", ")
    );
    Ok(())
}

#[test]
fn core_and_stats_are_pure() -> Result<()> {
    let lock = lock()?;
    let workspace = workspace()?;
    for package in PURE {
        let direct = workspace
            .get(*package)
            .with_context(|| format!("{package} is missing"))?;
        let all = closure(&lock, direct);
        let wrong: Vec<&str> = IMPURE
            .iter()
            .copied()
            .filter(|name| all.contains(*name))
            .collect();
        ensure!(
            wrong.is_empty(),
            "{package} depends, directly or not, on {}",
            wrong.join(", ")
        );
    }
    Ok(())
}

#[test]
fn the_lock_file_has_one_version_of_what_must_agree() -> Result<()> {
    let lock = lock()?;
    for name in SINGLE {
        let versions: Vec<&str> = lock
            .iter()
            .filter(|p| p.name == *name)
            .map(|p| p.version.as_str())
            .collect();
        ensure!(versions.len() == 1, "{name} has versions {versions:?}");
    }
    for name in ABSENT {
        ensure!(
            !lock.iter().any(|p| p.name == *name),
            "{name} is in the build: use features with rustls and ring"
        );
    }
    Ok(())
}

/// Our crates and their direct dependencies, those of tests aside.
fn workspace() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--manifest-path",
        ])
        .arg(root().join("Cargo.toml"))
        .output()?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    packages
        .iter()
        .map(|package| Ok((text(&package["name"])?, dependencies(package)?)))
        .collect()
}

fn dependencies(package: &Value) -> Result<BTreeSet<String>> {
    let all = package["dependencies"]
        .as_array()
        .context("a package has no list of dependencies")?;
    all.iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| text(&dependency["name"]))
        .collect()
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("a name is no text")
}

struct Locked {
    name: String,
    version: String,
    dependencies: Vec<String>,
}

fn lock() -> Result<Vec<Locked>> {
    let text = std::fs::read_to_string(root().join("Cargo.lock"))?;
    text.split("[[package]]").skip(1).map(locked).collect()
}

fn locked(section: &str) -> Result<Locked> {
    let field = |name: &str| {
        let line = section
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        line.map(|value| value.trim_matches('"').to_owned())
            .with_context(|| format!("no {name} in {section}"))
    };
    // A dependency is `"name"`, or `"name version"` where several versions exist.
    let dependencies = section
        .lines()
        .filter_map(|line| line.strip_prefix(" \"")?.split(['"', ' ']).next());
    Ok(Locked {
        name: field("name")?,
        version: field("version")?,
        dependencies: dependencies.map(str::to_owned).collect(),
    })
}

/// `direct` and all that it depends on. Versions are not told apart, so it is rather too much than too little.
fn closure(lock: &[Locked], direct: &BTreeSet<String>) -> BTreeSet<String> {
    let mut all = direct.clone();
    let mut open: Vec<String> = direct.iter().cloned().collect();
    while let Some(name) = open.pop() {
        let packages = lock.iter().filter(|package| package.name == name);
        for dependency in packages.flat_map(|package| &package.dependencies) {
            if all.insert(dependency.clone()) {
                open.push(dependency.clone());
            }
        }
    }
    all
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
