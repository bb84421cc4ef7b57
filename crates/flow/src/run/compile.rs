//! From a definition to a program.

mod call;
mod data;
mod step;

use serde_json::Value as Json;

use super::program::{Expr, IR_VERSION, Program, Shaping, Step};
use crate::{
    Definition, Expression, expr, limits,
    problem::{Code, Path, Problem, Step as PathStep},
};

impl Program {
    /// Compiles a definition, or tells everything that keeps it from being run.
    ///
    /// All expressions and schemas are compiled to see whether they are right, and every name
    /// is resolved, so that nothing of this can fail later.
    pub fn compile(definition: &Definition) -> Result<Self, Vec<Problem>> {
        let mut compiler = Compiler::new(definition);
        let (input, output, timeout) = compiler.whole();
        compiler.check();
        let mut problems = compiler.problems;
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.at);
            problems.truncate(limits::PROBLEMS_MAX);
            return Err(problems);
        }
        let head = &definition.document.document;
        let secrets = compiler.components.and_then(|components| components.secrets.as_ref());
        Ok(Self {
            ir_version: IR_VERSION,
            namespace: head.namespace.to_string(),
            name: head.name.to_string(),
            version: head.version.to_string(),
            hash: definition.content_hash(),
            definition: data::json(&definition.document),
            secrets: secrets.into_iter().flatten().map(ToString::to_string).collect(),
            input,
            output,
            timeout,
            steps: compiler.steps,
            lists: compiler.lists,
        })
    }
}

/// The variables that every expression has.
const VARIABLES: [&str; 7] =
    ["context", "input", "output", "runtime", "secrets", "task", "workflow"];

/// What is under way.
struct Compiler<'a> {
    definition: &'a Definition,
    components: Option<&'a crate::Components>,
    /// Where the document is read.
    path: Path,
    /// Where steps are, if that is elsewhere: a path that stands for so many steps of the other.
    base: Option<(String, usize)>,
    /// The variables that are in scope.
    variables: Vec<String>,
    steps: Vec<Step>,
    lists: Vec<Vec<u32>>,
    expressions: Vec<Pending>,
    schemas: Vec<(Json, Path)>,
    problems: Vec<Problem>,
}

/// An expression that is still to be checked.
struct Pending {
    source: String,
    variables: Vec<String>,
    path: Path,
}

impl<'a> Compiler<'a> {
    fn new(definition: &'a Definition) -> Self {
        Self {
            definition,
            components: definition.document.components.as_ref(),
            path: Path::default(),
            base: None,
            variables: VARIABLES.iter().map(|name| (*name).to_owned()).collect(),
            steps: Vec::new(),
            lists: Vec::new(),
            expressions: Vec::new(),
            schemas: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Compiles what the workflow takes, does and gives.
    fn whole(&mut self) -> (Shaping, Shaping, Option<super::Delay>) {
        let document = &self.definition.document;
        let input = self.at("input", |c| c.input(document.input.as_ref()));
        self.at("do", |c| c.list(&document.tasks));
        let output = self.at("output", |c| c.output(document.output.as_ref()));
        let timeout = self.at("timeout", |c| c.timeout(document.timeout.as_ref()));
        (input, output, timeout)
    }

    /// Goes below a key.
    fn at<T>(&mut self, key: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        self.below(PathStep::Key(key.to_owned()), work)
    }

    /// Goes one step down.
    fn below<T>(&mut self, step: PathStep, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let made = work(self);
        self.path.pop();
        made
    }

    /// Has variables in scope.
    fn with_variables<T>(&mut self, names: &[&str], work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.variables.clone();
        for name in names {
            if !self.variables.iter().any(|known| known == name) {
                self.variables.push((*name).to_owned());
            }
        }
        let made = work(self);
        self.variables = before;
        made
    }

    /// Notes a problem at the place where the document is read.
    fn problem(&mut self, code: Code, message: impl Into<String>, hint: &str) {
        let path = self.path.clone();
        self.problem_at(&path, code, message, hint);
    }

    fn problem_at(&mut self, path: &Path, code: Code, message: impl Into<String>, hint: &str) {
        self.problems.push(Problem {
            severity: code.severity(),
            code,
            at: self.definition.locate(path),
            path: path.to_string(),
            message: message.into(),
            hint: hint.to_owned(),
        });
    }

    /// Gives the path of the step that is read.
    fn step_path(&self) -> String {
        match &self.base {
            None => self.path.to_string(),
            Some((base, steps)) => {
                let mut rest = Path::default();
                for step in self.path.steps().iter().skip(*steps) {
                    rest.push(step.clone());
                }
                format!("{base}{rest}")
            }
        }
    }

    fn expression(&mut self, expression: &Expression) -> Expr {
        let source = expression.source().to_owned();
        let mut uses = variables_in(&source);
        uses.retain(|name| self.variables.iter().any(|known| known == name));
        if uses.iter().any(|name| name == "secrets") && !self.has_secrets() {
            let message = "the expression uses $secrets, and no secrets are declared";
            self.problem(Code::UnknownReference, message, "name them below \"use\", \"secrets\"");
        }
        self.expressions.push(Pending {
            source: source.clone(),
            variables: self.variables.clone(),
            path: self.path.clone(),
        });
        Expr { source, uses }
    }

    fn has_secrets(&self) -> bool {
        self.components.is_some_and(|components| components.secrets.is_some())
    }

    /// Compiles all expressions and schemas, on a stack that is deep enough.
    fn check(&mut self) {
        let (expressions, schemas) = (&self.expressions, &self.schemas);
        let found = expr::deep(|| {
            let of_expression = |one: &Pending| expr::check(&one.source, &one.variables);
            let expressions: Vec<_> = expressions.iter().map(of_expression).collect();
            let schemas: Vec<_> =
                schemas.iter().map(|(schema, _)| expr::check_schema(schema)).collect();
            (expressions, schemas)
        });
        let Some((expressions, schemas)) = found else {
            let message = "the expressions could not be compiled";
            return self.problem(Code::BadExpression, message, "make them simpler");
        };
        let pending = std::mem::take(&mut self.expressions);
        for (pending, wrong) in pending.into_iter().zip(expressions) {
            if let Some(why) = wrong {
                let message = format!("the expression cannot be compiled: {why}");
                self.problem_at(&pending.path, Code::BadExpression, message, "write it in jq");
            }
        }
        for ((_, path), wrong) in std::mem::take(&mut self.schemas).into_iter().zip(schemas) {
            if let Some(why) = wrong {
                let message = format!("the JSON Schema cannot be used: {why}");
                self.problem_at(&path, Code::BadValue, message, "correct the schema");
            }
        }
    }
}

/// Finds all names after dollar signs, those that the expression itself binds included.
fn variables_in(source: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for part in source.split('$').skip(1) {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = part.get(..end.unwrap_or(part.len())).unwrap_or_default();
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
