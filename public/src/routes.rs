//! Which handler answers which paths. A new protocol is a line in [`Routes::new`].

use std::sync::Arc;

use crate::config::Config;
use crate::error::Error;
use crate::mounts::Mounts;
use crate::pages::Pages;
use crate::request::{Handler, Reply, Request};
use crate::site::Site;

/// Handlers by the beginning of paths; the longest that fits answers.
pub(crate) struct Routes(Vec<(String, Arc<dyn Handler>)>);

impl Routes {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let mounts = Mounts::new(config)?;
        let mut routes: Vec<(String, Arc<dyn Handler>)> = Vec::new();
        for mount in mounts.iter() {
            let pages = Pages::new(Site::new(mount.clone(), &config.limits));
            routes.push((mount.prefix.to_string(), Arc::new(pages)));
        }
        // The longest first.
        routes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(Self(routes))
    }

    pub(crate) async fn answer(&self, request: &mut Request) -> Reply {
        let path = request.path();
        let below = |prefix: &str| {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self.0.iter().find(|(prefix, _)| below(prefix)) {
            Some((_, handler)) => handler.answer(request).await,
            None => Reply::not_found(),
        }
    }
}
