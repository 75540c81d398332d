//! SQL of several rows: the same text for both engines.

use std::fmt::Write;
use std::iter;

use sqlx::any::{Any, AnyArguments};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, SqlSafeStr};

/// A statement of several rows. `text` holds no value of anybody's: those are bound.
pub(super) fn statement<'q>(text: String) -> Query<'q, Any, AnyArguments> {
    sqlx::query(AssertSqlSafe(text).into_sql_str())
}

/// Rows of so many columns in pieces of 64, 32, .. 1: so few texts stay prepared. SQLite looks for each
/// `$1` among all before it, so that one statement of many values costs more than several.
pub(super) fn pieces<T>(rows: &[T], columns: usize) -> impl Iterator<Item = &[T]> {
    let most = 1 << (MAX_VALUES / columns).max(1).ilog2();
    let mut rest = rows;
    iter::from_fn(move || {
        let largest = 1 << rest.len().checked_ilog2()?;
        let (piece, after) = rest.split_at(MAX_ROWS.min(most).min(largest));
        rest = after;
        Some(piece)
    })
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

const MAX_ROWS: usize = 64;

/// Of one statement.
const MAX_VALUES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_number_of_its_own() {
        assert_eq!(value_rows(2, 3), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(value_list(2), "$1,$2");
    }

    #[test]
    fn every_row_is_in_one_piece_of_a_size_that_others_have_too() {
        for rows in 0..300_u32 {
            let all: Vec<_> = (0..rows).collect();
            for (columns, most) in [(1, 64), (8, 32), (25, 8), (400, 1)] {
                let pieces: Vec<_> = pieces(&all, columns).collect();
                assert_eq!(pieces.concat(), all);
                let mut sizes = pieces.iter().map(|it| it.len());
                assert!(sizes.all(|it| it <= most && it.is_power_of_two()));
            }
        }
    }
}
