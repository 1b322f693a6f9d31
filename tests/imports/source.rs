//! What the source of a crate imports, as far as its `use` lines and written paths tell. It is no compiler: a method call has no
//! path, so what it reaches is not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A crate's modules. The first one is the crate root.
pub(crate) struct Source {
    /// Files as paths below the root's folder.
    files: Vec<String>,
    modules: Vec<Module>,
}

#[derive(Default)]
struct Module {
    file: usize,
    parent: usize,
    children: BTreeMap<String, usize>,
    /// What `use` binds here, with the path that was written.
    names: BTreeMap<String, Vec<String>>,
    /// Every path that is written here.
    paths: Vec<Vec<String>>,
}

/// What a path means: a module, or an item that stands in a module.
#[derive(Clone, Copy)]
enum Meant {
    Module(usize),
    Item(usize),
}

impl Source {
    /// Reads the crate whose root is the file `root` of `folder`, by `read`, which gives the text of the file at a path below the folder.
    /// Modules that only tests have are left out.
    pub(crate) fn read(root: &str, read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut source = Self {
            files: vec![root.to_owned()],
            modules: vec![Module::default()],
        };
        let text = read(root).unwrap_or_else(|| panic!("{root} cannot be read"));
        source.take_in(0, "", &tokens(&text), read);
        source
    }

    /// The arrows between files: who imports from whom. The crate root is neither.
    pub(crate) fn arrows(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (at, module) in self.modules.iter().enumerate() {
            if module.file == 0 {
                continue;
            }
            let targets = arrows.entry(&self.files[module.file]).or_default();
            for path in &module.paths {
                let Some(Meant::Module(meant) | Meant::Item(meant)) = self.resolve(at, path, 0)
                else {
                    continue;
                };
                let file = self.modules[meant].file;
                if file != 0 && file != module.file {
                    targets.insert(&self.files[file]);
                }
            }
        }
        arrows
    }

    /// Takes the tokens of one file into module `at`, whose own modules lie in `folder`.
    fn take_in(
        &mut self,
        at: usize,
        folder: &str,
        tokens: &[String],
        read: &dyn Fn(&str) -> Option<String>,
    ) {
        // Modules that stand open, each with its folder and the depth of braces at which it ends.
        let mut open = vec![(at, folder.to_owned(), 0)];
        let mut depth = 0;
        let mut next = 0;
        while let Some(token) = tokens.get(next) {
            let (module, folder) = {
                let (module, folder, _) = open.last().expect("the file's own module");
                (*module, folder.clone())
            };
            let following = tokens.get(next + 1).map(String::as_str);
            match token.as_str() {
                "#" if is_for_tests(&tokens[next..]) => next += length_of_item(&tokens[next..]),
                // A macro may have `mod $name`, which no file is named after.
                "mod" if following.is_some_and(is_name) => {
                    let name = following.unwrap_or_default().to_owned();
                    let child = self.modules.len();
                    self.modules.push(Module {
                        file: self.modules[module].file,
                        parent: module,
                        ..Module::default()
                    });
                    self.modules[module].children.insert(name.clone(), child);
                    let inside = format!("{folder}{name}/");
                    if tokens[next + 2] == "{" {
                        depth += 1;
                        open.push((child, inside, depth));
                    } else {
                        let (file, text) =
                            [format!("{folder}{name}.rs"), format!("{inside}mod.rs")]
                                .into_iter()
                                .find_map(|file| read(&file).map(|text| (file, text)))
                                .unwrap_or_else(|| panic!("no file has the module {folder}{name}"));
                        self.modules[child].file = self.files.len();
                        self.files.push(file);
                        self.take_in(child, &inside, &self::tokens(&text), read);
                    }
                    next += 3;
                }
                "use" if following != Some("<") => {
                    let end = next + 1 + tokens[next..].iter().take_while(|t| *t != ";").count();
                    let mut rest = tokens[next + 1..end].iter().map(String::as_str).peekable();
                    let module = &mut self.modules[module];
                    use_tree(&mut rest, &[], &mut |name, path| {
                        module.paths.push(path.clone());
                        module.names.insert(name, path);
                    });
                    next = end;
                }
                "in" if next > 0 && tokens[next - 1] == "(" => {
                    // `pub(in a::b)` says who may see, and imports nothing.
                    next += tokens[next..].iter().take_while(|t| *t != ")").count();
                }
                _ if is_name(token) && following == Some("::") => {
                    let mut path = vec![token.clone()];
                    next += 1;
                    while tokens.get(next).is_some_and(|t| t == "::")
                        && let Some(name) = tokens.get(next + 1).filter(|t| is_name(t))
                    {
                        path.push(name.clone());
                        next += 2;
                    }
                    self.modules[module].paths.push(path);
                    // What is left of a path such as `Vec::<u8>::new` is no path of its own.
                    if tokens.get(next).is_some_and(|t| t == "::") {
                        next += 1;
                    }
                }
                "::" if next > 0 && tokens[next - 1] == ">" => next += 2,
                "{" => {
                    depth += 1;
                    next += 1;
                }
                "}" => {
                    if open.last().is_some_and(|(_, _, ends)| *ends == depth) && depth > 0 {
                        open.pop();
                    }
                    depth -= 1;
                    next += 1;
                }
                _ => next += 1,
            }
        }
    }

