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

    async fn ocsp(&self, below: Option<String>, request: &mut Request) -> Reply {
        let question = match (request.method(), below) {
            (&Method::POST, None) => match request.body(ocsp::MOST).await {
                Ok(body) => Question::from_der(&body).ok(),
                Err(error) => return error.reply("ocsp"),
            },
            (&Method::GET | &Method::HEAD, Some(text)) => Question::from_path(&text),
            (_, None) => return Reply::method_not_allowed("ocsp", "POST"),
            (_, Some(_)) => return Reply::method_not_allowed("ocsp", "GET, HEAD"),
        };
        self.0.ocsp(question, request).await
    }
}

#[async_trait]
impl Handler for Pages {
    async fn answer(&self, request: &mut Request) -> Reply {
        let prefix = &self.0.mount().prefix;
        let path = request.path().strip_prefix(&**prefix).unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or(path);
        let reply = if path == "ocsp" || path == "ocsp/" {
            self.ocsp(None, request).await
        } else if let Some(below) = path.strip_prefix("ocsp/") {
            let below = below.to_owned();
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
