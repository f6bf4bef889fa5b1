use std::io::Write;
use std::time::Duration;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    log: String,
    config: Section,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    listen: String,
    max_items: u32,
    ratio: f64,
    hosts: Vec<String>,
    password: Option<Secret>,
    reflection: bool,
    #[serde(deserialize_with = "duration")]
    timeout: Duration,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            config: Section::default(),
        }
    }
}

impl Default for Section {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7071".to_owned(),
            max_items: 1_000,
            ratio: 0.5,
            hosts: Vec::new(),
            password: None,
            reflection: false,
            timeout: Duration::from_secs(1),
        }
    }
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load_sample(text: &str, variables: &[(&str, &str)]) -> Result<Sample, SettingsError> {
    load_from(Some(file(text).path()), env(variables))
}

fn problem(text: &str, variables: &[(&str, &str)]) -> String {
    load_sample(text, variables).unwrap_err().to_string()
}

#[test]
fn nothing_given_means_defaults() {
    let sample: Sample = load_from(None, env(&[])).unwrap();
    assert_eq!((sample.log.as_str(), sample.config.max_items), ("info", 1_000));
}

#[test]
fn environment_beats_file_beats_defaults() {
    let text = "log = 'debug'\n[config]\nlisten = '0.0.0.0:1'\nmax_items = 7\n";
    let sample = load_sample(text, &[("ASSAY__CONFIG__LISTEN", "0.0.0.0:2")]).unwrap();
    assert_eq!(sample.log, "debug");
    assert_eq!(sample.config.listen, "0.0.0.0:2");
    assert_eq!(sample.config.max_items, 7);
    assert!(!sample.config.reflection);
}

#[test]
fn environment_values_take_the_type_of_their_key() {
    let variables = [
        ("ASSAY__CONFIG__MAX_ITEMS", "12"),
        ("ASSAY__CONFIG__RATIO", "0.25"),
        ("ASSAY__CONFIG__REFLECTION", "true"),
        ("ASSAY__CONFIG__TIMEOUT", "250ms"),
        ("ASSAY__CONFIG__HOSTS", r#"["a:1", "b:2"]"#),
        ("ASSAY__CONFIG__PASSWORD", "007"),
        ("ASSAY_CONFIG_PORT", "tcp://10.0.0.1:7071"),
        ("HOME", "/"),
    ];
    let section = load_sample("", &variables).unwrap().config;
    assert_eq!(
        (section.max_items, section.ratio, section.reflection),
        (12, 0.25, true)
    );
    assert_eq!(section.timeout, Duration::from_millis(250));
    assert_eq!(section.hosts, ["a:1", "b:2"]);
    assert_eq!(section.password.unwrap().expose(), "007");
}

#[test]
fn a_fraction_is_not_cut_to_a_whole_number() {
    let message = problem("[config]\nmax_items = 1.5\n", &[]);
    assert!(
        message.contains("1.5") && message.contains("config.max_items"),
        "{message}"
    );
    assert_eq!(
        load_sample("[config]\nratio = 0.75\n", &[]).unwrap().config.ratio,
        0.75
    );
    assert_eq!(
        load_sample("[config]\nratio = 1\n", &[]).unwrap().config.ratio,
        1.0
    );
}

#[test]
fn a_text_that_looks_like_a_list_stays_text() {
    let sample = load_sample("", &[("ASSAY__CONFIG__PASSWORD", "[secret")]).unwrap();
    assert_eq!(sample.config.password.unwrap().expose(), "[secret");
}

#[test]
fn unknown_key_in_the_file_is_named_with_those_known() {
    let message = problem("[config]\nlistn = 'x'\n", &[("ASSAY__LOG", "warn")]);
    assert!(message.starts_with("settings file `"), "{message}");
    assert!(
        message.contains("`listn`") && message.contains("`listen`"),
        "{message}"
    );
    assert!(message.contains("config"), "{message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn unknown_variable_is_named_with_the_keys_known() {
    let variables = [("ASSAY__CONFIG__LISTN", "x"), ("ASSAY__LOG", "warn")];
    let message = problem("", &variables);
    assert!(
        message.starts_with("environment variable `ASSAY__CONFIG__LISTN`: "),
        "{message}"
    );
    assert!(message.contains("`listen`"), "{message}");
    let message = problem("", &[("ASSAY__CONFG__LISTEN", "x")]);
    assert!(
        message.contains("ASSAY__CONFG__LISTEN") && message.contains("`config`"),
        "{message}"
    );
}

#[test]
fn each_of_two_bad_variables_would_be_named() {
    let message = problem("", &[("ASSAY__AAA", "1"), ("ASSAY__BBB", "2")]);
    assert!(
        message.contains("ASSAY__AAA") || message.contains("ASSAY__BBB"),
        "{message}"
    );
}

#[test]
fn wrong_types_name_key_or_variable() {
    let message = problem("[config]\nmax_items = 'many'\n", &[]);
    assert!(message.contains("config.max_items"), "{message}");
    let message = problem("", &[("ASSAY__CONFIG__TIMEOUT", "soon")]);
    assert!(
        message.contains("ASSAY__CONFIG__TIMEOUT") && message.contains("such as 10s"),
        "{message}"
    );
}

#[test]
fn broken_toml_and_missing_file_are_one_sentence() {
    let message = problem("[config\n", &[]);
    assert!(
        message.starts_with("settings file `") && !message.contains('\n'),
        "{message}"
    );
    let message = problem("[config]\npassword = 'hunter2\n", &[]);
    assert!(message.contains("line 2"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    let missing = load_from::<Sample>(Some(Path::new("/nowhere/assay.toml")), env(&[]));
    let message = missing.unwrap_err().to_string();
    assert!(
        message.contains("`/nowhere/assay.toml` cannot be read"),
        "{message}"
    );
}

#[test]
fn secret_comes_from_its_file() {
    let secret = file("s3cret\n");
    let value = format!("file:{}", secret.path().display());
    let sample = load_sample("", &[("ASSAY__CONFIG__PASSWORD", &value)]).unwrap();
    assert_eq!(sample.config.password.unwrap().expose(), "s3cret");
    let message = problem("", &[("ASSAY__CONFIG__PASSWORD", "file:/nowhere/secret")]);
    assert!(
        message.contains("secret file `/nowhere/secret` cannot be read"),
        "{message}"
    );
}
