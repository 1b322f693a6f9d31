//! A mount that passes from the server's own engine to ours and back, as an operator does it.

use serde_json::json;

use super::Server;

/// The version under which the plugin is registered.
pub(crate) const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The mount `pki`, which the server's own engine serves at first.
pub(crate) struct TakeOver {
    built_in: String,
}

impl TakeOver {
    /// Mounts the server's own engine and remembers its version. Ours is registered under its name.
    pub(crate) fn mount(server: &Server) -> Self {
        server.mount("pki", "pki");
        let mount = server.client().read("sys/mounts/pki").ok();
        server.register("pki", VERSION);
        Self {
            built_in: mount.text("running_plugin_version"),
        }
    }

    /// From now on ours serves the mount.
    pub(crate) fn to_ours(&self, server: &Server) {
        switch(server, VERSION);
    }

    /// From now on the server's own engine serves it.
    pub(crate) fn back(&self, server: &Server) {
        switch(server, &self.built_in);
    }
}

/// Points the mount at another version of its plugin.
fn switch(server: &Server, version: &str) {
    let client = server.client();
    let tuned = json!({"plugin_version": version});
    client.write("sys/mounts/pki/tune", tuned).ok();
    let mounts = json!({"mounts": ["pki/"]});
    client.write("sys/plugins/reload/backend", mounts).ok();
}
