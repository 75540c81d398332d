//! Devices page by page, of this host's store or of another host.

use std::path::PathBuf;

use serde::Deserialize;

use super::super::remote::{MAX_PAGE, Remote, query};
use super::error::DevicesError;
use super::store_args::OpenedStore;
use crate::failure::Failure;
use engage_store::{DeviceQuery, DeviceRecord, PageLimit, StoreReader};

/// Where devices are read from, and which come next.
pub(super) struct DevicePages<'a> {
    source: Source<'a>,
    /// Where they are, for messages.
    pub(super) place: String,
    /// Where `db.json` files are dropped, if that is here.
    pub(super) directory: Option<PathBuf>,
    is_at_end: bool,
}

enum Source<'a> {
    Here {
        reader: StoreReader,
        query: Box<DeviceQuery>,
    },
    There {
        remote: &'a Remote,
        conditions: String,
        cursor: Option<String>,
    },
}

/// Some of the devices.
#[derive(Deserialize)]
pub(super) struct DevicePage {
    pub(super) devices: Vec<DeviceRecord>,
    /// Behind what the next page is.
    next: Option<String>,
    /// What is wrong with rows that are left out.
    #[serde(default)]
    pub(super) left_out: Vec<String>,
}

impl<'a> DevicePages<'a> {
    /// Those of this host's store.
    pub(super) fn here(store: OpenedStore, query: DeviceQuery) -> Self {
        Self {
            source: Source::Here {
                reader: store.reader,
                query: Box::new(query),
            },
            place: store.place,
            directory: Some(store.directory),
            is_at_end: false,
        }
    }

    /// Those of another host.
    pub(super) fn there(remote: &'a Remote, conditions: &DeviceQuery) -> Self {
        Self {
            source: Source::There {
                remote,
                conditions: parameters(conditions),
                cursor: None,
            },
            place: remote.place(),
            directory: None,
            is_at_end: false,
        }
    }

    /// The next page, of at most so many; `None` behind the last one. One that is empty need not be the last.
    pub(super) fn next(&mut self, most: u64) -> Result<Option<DevicePage>, Failure> {
        if self.is_at_end {
            return Ok(None);
        }
        let limit = PageLimit::clamped(most);
        let page = match &mut self.source {
            Source::Here { reader, query } => {
                query.limit = limit;
                let page = reader.devices(query).map_err(DevicesError::from)?;
                query.after = page.next;
                DevicePage {
                    devices: page.devices,
                    next: query.after.as_ref().map(ToString::to_string),
                    left_out: page.left_out,
                }
            }
            Source::There {
                remote,
                conditions,
                cursor,
            } => {
                let page = query([
                    ("limit", Some(most.clamp(1, MAX_PAGE).to_string())),
                    ("cursor", cursor.take()),
                ]);
                let answer = remote.get(&format!("/devices?{page}&{conditions}"))?;
                let page: DevicePage = answer.read()?;
                cursor.clone_from(&page.next);
                page
            }
        };
        self.is_at_end = page.next.is_none();
        Ok(Some(page))
    }

    /// Whether there is any device, whatever the conditions.
    pub(super) fn has_any(&self) -> Result<bool, Failure> {
        let devices = match &self.source {
            Source::Here { reader, .. } => {
                let any = reader.devices(&DeviceQuery::default());
                any.map_err(DevicesError::from)?.devices
            }
            Source::There { remote, .. } => {
                let page: DevicePage = remote.get("/devices?limit=1")?.read()?;
                page.devices
            }
        };
        Ok(!devices.is_empty())
    }
}

/// As the API takes them.
fn parameters(conditions: &DeviceQuery) -> String {
    let DeviceQuery {
        serial,
        site,
        model,
        certificate,
        seen_since,
        not_seen_since,
        ..
    } = conditions;
    query([
        ("serial", serial.as_ref().map(ToString::to_string)),
        ("site", site.clone()),
        ("model", model.clone()),
        ("certificate", certificate.map(|it| it.to_string())),
        ("seen_since", seen_since.map(|it| it.to_string())),
        ("not_seen_since", not_seen_since.map(|it| it.to_string())),
    ])
}
