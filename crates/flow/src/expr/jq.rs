//! jq, by jaq, without the functions that reach outside.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{self, Write},
    sync::LazyLock,
};

use jaq_core::{
    Compiler, Ctx, Filter, Vars, data,
    load::{Arena, File, Loader, parse::Def},
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

fn definitions() -> impl Iterator<Item = Def<&'static str>> {
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

/// A definition of jq's own, with the places of those that it may call.
struct Known {
    def: Def<&'static str>,
    calls: Vec<usize>,
}

/// All definitions, in their order: a later one sees those before it.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let all: Vec<_> = definitions().collect();
    let known = |def: &Def<&'static str>| {
        // What a term prints of itself has the names that it calls.
        let calls = places(all.iter(), &format!("{:?}", def.body));
        Known { def: def.clone(), calls }
    };
    all.iter().map(known).collect()
});

/// Gives the places of the definitions whose names stand in a text.
fn places<'a>(all: impl Iterator<Item = &'a Def<&'static str>>, text: &str) -> Vec<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '@');
    let words: HashSet<&str> = text.split(|c| !is_part(c)).collect();
    let named = |(_, def): &(usize, &Def<_>)| words.contains(def.name);
    all.enumerate().filter(named).map(|(place, _)| place).collect()
}

/// Gives the definitions that an expression needs, as far as its words tell.
fn needed(source: &str) -> impl Iterator<Item = Def<&'static str>> {
    // `..` is a call that has no word.
    let mut open = places(KNOWN.iter().map(|known| &known.def), &format!("{source} recurse"));
    let mut is_needed = vec![false; KNOWN.len()];
    while let Some(place) = open.pop() {
        if let (Some(mark), Some(known)) = (is_needed.get_mut(place), KNOWN.get(place))
            && !std::mem::replace(mark, true)
        {
            open.extend(&known.calls);
        }
    }
    let marked = KNOWN.iter().zip(is_needed).filter(|(_, is_needed)| *is_needed);
    marked.map(|(known, _)| known.def.clone())
}

fn compile<'a>(
    source: &str,
    variables: impl Iterator<Item = &'a str>,
) -> Result<Filter<Data>, String> {
    let names: Vec<String> = variables.map(|name| format!("${name}")).collect();
    // Most expressions need few of the definitions; which, all of them together say for certain.
    compile_with(source, &names, needed(source))
        .or_else(|_| compile_with(source, &names, definitions()))
}

fn compile_with(
    source: &str,
    names: &[String],
    definitions: impl Iterator<Item = Def<&'static str>>,
) -> Result<Filter<Data>, String> {
    let arena = Arena::default();
    let loader = Loader::new(definitions);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells whether an expression compiles with what its words lead to, and with everything.
    fn both(source: &str) -> (bool, bool) {
        let few = compile_with(source, &[], needed(source)).is_ok();
        (few, compile_with(source, &[], definitions()).is_ok())
    }

    #[test]
    fn words_lead_to_all_definitions_that_an_expression_needs() {
        let defined = definitions().map(|def| (def.name.to_owned(), def.args.len()));
        let native = natives().map(|(name, arguments, _)| (name.to_owned(), arguments.len()));
        let mut count = 0;
        for (name, arguments) in defined.chain(native) {
            let given = vec!["."; arguments].join("; ");
            let call = if arguments == 0 { name } else { format!("{name}({given})") };
            let (few, all) = both(&call);
            assert_eq!(few, all, "{call}");
            count += usize::from(few);
        }
        assert!(count > 150, "{count}");
        for source in [
            "..",
            "[.[]?]",
            "-.a // 1",
            ".a as [$x, {b: $y}] | $x // $y",
            "@base64 \"a\\(.b | map(. + 1) | add)\"",
            "reduce .[] as $x (0; . + $x)",
            "label $out | foreach .[] as $x (0; . + $x; if . > 3 then ., break $out else . end)",
            "def twice(f): f | f; twice(ascii_downcase)",
            "try error(\"x\") catch .",
            "if . then 1 elif 2 then 3 end",
            ".a |= limit(2; .[])",
        ] {
            assert_eq!(both(source), (true, true), "{source}");
        }
        assert!(needed(".n + 1").count() < definitions().count() / 4);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let why = check("map(nothing(1))", &[]).unwrap();
        assert!(why.contains("nothing"), "{why}");
    }
}
