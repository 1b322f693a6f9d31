//! A program: variables in their order, and the expression whose value decides.

#[cfg(test)]
mod tests;

use cel::{Context, ExecutionError, IdedExpr, Value};

use crate::check::{self, check};
use crate::fault::{Fault, explain};
use crate::functions::times;
use crate::input::{self, Inputs, Numbers};
use crate::output::{self, Wanted};
use crate::room::with_room;
use crate::{budget, environment, meter, source};

/// Most variables of a program.
const MAX_VARIABLES: usize = 1000;

/// A program as an operator wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Evaluated one after the other; each may use those before it.
    pub variables: Vec<Variable>,
    /// Its value decides on the request.
    pub expression: String,
}

/// A variable of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variable {
    /// What expressions behind it call it.
    pub name: String,
    /// What it is worth.
    pub expression: String,
}

/// A program that was parsed, to be run for any number of requests.
#[derive(Debug)]
pub struct Compiled {
    variables: Vec<(String, Expression)>,
    main: Expression,
}

#[derive(Debug)]
struct Expression {
    source: String,
    /// What is wrong with it is told when it is its turn.
    tree: Result<IdedExpr, String>,
}

impl Program {
    /// Whether the program can be stored: the syntax of all of it, and the types of the main expression as far as they are known.
    ///
    /// # Errors
    /// What is wrong with it, in the words of the built-in engine.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_size()?;
        with_room(|| {
            for (at, variable) in self.variables.iter().enumerate() {
                let name = &variable.name;
                source::parse(&variable.expression).map_err(|why| {
                    Fault::new(format!(
                        "failed to validate variables: variable[{at}].{name}: failed to validate: invalid CEL syntax for variable '{name}': {why}"
                    ))
                })?;
            }
            let parsed = source::parse(&self.expression).map_err(|why| {
                Fault::new(format!("invalid CEL syntax for main expression: {why}"))
            })?;
            let names: Vec<_> = self.variables.iter().map(|one| one.name.as_str()).collect();
            check(&self.expression, &parsed, &names)
                .map_err(|why| Fault::new(format!("error type-checking CEL MainProgram: {why}")))
        })?
    }

    fn check_size(&self) -> Result<(), Fault> {
        if self.variables.len() > MAX_VARIABLES {
            return Err(Fault::new(format!(
                "the program has {} variables, and at most {MAX_VARIABLES} are taken",
                self.variables.len()
            )));
        }
        Ok(())
    }

    /// Parses the program. What is wrong with an expression is told when a run comes to it.
    ///
    /// # Errors
    /// The program is too large.
    pub fn compile(&self) -> Result<Compiled, Fault> {
        self.check_size()?;
        with_room(|| Compiled {
            variables: self
                .variables
                .iter()
                .map(|one| (one.name.clone(), Expression::new(&one.expression)))
                .collect(),
            main: Expression::new(&self.expression),
        })
    }
}

impl Compiled {
    /// Decides on a request.
    ///
    /// # Errors
    /// The program refuses, in its own words where it has some; it cannot be evaluated; or it says what no certificate can be.
    pub fn run(&self, inputs: &Inputs<'_>) -> Result<Wanted, Fault> {
        with_room(|| {
            budget::begin(inputs.given_up.clone());
            let result = self.evaluate(inputs);
            let result = if budget::is_spent() {
                Err(Fault::new(budget::SPENT))
            } else {
                result
            };
            let value = result.map_err(|fault| fault.within("error evaluating mainProgram"))?;
            output::read(value)
        })?
    }

    fn evaluate(&self, inputs: &Inputs<'_>) -> Result<Value, Fault> {
        let mut context = given(inputs)?;
        for (at, (name, expression)) in self.variables.iter().enumerate() {
            let value = expression.evaluate(&context).map_err(|why| {
                Fault::new(format!(
                    "failed to evaluate variables: variable[{at}].{name}: {why}"
                ))
            })?;
            context.add_variable_from_value(name.as_str(), value);
        }
        self.main
            .evaluate(&context)
            .map_err(|why| Fault::new(format!("failed to evaluate expression: {why}")))
    }
}

impl Expression {
    fn new(text: &str) -> Self {
        let tree = source::check_size(text)
            .and_then(|()| {
                source::parse(text)
                    .map_err(|why| format!("invalid CEL syntax for expression {text:?}: {why}"))
            })
            .and_then(|parsed| {
                let mut tree = parsed.tree;
                check::known(&tree)
                    .map_err(|why| format!("failed to compile expression {text:?}: {why}"))?;
                meter::meter(&mut tree);
                Ok(tree)
            });
        Self {
            source: text.to_owned(),
            tree,
        }
    }

    fn evaluate(&self, context: &Context<'_, '_>) -> Result<Value, String> {
        let tree = self.tree.as_ref().map_err(Clone::clone)?;
        let told = |why: &ExecutionError| {
            format!(
                "failed to evaluate expression {:?}: {}",
                self.source,
                explain(why)
            )
        };
        Value::resolve(tree, context)
            .map(plain)
            .map_err(|why| told(&why))
    }
}

/// A value as it is handed on: without its optional, as in the built-in engine.
fn plain(value: Value) -> Value {
    if let Value::Opaque(opaque) = &value
        && let Some(optional) = opaque.downcast_ref::<cel::objects::OptionalValue>()
    {
        return optional.value().cloned().map_or(Value::Null, plain);
    }
    value
}

fn given(inputs: &Inputs<'_>) -> Result<Context<'static, 'static>, Fault> {
    let mut context = environment::context();
    let request = serde_json::Value::Object(inputs.request.clone());
    context.add_variable_as_val("request", input::value(&request, Numbers::AsWritten));
    context.add_variable_from_value("use_csr", inputs.csr.is_some());
    let now = times::to_cel(inputs.now).ok_or_else(|| Fault::new("the time is out of range"))?;
    context.add_variable_as_val("now", Box::new(now));
    if let Some(csr) = inputs.csr {
        context.add_variable_as_val("parsed_csr", input::csr(csr));
    }
    Ok(context)
}
