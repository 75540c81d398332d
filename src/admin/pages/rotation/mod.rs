//! `/rotation`: how far a change of the root is. The page shows; the command line switches.

mod view;

use axum::extract::{Query, State};
use axum::response::Html;
use engage_store::{
    AdoptionQuery, DatabaseUrl, DevicePageToken, PageLimit, Rotation, Store, StoreError,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::devices::parsed;
use super::error::PageError;
use super::layout::Section;
use super::{MAX_ROWS, PageState, answer, store};
use crate::admin::Admin;
use crate::admin::access::Principal;
use crate::adoption::{Anchors, COUNTED, expected_call};
use crate::rotation::{in_force, next_step};
use engage_wire::diagnostic::causes;
use view::{BehindRow, Host, RotationView, UnderWay};

/// Behind which device the list of those that are missing goes on.
#[derive(Debug, Deserialize)]
pub(super) struct RotationQuery {
    #[serde(default)]
    after: String,
}

pub(super) async fn show(
    State(admin): PageState,
    principal: Principal,
    Query(query): Query<RotationQuery>,
) -> Result<Html<String>, PageError> {
    let after = parsed("Page", &query.after)?;
    let store = &**store(&admin.app)?;
    let stored = store.rotation().await?;
    let rotation = stored.rotation;
    let publication = admin.app.published.current_arc();
    let url = &admin.control.config().devices.database_url;
    let is_shared = matches!(url, Some(DatabaseUrl::Postgres(_)));
    let step = rotation.as_ref().map(|it| it.step);
    let view = RotationView {
        now: Timestamp::now(),
        in_force: in_force(rotation.as_ref()),
        next: next_step(step, is_shared),
        problems: publication.rotation_refusals().map(causes).collect(),
        is_first: after.is_none(),
        under_way: match rotation {
            None => None,
            Some(rotation) => {
                Some(under_way(&admin, store, rotation, stored.revision, after).await?)
            }
        },
    };
    let content = view::rotation(&view);
    Ok(answer(
        &principal,
        Section::Rotation,
        "Root rotation",
        &content,
    ))
}

async fn under_way(
    admin: &Admin,
    store: &dyn Store,
    rotation: Rotation,
    revision: i64,
    after: Option<DevicePageToken>,
) -> Result<UnderWay, StoreError> {
    let (behind, next) = behind(store, &rotation, after).await?;
    let hosts = store.rotation_reports().await?;
    Ok(UnderWay {
        sites: admin.app.metrics.rotation_devices(),
        hosts: hosts
            .into_iter()
            .map(|it| Host::new(it, revision))
            .collect(),
        behind,
        next: next.map(|it| it.to_string()),
        rotation,
    })
}

/// Some that are not ready, and where the next are looked for. So many devices are looked at, and not
/// more: most may be ready.
async fn behind(
    store: &dyn Store,
    rotation: &Rotation,
    after: Option<DevicePageToken>,
) -> Result<(Vec<BehindRow>, Option<DevicePageToken>), StoreError> {
    let (anchors, now) = (Anchors::from_rotation(rotation), Timestamp::now());
    let mut query = AdoptionQuery {
        seen_since: Some(now - COUNTED),
        after,
        limit: PageLimit::clamped(MAX_ROWS),
        ..AdoptionQuery::default()
    };
    let mut behind = Vec::new();
    for _ in 0..MAX_PAGES {
        let page = store.adoption(&query).await?;
        let missing = page.devices.into_iter().filter_map(|adoption| {
            let state = anchors.state(&adoption);
            let (expected, is_overdue) = expected_call(&adoption, now);
            (!state.is_ready(rotation.step)).then_some(BehindRow {
                adoption,
                state,
                expected,
                is_overdue,
            })
        });
        behind.extend(missing);
        query.after = page.next;
        if query.after.is_none() || behind.len() >= MAX_BEHIND {
            break;
        }
    }
    Ok((behind, query.after))
}

/// With what one more page of the store may add, at most 74.
const MAX_BEHIND: usize = 25;
/// 2000 devices.
const MAX_PAGES: usize = 40;
