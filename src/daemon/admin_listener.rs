//! The admin listener: what it is started with, and what reloads replace of it.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::admin::{self, Access, Admin, Control, ReloadRequest};
use crate::config::Config;
use crate::routes::App;
use crate::server::AdminService;
use crate::tls::{AdminIdentity, AdminIdentityError};

pub(super) struct AdminListener {
    pub(super) service: AdminService,
    /// Who may use the pages and the API, if there are any.
    pub(super) access: Option<Arc<Access>>,
    /// How it shakes hands, if it does.
    pub(super) identity: Option<Arc<AdminIdentity>>,
    /// What pages and API are told of reloads.
    pub(super) control: Arc<Control>,
    /// What they ask for.
    pub(super) requests: mpsc::Receiver<ReloadRequest>,
}

impl AdminListener {
    pub(super) fn new(app: &Arc<App>, config: &Config) -> Result<Self, AdminIdentityError> {
        let token_file = config.admin.token_file.as_deref();
        let access = token_file.map(|path| Arc::new(Access::open(path, &app.metrics)));
        let identity = config.admin.identity();
        let identity = identity.map(|(certificate, key)| AdminIdentity::load(certificate, key));
        let identity = identity.transpose()?.map(AdminIdentity::new).map(Arc::new);
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
