//! Commands for another host: they ask its management API for what they would look up here.

mod error;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::output::{SystemError, eprint_note};
use crate::admin::Token;
use crate::failure::Failure;
use crate::http_client::{AGENT, Connector};
use crate::secret_file::ReadableByOthers;
use engage_wire::diagnostic::{causes, hint};
use engage_wire::{HttpUrl, Text};
use error::{Problem, RemoteError};

pub(super) use error::AskError;

// Asks another host instead of the files here. No documentation: it would become that of each command.
#[derive(Args, Debug)]
pub(super) struct RemoteArgs {
    /// Ask the host whose admin listener is at this URL, instead of the files here
    #[arg(long, global = true, value_name = "URL", value_parser = server_url, help_heading = HEADING)]
    server: Option<HttpUrl>,
    /// File with a token of that host, as its `engage-host admin token` printed it
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    token_file: Option<PathBuf>,
    /// PEM file of certificates that may sign that host's, besides those that this system trusts
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    ca_file: Option<PathBuf>,
}

impl RemoteArgs {
    /// The names of the options.
    pub(super) const IDS: [&str; 3] = ["server", "token_file", "ca_file"];

    /// The host that is to be asked, if it is not this one.
    pub(super) fn open(&self) -> Result<Option<Remote>, Failure> {
        let usage_error = |error: RemoteError| Err(Failure::from(error).into_usage_error());
        match (&self.server, &self.token_file, &self.ca_file) {
            (Some(url), Some(file), _) => Ok(Some(Remote::open(url, file, self.ca_file())?)),
            (Some(url), None, _) => usage_error(RemoteError::NoTokenFile {
                server: url.origin(),
            }),
            (None, None, None) => Ok(None),
            (None, _, _) => usage_error(RemoteError::NoServer),
        }
    }

    /// Fails where another host is named, which cannot be asked for this.
    pub(super) fn refuse(&self) -> Result<(), Failure> {
        match &self.server {
            Some(url) => Err(Failure::from(RemoteError::OnlyHere {
                server: url.origin(),
            })
            .into_usage_error()),
            None => self.open().map(drop),
        }
    }

    fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }
}

/// Another host's management API.
pub(super) struct Remote {
    url: HttpUrl,
    authorization: HeaderValue,
    runtime: Runtime,
    http: Client<Connector, Full<Bytes>>,
}

impl Remote {
    fn open(url: &HttpUrl, token_file: &Path, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let authorization = authorization(token_file)?;
        let connector = Connector::new(url, "ca_file", ca_file, CONNECT_TIMEOUT);
        let connector = connector.map_err(RemoteError::from)?;
        if !url.is_https() && !url.is_loopback() {
            let server = url.origin();
            eprint_note(
                "warning",
                format!(
                    "the token goes to `{server}` in clear text: whoever is on the way can read it"
                ),
            );
        }
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            url: url.clone(),
            authorization,
            runtime: runtime.map_err(SystemError::new("make a client"))?,
            // Nobody serves an idle connection between two requests, and the host closes it some time.
            http: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(connector),
        })
    }

    /// For messages.
    pub(super) fn place(&self) -> String {
        self.url.origin()
    }

    /// What is at a path below `/api/v1`.
    pub(super) fn get(&self, path: &str) -> Result<Answer, AskError> {
        self.send(Method::GET, path, None)
    }

    /// Every page of a list, with its `next` and what `take` makes of it.
    pub(super) fn pages<P: DeserializeOwned>(
        &self,
        path: &str,
        mut take: impl FnMut(P) -> Option<String>,
    ) -> Result<(), Failure> {
        let mut cursor = None;
        loop {
            let page = query([("limit", Some(MAX_PAGE.to_string())), ("cursor", cursor)]);
            cursor = take(self.get(&format!("{path}?{page}"))?.read()?);
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Asks for it, with a body of JSON if there is one.
    pub(super) fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, AskError> {
        let request = self.request(method, path, body)?;
        let exchange = async { timeout(ANSWER_TIMEOUT, self.exchange(request)).await };
        let answered = self.runtime.block_on(exchange);
        let (status, body) = answered.map_err(|_| {
            let seconds = ANSWER_TIMEOUT.as_secs();
            self.unanswered(format!("no answer within {seconds} s"))
        })??;
        let server = self.place();
        if status.is_success() {
            return Ok(Answer {
                server,
                status,
                body,
            });
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => problem.into_error(&server),
            Err(_) => RemoteError::Unexpected {
                server,
                status,
                said: first_line(&body),
            }
            .into(),
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Request<Full<Bytes>>, RemoteError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.url.origin()))
            .header(HOST, self.url.host_header())
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, self.authorization.clone());
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.unwrap_or_default()));
        request.map_err(|error| self.unanswered(error.to_string()))
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), RemoteError> {
        let answer = self.http.request(request).await.map_err(|error| {
            // Without the client's own frame: "client error (Connect)".
            let source = std::error::Error::source(&error);
            self.unanswered(source.map_or_else(|| error.to_string(), causes))
        })?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES);
        let body = body.collect().await;
        let body = body.map_err(|error| self.unanswered(error.to_string()))?;
        Ok((status, body.to_bytes()))
    }

    fn unanswered(&self, reason: String) -> RemoteError {
        RemoteError::Unanswered {
            server: self.place(),
            reason,
        }
    }
}

