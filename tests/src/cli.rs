//! The operator's command line: `assay` as a child, one verb at a time, pointed at a running platform.

use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use assay_client::Endpoints;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::process::assay_binary;

/// The command line on one platform.
#[derive(Debug, Clone)]
pub struct Cli {
    env: Vec<(String, String)>,
}

/// What a verb has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// What it was asked for.
    pub out: String,
    /// What it said about that.
    pub err: String,
}

impl Cli {
    /// The command line on the services at `endpoints`.
    pub fn on(endpoints: &Endpoints) -> Self {
        let variable = |service: &str, uri: &String| (format!("ASSAY__CLIENT__{service}"), uri.clone());
        Self {
            env: vec![
                variable("CONFIG", &endpoints.config),
                variable("ASSIGNMENT", &endpoints.assignment),
                variable("INGEST", &endpoints.ingest),
                variable("ANALYSIS", &endpoints.analysis),
            ],
        }
    }

    /// With one more setting.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.env.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Runs `assay` with the words of `line`; a word with spaces stands in single quotes.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn run(&self, line: &str) -> Result<Said> {
        self.run_with(line, "").await
    }

    /// As [`Cli::run`], with `stdin` to read.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn run_with(&self, line: &str, stdin: &str) -> Result<Said> {
        let mut child = Command::new(assay_binary()?)
            .args(words(line))
            .env_clear()
            .envs(self.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut pipe = child.stdin.take().context("stdin is piped")?;
        let stdin = stdin.to_owned();
        let feeding = tokio::spawn(async move {
            // A verb that reads nothing has gone before we are done.
            let _ = pipe.write_all(stdin.as_bytes()).await;
        });
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().await?;
        feeding.await?;
        Ok(Said {
            code: status.code().context("it was killed")?,
            out: String::from_utf8(stdout)?,
            err: String::from_utf8(stderr)?,
        })
    }

    /// What `assay` prints for the words of `line`, which must succeed.
    ///
    /// # Errors
    /// What it said when it did not.
    pub async fn ok(&self, line: &str) -> Result<String> {
        let said = self.run(line).await?;
        ensure!(said.code == 0, "assay {line}: {said:?}");
        Ok(said.out)
    }

    /// The JSON that `assay` prints for the words of `line`.
    ///
    /// # Errors
    /// What it said when it did not succeed.
    pub async fn json(&self, line: &str) -> Result<serde_json::Value> {
        let said = self.ok(&format!("{line} -o json")).await?;
        serde_json::from_str(&said).with_context(|| format!("assay {line}: {said}"))
    }

    /// Why `assay` refuses the words of `line`, which must end with exit code 1 or, when the race is lost, 75.
    ///
    /// # Errors
    /// What it said when it was not refused.
    pub async fn refused(&self, line: &str) -> Result<String> {
        let said = self.run(line).await?;
        ensure!(
            matches!(said.code, 1 | 75),
            "assay {line} is not refused: {said:?}"
        );
        Ok(said.err)
    }
}

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut begun) = (false, false);
    for letter in line.chars() {
        match letter {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(String::new());
                }
                begun = false;
            }
            letter => {
                begun = true;
                if let Some(word) = words.last_mut() {
                    word.push(letter);
                }
            }
        }
    }
    if !begun {
        words.pop();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_line_is_words() {
        assert_eq!(words("flag  show gate "), ["flag", "show", "gate"]);
        assert_eq!(words("a --reason 'it won' ''"), ["a", "--reason", "it won", ""]);
    }
}
