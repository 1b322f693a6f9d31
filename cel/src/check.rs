//! Whether a program's main expression makes sense before any request: names that are not there, messages without such a field, functions that
//! take no such values (cel-go: `checker`). What is known only of a request is left to it. Expressions of variables are not checked, as in the
//! built-in engine.

mod functions;
mod types;

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapExpr, SelectExpr,
    SourceInfo, StructExpr, operators,
};

use self::functions::FUNCTIONS;
use self::types::Kind;
use crate::environment;
use crate::messages::Message;
use crate::names::{self, CONTAINER};
use crate::source::{self, Parsed};

/// Checks an expression that may use these variables beside those that every program has.
///
/// It must run in a [room](crate::room).
///
/// # Errors
/// The text names each place.
pub(crate) fn check(source: &str, parsed: &Parsed, variables: &[&str]) -> Result<(), String> {
    let taken = variables.iter().find(|name| {
        let mut given = given().into_iter();
        given.any(|(given, kind)| given == **name && kind != Kind::Dyn)
    });
    if let Some(name) = taken {
        return Err(format!(
            "ERROR: <input>:-1:0: overlapping identifier for name '{name}'"
        ));
    }
    let own = variables.iter().map(|name| ((*name).to_owned(), Kind::Dyn));
    let mut checker = Checker {
        source,
        places: &parsed.places,
        scope: own.chain(given()).collect(),
        faults: Vec::new(),
    };
    checker.kind(&parsed.tree);
    let mut faults = checker.faults;
    if faults.is_empty() {
        return Ok(());
    }
    faults.sort();
    faults.dedup();
    let places = faults
        .into_iter()
        .map(|(line, column, text)| source::place(source, line, column, &text));
    Err(places.collect::<Vec<_>>().join("\n"))
}

/// The variables that every program has.
fn given() -> Vec<(String, Kind)> {
    let object = || Kind::map(Kind::Text, Kind::Dyn);
    [
        ("request", object()),
        ("now", Kind::Timestamp),
        ("use_csr", Kind::Bool),
        ("parsed_csr", object()),
        ("client_token", Kind::Dyn),
        ("entity_id", Kind::Text),
        ("entity_groups", Kind::list(Kind::Dyn)),
        ("entity_info", object()),
    ]
    .map(|(name, kind)| (name.to_owned(), kind))
    .into()
}

struct Checker<'a> {
    source: &'a str,
    places: &'a SourceInfo,
    /// The innermost last, but for those of the program, which all have names of their own.
    scope: Vec<(String, Kind)>,
    faults: Vec<(usize, usize, String)>,
}

