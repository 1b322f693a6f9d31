//! All paths of an engine.

use super::path::Path;
use super::route::{Captures, Pattern, Router, Segment};
use super::{Operation, SpecialPaths};

/// The path table: rows, and what concerns the engine as a whole.
pub struct Table<B> {
    pub(crate) rows: Vec<Path<B>>,
    pub(crate) help: &'static str,
    pub(crate) resolve: Option<Resolve>,
    router: Router,
    seal_wrap: Vec<String>,
    local_storage: Vec<String>,
}

type Resolve = fn(&str) -> Option<String>;

impl<B: Send + Sync + 'static> Table<B> {
    /// Makes a table. The order of rows is the order of the help; routing prefers text over parameters over tails.
    ///
    /// # Panics
    /// When a row declares `create` without an existence check.
    #[must_use]
    pub fn new(rows: Vec<Path<B>>) -> Self {
        let mut router = Router::default();
        for row in &rows {
            assert!(
                row.existence_check().is_some()
                    || row
                        .slots
                        .iter()
                        .all(|slot| slot.operation != Operation::Create),
                "path {:?} has a create handler but no existence check",
                row.pattern
            );
            router.add(&row.parsed, &row.rules);
        }
        Self {
            rows,
            help: "",
            resolve: None,
            router,
            seal_wrap: Vec::new(),
            local_storage: Vec::new(),
        }
    }

    /// Describes the engine, for the help of the mount.
    #[must_use]
    pub fn help(mut self, text: &'static str) -> Self {
        self.help = text;
        self
    }

    /// Storage keys, or prefixes that end in `/`, which the seal encrypts once more (Vault Enterprise).
    #[must_use]
    pub fn seal_wrap(mut self, keys: &[&str]) -> Self {
        self.seal_wrap = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    /// Storage keys, or prefixes that end in `/`, which are not replicated (Vault Enterprise).
    #[must_use]
    pub fn local_storage(mut self, keys: &[&str]) -> Self {
        self.local_storage = keys.iter().map(|key| (*key).to_owned()).collect();
        self
    }

    /// Answers the host's question for the canonical path before each request (OpenBao 2.7), so that policies cannot be
    /// passed by an alias: `None` keeps the path. Runs before every request, so it must be cheap.
    #[must_use]
    pub fn resolve(mut self, resolve: fn(path: &str) -> Option<String>) -> Self {
        self.resolve = Some(resolve);
        self
    }

    /// The row of a path, with or without a trailing `/`.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Option<(&Path<B>, Captures<'p>)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        self.router
            .find(path)
            .map(|(row, captures)| (&self.rows[row], captures))
    }

    /// The special paths that the rows ask for.
    pub(crate) fn special_paths(&self) -> SpecialPaths {
        let mut special = SpecialPaths {
            seal_wrap_storage: self.seal_wrap.clone(),
            local_storage: self.local_storage.clone(),
            ..SpecialPaths::default()
        };
        for row in &self.rows {
            if row.unauthenticated {
                let path = unauthenticated_path(&row.parsed);
                let lists = |slot: &super::path::Slot<B>| {
                    matches!(slot.operation, Operation::List | Operation::Scan)
                };
                // The host appends a slash to the path of a list.
                if row.slots.iter().any(lists) && !path.ends_with('*') {
                    special.unauthenticated.push(format!("{path}/"));
                }
                if !row.slots.iter().all(lists) {
                    special.unauthenticated.push(path);
                }
            }
            if row.sudo {
                special.root.push(root_path(&row.parsed));
            }
        }
        for list in [&mut special.unauthenticated, &mut special.root] {
            list.sort();
            list.dedup();
        }
        special
    }
}

impl<B> std::fmt::Debug for Table<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&self.rows).finish()
    }
}

/// The host's syntax: `+` is one segment, a final `*` the rest.
fn unauthenticated_path(pattern: &Pattern) -> String {
    let segments: Vec<_> = pattern
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => *text,
            Segment::Parameter(_) => "+",
            Segment::Tail(_) => "*",
        })
        .collect();
    segments.join("/")
}

/// The host knows only exact paths and prefixes here: a parameter ends the prefix, so the entry may cover more than its row.
fn root_path(pattern: &Pattern) -> String {
    let mut path = String::new();
    for (at, segment) in pattern.segments.iter().enumerate() {
        if at > 0 {
            path.push('/');
        }
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Parameter(_) | Segment::Tail(_) => {
                path.push('*');
                break;
            }
        }
    }
    path
}
