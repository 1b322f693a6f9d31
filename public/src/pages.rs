//! The paths below a mount.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;

use crate::ocsp::{self, Question};
use crate::request::{Handler, Reply, Request};
use crate::site::{Site, Wanted};

/// The paths of one mount.
pub(crate) struct Pages(Arc<Site>);

impl Pages {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self(site)
    }

    /// `below` is what follows `ocsp/` in the path.
    async fn ocsp(&self, below: Option<&str>, request: &mut Request) -> Reply {
        let read = request.method() == Method::GET || request.method() == Method::HEAD;
        match below {
            None if request.method() == Method::POST => match request.body(ocsp::MOST).await {
                Ok(body) => match self.0.kept(&body, request) {
                    Some(reply) => reply,
                    None => {
                        self.0
                            .ocsp(&body, Question::from_der(&body).ok(), request)
                            .await
                    }
                },
                Err(error) => error.reply("ocsp"),
            },
            None => Reply::method_not_allowed("ocsp", "POST"),
            Some(text) if read => match self.0.kept(text.as_bytes(), request) {
                Some(reply) => reply,
                None => {
                    let question = Question::from_path(text);
                    self.0.ocsp(text.as_bytes(), question, request).await
                }
            },
            Some(_) => Reply::method_not_allowed("ocsp", "GET, HEAD"),
        }
    }
}

#[async_trait]
impl Handler for Pages {
    async fn answer(&self, request: &mut Request) -> Reply {
        let prefix = &self.0.mount().prefix;
        // A handle on the address, so that the path can be read while the body is.
        let uri = request.uri().clone();
        let path = uri.path().strip_prefix(&**prefix).unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        let reply = if path == "ocsp" || path == "ocsp/" {
            self.ocsp(None, request).await
        } else if let Some(below) = path.strip_prefix("ocsp/") {
            self.ocsp(Some(below), request).await
        } else {
            match Wanted::parse(path) {
                Some(wanted) => self.0.give(&wanted, request).await,
                None => Reply::not_found(),
            }
        };
        let reply = if request.method() == Method::HEAD {
            reply.without_body()
        } else {
            reply
        };
        reply.about(prefix)
    }
}
