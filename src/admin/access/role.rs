//! What a token allows.

use std::fmt;
use std::str::FromStr;

use http::Method;
use serde::Serialize;

/// What the holder of a token may do. `Write` includes `Read`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Look at everything.
    Read,
    /// Change things too.
    Write,
}

impl Role {
    /// What a request of this method takes: looking takes `Read` (RFC 9110 section 9.2.1 says which
    /// methods only look), all others `Write`.
    pub(super) fn for_method(method: &Method) -> Self {
        if method.is_safe() {
            Self::Read
        } else {
            Self::Write
        }
    }

    /// As the token file and the command line spell it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            _ => Err(UnknownRole),
        }
    }
}

/// Not the name of a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a role is `read` or `write`")]
pub(crate) struct UnknownRole;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_methods_that_look_are_for_readers() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert_eq!(Role::for_method(&method), Role::Read, "{method}");
        }
        let own = Method::from_bytes(b"LOOK").unwrap();
        for method in [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            own,
        ] {
            assert_eq!(Role::for_method(&method), Role::Write, "{method}");
        }
        assert!(Role::Write >= Role::Read && Role::Read < Role::Write);
    }
}