/// What a host answered, with a status of success.
pub(super) struct Answer {
    server: String,
    status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// The JSON in it; members that are not asked for are passed over.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, RemoteError> {
        serde_json::from_slice(&self.body).map_err(|error| RemoteError::Unexpected {
            server: self.server.clone(),
            status: self.status,
            said: error.to_string(),
        })
    }
}

/// A part of a path or of a query, whatever is in it.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A query of these parameters, as far as they are there.
pub(super) fn query<'a>(parameters: impl IntoIterator<Item = (&'a str, Option<String>)>) -> String {
    let given = parameters.into_iter();
    let given = given.filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))));
    given.collect::<Vec<_>>().join("&")
}

/// The header that shows the token of a file.
fn authorization(token_file: &Path) -> Result<HeaderValue, Failure> {
    if let Some(warning) = ReadableByOthers::find("token file", token_file) {
        eprint_note("warning", format!("{warning}; {}", hint(&warning)));
    }
    let contents = Text::read("token file", token_file, MAX_TOKEN_BYTES)?;
    let token = contents.to_str().ok();
    let token = token.and_then(|text| Token::parse(text.trim_ascii()));
    let token = token.ok_or_else(|| RemoteError::NoToken {
        file: token_file.to_owned(),
    })?;
    let text = Zeroizing::new(format!("Bearer {}", token.reveal()));
    let Ok(mut header) = HeaderValue::from_str(&text) else {
        unreachable!("a token is ASCII");
    };
    header.set_sensitive(true);
    Ok(header)
}

/// Of what is no JSON, as much as somebody reads.
fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().take(MAX_SHOWN_CHARS).collect()
}

fn server_url(text: &str) -> Result<HttpUrl, String> {
    let url: HttpUrl = text
        .parse()
        .map_err(|error: engage_wire::HttpUrlError| error.to_string())?;
    match url.target() {
        "/" => Ok(url),
        _ => Err("allowed: a URL without a path, such as `https://10.44.0.5:9480`".to_owned()),
    }
}

/// What the API gives at once.
pub(super) const MAX_PAGE: u64 = 1000;

const HEADING: &str = "Another host";

/// A token is one short line.
const MAX_TOKEN_BYTES: usize = 4096;

/// A thousand devices with everything in it, or all that a check finds.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

const MAX_SHOWN_CHARS: usize = 200;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A host works for some seconds at tens of thousands of sites.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);
