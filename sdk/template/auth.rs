//! An auth method: people, who log in with a word of their own.
//!
//! It is complete: it knows the people itself. Put whoever knows yours in the place of [`Engine::verify`].

use std::process::ExitCode;
use std::sync::Arc;

use landfast_sdk::database::Secret;
use landfast_sdk::logical::{
    Auth, Backend, Cx, Error, Login, MountKind, Named, NoFields, Response, Result, Setup, Storage,
    Table, TokenParams, path,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    landfast_sdk::serve::<Engine>(landfast_sdk::Options::default())
}

/// One mount.
struct Engine {
    storage: Arc<dyn Storage>,
}

/// `people/NAME`: what a client writes, and what is stored.
#[derive(Deserialize, Serialize, JsonSchema)]
struct Person {
    /// The word that the person logs in with.
    word: String,
    /// The fields `token_policies`, `token_ttl` and so on, which all auth methods share.
    #[serde(flatten)]
    token: TokenParams,
}

/// What a client writes to `login/NAME`.
#[derive(Deserialize, JsonSchema)]
struct Said {
    /// The word.
    word: String,
}

impl Backend for Engine {
    const KIND: MountKind = MountKind::Auth;

    async fn new(setup: Setup) -> Result<Self> {
        Ok(Self {
            storage: setup.storage,
        })
    }

    fn table() -> Table<Self> {
        Table::new(vec![
            path("people", "Who may log in.").list(Self::list),
            path("people/{name}", "A person.")
                .read(Self::read)
                .update(Self::write)
                .delete(Self::delete),
            path("login/{name}", "Log in.").login(Self::login),
        ])
        .help("Logs people in by a word of their own.")
    }

    // The token is asked for again: who is gone since, or has other policies now, logs in anew.
    async fn renew_login(self: Arc<Self>, _: Cx, login: Login) -> Result<Auth> {
        let person = self.person(login.name()).await?;
        login.renew_by(&person.ok_or_else(denied)?.token)
    }
}

impl Engine {
    async fn person(&self, name: &str) -> Result<Option<Person>> {
        self.storage.read(&format!("people/{name}")).await
    }

    /// Who says the right word. The refusal does not tell whether there is such a person.
    async fn verify(&self, name: &str, said: Said) -> Result<Person> {
        let person = self.person(name).await?.ok_or_else(denied)?;
        let said = Secret::new(said.word);
        if !said.matches(person.word.as_bytes()) {
            return Err(denied());
        }
        Ok(person)
    }

    async fn login(self: Arc<Self>, _: Cx, (of, said): (Named, Said)) -> Result<Auth> {
        let person = self.verify(&of.name, said).await?;
        Ok(Auth::of(of.name).with_token(&person.token))
    }

    async fn list(self: Arc<Self>, _: Cx, _: NoFields) -> Result<Response> {
        Ok(Response::list(self.storage.list("people/").await?))
    }

    async fn read(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        // The word is not shown.
        let person = self.person(&of.name).await?;
        person.map_or_else(|| Ok(Response::none()), |it| Response::data(&it.token))
    }

    async fn write(self: Arc<Self>, _: Cx, (of, person): (Named, Person)) -> Result<Response> {
        person.token.check()?;
        if person.word.is_empty() {
            return Err(Error::bad_request("the word is empty"));
        }
        let key = format!("people/{}", of.name);
        self.storage.write(&key, &person).await?;
        Ok(Response::none())
    }

    async fn delete(self: Arc<Self>, _: Cx, of: Named) -> Result<Response> {
        self.storage.delete(&format!("people/{}", of.name)).await?;
        Ok(Response::none())
    }
}

fn denied() -> Error {
    Error::denied("no such person, or not this word")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use landfast_sdk::testing::Harness;
    use serde_json::json;

    use super::*;

    async fn with_ann() -> Harness<Engine> {
        let method = Harness::<Engine>::new().await;
        let ann = json!({ "word": "hunter2", "token_policies": "readers", "token_ttl": "1h" });
        let written = method.update("people/ann", ann).await;
        assert_eq!(written.status, 204, "{written:?}");
        method
    }

    #[tokio::test]
    async fn who_says_the_word_gets_a_token() {
        let method = with_ann().await;
        let reply = method
            .login("login/ann", json!({ "word": "hunter2" }))
            .await;
        let auth = reply.auth.expect("a login");
        assert_eq!(auth.policies, ["readers"]);
        assert_eq!(auth.ttl, Duration::from_secs(3600));
        assert_eq!(auth.alias.expect("an alias").name, "ann");
    }

    #[tokio::test]
    async fn nobody_else_gets_one_or_learns_who_there_is() {
        let method = with_ann().await;
        for (name, word) in [("ann", "hunter3"), ("ann", ""), ("bob", "hunter2")] {
            let path = format!("login/{name}");
            let reply = method.login(&path, json!({ "word": word })).await;
            let text = "no such person, or not this word";
            assert_eq!((reply.status, reply.error()), (403, text));
        }
        let read = method.read("people/ann").await;
        assert!(!read.data.to_string().contains("hunter2"), "{read:?}");
    }
}
