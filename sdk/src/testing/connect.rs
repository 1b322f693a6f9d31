//! A connection of a database plugin, without a server.

use std::sync::Arc;

use serde_json::Value;

use crate::database::Database;
use crate::logical::{Decoder, Error};

/// Connects with settings as clients send them, and asks the database whether it works.
///
/// # Errors
/// The settings cannot be decoded, or what [`Database::connect`] returns.
pub async fn connect<D: Database>(config: Value) -> Result<Arc<D>, Error> {
    let config = Decoder::default().decode(&config.to_string())?;
    D::connect(config, true).await.map(Arc::new)
}
