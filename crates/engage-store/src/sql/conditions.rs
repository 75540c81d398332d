//! The conditions of a `WHERE`, as many as there are.

use std::fmt;

use sqlx::any::{Any, AnyArguments};
use sqlx::query::Query;

use super::statement::statement;

/// Conditions that all hold, with their values.
#[derive(Default)]
pub(super) struct Conditions {
    text: String,
    values: Vec<Value>,
}

pub(super) enum Value {
    Number(i64),
    Text(String),
}

impl Conditions {
    /// Adds a condition, in which each `$` stands for one of `values`.
    pub(super) fn add<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        self.text.push_str(if self.text.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        let mut parts = condition.split('$');
        self.text.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(values) {
            self.values.push(value);
            self.text.push('$');
            self.text.push_str(&self.values.len().to_string());
            self.text.push_str(part);
        }
    }

    /// The same around a statement that finds the devices, of which `columns_and_outer` are read.
    pub(super) fn select_within(
        self,
        columns_and_outer: fmt::Arguments<'_>,
        order: &str,
        rows: usize,
    ) -> Query<'static, Any, AnyArguments> {
        let Self { text, values } = self;
        let limit = values.len() + 1;
        bound(
            format!(
                "SELECT {columns_and_outer}{text} ORDER BY {order} LIMIT ${limit}) ORDER BY {order}"
            ),
            values,
            rows,
        )
    }

    /// The statement's text around the conditions, with the values bound, and at most so many rows.
    pub(super) fn select(
        self,
        columns_and_table: fmt::Arguments<'_>,
        order: &str,
        rows: usize,
    ) -> Query<'static, Any, AnyArguments> {
        let Self { text, values } = self;
        let limit = values.len() + 1;
        bound(
            format!("SELECT {columns_and_table}{text} ORDER BY {order} LIMIT ${limit}"),
            values,
            rows,
        )
    }
}

fn bound(text: String, values: Vec<Value>, rows: usize) -> Query<'static, Any, AnyArguments> {
    let mut query = statement(text);
    for value in values {
        query = match value {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        };
    }
    query.bind(i64::try_from(rows).unwrap_or(i64::MAX))
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl<T: fmt::Display> From<&T> for Value {
    fn from(text: &T) -> Self {
        // As it is stored.
        Self::Text(text.to_string().replace('\0', "\u{fffd}"))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Execute;

    use super::*;

    #[test]
    fn conditions_are_joined_and_their_values_numbered() {
        let mut conditions = Conditions::default();
        conditions.add("kind = 'audits'", []);
        conditions.add("(device, seq) > ($, $)", [(&"A").into(), 3.into()]);
        let query = conditions.select(format_args!("body FROM events"), "device, seq", 10);
        assert_eq!(
            query.sql().as_str(),
            "SELECT body FROM events WHERE kind = 'audits' AND (device, seq) > ($1, $2) \
             ORDER BY device, seq LIMIT $3"
        );
    }
}