    /// What `path`, written in the module `from`, means; nothing if it leads out of the crate.
    fn resolve(&self, from: usize, path: &[String], round: usize) -> Option<Meant> {
        // A name may be bound by way of others, but not for ever: `use jiff::{self}` binds itself.
        const ROUNDS: usize = 16;
        if round > ROUNDS {
            return None;
        }
        let mut at = from;
        for (step, name) in path.iter().enumerate() {
            let module = &self.modules[at];
            match name.as_str() {
                "crate" => at = 0,
                "self" => {}
                "super" => at = module.parent,
                _ => {
                    if let Some(child) = module.children.get(name) {
                        at = *child;
                    } else if let Some(bound) = module.names.get(name) {
                        match self.resolve(at, bound, round + 1) {
                            Some(Meant::Module(found)) => at = found,
                            other => return other,
                        }
                    } else {
                        return (step > 0).then_some(Meant::Item(at));
                    }
                }
            }
        }
        Some(Meant::Module(at))
    }
}

/// Reads one tree of a `use` line, and gives every name that it binds with its path.
fn use_tree<'a>(
    rest: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    before: &[String],
    found: &mut dyn FnMut(String, Vec<String>),
) {
    let mut path = before.to_vec();
    while let Some(token) = rest.next() {
        match token {
            "::" => {}
            "{" => {
                while rest.peek().is_some_and(|token| *token != "}") {
                    use_tree(rest, &path, found);
                    if rest.peek() == Some(&",") {
                        rest.next();
                    }
                }
                rest.next();
                return;
            }
            // What a star brings is not known by name; the module is.
            "*" => return found("*".to_owned(), path),
            "self" if !path.is_empty() => {}
            name => path.push(name.to_owned()),
        }
        match rest.peek() {
            Some(&"as") => {
                rest.next();
                let name = rest.next().expect("a name after `as`").to_owned();
                return found(name, path);
            }
            Some(&("," | "}" | ";")) | None => break,
            _ => {}
        }
    }
    if let Some(name) = path.last().cloned() {
        found(name, path);
    }
}

/// Whether an item begins here that only tests have.
fn is_for_tests(tokens: &[String]) -> bool {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.len() > ATTRIBUTE.len() && tokens.iter().zip(ATTRIBUTE).all(|(a, b)| a == b)
}

/// How many tokens an item has with its attributes: it ends with a semicolon, or with the brace that closes its body.
fn length_of_item(tokens: &[String]) -> usize {
    let mut depth = 0_usize;
    let is_use = tokens.get(7).is_some_and(|token| token == "use");
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 && token == "}" && !is_use {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The names and signs of Rust's text; comments, numbers and literals are left out.
fn tokens(text: &str) -> Vec<String> {
    let text: Vec<char> = text.chars().collect();
    let is = |at: usize, sign: char| text.get(at) == Some(&sign);
    let name_ends = |from: usize| {
        let more = text[from..]
            .iter()
            .take_while(|c| c.is_alphanumeric() || **c == '_');
        from + more.count()
    };
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&sign) = text.get(at) {
        match sign {
            '/' if is(at + 1, '/') => {
                at += text[at..].iter().take_while(|c| **c != '\n').count();
            }
            '/' if is(at + 1, '*') => at = after_comment(&text, at),
            '"' => at = after_string(&text, at),
            // A character, or a lifetime.
            '\'' if is(at + 1, '\\') => at = after_quote(&text, at + 3),
            '\'' if is(at + 2, '\'') => at += 3,
            '\'' => at = name_ends(at + 1),
            ':' if is(at + 1, ':') => {
                tokens.push("::".to_owned());
                at += 2;
            }
            _ if sign.is_ascii_digit() => at = name_ends(at),
            _ if sign.is_alphabetic() || sign == '_' => {
                let end = name_ends(at);
                let name: String = text[at..end].iter().collect();
                let raw = matches!(name.as_str(), "r" | "br" | "cr");
                let hashes = text[end..].iter().take_while(|c| **c == '#').count();
                if raw && is(end + hashes, '"') {
                    at = after_raw_string(&text, end + hashes + 1, hashes);
                } else if matches!(name.as_str(), "b" | "c") && is(end, '"') {
                    at = end;
                } else {
                    tokens.push(name);
                    at = end;
                }
            }
            _ => {
                if !sign.is_whitespace() {
                    tokens.push(sign.to_string());
                }
                at += 1;
            }
        }
    }
    tokens
}

fn after_comment(text: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < text.len() {
        match text[at..] {
            ['/', '*', ..] => {
                depth += 1;
                at += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn after_string(text: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

fn after_raw_string(text: &[char], from: usize, hashes: usize) -> usize {
    (from..text.len())
        .find(|at| {
            text[*at] == '"' && text[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes
        })
        .map_or(text.len(), |at| at + 1 + hashes)
}

fn after_quote(text: &[char], from: usize) -> usize {
    from + text[from..].iter().take_while(|c| **c != '\'').count() + 1
}

/// Reads files below `folder`.
pub(crate) fn files_of(folder: &Path) -> impl Fn(&str) -> Option<String> {
    move |file| std::fs::read_to_string(folder.join(file)).ok()
}
