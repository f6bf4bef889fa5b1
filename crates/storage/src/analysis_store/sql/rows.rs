//! Many rows in one statement, the same way for both databases.
//!
//! Postgres takes one array a column, as text: `unnest` is its fastest door but `COPY`, and the text of the statement never changes, so it
//! is planned once. SQLite takes one bound value a field.

use std::{borrow::Cow, fmt::Write};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};

use crate::sql::rows_per_statement;

/// Rows of a SQLite statement: enough to make its cost small, few enough to keep its text in the cache of prepared statements.
const SQLITE_ROWS: usize = 256;
/// Rows of a Postgres statement: bounds the size of its parameters.
const POSTGRES_ROWS: usize = 16_384;

/// Type of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    Text,
    Int,
    Bytes,
}

/// A column: name and type.
pub(super) type Column = (&'static str, Type);

/// One field of a row.
#[derive(Debug, Clone)]
pub(super) enum Cell<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Bytes(&'a [u8]),
    Null,
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// A table whose first `key` columns are its primary key.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    pub(super) key: usize,
}

/// Rows of the same columns.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    columns: &'static [Column],
    cells: Vec<Cell<'a>>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(columns: &'static [Column], rows: usize) -> Self {
        Self {
            columns,
            cells: Vec::with_capacity(rows * columns.len()),
        }
    }

    /// Adds a row: one field for each column.
    pub(super) fn push<const N: usize>(&mut self, row: [Cell<'a>; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.cells.extend(row);
    }

    /// Statements that together contain all rows once: `before`, the rows as a list of values, `after`.
    fn statements(&self, backend: DbBackend, before: &str, after: &str) -> Vec<Statement> {
        let width = self.columns.len();
        let rows = match backend {
            DbBackend::Sqlite => SQLITE_ROWS.min(rows_per_statement(backend, width)),
            _ => POSTGRES_ROWS,
        };
        let statement = |cells: &[Cell<'a>]| {
            let (list, values) = match backend {
                DbBackend::Sqlite => (
                    placeholders(width, cells.len() / width),
                    cells.iter().map(bound).collect(),
                ),
                _ => (unnest(self.columns), arrays(self.columns, cells)),
            };
            Statement::from_sql_and_values(backend, format!("{before}{list}{after}"), values)
        };
        self.cells.chunks(rows * width).map(statement).collect()
    }

    /// Inserts the rows into `table`. `on_conflict` says what happens to a row whose key exists; no key may occur twice.
    pub(super) async fn insert(
        &self,
        connection: &impl ConnectionTrait,
        table: &Table,
        on_conflict: &str,
    ) -> Result<(), DbErr> {
        let before = format!("insert into {} ({}) ", table.name, names(table.columns));
        let after = format!(
            " on conflict ({}) {on_conflict}",
            names(&table.columns[..table.key])
        );
        self.execute(connection, &before, &after).await
    }

    /// As [`Rows::insert`]; a row whose key exists is replaced.
    pub(super) async fn upsert(&self, connection: &impl ConnectionTrait, table: &Table) -> Result<(), DbErr> {
        let set: Vec<_> = table.columns[table.key..]
            .iter()
            .map(|(name, _)| format!("{name} = excluded.{name}"))
            .collect();
        self.insert(connection, table, &format!("do update set {}", set.join(", ")))
            .await
    }

    /// Deletes from `table` the rows with these keys.
    pub(super) async fn delete(&self, connection: &impl ConnectionTrait, table: &Table) -> Result<(), DbErr> {
        let (before, after) = deletion(table);
        self.execute(connection, &before, &after).await
    }

    async fn execute(
        &self,
        connection: &impl ConnectionTrait,
        before: &str,
        after: &str,
    ) -> Result<(), DbErr> {
        for statement in self.statements(connection.get_database_backend(), before, after) {
            connection.execute_raw(statement).await?;
        }
        Ok(())
    }

    /// The answers of `select`, which finds these rows as the table `given`. SQLite needs `cross join` to look up each given row
    /// instead of reading the other table whole.
    pub(super) async fn query(
        &self,
        connection: &impl ConnectionTrait,
        select: &str,
    ) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
        let before = format!("with given ({}) as (", names(self.columns));
        let after = format!(") {select}");
        let mut found = Vec::new();
        for statement in self.statements(connection.get_database_backend(), &before, &after) {
            found.append(&mut connection.query_all_raw(statement).await?);
        }
        Ok(found)
    }
}

fn names(columns: &[Column]) -> String {
    columns
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// What stands before and behind the keys. SQLite reads the whole table for `(a, b) in (values …)`, because a list of values has no
/// types; it looks up the keys that a join with the table itself has found.
fn deletion(table: &Table) -> (String, String) {
    let (name, columns) = (table.name, &table.columns[..table.key]);
    let keys = names(columns);
    let found: Vec<_> = columns.iter().map(|(column, _)| format!("t.{column}")).collect();
    let same: Vec<_> = columns
        .iter()
        .map(|(column, _)| format!("t.{column} = given.{column}"))
        .collect();
    let before = format!("delete from {name} where ({keys}) in (with given ({keys}) as (");
    let after = format!(
        ") select {} from given cross join {name} t where {})",
        found.join(", "),
        same.join(" and ")
    );
    (before, after)
}

/// `values (?,?),(?,?)`.
fn placeholders(width: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(","));
    format!("values {}", vec![row.as_str(); rows].join(","))
}