impl Checker<'_> {
    fn fault(&mut self, id: u64, text: String) -> Kind {
        let (line, column) = self.position(id);
        self.faults.push((line, column, text));
        Kind::Dyn
    }

    /// Line and column of a node, in code points from 1.
    fn position(&self, id: u64) -> (usize, usize) {
        let at = self.places.offset_for(id).map_or(0, |(start, _)| start);
        let at = usize::try_from(at).unwrap_or_default();
        let (mut line, mut column) = (1, 1);
        let before = self
            .source
            .char_indices()
            .take_while(|(octet, _)| *octet < at);
        for (_, c) in before {
            column += 1;
            if c == '\n' {
                (line, column) = (line + 1, 1);
            }
        }
        (line, column)
    }

    fn undeclared(&mut self, id: u64, name: &str) -> Kind {
        self.fault(
            id,
            format!("undeclared reference to '{name}' (in container '{CONTAINER}')"),
        )
    }

    fn kind(&mut self, tree: &IdedExpr) -> Kind {
        match &tree.expr {
            Expr::Unspecified => Kind::Dyn,
            Expr::Literal(literal) => of_literal(literal),
            Expr::Ident(name) => match self.named(name) {
                Some(kind) => kind,
                None => self.undeclared(tree.id, name),
            },
            Expr::Select(select) => self.select(tree.id, select),
            Expr::Call(call) => self.call(tree.id, call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(map),
            Expr::Struct(message) => self.message(tree.id, message),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    /// What a name stands for: a variable, a number, or a type.
    fn named(&self, name: &str) -> Option<Kind> {
        names::candidates(name).iter().find_map(|full| {
            let variable = self.scope.iter().rev().find(|(known, _)| known == full);
            if let Some((_, kind)) = variable {
                return Some(kind.clone());
            }
            if environment::numbers().any(|(known, _)| known == *full) {
                return Some(Kind::Int);
            }
            if let Some(message) = Message::find(full) {
                return Some(Kind::of_type(Kind::Message(message.name)));
            }
            let simple = Kind::named(full).filter(|kind| {
                *kind != Kind::Dyn && !matches!(full.as_str(), "timestamp" | "duration")
            });
            simple.map(Kind::of_type)
        })
    }

    fn select(&mut self, id: u64, select: &SelectExpr) -> Kind {
        if !select.test
            && let Some(name) = dotted(&select.operand)
            && let Some(kind) = self.named(&format!("{name}.{}", select.field))
        {
            return kind;
        }
        let operand = self.kind(&select.operand);
        let field = self.field(id, &operand, &select.field);
        if select.test { Kind::Bool } else { field }
    }

    fn field(&mut self, id: u64, operand: &Kind, name: &str) -> Kind {
        match operand {
            Kind::Dyn => Kind::Dyn,
            Kind::Map(_, values) => (**values).clone(),
            Kind::Optional(of) => match self.field(id, of, name) {
                field @ Kind::Optional(_) => field,
                field => Kind::optional(field),
            },
            Kind::Message(message) => {
                match Message::find(message).and_then(|message| message.field(name)) {
                    Some(field) => Kind::of_field(field),
                    None => self.fault(id, format!("undefined field '{name}'")),
                }
            }
            other => {
                let text = format!("type '{other}' does not support field selection");
                self.fault(id, text)
            }
        }
    }

    fn call(&mut self, id: u64, call: &CallExpr) -> Kind {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, one, other]) => {
                let kinds = [condition, one, other].map(|tree| self.kind(tree));
                if !kinds[0].fits(&Kind::Bool, &mut Vec::new()) {
                    self.no_overload(id, operators::CONDITIONAL, false, &kinds);
                }
                return Kind::Dyn;
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [one, other]) => {
                self.wanted(one, &Kind::Bool);
                self.wanted(other, &Kind::Bool);
                return Kind::Bool;
            }
            (operators::OPT_SELECT, [operand, name]) => {
                let operand = self.kind(operand);
                let Expr::Literal(LiteralValue::String(name)) = &name.expr else {
                    return Kind::Dyn;
                };
                return match self.field(id, &operand, name.inner()) {
                    field @ Kind::Optional(_) => field,
                    field => Kind::optional(field),
                };
            }
            _ => {}
        }
        let target = match &call.target {
            None => None,
            Some(target) => {
                let full = dotted(target).map(|name| format!("{name}.{}", call.func_name));
                if let Some(full) = full.filter(|full| FUNCTIONS.contains_key(full.as_str())) {
                    return self.applied(id, &full, None, &call.args);
                }
                Some(self.kind(target))
            }
        };
        self.applied(id, &call.func_name, target, &call.args)
    }

    /// Reports an expression that is of another type.
    fn wanted(&mut self, tree: &IdedExpr, wanted: &Kind) {
        let found = self.kind(tree);
        if !found.fits(wanted, &mut Vec::new()) {
            self.fault(
                tree.id,
                format!("expected type '{wanted}' but found '{found}'"),
            );
        }
    }

    fn applied(
        &mut self,
        id: u64,
        name: &str,
        target: Option<Kind>,
        arguments: &[IdedExpr],
    ) -> Kind {
        let member = target.is_some();
        let mut given: Vec<Kind> = target.into_iter().collect();
        for argument in arguments {
            given.push(self.kind(argument));
        }
        let Some(signatures) = FUNCTIONS.get(name) else {
            return self.undeclared(id, name);
        };
        let mut result: Option<Kind> = None;
        for signature in signatures {
            if signature.member != member || signature.arguments.len() != given.len() {
                continue;
            }
            let mut open = Vec::new();
            let mut pairs = given.iter().zip(&signature.arguments);
            if pairs.all(|(given, wanted)| given.fits(wanted, &mut open)) {
                let found = signature.result.filled(&open);
                result = Some(match result {
                    Some(before) => before.joined(&found),
                    None => found,
                });
            }
        }
        result.unwrap_or_else(|| self.no_overload(id, name, member, &given))
    }

    fn no_overload(&mut self, id: u64, name: &str, member: bool, given: &[Kind]) -> Kind {
        let texts: Vec<String> = given.iter().map(ToString::to_string).collect();
        let applied = match texts.split_first() {
            Some((target, rest)) if member => format!("{target}.({})", rest.join(", ")),
            _ => format!("({})", texts.join(", ")),
        };
        self.fault(
            id,
            format!("found no matching overload for '{name}' applied to '{applied}'"),
        )
    }

    fn list(&mut self, list: &ListExpr) -> Kind {
        let mut of: Option<Kind> = None;
        for (at, element) in list.elements.iter().enumerate() {
            let mut kind = self.kind(element);
            if list.optional_indices.contains(&at)
                && let Kind::Optional(inner) = kind
            {
                kind = *inner;
            }
            of = Some(of.map_or_else(|| kind.clone(), |of| of.joined(&kind)));
        }
        Kind::list(of.unwrap_or(Kind::Dyn))
    }

    fn map(&mut self, map: &MapExpr) -> Kind {
        let mut of: Option<(Kind, Kind)> = None;
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                continue;
            };
            let (key, value) = (self.kind(&entry.key), self.kind(&entry.value));
            of = Some(match of {
                None => (key, value),
                Some((keys, values)) => (keys.joined(&key), values.joined(&value)),
            });
        }
        let (keys, values) = of.unwrap_or((Kind::Dyn, Kind::Dyn));
        Kind::map(keys, values)
    }

    fn message(&mut self, id: u64, built: &StructExpr) -> Kind {
        let found = names::candidates(&built.type_name);
        let found = found.iter().find_map(|full| Message::find(full));
        if found.is_none() && is_timestamp(&built.type_name) {
            return Kind::Timestamp;
        }
        let Some(message) = found else {
            return self.undeclared(id, &built.type_name);
        };
        for entry in &built.entries {
            let EntryExpr::StructField(field) = &entry.expr else {
                continue;
            };
            let given = self.kind(&field.value);
            let Some(known) = message.field(&field.field) else {
                self.fault(entry.id, format!("undefined field '{}'", field.field));
                continue;
            };
            let wanted = Kind::of_field(known);
            let given = match given {
                Kind::Optional(inner) if field.optional => *inner,
                given => given,
            };
            if !given.fits(&wanted, &mut Vec::new()) {
                let text = format!(
                    "expected type of field '{}' is '{wanted}' but provided type is '{given}'",
                    field.field
                );
                self.fault(entry.id, text);
            }
        }
        Kind::Message(message.name)
    }

    fn comprehension(&mut self, one: &ComprehensionExpr) -> Kind {
        let range = self.kind(&one.iter_range);
        let element = match &range {
            Kind::List(of) => (**of).clone(),
            Kind::Map(keys, _) => (**keys).clone(),
            Kind::Dyn => Kind::Dyn,
            other => {
                let text = format!(
                    "expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)"
                );
                self.fault(one.iter_range.id, text)
            }
        };
        let gathered = self.kind(&one.accu_init);
        let before = self.scope.len();
        self.scope.push((one.accu_var.clone(), gathered.clone()));
        self.scope.push((one.iter_var.clone(), element));
        self.kind(&one.loop_cond);
        let step = self.kind(&one.loop_step);
        self.scope.truncate(before);
        // A list that began empty holds what the steps put in.
        let gathered = match (gathered, step) {
            (Kind::List(of), step @ Kind::List(_)) if *of == Kind::Dyn => step,
            (gathered, _) => gathered,
        };
        self.scope.push((one.accu_var.clone(), gathered));
        let result = self.kind(&one.result);
        self.scope.truncate(before);
        result
    }
}

