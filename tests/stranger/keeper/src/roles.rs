//! Roles, and the accounts with leases.

use std::sync::Arc;

use landfast_sdk::logical::{CommaList, Cx, Error, Lease, Named, Page, Response, Result, Ttl};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Keeper;
use crate::outside::random;

/// `roles/NAME`.
#[derive(Deserialize, Serialize, JsonSchema)]
pub(crate) struct Role {
    /// What the names of its accounts begin with.
    #[serde(default)]
    prefix: String,
    /// How long an account lives without renewal.
    #[serde(default)]
    ttl: Ttl,
    /// How long it lives at most.
    #[serde(default)]
    max_ttl: Ttl,
    /// Groups of the system outside.
    #[serde(default)]
    groups: CommaList,
}

/// What a lease knows of its account.
#[derive(Deserialize, Serialize)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) role: String,
}

fn key(name: &str) -> String {
    format!("roles/{name}")
}

impl Keeper {
    async fn role(&self, name: &str) -> Result<Role> {
        let role = self.storage.read(&key(name)).await?;
        role.ok_or_else(|| Error::bad_request("no such role"))
    }

    pub(crate) async fn has_role(self: Arc<Self>, _: Cx, of: Named) -> Result<bool> {
        Ok(self.storage.get(&key(&of.name)).await?.is_some())
    }

    pub(crate) async fn list_roles(self: Arc<Self>, _: Cx, page: Page) -> Result<Response> {
        let roles = self.storage.list_page("roles/", &page.after, page.limit());
        Ok(Response::list(roles.await?))
    }

    pub(crate) async fn read_role(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        match self.storage.read::<Role>(&key(&of.name)).await? {
            Some(role) => Response::data(&role),
            None => Ok(Response::none()),
        }
    }

    pub(crate) async fn write_role(
        self: Arc<Self>,
        _: Cx,
        (of, role): (Named, Role),
    ) -> Result<Response> {
        if !role.max_ttl.is_zero() && role.ttl.0 > role.max_ttl.0 {
            return Err(Error::bad_request("ttl is longer than max_ttl"));
        }
        self.storage.write(&key(&of.name), &role).await?;
        Ok(Response::none())
    }

    pub(crate) async fn delete_role(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        self.storage.delete(&key(&of.name)).await?;
        Ok(Response::none())
    }

    pub(crate) async fn lease(&self, account: &Account) -> Result<Lease> {
        let role = self.role(&account.role).await?;
        let mut lease = Lease::renewable(role.ttl.0, account)?;
        lease.max_ttl = match role.max_ttl.is_zero() {
            true => self.system.max_lease_ttl().await?,
            false => role.max_ttl.0,
        };
        Ok(lease)
    }

    pub(crate) async fn creds(self: Arc<Self>, cx: Cx, of: Named) -> Result<Response> {
        let role = self.role(&of.name).await?;
        let outside = self.outside().await?;
        let (name, password) = (
            format!("{}{}", role.prefix, random(12)?),
            outside.password()?,
        );
        let id = self.journal.begin(&name).await?;
        outside.set(&name, &password)?;
        let account = Account {
            name,
            role: of.name,
        };
        let lease = self.lease(&account).await?;
        self.journal.keep(&id, &account.name).await?;
        let data = json!({
            "name": account.name, "password": password, "groups": role.groups, "for": cx.display_name,
        });
        Ok(Response::data(&data)?.lease(lease))
    }
}
