//! What whoever starts the server says.

use crate::config::Limits;
use crate::credentials::OpenRolesAnywhere;

/// Where the server runs, besides its configuration file.
#[derive(Debug, Default)]
pub struct Options {
    /// Limits of calls to the key service.
    pub limits: Limits,
    /// Who opens sessions of IAM Roles Anywhere, if the configuration asks for one.
    pub roles_anywhere: Option<OpenRolesAnywhere>,
}
