//! An auth method for machines, which sign their logins with an Ed25519 key that is registered for them:
//! ```text
//! bao write auth/machine/machine/web-1 public_key=MCowBQYDK2... token_policies=web token_ttl=1h
//! bao login -method=userpass -path=machine username=web-1 password=1700000000000:jr4V... # good once, for a minute
//! ```

use std::{process::ExitCode, sync::Arc, time::UNIX_EPOCH};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use landfast_sdk::logical::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    landfast_sdk::serve::<Machines>(landfast_sdk::Options::default())
}

struct Machines(Arc<dyn Storage>, tokio::sync::Mutex<()>); // held to see and note that a login is new

#[derive(Deserialize, Serialize, JsonSchema)]
struct Machine {
    /// Its Ed25519 key in base64, as `openssl pkey -pubout -outform DER | base64 -w0` writes it.
    public_key: Base64,
    /// Groups of the server that it is in, by the names of their aliases at this mount.
    #[serde(default)]
    groups: CommaList,
    #[serde(flatten)]
    token: TokenParams,
}

#[derive(Deserialize, JsonSchema)]
struct Signed {
    /// Milliseconds since 1970, a colon, and in base64 the signature of mount, name and time, as in `auth/machine/ web-1 1700000000000`.
    password: Secret<String>,
}

impl Backend for Machines {
    const KIND: MountKind = MountKind::Auth;

    async fn new(setup: Setup) -> Result<Self> {
        Ok(Self(setup.storage, Default::default()))
    }

    fn table() -> Table<Self> {
        let machine = path("machine/{name}", "A machine that may log in.").update(Self::write);
        let login = |at| path(at, "Log a machine in.").login(Self::login);
        let named = login("login").resolve_role(async |_, _, of: Named| Ok(Some(of.name)));
        let machine = machine.delete(Self::delete);
        Table::new(vec![machine, named, login("login/{name}")])
    }

    async fn renew_login(self: Arc<Self>, _: Cx, login: Login) -> Result<Auth> {
        login.renew_by(&self.machine(login.name()).await?.token)
    }
}

impl Machines {
    async fn machine(&self, name: &str) -> Result<Machine> {
        let machine = self.0.read(&format!("machine/{name}")).await?;
        machine.ok_or_else(|| denied(()))
    }

    async fn login(self: Arc<Self>, cx: Cx, (of, login): (Named, Signed)) -> Result<Auth> {
        let machine = self.machine(&of.name).await?;
        let password = login.password.expose().split_once(':');
        let (time, signature) = password.ok_or_else(|| denied(()))?;
        let signed = format!("{} {} {time}", cx.mount_point, of.name);
        let signature = STANDARD.decode(signature).map_err(denied)?;
        let key = UnparsedPublicKey::new(&ED25519, &machine.public_key);
        key.verify(signed.as_bytes(), &signature).map_err(denied)?;
        let (time, last) = (time.parse().map_err(denied)?, format!("last/{}", of.name));
        let _turn = self.1.lock().await;
        let now = UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        if self.0.read(&last).await? >= Some(time) || now.abs_diff(u64::into(time)) > 60_000 {
            return Err(denied(()));
        }
        self.0.write(&last, &time).await?;
        let auth = Auth::of(&of.name).with_token(&machine.token);
        let auth = auth.with_groups(machine.groups.0);
        Ok(auth.with_metadata("machine", of.name))
    }

    async fn write(self: Arc<Self>, _: Cx, (of, it): (Named, Machine)) -> Result<()> {
        it.token.check()?;
        self.0.write(&format!("machine/{}", of.name), &it).await
    }

    async fn delete(self: Arc<Self>, _: Cx, of: Named) -> Result<()> {
        Ok(self.0.delete(&format!("machine/{}", of.name)).await?)
    }
}

fn denied<T>(_: T) -> Error {
    Error::denied("no such machine, or no fresh signature of it")
}

#[cfg(test)]
mod tests;
