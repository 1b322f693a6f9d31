//! Wire messages of HashiCorp's go-plugin and of the plugins that Vault and OpenBao start.
//!
//! The messages are generated at build time from the `.proto` files in `defs/`, which state in one place every service, message and
//! field number that both servers use. There is no logic here: `landfast-sdk` gives the messages their meaning.
//!
//! | module | package on the wire | what it carries |
//! | --- | --- | --- |
//! | [`plugin`] | `plugin` | go-plugin itself: broker, controller, stdio |
//! | [`multiplexing`] | `pluginutil.multiplexing` | whether one process may serve many mounts |
//! | [`logical`] | `logical` | plugin version; identity entities and groups |
//! | [`pb`] | `pb` | the logical backend, the host's storage and system view, and the KMS wrapper |
//! | [`wrapping`] | `wrapping` | encrypted blobs and options of KMS wrappers |
//! | [`kms`] | `kms` | keys that stay in a KMS: sign, verify, encrypt, decrypt |
//! | [`metadata`] | `metadata` | which configuration fields of a KMS plugin are secret |
//! | [`database`] | `dbplugin.v5` | users of databases, for the `database` engine of the server |
//!
//! Fields that only one of the two servers knows are marked in the `.proto` files. An unknown field is skipped when it is read, so
//! newer hosts do no harm.

/// Health service name that go-plugin asks for.
pub const HEALTH_SERVICE: &str = "plugin";

/// Metadata key that names the instance (the mount) which a call is for.
pub const MULTIPLEX_ID: &str = "multiplex_id";

macro_rules! package {
    ($(#[$doc:meta])* $name:ident, $package:literal) => {
        $(#[$doc])*
        pub mod $name {
            #![allow(missing_docs, unreachable_pub, unnameable_types)]
            #![allow(clippy::all, clippy::use_self, clippy::or_fun_call, clippy::needless_pass_by_ref_mut)]
            tonic::include_proto!($package);
        }
    };
}

package!(
    /// go-plugin's own services.
    plugin,
    "plugin"
);
package!(
    /// Whether one process may serve many mounts.
    multiplexing,
    "pluginutil.multiplexing"
);
package!(
    /// Plugin version, identity entities and groups.
    logical,
    "logical"
);
package!(
    /// Logical backend, host storage, system view and KMS wrapper.
    pb,
    "pb"
);
package!(
    /// Blobs and options of KMS wrappers.
    wrapping,
    "wrapping"
);
package!(
    /// Operations on keys that stay in a KMS.
    kms,
    "kms"
);
package!(
    /// Names of secret configuration fields.
    metadata,
    "metadata"
);
package!(
    /// Users of databases.
    database,
    "dbplugin.v5"
);
