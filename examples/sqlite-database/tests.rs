//! The plugin without a server: a file in a folder, and its users.

use std::time::{Duration, UNIX_EPOCH};

use landfast_sdk::testing::DatabaseHarness;
use rusqlite::OptionalExtension as _;
use serde_json::json;

use super::*;

struct File(tempfile::TempDir);

impl File {
    fn new() -> Self {
        let file = Self(tempfile::tempdir().expect("a folder"));
        let table =
            "CREATE TABLE users (name TEXT PRIMARY KEY, digest TEXT NOT NULL, expires INTEGER)";
        let db = Connection::open(file.path()).expect("a file");
        db.execute_batch(table).expect("a table");
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("users.db")
    }

    async fn connect(&self) -> DatabaseHarness<Sqlite> {
        let config =
            json!({ "file": self.path(), "username_template": "{{ .RoleName }}-{{ random 8 }}" });
        let connected = DatabaseHarness::connect(config).await;
        connected.expect("a connection")
    }

    /// Digest and end of a user.
    fn user(&self, name: &str) -> Option<(String, Option<i64>)> {
        let db = Connection::open(self.path()).expect("the file");
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        db.query_row(
            "SELECT digest, expires FROM users WHERE name = ?",
            [name],
            read,
        )
        .optional()
        .expect("the table")
    }
}

/// By sha256sum.
const DIGEST_OF_ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
const DIGEST_OF_TWO: &str = "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3";

#[tokio::test]
async fn a_user_is_made_and_changed_and_deleted() {
    let file = File::new();
    let mut sqlite = file.connect().await;
    let end = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let user = NewUser::of("token", "readers", "one").until(end);
    let name = sqlite.new_user(user).await.expect("a user");
    assert!(name.starts_with("readers-"));
    let made = (DIGEST_OF_ONE.to_owned(), Some(1_800_000_000));
    assert_eq!(file.user(&name), Some(made));

    // What is in the file outlives the process.
    sqlite.reconnect().await.expect("the file is there");
    let later = end + Duration::from_secs(60);
    let both = UpdateUser {
        expiration: UpdateUser::until("", later).expiration,
        ..UpdateUser::password(&name, "two")
    };
    sqlite.update_user(both).await.expect("the user is there");
    let changed = (DIGEST_OF_TWO.to_owned(), Some(1_800_000_060));
    assert_eq!(file.user(&name), Some(changed));
    let nobody = UpdateUser::until("nobody", later);
    assert!(sqlite.update_user(nobody).await.is_err());

    // Twice: the engine asks again after an answer was lost.
    for _ in 0..2 {
        let deleted = sqlite.delete_user(DeleteUser::of(&name)).await;
        deleted.expect("no failure");
        assert_eq!(file.user(&name), None);
    }
}

#[tokio::test]
async fn statements_run_all_or_none_and_values_are_never_text_of_them() {
    let file = File::new();
    let sqlite = file.connect().await;
    let with = |statements: &[&str]| {
        let user = NewUser::of("token", "readers", "x'); DROP TABLE users; --");
        sqlite.new_user(user.with_statements(statements.iter().copied()))
    };
    let twice = "INSERT INTO users VALUES (:name, :password, NULL); INSERT INTO users VALUES (:name, 'again', NULL)";
    assert!(with(&[twice]).await.is_err(), "the name is taken");
    let broken = "INSERT INTO users VALUES (:name, :password, NULL); NONSENSE";
    let error = with(&[broken]).await.expect_err("it cannot be read");
    assert!(error.contains("NONSENSE"), "{error}");
    let db = Connection::open(file.path()).expect("the file");
    let count = || db.query_row("SELECT count(*) FROM users", [], |row| row.get::<_, i64>(0));
    assert_eq!(count(), Ok(0));
    let apart = [
        "INSERT INTO users VALUES (:name, :password, NULL)",
        "UPDATE users SET expires = 1 WHERE name = :name",
    ];
    let name = with(&apart).await.expect("a user");
    assert_eq!(
        file.user(&name),
        Some(("x'); DROP TABLE users; --".to_owned(), Some(1)))
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let file = File::new();
    let there = file.path();
    let away = file.0.path().join("away.db");
    let no_database = file.0.path().join("text");
    std::fs::write(&no_database, "x".repeat(4096)).expect("a file");
    for config in [
        json!({}),
        json!({ "file": away }),
        json!({ "file": no_database }),
        json!({ "file": there, "username_template": "{{ .Password }}" }),
    ] {
        let refused = DatabaseHarness::<Sqlite>::connect(config.clone()).await;
        assert!(refused.is_err(), "{config}");
    }
    // The server may connect while the file is away.
    let config = Config {
        file: away.clone(),
        username_template: String::new(),
    };
    assert!(Sqlite::connect(config, false).await.is_ok());
    assert!(!away.exists(), "nothing is made");
}
