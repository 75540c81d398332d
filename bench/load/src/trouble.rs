//! Why a measurement cannot be made. A measurement with a wrong answer in it is none.

use std::{fmt, io};

pub(crate) type Outcome<T> = Result<T, Trouble>;

/// One line for whoever runs the benchmark.
#[derive(Debug)]
pub(crate) struct Trouble(String);

impl Trouble {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Says what was being done when `E` came.
pub(crate) trait While<T> {
    fn doing(self, what: &str) -> Outcome<T>;
}

impl<T, E: std::error::Error> While<T> for Result<T, E> {
    fn doing(self, what: &str) -> Outcome<T> {
        self.map_err(|error| {
            let mut text = format!("{what}: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(": ");
                text.push_str(&error.to_string());
                cause = error.source();
            }
            Trouble(text)
        })
    }
}