fn of_literal(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Bytes(_) => Kind::Octets,
        LiteralValue::Double(_) => Kind::Double,
        LiteralValue::Int(_) => Kind::Int,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::UInt(_) => Kind::Uint,
    }
}

fn is_timestamp(name: &str) -> bool {
    name.trim_start_matches('.') == "google.protobuf.Timestamp"
}

/// The name that an identifier with fields spells.
fn dotted(tree: &IdedExpr) -> Option<String> {
    match &tree.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{}", dotted(&select.operand)?, select.field))
        }
        _ => None,
    }
}

/// Whether all functions and messages of an expression are there, which is looked at before it is evaluated.
///
/// # Errors
/// Names the first that is not.
pub(crate) fn known(tree: &IdedExpr) -> Result<(), String> {
    match &tree.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => Ok(()),
        Expr::Select(select) => known(&select.operand),
        Expr::Call(call) => {
            let name = &call.func_name;
            let full = call
                .target
                .as_deref()
                .and_then(dotted)
                .map(|target| format!("{target}.{name}"));
            let is_there = |name: &str| {
                FUNCTIONS.contains_key(name)
                    || name == operators::CONDITIONAL
                    || [
                        operators::LOGICAL_AND,
                        operators::LOGICAL_OR,
                        operators::OPT_SELECT,
                    ]
                    .contains(&name)
            };
            if let Some(full) = full.filter(|full| is_there(full)) {
                debug_assert!(full.contains('.'), "{full}");
            } else {
                if !is_there(name) {
                    return Err(format!("no such overload: {name}()"));
                }
                call.target.as_deref().map_or(Ok(()), known)?;
            }
            call.args.iter().try_for_each(known)
        }
        Expr::List(list) => list.elements.iter().try_for_each(known),
        Expr::Map(map) => map
            .entries
            .iter()
            .try_for_each(|one| known_entry(&one.expr)),
        Expr::Struct(message) => {
            let name = &message.type_name;
            if !names::candidates(name)
                .iter()
                .any(|full| Message::find(full).is_some())
            {
                return Err(format!("unknown type: {name}"));
            }
            message
                .entries
                .iter()
                .try_for_each(|one| known_entry(&one.expr))
        }
        Expr::Comprehension(one) => [
            &one.iter_range,
            &one.accu_init,
            &one.loop_cond,
            &one.loop_step,
            &one.result,
        ]
        .into_iter()
        .try_for_each(known),
    }
}

fn known_entry(entry: &EntryExpr) -> Result<(), String> {
    match entry {
        EntryExpr::StructField(field) => known(&field.value),
        EntryExpr::MapEntry(entry) => known(&entry.key).and_then(|()| known(&entry.value)),
    }
}
