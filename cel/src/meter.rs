//! Puts counts into a tree: around whatever comes to a value of its own size. Calls of functions without a bound become calls of ours.

use std::mem;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, operators};

use crate::functions::{COUNT, REPLACED};

/// Counts what `tree` does.
pub(crate) fn meter(tree: &mut IdedExpr) {
    within(tree, &[]);
}

/// `hidden` are the variables in which comprehensions gather their results: those are counted when they are complete.
fn within(tree: &mut IdedExpr, hidden: &[&str]) {
    let counts = match &mut tree.expr {
        Expr::Unspecified | Expr::Literal(_) => false,
        Expr::Ident(name) => !hidden.contains(&name.as_str()),
        Expr::Select(select) => {
            // A name with dots is looked up as a whole.
            if !is_name(&select.operand) {
                within(&mut select.operand, hidden);
            }
            !select.test
        }
        Expr::Call(call) => self::call(call, hidden),
        Expr::List(list) => {
            list.elements.iter_mut().for_each(|one| within(one, hidden));
            true
        }
        Expr::Map(map) => {
            map.entries
                .iter_mut()
                .for_each(|one| entry(&mut one.expr, hidden));
            true
        }
        Expr::Struct(message) => {
            message
                .entries
                .iter_mut()
                .for_each(|one| entry(&mut one.expr, hidden));
            true
        }
        Expr::Comprehension(comprehension) => {
            self::comprehension(comprehension, hidden);
            true
        }
    };
    if counts {
        wrap(tree);
    }
}

fn entry(entry: &mut EntryExpr, hidden: &[&str]) {
    match entry {
        EntryExpr::StructField(field) => within(&mut field.value, hidden),
        EntryExpr::MapEntry(entry) => {
            within(&mut entry.key, hidden);
            within(&mut entry.value, hidden);
        }
    }
}

/// Whether the value of the call is to be counted.
fn call(call: &mut CallExpr, hidden: &[&str]) -> bool {
    // `math.greatest` is a name, `request.x` may be one.
    let qualified = call.target.as_deref().is_some_and(is_namespace);
    if let Some(target) = call.target.as_mut().filter(|_| !qualified) {
        within(target, hidden);
    }
    // A list that grows by one element stays in the form that is extended in place.
    let grows = call.func_name == operators::ADD
        && matches!(call.args.as_slice(), [first, _] if gathers(first, hidden));
    if grows {
        match &mut call.args[1].expr {
            Expr::List(list) => list.elements.iter_mut().for_each(|one| within(one, hidden)),
            _ => within(&mut call.args[1], hidden),
        }
        return false;
    }
    call.args.iter_mut().for_each(|one| within(one, hidden));
    let replaced = REPLACED.iter().find(|(name, _)| *name == call.func_name);
    if let Some((_, name)) = replaced.filter(|_| !qualified) {
        (*name).clone_into(&mut call.func_name);
    }
    let logical = [
        operators::CONDITIONAL,
        operators::LOGICAL_AND,
        operators::LOGICAL_OR,
        operators::LOGICAL_NOT,
        operators::NOT_STRICTLY_FALSE,
    ];
    !logical.contains(&call.func_name.as_str())
}

fn comprehension(one: &mut ComprehensionExpr, hidden: &[&str]) {
    within(&mut one.iter_range, hidden);
    // What `sortBy` binds to a name is a value as others are.
    let gathered = one.accu_var.clone();
    if !matches!(one.accu_init.expr, Expr::List(_)) {
        within(&mut one.accu_init, hidden);
    }
    let mut inner = hidden.to_vec();
    inner.push(&gathered);
    within(&mut one.loop_cond, &inner);
    within(&mut one.loop_step, &inner);
    within(&mut one.result, &inner);
}

fn gathers(tree: &IdedExpr, hidden: &[&str]) -> bool {
    matches!(&tree.expr, Expr::Ident(name) if hidden.contains(&name.as_str()))
}

/// Whether it is an identifier, or fields of one.
fn is_name(tree: &IdedExpr) -> bool {
    match &tree.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => !select.test && is_name(&select.operand),
        _ => false,
    }
}

/// Whether functions have names that begin so.
fn is_namespace(tree: &IdedExpr) -> bool {
    const NAMESPACES: &[&str] = &[
        "base64", "lists", "math", "optional", "regex", "sets", "strings",
    ];
    matches!(&tree.expr, Expr::Ident(name) if NAMESPACES.contains(&name.as_str()))
}

fn wrap(tree: &mut IdedExpr) {
    let id = tree.id;
    let inner = mem::take(tree);
    *tree = IdedExpr {
        id,
        expr: Expr::Call(CallExpr {
            func_name: COUNT.to_owned(),
            target: None,
            args: vec![inner],
        }),
    };
}
