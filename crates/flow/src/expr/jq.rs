//! jq, by jaq, without the functions that reach outside.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
};

use jaq_core::{
    Compiler, Ctx, Filter, Vars, data,
    load::{Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Val, read, write};
use serde_json::Value as Json;

use super::normal;
use crate::limits;

/// Functions of jq that expressions do not have: they reach out of the expression, or differ from
/// one moment or machine to the next.
pub const FUNCTIONS_REFUSED: [&str; 14] = [
    "debug",
    "debug_empty",
    "env",
    "halt",
    "halt_error",
    "input",
    "input_filename",
    "input_line_number",
    "inputs",
    "localtime",
    "now",
    "stderr",
    "stderr_empty",
    "strflocaltime",
];

/// How many compiled filters are kept.
const KEPT_MAX: usize = 512;

/// The stack on which expressions are compiled: enough for the deepest that 4 KiB can nest.
const STACK_BYTES: usize = 256 << 20;

type Data = data::JustLut<Val>;

/// Lists the functions that expressions have, each with the number of its arguments.
pub fn functions() -> Vec<String> {
    let natives = natives().map(|(name, arguments, _)| format!("{name}/{}", arguments.len()));
    let defined = definitions().map(|def| format!("{}/{}", def.name, def.args.len()));
    let mut all: Vec<String> = natives.chain(defined).collect();
    all.sort();
    all.dedup();
    all
}

fn natives() -> impl Iterator<Item = jaq_core::native::Fun<Data>> {
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, ..)| !FUNCTIONS_REFUSED.contains(name))
}

fn definitions() -> impl Iterator<Item = jaq_core::load::parse::Def<&'static str>> {
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    all.filter(|def| !FUNCTIONS_REFUSED.contains(&def.name))
}

/// Gives what is wrong with an expression that can see these variables.
pub(crate) fn check(source: &str, variables: &[String]) -> Option<String> {
    compile(source, variables.iter().map(String::as_str)).err()
}

/// Does something that goes as deep as an expression nests, on a stack that is enough for it.
pub(crate) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.ok()?.join().ok()
    })
}

fn compile<'a>(
    source: &str,
    variables: impl Iterator<Item = &'a str>,
) -> Result<Filter<Data>, String> {
    let names: Vec<String> = variables.map(|name| format!("${name}")).collect();
    let arena = Arena::default();
    let loader = Loader::new(definitions());
    let modules = loader
        .load(&arena, File { code: source, path: () })
        .map_err(|errors| load_error(source, &errors))?;
    let compiler =
        Compiler::default().with_funs(natives()).with_global_vars(names.iter().map(String::as_str));
    compiler.compile(modules).map_err(|errors| {
        let first = errors.iter().flat_map(|(_, errors)| errors).next();
        match first {
            Some((name, undefined)) => format!("the {} {name} is not known", undefined.as_str()),
            None => "it cannot be compiled".to_owned(),
        }
    })
}

fn load_error(source: &str, errors: &jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::Error;
    let place = |part: &str| match part {
        "" => "at its end".to_owned(),
        part => {
            let at = jaq_core::load::span(source, part).start;
            let word: String = part.chars().take(20).collect();
            format!(
                "at character {} ({word:?})",
                source.get(..at).map_or(0, |s| s.chars().count()) + 1
            )
        }
    };
    let first = errors.iter().map(|(_, error)| error).next();
    match first {
        Some(Error::Io(_)) => "it cannot import anything".to_owned(),
        Some(Error::Lex(errors)) => errors.first().map_or_else(String::new, |(wanted, found)| {
            format!("{} is missing {}", wanted.as_str(), place(found))
        }),
        Some(Error::Parse(errors)) => errors.first().map_or_else(String::new, |(wanted, found)| {
            format!("{} is missing {}", wanted.as_str(), place(found))
        }),
        None => "it is not jq".to_owned(),
    }
}

/// Compiled filters, by source and names of variables.
#[derive(Default)]
pub(super) struct Filters {
    kept: HashMap<(String, Vec<String>), Filter<Data>>,
}

impl Filters {
    /// Gives the first output of an expression; without one, nothing.
    pub(super) fn evaluate(
        &mut self,
        source: &str,
        input: &Json,
        variables: &BTreeMap<String, Json>,
    ) -> Result<Json, String> {
        crate::expression::measure(source).map_err(|(_, why, _)| why)?;
        let values = variables.values().map(to_val).collect::<Result<Vec<_>, _>>()?;
        let input = to_val(input)?;
        let names: Vec<String> = variables.keys().cloned().collect();
        let key = (source.to_owned(), names);
        if self.kept.len() >= KEPT_MAX {
            self.kept.clear();
        }
        let filter = match self.kept.entry(key) {
            std::collections::hash_map::Entry::Occupied(kept) => kept.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                let filter = compile(source, variables.keys().map(String::as_str))?;
                free.insert(filter)
            }
        };
        let ctx = Ctx::<Data>::new(&filter.lut, Vars::new(values));
        match filter.id.run((ctx, input)).next().map(unwrap_valr) {
            None => Ok(Json::Null),
            Some(Ok(value)) => from_val(&value),
            Some(Err(error)) => Err(shortened(&error.to_string())),
        }
    }
}

fn to_val(value: &Json) -> Result<Val, String> {
    let bytes = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    read::parse_single(&bytes).map_err(|error| error.to_string())
}

fn from_val(value: &Val) -> Result<Json, String> {
    let mut text = Bounded(Vec::new());
    let form = write::Pp::default();
    if write::write(&mut text, &form, 0, value).is_err() {
        return Err(format!("it gives more than {} bytes", limits::VALUE_BYTES_MAX));
    }
    serde_json::from_slice(&text.0)
        .map(normal)
        .map_err(|_| "it gives something that JSON cannot say".to_owned())
}

/// Keeps an error that shows a whole value readable.
fn shortened(text: &str) -> String {
    const MAX: usize = 500;
    match text.char_indices().nth(MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Takes as many bytes as a value may have.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > limits::VALUE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
