//! The one place that prints: what was asked for to stdout, what is said about it to stderr.

pub(crate) mod number;
pub(crate) mod progress;
pub(crate) mod results;

use std::io::{ErrorKind, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::error::Error;

/// In which form answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Prints lines to stdout. A reader that has gone away is no error: nobody wants the rest.
pub(crate) fn lines(text: impl AsRef<str>) -> Result<(), Error> {
    write(std::io::stdout().lock(), text.as_ref())
}

/// Says something about what is done: to stderr.
pub(crate) fn note(text: impl AsRef<str>) {
    // Nobody can be told that stderr is gone.
    let _gone = write(std::io::stderr().lock(), text.as_ref());
}

fn write(mut to: impl Write, text: &str) -> Result<(), Error> {
    let line_end = if text.ends_with('\n') { "" } else { "\n" };
    match to
        .write_all(format!("{text}{line_end}").as_bytes())
        .and_then(|()| to.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Prints `document` in `format`, for people as `table` says it.
pub(crate) fn document<T: Serialize>(
    format: Format,
    document: &T,
    table: impl FnOnce() -> String,
) -> Result<(), Error> {
    match format {
        Format::Table => lines(table()),
        Format::Json => lines(serde_json::to_string_pretty(document).map_err(Error::internal)?),
        Format::Yaml => lines(serde_yaml_ng::to_string(document).map_err(Error::internal)?),
    }
}

/// A table with a line under its header, numbers to the right where `right` says so.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>, right: &[usize]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    trimmed(&table.to_string())
}

/// Facts one under the other, the empty ones left out.
pub(crate) fn facts(facts: Vec<(&str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, fact) in facts {
        if !fact.is_empty() {
            table.add_row(vec![name.to_owned(), plain(&fact)]);
        }
    }
    trimmed(&table.to_string())
}

/// Without what would drive a terminal: whoever may write a name is not to write on an operator's screen.
fn plain(text: &str) -> String {
    let shown = |c: char| {
        if c.is_control() && c != '\n' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

/// Without the spaces that columns leave at the ends of lines.
fn trimmed(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_text_drives_the_terminal() {
        let hostile = "\u{1b}[2J\u{1b}]0;x\u{7}";
        for text in [
            table(&["name"], [vec![hostile.to_owned()]], &[]),
            facts(vec![("name", hostile.to_owned())]),
        ] {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        }
    }

    #[test]
    fn tables_are_plain_text() {
        let rows = vec![
            vec!["gate_30".into(), "44,700".into()],
            vec!["x".into(), "7".into()],
        ];
        let text = table(&["variant", "units"], rows, &[1]);
        assert_eq!(text, " VARIANT   UNITS\n gate_30  44,700\n x             7");
        assert_eq!(
            facts(vec![("key", "gate".into()), ("name", String::new())]),
            " key  gate"
        );
    }
}
