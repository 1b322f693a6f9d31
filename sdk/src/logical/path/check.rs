//! Holds what request types take against the pattern of their row.

use super::{Path, Slot};
use crate::logical::schema::FieldSet;

impl<B> Path<B> {
    /// # Panics
    /// When a handler does not take a parameter of the path, or takes a [`Patch`](crate::logical::patch::Patch) that has to be sent.
    pub(crate) fn check(&self) {
        for slot in &self.slots {
            self.check_parameters(slot);
            if cfg!(any(test, debug_assertions, feature = "testing")) {
                self.check_patches(slot);
            }
        }
    }

    fn check_parameters(&self, slot: &Slot<B>) {
        // The names come without the cost of schemas, at each start of the plugin, and mostly they are enough.
        let names = slot.names();
        let is_plain = |name: &str| name.starts_with('_') || names.contains(&name);
        if self.by_path || self.parsed.parameters().all(is_plain) {
            return;
        }
        let fields = FieldSet::new([slot.schema]);
        let is_taken = |name: &&str| is_plain(name) || fields.get(name).is_some();
        let missing = self.parsed.parameters().find(|name| !is_taken(name));
        if let Some(name) = missing.filter(|_| !fields.arbitrary) {
            let taken: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
            panic!(
                "path {:?}: the handler of {} does not take the parameter {name:?}. Its request type takes {taken:?}: \
                 give it a field {name:?}, or, if it has no need of it, write {{_{name}}} in the path",
                self.pattern,
                slot.operation.name(),
            );
        }
    }

    fn check_patches(&self, slot: &Slot<B>) {
        let fields = FieldSet::new([slot.schema]);
        if let Some(field) = fields.iter().find(|field| field.patch && field.required) {
            panic!(
                "path {:?}: the field {:?} of {} needs a `#[serde(default)]`, for requests that do not send it",
                self.pattern,
                field.name,
                slot.operation.name(),
            );
        }
    }
}
