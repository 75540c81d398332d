//! What is asked of the list of devices: the form's fields, as they stand in its address.

use engage_store::{DeviceOrder, DeviceQuery, PageLimit};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::MAX_ROWS;
use super::super::error::PageError;

/// As it stands in the address. An empty field asks for nothing.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub(in crate::admin::pages) struct DevicesQuery {
    /// What the name of the door contains, or how the serial number begins.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) search: String,
    /// The name of a site.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) site: String,
    /// Not seen for so many days.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) missing: String,
    /// The certificate that was fetched last: its fingerprint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) certificate: String,
    /// Which come first, as [`DeviceOrder`] spells it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) order: String,
    /// Behind which page.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::admin::pages) after: String,
}

impl DevicesQuery {
    /// As the store is asked.
    pub(super) fn to_store(&self, now: Timestamp) -> Result<DeviceQuery, PageError> {
        let query = DeviceQuery {
            search: parsed("Search", &self.search)?,
            site: Some(self.site.clone()).filter(|it| !it.is_empty()),
            certificate: parsed("Certificate", &self.certificate)?,
            not_seen_since: self.not_seen_since(now)?,
            order: self.order()?,
            after: parsed("Page", &self.after)?,
            limit: PageLimit::clamped(MAX_ROWS),
            ..DeviceQuery::default()
        };
        let checked = query.check_token();
        checked.map_err(|error| PageError::malformed("Page", &error))?;
        Ok(query)
    }

    /// The same behind another page.
    pub(super) fn after(&self, after: String) -> Self {
        Self {
            after,
            ..self.clone()
        }
    }

    /// Whether it asks for all devices.
    pub(super) fn is_for_all(&self) -> bool {
        let Self {
            search,
            site,
            missing,
            certificate,
            order: _,
            after: _,
        } = self;
        [search, site, missing, certificate]
            .iter()
            .all(|it| it.is_empty())
    }

    /// Where the page is.
    pub(in crate::admin::pages) fn href(&self) -> String {
        let query = serde_urlencoded::to_string(self).unwrap_or_default();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/devices{mark}{query}")
    }

    fn order(&self) -> Result<DeviceOrder, PageError> {
        if self.order.is_empty() {
            return Ok(DeviceOrder::default());
        }
        let order = DeviceOrder::parse(&self.order);
        order.ok_or_else(|| PageError::malformed("Order", &"allowed: those of the list"))
    }

    fn not_seen_since(&self, now: Timestamp) -> Result<Option<Timestamp>, PageError> {
        if self.missing.is_empty() {
            return Ok(None);
        }
        let days = self
            .missing
            .parse()
            .ok()
            .filter(|days| (1..=MAX_DAYS).contains(days));
        let days: i64 = days.ok_or_else(|| {
            PageError::malformed("Not seen for", &format!("allowed: 1 to {MAX_DAYS} days"))
        })?;
        Ok(now.checked_sub(SignedDuration::from_hours(24 * days)).ok())
    }
}

/// `None` where nothing was entered.
pub(in crate::admin::pages) fn parsed<T>(
    field: &'static str,
    text: &str,
) -> Result<Option<T>, PageError>
where
    T: std::str::FromStr<Err: ToString>,
{
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let value = text
        .parse()
        .map_err(|error| PageError::malformed(field, &error));
    value.map(Some)
}

/// Ten years.
const MAX_DAYS: i64 = 3650;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_asks_what_the_form_asked() {
        let text = "search=Tür+%26+1&site=Main+Office&missing=2&order=last-seen-oldest-first";
        let query: DevicesQuery = serde_urlencoded::from_str(text).unwrap();
        assert_eq!(query.search, "Tür & 1");
        let address = query.href();
        let (_, again) = address.split_once('?').unwrap();
        assert_eq!(serde_urlencoded::from_str(again), Ok(query.clone()));
        let now: Timestamp = "2026-11-30T02:00:00Z".parse().unwrap();
        let asked = query.to_store(now).unwrap();
        assert_eq!(
            asked.not_seen_since.unwrap().to_string(),
            "2026-11-28T02:00:00Z"
        );
        assert_eq!(asked.order, DeviceOrder::LastSeenOldestFirst);
        assert!(!query.is_for_all());
        assert_eq!(DevicesQuery::default().href(), "/devices");
    }

    #[test]
    fn what_cannot_be_asked_says_which_field_and_what_is_allowed() {
        for text in [
            "missing=0",
            "missing=x",
            "order=x",
            "after=x",
            "search=%00",
            "certificate=x",
        ] {
            let query: DevicesQuery = serde_urlencoded::from_str(text).unwrap();
            let refused = query.to_store(Timestamp::UNIX_EPOCH);
            assert!(
                matches!(refused, Err(PageError::Malformed { .. })),
                "{text}"
            );
        }
    }
}
