//! Which handler answers which paths. A new protocol is a line in [`Routes::new`].

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::Config;
use crate::error::Error;
use crate::est::{self, Est};
use crate::mounts::Mounts;
use crate::pages::Pages;
use crate::request::{Handler, Reply, Request};
use crate::site::{Site, Status};
use crate::store::Store;

/// Handlers by the beginning of paths; the longest that fits answers.
pub(crate) struct Routes {
    handlers: Vec<(String, Arc<dyn Handler>)>,
    sites: Vec<Arc<Site>>,
    store: Option<Arc<Store>>,
}

impl Routes {
    /// The paths of a configuration. What `before` keeps of mounts that did not change stays.
    pub(crate) fn new(config: &Config, before: Option<&Self>) -> Result<Self, Error> {
        let mounts = Mounts::new(config)?;
        let mut handlers: Vec<(String, Arc<dyn Handler>)> = Vec::new();
        let mut sites = Vec::new();
        let store = store(config, before)?;
        let now = Timestamp::now().as_second();
        for mount in mounts.iter() {
            let mut sites_before = before.into_iter().flat_map(|before| &before.sites);
            let old = sites_before.find(|site| site.mount().is_same(mount));
            let site = Arc::new(Site::new(
                mount.clone(),
                &config.limits,
                old.map(|old| &**old),
            ));
            if let (Some(store), None) = (&store, old) {
                site.load(store, now);
            }
            sites.push(site.clone());
            handlers.push((mount.prefix.to_string(), Arc::new(Pages::new(site))));
        }
        if let Some(file) = &config.est {
            let est = Est::new(file, &sites)?;
            handlers.push((est::PREFIX.to_owned(), Arc::new(est)));
        }
        handlers.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
        if let Some(store) = &store {
            store.keep_only(mounts.iter().map(|mount| &**mount));
        }
        Ok(Self {
            handlers,
            sites,
            store,
        })
    }

    /// Writes what is kept of all mounts, where the configuration has a place for it. It waits for a disk.
    pub(crate) fn save(&self) {
        let Some(store) = &self.store else { return };
        let now = Timestamp::now().as_second();
        for site in &self.sites {
            site.save(store, now);
        }
    }

    pub(crate) async fn answer(&self, request: &mut Request) -> Reply {
        let path = request.path();
        let below = |prefix: &str| {
            let rest = path.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self.handlers.iter().find(|(prefix, _)| below(prefix)) {
            Some((_, handler)) => handler.answer(request).await,
            None => Reply::not_found(),
        }
    }

    /// How each mount is doing.
    pub(crate) fn statuses(&self, now: i64) -> Vec<Status> {
        self.sites.iter().map(|site| site.status(now)).collect()
    }
}

/// The place on disk: the one before, if the configuration means it.
fn store(config: &Config, before: Option<&Routes>) -> Result<Option<Arc<Store>>, Error> {
    let Some(dir) = &config.cache_dir else {
        return Ok(None);
    };
    let most = config.limits.cache_bytes;
    let before = before.and_then(|before| before.store.as_ref());
    if let Some(before) = before.filter(|before| before.is(dir, most)) {
        return Ok(Some(before.clone()));
    }
    Ok(Some(Arc::new(Store::open(dir, most)?)))
}
