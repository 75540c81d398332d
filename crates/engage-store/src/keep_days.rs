//! For how long audits and alerts are kept.

/// For how many days audits and alerts are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeepDays(u32);

impl KeepDays {
    /// Hosts should keep at least 30 days (PROTOCOL.md section 4).
    pub const MIN: u32 = 30;

    /// At least [`MIN`](Self::MIN) and at most a hundred years.
    pub fn new(days: u32) -> Result<Self, KeepDaysError> {
        match days {
            Self::MIN..=36_500 => Ok(Self(days)),
            found => Err(KeepDaysError(found)),
        }
    }

    pub(crate) fn days(self) -> u32 {
        self.0
    }
}

impl Default for KeepDays {
    fn default() -> Self {
        Self(400)
    }
}

/// Too few days, or too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("keep_audits_days is {0}; allowed: 30 to 36500")]
pub struct KeepDaysError(u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_thirty_days_are_refused() {
        assert!(KeepDays::new(29).is_err());
        assert!(KeepDays::new(30).is_ok());
        assert_eq!(KeepDays::default(), KeepDays(400));
    }
}
