//! CEL roles.

use serde::{Deserialize, Serialize};

use landfast_cel::{Program, Variable};

use super::other::Other;

/// A stored CEL role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CelRoleEntry {
    /// The role's name, as its key has it.
    pub name: String,
    /// What the role decides by.
    pub validation_program: ProgramEntry,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// A stored program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgramEntry {
    /// In the order in which they are evaluated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<VariableEntry>,
    /// Its value decides.
    pub expression: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

/// A stored variable of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VariableEntry {
    /// What expressions behind it call it.
    pub name: String,
    /// What it is worth.
    pub expression: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl CelRoleEntry {
    /// Storage key of the CEL role `name`.
    pub fn key(name: &str) -> String {
        format!("{PREFIX}{name}")
    }
}

impl ProgramEntry {
    /// The program.
    pub fn program(&self) -> Program {
        let variables = self.variables.iter().map(|one| Variable {
            name: one.name.clone(),
            expression: one.expression.clone(),
        });
        Program {
            variables: variables.collect(),
            expression: self.expression.clone(),
        }
    }
}

/// The storage prefix that all CEL roles share.
pub const PREFIX: &str = "cel/role/";
