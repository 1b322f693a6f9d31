//! A secrets engine: roles, and users that are leased for them.
//!
//! It is complete: its users are made in its own storage. Put what you make users of in the place of [`Outside`].

use std::process::ExitCode;
use std::sync::Arc;

use landfast_sdk::logical::{
    Backend, Cx, Error, Lease, LeaseContext, Named, NoFields, Response, Result, Setup, Storage,
    SystemView, Table, Ttl, Wal, WalEntry, path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    landfast_sdk::serve::<Engine>(landfast_sdk::Options::default())
}

/// One mount.
struct Engine {
    storage: Arc<dyn Storage>,
    system: Arc<dyn SystemView>,
    /// What is about to be made outside, so that a crash leaves no user that nobody ends.
    wal: Wal,
    outside: Outside,
}

/// `roles/NAME`: what a client writes, and what is stored.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Role {
    /// How long a user lives without renewal; 0 for the default of the mount.
    #[serde(default)]
    ttl: Ttl,
}

/// What a lease must know to end its user.
#[derive(Deserialize, Serialize)]
struct User {
    role: String,
    name: String,
}

impl Backend for Engine {
    async fn new(setup: Setup) -> Result<Self> {
        Ok(Self {
            wal: Wal::new(Arc::clone(&setup.storage)),
            outside: Outside(Arc::clone(&setup.storage)),
            storage: setup.storage,
            system: setup.system,
        })
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("roles", "The roles.").list(Self::list_roles),
            path("roles/{name}", "A role.")
                .read(Self::read_role)
                .update(Self::write_role)
                .delete(Self::delete_role),
            path("creds/{name}", "A new user of a role.").read(Self::creds),
        ])
        .help("Makes users that end with their leases.")
    }

    async fn renew(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let user: User = lease.internal_as()?;
        let role = self.role(&user.role).await?;
        Ok(Response::none().lease(Lease::renewable(role.ttl.0, &user)?))
    }

    // Also when a lease ends by itself. Whatever goes away twice must do no harm.
    async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
        let user: User = lease.internal_as()?;
        self.outside.delete(&user.name).await?;
        self.wal.settle(&lease).await?;
        Ok(Response::none())
    }

    fn wal(&self) -> Option<&Wal> {
        Some(&self.wal)
    }

    async fn undo(self: Arc<Self>, entry: WalEntry) -> Result<()> {
        self.outside.delete(&entry.data_as::<User>()?.name).await
    }
}

impl Engine {
    async fn role(&self, name: &str) -> Result<Role> {
        let role = self.storage.read(&format!("roles/{name}")).await?;
        role.ok_or_else(|| Error::bad_request("there is no such role"))
    }

    async fn list_roles(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Response> {
        Ok(Response::list(self.storage.list("roles/").await?))
    }

    async fn read_role(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        let role: Option<Role> = self.storage.read(&format!("roles/{}", of.name)).await?;
        role.map_or_else(|| Ok(Response::none()), |role| Response::data(&role))
    }

    async fn write_role(self: Arc<Self>, _: Cx, (of, role): (Named, Role)) -> Result<Response> {
        let key = format!("roles/{}", of.name);
        self.storage.write(&key, &role).await?;
        Ok(Response::none())
    }

    async fn delete_role(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        self.storage.delete(&format!("roles/{}", of.name)).await?;
        Ok(Response::none())
    }

    async fn creds(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        let role = self.role(&of.name).await?;
        let number = self.storage.transaction(|tx| async move {
            let last: u64 = tx.read("last").await?.unwrap_or_default();
            tx.write("last", &(last + 1)).await?;
            Ok(last + 1)
        });
        let user = User {
            name: format!("{}-{}", of.name, number.await?),
            role: of.name,
        };
        let made = self.outside.make(&user.name);
        let ((), begun) = self.wal.guard(&self, "user", &user, made).await?;
        let longest = self.system.max_lease_ttl().await?;
        let lease = begun.lease(role.ttl.0, longest, &user).await?;
        Ok(Response::data(&user)?.lease(lease))
    }
}

/// Where users are made and ended: a database, a cloud. Here it is the storage of the mount.
struct Outside(Arc<dyn Storage>);

impl Outside {
    async fn make(&self, name: &str) -> Result<()> {
        self.0.write(&format!("users/{name}"), &true).await?;
        Ok(())
    }

    /// Twice is as once: a user that is not there is no error.
    async fn delete(&self, name: &str) -> Result<()> {
        Ok(self.0.delete(&format!("users/{name}")).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use landfast_sdk::testing::Harness;
    use serde_json::json;

    use super::*;

    async fn with_role() -> Harness<Engine> {
        let engine = Harness::<Engine>::new().await;
        let written = engine.update("roles/readers", json!({ "ttl": "1h" })).await;
        assert_eq!(written.status, 204, "{written:?}");
        engine
    }

    async fn users(engine: &Harness<Engine>) -> Vec<String> {
        engine.storage().list("users/").await.expect("storage")
    }

    #[tokio::test]
    async fn a_user_lives_as_long_as_its_lease() {
        let engine = with_role().await;
        let reply = engine.read("creds/readers").await;
        assert_eq!(reply.data["name"], "readers-1");
        let lease = reply.lease.expect("a lease");
        assert_eq!(lease.ttl, Duration::from_secs(3600));
        assert_eq!(users(&engine).await, ["readers-1"]);

        // The host keeps the lease, and gives back what was put into it.
        let engine = engine.reload().await;
        let lease = LeaseContext {
            internal: serde_json::from_str(&lease.internal_data).expect("JSON"),
            ..LeaseContext::default()
        };
        let renewed = engine.renew("creds/readers", lease.clone()).await;
        assert!(renewed.lease.is_some(), "{renewed:?}");
        let revoked = engine.revoke("creds/readers", lease).await;
        assert_eq!(revoked.status, 204, "{revoked:?}");
        assert_eq!(users(&engine).await, [""; 0]);
    }

    #[tokio::test]
    async fn roles_are_written_and_read_and_deleted() {
        let engine = with_role().await;
        assert_eq!(engine.list("roles").await.keys(), ["readers"]);
        let read = engine.read("roles/readers").await;
        assert_eq!(read.data, json!({ "ttl": 3600 }));
        assert_eq!(engine.delete("roles/readers").await.status, 204);
        assert_eq!(engine.read("roles/readers").await.status, 404);
        let reply = engine.read("creds/readers").await;
        assert_eq!(
            (reply.status, reply.error()),
            (400, "there is no such role")
        );
    }
}
