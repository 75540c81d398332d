//! SQL of several rows: the same text for both engines.

use std::fmt::Write;

use sqlx::any::{Any, AnyArguments};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// A statement whose length depends on how much there is; not kept prepared.
///
/// `text` holds no value of anybody's: those are bound.
pub(super) fn dynamic<'q>(text: String) -> Query<'q, Any, AnyArguments> {
    sqlx::query(AssertSqlSafe(text).into_sql_str()).persistent(false)
}

/// `($1,$2),($3,$4)` for two rows of two columns.
pub(super) fn value_rows(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * (columns * 6 + 3));
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        push_list(&mut text, row * columns, columns);
        text.push(')');
    }
    text
}

/// `$1,$2,$3` for three values.
pub(super) fn value_list(values: usize) -> String {
    let mut text = String::with_capacity(values * 6);
    push_list(&mut text, 0, values);
    text
}

fn push_list(text: &mut String, before: usize, values: usize) {
    for value in 1..=values {
        let comma = if value == 1 { "" } else { "," };
        let Ok(()) = write!(text, "{comma}${}", before + value) else {
            unreachable!("memory takes all text");
        };
    }
}

/// Rows of one statement: SQLite takes 32,766 values, PostgreSQL 65,535.
pub(super) const MAX_ROWS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_number_of_its_own() {
        assert_eq!(value_rows(2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(value_list(2), "$1,$2");
    }
}
