//! A leaf by the rules of a role, whether its key is made here or stays where it is.

use jiff::Timestamp;

use landfast_pki::issue::{self, Holder, LeafRequest};
use landfast_pki::validity::MountTtl;
use landfast_pki::{Certificate, Identity, Profile, Unsigned};
use landfast_sdk::logical::{Cx, Error};

use crate::paths::fields::LeafFields;
use crate::role::Role;
use crate::signing::Authority;
use crate::{Mount, certificates, identity};

/// A request for a leaf, with all that its rules need but its key.
pub(crate) struct ByRole<'a> {
    mount: &'a Mount,
    cx: &'a Cx,
    role: &'a Role,
    profile: &'a Profile,
    fields: &'a LeafFields,
    authority: &'a Authority,
    identity: Option<Identity>,
    lifetimes: MountTtl,
    now: Timestamp,
}

impl<'a> ByRole<'a> {
    /// Asks the host for what the role leaves to it.
    ///
    /// # Errors
    /// When the role cannot be used, or the host does not answer.
    pub(crate) async fn load(
        mount: &'a Mount,
        cx: &'a Cx,
        role: &'a Role,
        fields: &'a LeafFields,
        authority: &'a Authority,
    ) -> Result<Self, Error> {
        Ok(Self {
            profile: role.profile()?,
            identity: identity::of(mount, cx, &role.entry).await?,
            lifetimes: role.lifetimes(mount, fields.ttl.0).await?,
            now: mount.now(),
            mount,
            cx,
            role,
            fields,
            authority,
        })
    }

    /// Has the rules decide, and answers with warnings too.
    ///
    /// # Errors
    /// What they refuse.
    pub(crate) fn prepare(
        &self,
        holder: Holder<'_>,
    ) -> Result<(Unsigned<Certificate>, Vec<String>), Error> {
        let identity = self.identity.as_ref();
        let request = LeafRequest {
            identity,
            display_name: &self.cx.display_name,
            ..self
                .fields
                .fill(self.mount, LeafRequest::new(holder, self.lifetimes))
        };
        let issuer = &self.authority.signing.rules;
        let serial = certificates::new_serial()?;
        issue::prepare(self.profile, issuer, &request, self.now, serial)
            .map_err(|refusal| identity::explain(self.mount, &self.role.entry, identity, refusal))
    }
}
