//! All paths of an engine.

use super::answer::Answer;
use super::form::Form;
use super::path::{Path, Slot};
use super::route::{Captures, Pattern, Router, Segment};
use super::{Error, Operation, SpecialPaths};

/// The path table: rows, and what concerns the engine as a whole.
pub struct Table<B> {
    pub(crate) rows: Vec<Path<B>>,
    pub(crate) help: &'static str,
    pub(crate) version: &'static str,
    pub(crate) license: (&'static str, &'static str),
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
    /// When a row declares `create` without an existence check, matches the same paths as a row before it, or has a handler that does not take a
    /// parameter of its path.
    #[must_use]
    pub fn new(rows: Vec<Path<B>>) -> Self {
        let mut router = Router::default();
        for row in &rows {
            row.check();
            assert!(
                row.existence_check().is_some()
                    || row
                        .slots
                        .iter()
                        .all(|slot| slot.operation != Operation::Create),
                "path {:?} has a create handler but no existence check",
                row.pattern
            );
            if let Err(twin) = router.add(&row.parsed, &row.rules) {
                panic!(
                    "path {:?} matches the same requests as {:?} before it: give one row all the operations",
                    row.pattern, rows[twin].pattern
                );
            }
        }
        Self {
            rows,
            help: "",
            version: "",
            license: ("", ""),
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

    /// The version and licence that the OpenAPI document names.
    #[must_use]
    pub fn about(
        mut self,
        version: &'static str,
        license: &'static str,
        license_url: &'static str,
    ) -> Self {
        self.version = version;
        self.license = (license, license_url);
        self
    }

    /// Gives operations the ids that they have in the OpenAPI document, in place of those made from their patterns: pattern,
    /// operation, and id without the mount's type in front. An engine that takes the place of another keeps its ids, because
    /// generated clients are named by them.
    ///
    /// # Panics
    /// When no row has such a pattern.
    #[must_use]
    pub fn operation_ids(mut self, ids: &[(&str, Operation, &'static str)]) -> Self {
        for (pattern, operation, id) in ids {
            self.row(pattern).ids.push((*operation, id));
        }
        self
    }

    /// Says what operations answer: pattern, operation and answer. The document has schemas of them, and the test harness holds every
    /// answer against its own; from then on it takes no answer without one.
    ///
    /// # Panics
    /// When no row has such a pattern.
    #[must_use]
    pub fn answers(mut self, answers: &[(&str, Operation, Answer)]) -> Self {
        for (pattern, operation, answer) in answers {
            self.row(pattern).answers.push((*operation, *answer));
        }
        self
    }

    /// Says how the server's console shows fields in its forms: pattern, and lists of fields, of which the first that has a field counts.
    ///
    /// # Panics
    /// When no row has such a pattern.
    #[must_use]
    pub fn forms(mut self, forms: &[(&str, &[&'static [Form]])]) -> Self {
        for (pattern, lists) in forms {
            self.row(pattern).forms.extend_from_slice(lists);
        }
        self
    }

    fn row(&mut self, pattern: &str) -> &mut Path<B> {
        let row = self.rows.iter_mut().find(|row| row.pattern == pattern);
        row.unwrap_or_else(|| panic!("no row has the pattern {pattern:?}"))
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

    /// The row that serves a path.
    ///
    /// The host appends a `/` to the path of a list. Any other operation on a path with a final `/` finds nothing: else it
    /// would be a second name of the same object, which a policy on the first would not cover.
    pub(crate) fn find<'p>(
        &self,
        operation: Operation,
        path: &'p str,
    ) -> Result<(&Path<B>, Captures<'p>), Error> {
        if let Some(plain) = path.strip_suffix('/')
            && let Some((row, captures)) = self.router.find(plain)
        {
            let row = &self.rows[row];
            if is_list(operation) && row.slots.iter().any(|slot| is_list(slot.operation)) {
                return Ok((row, captures));
            }
            if row.slots.iter().all(|slot| is_list(slot.operation)) {
                return Err(Error::UnsupportedOperation);
            }
        }
        // The tail of a path may end in a slash of its own.
        let (row, captures) = self.router.find(path).ok_or(Error::UnsupportedPath)?;
        Ok((&self.rows[row], captures))
    }

    /// The row whose help a path asks for.
    pub(crate) fn find_any(&self, path: &str) -> Result<&Path<B>, Error> {
        let found = self.router.find(path);
        let found = found.or_else(|| self.router.find(path.strip_suffix('/')?));
        found
            .map(|(row, _)| &self.rows[row])
            .ok_or(Error::UnsupportedPath)
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
                let lists = |slot: &Slot<B>| is_list(slot.operation);
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

fn is_list(operation: Operation) -> bool {
    matches!(operation, Operation::List | Operation::Scan)
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
