//! What whoever starts the server says.

use crate::aws::Limits;
use crate::config::OpenRolesAnywhere;

/// Where the server runs, besides its configuration file.
#[derive(Debug, Default)]
pub struct Options {
    /// Limits of calls to AWS KMS.
    pub limits: Limits,
    /// Who opens sessions of IAM Roles Anywhere, if the configuration asks for one.
    pub roles_anywhere: Option<OpenRolesAnywhere>,
}
