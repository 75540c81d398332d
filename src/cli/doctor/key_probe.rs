//! Step 11: tries to download the private key, which must fail.

use super::step::StepBuilder;
use super::target::Target;
use super::time_limit::TimeLimit;
use engage_device::{Received, ReceivedAnnouncement, Request, TlsClient, exchange};
use engage_wire::paths;
use engage_wire::pki::private_key_kind;
use engage_wire::site::SiteKey;
use engage_wire::{HttpUrl, Scheme};

/// What is asked, and what it is compared with.
pub(super) struct KeyProbe<'a> {
    pub(super) target: &'a Target,
    pub(super) limit: TimeLimit,
    /// The certificate that is announced.
    pub(super) der: Option<&'a [u8]>,
}

impl KeyProbe<'_> {
    /// Asks for every likely place of a key, over HTTP and, with a `client`, over TLS.
    pub(super) async fn run(
        &self,
        announced: Option<&ReceivedAnnouncement>,
        client: Option<&TlsClient>,
    ) -> StepBuilder {
        let mut step = StepBuilder::new();
        let paths = likely_paths(announced, self.target.private_key.as_deref());
        let mut asked = 0;
        for client in std::iter::once(None).chain(client.map(Some)) {
            let mut unanswered = 0;
            for path in &paths {
                let Some(received) = self.ask(path, client).await else {
                    unanswered += 1;
                    if unanswered < MAX_UNANSWERED {
                        continue;
                    }
                    step.warn(
                        format!("requests over {} stay without an answer", way(client)),
                        "the places that were not asked for are unknown: run doctor again once the host answers",
                    );
                    break;
                };
                asked += 1;
                if let Some(kind) = self.key_in(&received) {
                    step.fail(
                        format!("{kind} can be downloaded over {} from `{path}`", way(client)),
                        "anyone on the network can have it: move it out of the served folder at once, and issue a new one",
                    );
                }
            }
        }
        step.note(match client {
            Some(_) => format!("{asked} requests over HTTP and TLS"),
            None => format!("{asked} requests over HTTP; none over TLS, which is not up"),
        });
        step
    }

    async fn ask(&self, path: &str, client: Option<&TlsClient>) -> Option<Received> {
        let target = self.target;
        let url = target.url.with_target(path);
        let Some(client) = client else {
            return self.limit.get(&url).await.ok();
        };
        let url = url.with_scheme(Scheme::Https, target.https.port);
        let deadline = self.limit.deadline();
        let mut session = client.connect(&target.https, deadline).await.ok()?;
        let request = Request::get(&url);
        exchange(&mut session.stream, &request, deadline).await.ok()
    }

    /// The raw bytes are searched: a key that is badly framed is still a key.
    fn key_in(&self, received: &Received) -> Option<&'static str> {
        let bytes = received.bytes();
        let answer = received.lenient_response().ok();
        let body = answer
            .as_ref()
            .map_or(bytes, |examined| examined.response.body());
        if private_key_kind(bytes).or(private_key_kind(body)).is_some() {
            return Some("a private key");
        }
        // Two keys are the same if their hashes of the same bytes are.
        let der = self.der.unwrap_or_default();
        let own = self.target.key.announcement_hash(der);
        SiteKey::parse(body)
            .is_ok_and(|key| key.announcement_hash(der) == own)
            .then_some("the site key")
    }
}

/// The sample's layout, ours, the announced file's neighbours, and ways around a static folder.
fn likely_paths(
    announced: Option<&ReceivedAnnouncement>,
    private_key: Option<&str>,
) -> Vec<String> {
    let announced_folder = announced
        .and_then(|announced| announced.cert_url().parse::<HttpUrl>().ok())
        .and_then(|url| Some(url.target().rsplit_once('/')?.0.to_owned() + "/"))
        .filter(|folder| folder != paths::CERTIFICATES);
    let names = NAMES
        .iter()
        .copied()
        .chain(private_key.filter(|name| !NAMES.contains(name)));
    let mut paths: Vec<String> = Vec::new();
    for name in names {
        for folder in std::iter::once(paths::CERTIFICATES).chain(announced_folder.as_deref()) {
            paths.push(format!("{folder}{name}"));
        }
    }
    for name in [private_key.unwrap_or(NAMES[0]), "site.key"] {
        paths.extend(
            TRAVERSAL_PREFIXES
                .iter()
                .map(|folder| format!("{folder}{name}")),
        );
    }
    paths
}

fn way(client: Option<&TlsClient>) -> &'static str {
    client.map_or("HTTP", |_| "TLS")
}

const NAMES: [&str; 6] = [
    "partner_server.key",
    "partner_server.pem",
    "partner_CA.key",
    "partner_intermediate.key",
    // What a key renamed to pass a filter is called.
    "partner_server.der",
    "site.key",
];

/// From the static folder to `pki/` beside it, in spellings that careless servers decode late.
const TRAVERSAL_PREFIXES: [&str; 6] = [
    "/",
    "/pki/",
    "/static/../pki/",
    "/static/Device_Certificates/../../pki/",
    "/static/Device_Certificates/%2e%2e/%2e%2e/pki/",
    "/static/Device_Certificates/..%2f..%2fpki%2f",
];

/// Requests without an answer before a way is given up.
const MAX_UNANSWERED: usize = 3;
