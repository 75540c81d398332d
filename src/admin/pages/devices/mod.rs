//! `/devices`: all locks, searched, sorted and page by page.

mod query;
mod view;

use axum::extract::{Query, State};
use axum::response::Html;
use jiff::Timestamp;

use super::error::PageError;
use super::layout::Section;
use super::{PageState, answer, store};
use crate::admin::access::Principal;
use query::DevicesQuery;

pub(super) use query::parsed;
use view::DevicesView;
pub(super) use view::{next_call, options};

pub(super) async fn show(
    State(admin): PageState,
    principal: Principal,
    Query(query): Query<DevicesQuery>,
) -> Result<Html<String>, PageError> {
    let now = Timestamp::now();
    let store = store(&admin.app)?;
    let asked = query.to_store(now)?;
    let page = store.devices(&asked).await?;
    let fleet = admin.fleet.count(&**store).await?;
    let content = view::devices(&DevicesView {
        now,
        next: page.next.map(|token| query.after(token.to_string())),
        query,
        devices: page.devices,
        all: fleet.summary.devices,
        sites: fleet
            .summary
            .by_site
            .iter()
            .filter_map(|it| it.site.clone())
            .collect(),
    });
    Ok(answer(&principal, Section::Devices, "Devices", &content))
}
