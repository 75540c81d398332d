//! The admin listener: what it is started with, and what reloads replace of it.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::error;

use crate::admin::{self, Admin, AdminAccess, Control, ReloadRequest};
use crate::config::Config;
use crate::routes::App;
use crate::server::AdminService;
use crate::tls::{AdminIdentity, AdminIdentityError};
use engage_wire::diagnostic::{code, one_line};

pub(super) struct AdminListener {
    pub(super) service: AdminService,
    /// Who may use the pages and the API, if there are any.
    pub(super) access: Option<Arc<AdminAccess>>,
    /// How it shakes hands, if it does.
    pub(super) identity: Option<Arc<AdminIdentity>>,
    /// What pages and API are told of reloads.
    pub(super) control: Arc<Control>,
    /// What they ask for.
    pub(super) requests: mpsc::Receiver<ReloadRequest>,
}

impl AdminListener {
    /// With `strict` only with all of its files; else without what cannot be used: a daemon that does
    /// not start would keep doors from what they come for.
    pub(super) fn new(
        app: &Arc<App>,
        config: &Config,
        strict: bool,
    ) -> Result<Self, AdminIdentityError> {
        let token_file = config.admin.token_file.as_deref();
        let access = token_file.map(|path| Arc::new(AdminAccess::open(path, &app.metrics)));
        let identity = config.admin.identity();
        let identity = identity.map(|(certificate, key)| AdminIdentity::load(certificate, key));
        let identity = match identity {
            Some(Err(error)) if strict => return Err(error),
            Some(loaded) => Some(Arc::new(AdminIdentity::new(loaded.inspect_err(log).ok()))),
            None => None,
        };
        let (control, requests) = Control::new(config.clone());
        let control = Arc::new(control);
        let admin = Admin::new(app, config.admin.hosts.clone(), access.as_ref(), &control);
        let service = AdminService {
            router: admin::router(admin),
            identity: identity.clone(),
        };
        Ok(Self {
            service,
            access,
            identity,
            control,
            requests,
        })
    }
}

fn log(error: &AdminIdentityError) {
    error!(
        code = %code(error),
        "the admin listener refuses everybody until this is mended: {}",
        one_line(error)
    );
}