fn bound(cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Text(text) => text.as_ref().into(),
        Cell::Int(number) => (*number).into(),
        Cell::Bytes(bytes) => Value::Bytes(Some(bytes.to_vec())),
        Cell::Null => Value::BigInt(None),
    }
}

/// `select * from unnest($1::text::text[],$2::text::bigint[])`.
fn unnest(columns: &[Column]) -> String {
    let array = |(index, (_, kind)): (usize, &Column)| {
        let kind = match kind {
            Type::Text => "text",
            Type::Int => "bigint",
            Type::Bytes => "bytea",
        };
        format!("${}::text::{kind}[]", index + 1)
    };
    format!(
        "select * from unnest({})",
        columns
            .iter()
            .enumerate()
            .map(array)
            .collect::<Vec<_>>()
            .join(",")
    )
}

/// The columns as array literals (Postgres documentation, 8.15.6).
fn arrays(columns: &[Column], cells: &[Cell<'_>]) -> Vec<Value> {
    let width = columns.len();
    (0..width)
        .map(|column| array(cells.iter().skip(column).step_by(width)).into())
        .collect()
}

fn array<'a>(cells: impl Iterator<Item = &'a Cell<'a>>) -> String {
    let mut literal = String::from("{");
    for cell in cells {
        if literal.len() > 1 {
            literal.push(',');
        }
        match cell {
            Cell::Text(text) => quote(&mut literal, text),
            Cell::Int(number) => write!(literal, "{number}").unwrap_or_default(),
            Cell::Bytes(bytes) => write!(literal, "\"\\\\x{}\"", hex::encode(bytes)).unwrap_or_default(),
            Cell::Null => literal.push_str("NULL"),
        }
    }
    literal.push('}');
    literal
}

fn quote(literal: &mut String, text: &str) {
    literal.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\']) {
        literal.push_str(&rest[..at]);
        literal.push('\\');
        literal.push_str(&rest[at..=at]);
        rest = &rest[at + 1..];
    }
    literal.push_str(rest);
    literal.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn array_literals_keep_every_character() {
        let cells = [
            Cell::from("a\"b\\c,{}"),
            Cell::from(""),
            Cell::Int(-5),
            Cell::Null,
            Cell::Bytes(&[0, 255]),
        ];
        assert_eq!(array(cells.iter()), r#"{"a\"b\\c,{}","",-5,NULL,"\\x00ff"}"#);
    }

    #[test]
    fn statements_are_cut_at_whole_rows() {
        const COLUMNS: &[Column] = &[("a", Type::Int), ("b", Type::Text)];
        let mut rows = Rows::new(COLUMNS, 0);
        for number in 0..(SQLITE_ROWS as i64 + 1) {
            rows.push([number.into(), "x".into()]);
        }
        let statements = rows.statements(DbBackend::Sqlite, "<", ">");
        assert_eq!(statements.len(), 2);
        assert_eq!(statements[1].sql, "<values (?,?)>");
        let one = rows.statements(DbBackend::Postgres, "<", ">");
        assert_eq!(one.len(), 1);
        assert_eq!(
            one[0].sql,
            "<select * from unnest($1::text::text[],$2::text::text[])>".replacen("text[]", "bigint[]", 1)
        );
    }

    /// The cost of a statement must not grow with the table.
    #[tokio::test]
    async fn sqlite_looks_keys_up() {
        use crate::analysis_store::sql::{
            read::select_of_units,
            sums::{GIVEN_CELLS, SELECT_CELLS},
            tables::{CONTRIBUTIONS, DUES},
        };
        let database = crate::sql::Database::connect("sqlite::memory:", 1).await.unwrap();
        database.migrate().await.unwrap();
        let given = |columns| (format!("with given ({}) as (", names(columns)), columns);
        let mut statements = Vec::new();
        for table in [&CONTRIBUTIONS, &DUES] {
            let (before, after) = deletion(table);
            statements.push((before, &table.columns[..table.key], after));
            let (before, columns) = given(super::super::read::GIVEN);
            statements.push((
                before,
                columns,
                format!(") {}", select_of_units("t.namespace", table.name)),
            ));
        }
        let (before, columns) = given(GIVEN_CELLS);
        statements.push((before, columns, format!(") {SELECT_CELLS}")));
        for (before, columns, after) in statements {
            let mut rows = Rows::new(columns, 2);
            rows.cells = vec![Cell::Null; 2 * columns.len()];
            let explain = format!("explain query plan {before}");
            for statement in rows.statements(DbBackend::Sqlite, &explain, &after) {
                for row in database.reader().query_all_raw(statement).await.unwrap() {
                    let step: String = row.try_get_by_index(3).unwrap();
                    let is_scan =
                        step.starts_with("SCAN") && !step.contains("CONSTANT") && step != "SCAN given";
                    assert!(!is_scan, "{step}: {before}…{after}");
                }
            }
        }
    }
}
