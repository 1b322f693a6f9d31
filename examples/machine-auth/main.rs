//! An auth method for machines, which sign their logins with an Ed25519 key that is registered for them:
//! ```text
//! bao write auth/machine/machine/web-1 public_key=MCowBQYDK2... token_policies=web token_ttl=1h
//! bao write auth/machine/login name=web-1 time=1700000000000 signature=jr4V... # good once, for a minute
//! ```

use std::{process::ExitCode, sync::Arc, time::SystemTime};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use landfast_sdk::logical::{
    Auth, Backend, Base64, Cx, Error, Login, MountKind, Named, Response, Result, Setup, Storage,
    Table, TokenParams, path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

fn main() -> ExitCode {
    landfast_sdk::serve::<Machines>(landfast_sdk::Options::default())
}

struct Machines(Arc<dyn Storage>, Mutex<()>); // held to see and note that a login is new

#[derive(Deserialize, Serialize, JsonSchema)]
struct Machine {
    /// Its Ed25519 key in base64, as `openssl pkey -pubout -outform DER | base64 -w0` writes it.
    public_key: Base64,
    #[serde(flatten)]
    token: TokenParams,
}

#[derive(Deserialize, JsonSchema)]
struct Signed {
    /// When the machine signed, in milliseconds since 1970.
    time: u64,
    /// Signature in base64 of mount, name and time, for example of `auth/machine/ web-1 1700000000000`.
    signature: Base64,
}

impl Backend for Machines {
    const KIND: MountKind = MountKind::Auth;

    async fn new(setup: Setup) -> Result<Self> {
        Ok(Self(setup.storage, Mutex::default()))
    }

    fn table() -> Table<Self> {
        let machine = path("machine/{name}", "A machine that may log in.").update(Self::write);
        let login = path("login", "Log a machine in.").login(Self::login);
        let login = login.resolve_role(async |_, _, of: Named| Ok(Some(of.name)));
        Table::new(vec![machine.delete(Self::delete), login])
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
        let signed = format!("{} {} {}", cx.mount_point, of.name, login.time);
        let key = UnparsedPublicKey::new(&ED25519, &machine.public_key);
        let verified = key.verify(signed.as_bytes(), &login.signature);
        verified.map_err(denied)?;
        let (_turn, last) = (self.1.lock().await, format!("last/{}", of.name));
        let is_old = self.0.read(&last).await? >= Some(login.time);
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        if is_old || now.as_millis().abs_diff(login.time.into()) > 60_000 {
            return Err(denied(()));
        }
        self.0.write(&last, &login.time).await?;
        let auth = Auth::of(&of.name).with_token(&machine.token);
        Ok(auth.with_metadata("machine", of.name))
    }

    async fn write(self: Arc<Self>, _: Cx, (of, it): (Named, Machine)) -> Result<Response> {
        it.token.check()?;
        self.0.write(&format!("machine/{}", of.name), &it).await?;
        Ok(Response::none())
    }

    async fn delete(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        self.0.delete(&format!("machine/{}", of.name)).await?;
        Ok(Response::none())
    }
}

fn denied<T>(_: T) -> Error {
    Error::denied("no such machine, or no fresh signature of it")
}

#[cfg(test)]
mod tests;
