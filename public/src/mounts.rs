//! The mounts that are given out, by the beginning of their paths.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::error::Error;
use crate::upstream::Upstream;

/// A mount and how it is reached.
pub struct Mount {
    /// The beginning of its paths, without a final slash: the name that the configuration gives it, empty for `/`.
    pub prefix: Arc<str>,
    /// Its path on the server.
    pub path: String,
    /// Its namespace, below that of the server.
    pub namespace: Option<String>,
    /// The server.
    pub upstream: Arc<Upstream>,
}

impl Mount {
    /// Whether two configurations mean the same mount: what was kept of one is good for the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let place = |mount: &Self| {
            (
                mount.prefix.clone(),
                mount.path.clone(),
                mount.namespace.clone(),
            )
        };
        place(self) == place(other) && self.upstream.is_same(&other.upstream)
    }
}

/// All mounts of a configuration.
pub struct Mounts(BTreeMap<String, Arc<Mount>>);

impl Mounts {
    /// What a configuration says. Nobody is asked yet.
    ///
    /// # Errors
    /// The server's address, or a file, cannot be used.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let upstream = Arc::new(Upstream::new(&config.server)?);
        let mount = |(prefix, file): (&String, &crate::config::MountFile)| {
            let mount = Mount {
                prefix: prefix.trim_end_matches('/').into(),
                path: file.mount.trim_matches('/').to_owned(),
                namespace: file.namespace.clone(),
                upstream: upstream.clone(),
            };
            (prefix.clone(), Arc::new(mount))
        };
        Ok(Self(config.mounts.iter().map(mount).collect()))
    }

    /// A mount by the name that the configuration gives it, such as `/` or `/name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Mount>> {
        self.0.get(name)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Mount>> {
        self.0.values()
    }
}
