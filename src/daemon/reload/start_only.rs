//! What a configuration says that is only read at start.

use tracing::warn;

use crate::config::Config;

/// `new` with all of it as it was at start. What has changed of it is named in the log.
pub(super) fn in_force(mut new: Config, at_start: &Config) -> Config {
    let old = at_start;
    keep("[http] listen", &mut new.http.listen, &old.http.listen);
    keep("[https] listen", &mut new.https.listen, &old.https.listen);
    keep("[admin]", &mut new.admin, &old.admin);
    keep("[limits]", &mut new.limits, &old.limits);
    keep("[access]", &mut new.access, &old.access);
    keep("[log]", &mut new.log, &old.log);
    keep("[devices]", &mut new.devices, &old.devices);
    keep("[webhook]", &mut new.webhook, &old.webhook);
    keep("[otlp]", &mut new.otlp, &old.otlp);
    let (pki, old) = (&mut new.pki, &old.pki);
    keep("[pki] auto_renew", &mut pki.auto_renew, &old.auto_renew);
    let minutes = &mut pki.steady_clock_minutes;
    keep(
        "[pki] steady_clock_minutes",
        minutes,
        &old.steady_clock_minutes,
    );
    new
}

fn keep<T: Clone + PartialEq>(key: &str, new: &mut T, at_start: &T) {
    if new != at_start {
        warn!(key, "`{key}` has changed; restart the daemon to use it");
        new.clone_from(at_start);
    }
}
