//! What the fuzzer and the test command run on arbitrary bytes: every decoder, and what is done
//! with what it decodes. A target panics where a promise is broken.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use engine::Engine;
use mail::driver::{
    imap::reply::{self, FolderRow},
    maildir::name::FileName,
};
use model::{
    Answer, AttemptChange, Backend, Change, ChangeAttempts, Claim, Data, Datum, Namespace, Query,
    QueueCommand, Reply, SpecName, SpecRef, UnitFilter, UnitName, WorkerName, Write,
    data_from_json, data_to_json, escape, unescape,
};
use serde::{Serialize, de::DeserializeOwned};
use server::{Rpc, read_frame};
use store::Memory;
use tokio::runtime::{Builder, Runtime};

use crate::{ManualClock, rpc::V};

/// A function of arbitrary bytes, which tells whether it could make something of them.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by the names of their folders in `fuzz/seeds`.
pub const TARGETS: [(&str, Target); 11] = [
    ("cbor", cbor),
    ("json", json),
    ("name", name),
    ("write", write),
    ("query", query),
    ("chain", chain),
    ("rpc_frame", rpc_frame),
    ("rpc_call", rpc_call),
    ("imap_response", imap_response),
    ("imap_folder", imap_folder),
    ("maildir_name", maildir_name),
];

/// Reads the seed files of a target, in the order of their names.
#[track_caller]
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds");
    let files = fs::read_dir(PathBuf::from(folder).join(target)).expect("a folder of seeds");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a seed").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a seed")).collect()
}

/// CBOR that is taken has one form in which it is kept.
pub fn cbor(bytes: &[u8]) -> bool {
    if let Ok(datum) = Datum::from_cbor(bytes) {
        let kept = datum.to_cbor();
        let again = Datum::from_cbor(&kept).expect("what was taken is taken again");
        assert_eq!(again.to_cbor(), kept);
    }
    Data::from_cbor(bytes).is_ok_and(round_trip)
}

/// A dictionary from JSON is the same after it went to JSON and back.
pub fn json(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice(bytes) else { return false };
    data_from_json(&value).is_ok_and(round_trip)
}

fn round_trip(data: Data) -> bool {
    assert_eq!(Data::from_cbor(data.as_cbor()).as_ref(), Ok(&data));
    assert_eq!(Data::from_stored(data.as_cbor()), data);
    let again = data_from_json(&data_to_json(&data)).expect("what was written is read");
    let settled = |data: &Data| Datum::from_cbor(data.as_cbor()).map(settle).map(|d| d.to_cbor());
    assert_eq!(settled(&again), settled(&data));
    true
}

/// Puts the keys of maps in order, which JSON does not keep; of equal keys the last counts.
fn settle(datum: Datum) -> Datum {
    let all = |items: Vec<Datum>| items.into_iter().map(settle).collect();
    match datum {
        Datum::List(items) => Datum::List(all(items)),
        Datum::Tuple(items) => Datum::Tuple(all(items)),
        Datum::Map(pairs) => {
            let pair = |(key, value): (Datum, Datum)| (key.to_cbor(), (key, settle(value)));
            let pairs: BTreeMap<_, _> = pairs.into_iter().map(pair).collect();
            Datum::Map(pairs.into_values().collect())
        }
        Datum::Null
        | Datum::Bool(_)
        | Datum::Int(_)
        | Datum::Float(_)
        | Datum::Text(_)
        | Datum::Bytes(_)
        | Datum::Uuid(_) => datum,
    }
}

/// Any bytes can be escaped, and text that can be unescaped means one name.
pub fn name(bytes: &[u8]) -> bool {
    let escaped = escape(bytes);
    assert_eq!(unescape(&escaped).as_deref(), Ok(bytes));
    assert!(escaped.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte)));
    let meant = std::str::from_utf8(bytes).ok().and_then(|text| unescape(text).ok());
    let Some(meant) = meant else { return false };
    assert_eq!(unescape(&escape(&meant)), Ok(meant));
    true
}

/// A write is the same after it went to JSON and back, and can be tried.
pub fn write(bytes: &[u8]) -> bool {
    let Some(mut write) = twice::<Write>(bytes) else { return false };
    write.wait = std::time::Duration::ZERO;
    on_engine(async |engine| {
        // Whether it is refused is a matter of the rules; here it must only have an answer.
        let _any = engine.write(write).await;
    });
    true
}

/// A query is the same after it went to JSON and back, and can be asked.
pub fn query(bytes: &[u8]) -> bool {
    let Some(query) = twice::<Query>(bytes) else { return false };
    on_engine(async |engine| {
        let _any = engine.read(query, 0).await;
    });
    true
}

/// Whatever a unit is finished with, the units of its `output` are whole, and the counts are right.
pub fn chain(bytes: &[u8]) -> bool {
    let Ok(data) = Data::from_cbor(bytes) else { return false };
    on_engine(async |engine| finish_with(engine, data).await.expect("a unit is finished"));
    true
}

/// A frame is read to its end and no further, and never takes more than it may.
pub fn rpc_frame(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Ok(payload) = current_thread().block_on(read_frame(&mut rest)) else { return false };
    assert!(payload.len() + rest.len() < bytes.len());
    let again = crate::rpc::Caller::wrap(&payload);
    assert_eq!(current_thread().block_on(read_frame(&mut &again[..])), Ok(payload));
    true
}

/// Whatever is in a frame, it gets an answer that can be read.
pub fn rpc_call(bytes: &[u8]) -> bool {
    let engine = Engine::new(Arc::new(Memory::new()), Arc::new(ManualClock::new()));
    let rpc = Rpc::local(engine, Arc::new(ManualClock::new())).expect("random numbers");
    let answer = current_thread().block_on(async { rpc.answer(bytes).await });
    let payload = current_thread().block_on(read_frame(&mut &answer[..])).expect("a frame");
    let V::Map(pairs) = V::read(&payload) else { panic!("an answer is a map") };
    assert_eq!(pairs.len(), 2);
    pairs.iter().any(|(key, id)| *key == crate::rpc::b("id") && *id != V::Null)
}

/// A mail server's response is understood or refused, and names no folder that leads elsewhere.
pub fn imap_response(bytes: &[u8]) -> bool {
    let reply = mail::driver::imap::decode(bytes, 32);
    if let Some(reply::Reply::Folder(row)) = &reply {
        is_folder(row);
    }
    reply.is_some()
}

/// A mail server's name for a folder is one that every store can have, or none.
pub fn imap_folder(bytes: &[u8]) -> bool {
    let Some((separator, name)) = bytes.split_first() else { return false };
    let separator = separator.is_ascii_graphic().then_some(char::from(*separator));
    is_folder(&FolderRow { separator, name: name.to_vec(), attributes: Vec::new() })
}

fn is_folder(row: &FolderRow) -> bool {
    let Ok(folder) = mail::driver::imap::folder_name(row) else { return false };
    assert_eq!(mail::FolderName::new(folder.as_str()).as_ref(), Ok(&folder));
    assert!(folder.parts().all(|part| !["", ".", ".."].contains(&part)));
    assert!(!folder.as_str().contains(char::is_control));
    true
}

/// The name of a message file has a base, and says the same flags after it was written again.
pub fn maildir_name(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let name = FileName::parse(text);
    assert_eq!(name.base.is_empty(), text.is_empty());
    let flags = name.flags(&[]);
    let again = name.with(&flags, &[]).expect("flags without keywords have letters");
    assert_eq!(FileName::parse(&again).flags(&[]), flags);
    !flags.is_empty()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

async fn finish_with(engine: &Engine, data: Data) -> model::Result<()> {
    let (first, second) = (SpecName::new("first")?, SpecName::new("second")?);
    let spec = |name: &str, then: &str| {
        data_from_json(&serde_json::json!({"name": name, "then": then}))
            .map(|data| QueueCommand::SetSpec { data }.into())
    };
    let unit = model::NewUnit {
        name: UnitName::new(*b"unit")?,
        data: Data::default(),
        meta: model::UnitMeta::default(),
        delay: None,
    };
    let add = model::AddUnits { spec: named(&first), units: vec![unit] };
    let claim = Claim {
        worker: WorkerName::new("worker")?,
        specs: vec![first],
        runtimes: Vec::new(),
        count: 1,
        lifetime: None,
        available_gb: None,
    };
    let commands = vec![
        spec("first", "second")?,
        spec("second", "")?,
        QueueCommand::AddUnits(add).into(),
        QueueCommand::Claim(claim).into(),
    ];
    let setup =
        Write { commands, ..Write::one(&Namespace::empty(), QueueCommand::CreateNamespace) };
    let claimed = engine.write(setup).await?.replies.pop();
    let Some(Reply::Attempts(attempts)) = claimed else { panic!("{claimed:?} is no claim") };
    let attempt = attempts.first().expect("an attempt");
    let change = AttemptChange {
        attempt: attempt.as_ref(),
        token: Some(attempt.id),
        data: Some(data),
        change: Change::Finish,
    };
    let finish = QueueCommand::ChangeAttempts(ChangeAttempts { changes: vec![change] });
    let finished = engine.write(Write::one(&Namespace::empty(), finish)).await?;
    assert_eq!(finished.replies, [Reply::Changed(vec![Ok(())])]);
    let query = Query::Spec(Namespace::empty(), named(&second));
    let Answer::Spec(spec) = engine.read(query, 0).await?.answer else { panic!("no spec") };
    let query = Query::Units(Namespace::empty(), named(&second), UnitFilter::default());
    let Answer::Units(units, None) = engine.read(query, 0).await?.answer else { return Ok(()) };
    assert_eq!(spec.counts.total(), units.len() as u64);
    assert!(units.into_iter().all(|unit| round_trip(unit.data)));
    Ok(())
}

fn named(name: &SpecName) -> SpecRef {
    SpecRef { name: name.clone(), id: None }
}

/// Decodes a value from JSON, and checks that it is the same when it goes there and back.
fn twice<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let text = serde_json::to_string(&value).expect("what was read can be written");
    let again: T = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&again).ok().as_ref(), Some(&text));
    Some(value)
}

fn on_engine(run: impl AsyncFnOnce(&Engine)) {
    let engine = Engine::new(Arc::new(Memory::new()), Arc::new(ManualClock::new()));
    current_thread().block_on(run(&engine));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Random, mutate, seed};

    /// Mutated inputs of each target.
    const INPUTS: usize = 10_000;

    #[track_caller]
    fn run(name: &str) {
        let target = TARGETS.iter().find(|(known, _)| *known == name).unwrap().1;
        let seeds = seeds(name);
        for seed in &seeds {
            target(seed);
        }
        let mut random = Random::new(seed(name));
        let mut taken = 0;
        for _ in 0..INPUTS {
            let input = spoilt(random.pick(&seeds).clone(), &seeds, &mut random);
            let caught = std::panic::catch_unwind(|| target(&input));
            taken += usize::from(caught.unwrap_or_else(|_| panic!("{}", shown(&input))));
        }
        assert!((INPUTS / 10..INPUTS).contains(&taken), "{taken} inputs of {name} were understood");
    }

    /// Shows an input, or the beginning of it.
    fn shown(input: &[u8]) -> String {
        input.escape_ascii().take(2_000).map(char::from).collect()
    }

    /// Changes an input: as bytes, or as the JSON that it is or can be written as.
    fn spoilt(mut input: Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
        if random.percent(30) {
            (0..=random.below(3)).for_each(|_| mutate::bytes(&mut input, seeds, random));
            return input;
        }
        let mut change = |value: &mut serde_json::Value| {
            (0..=random.below(2)).for_each(|_| mutate::value(value, random));
        };
        if let Ok(mut value) = serde_json::from_slice(&input) {
            change(&mut value);
            return value.to_string().into_bytes();
        }
        if let Ok(data) = Data::from_cbor(&input) {
            let mut value = data_to_json(&data);
            change(&mut value);
            if let Ok(data) = data_from_json(&value) {
                return data.as_cbor().to_vec();
            }
        }
        mutate::bytes(&mut input, seeds, random);
        input
    }

    #[test]
    fn cbor_keeps_its_promises() {
        run("cbor");
    }

    #[test]
    fn json_keeps_its_promises() {
        run("json");
    }

    #[test]
    fn names_keep_their_promises() {
        run("name");
    }

    #[test]
    fn writes_keep_their_promises() {
        run("write");
    }

    #[test]
    fn queries_keep_their_promises() {
        run("query");
    }

    #[test]
    fn chaining_keeps_its_promises() {
        run("chain");
    }

    #[test]
    fn rpc_frames_keep_their_promises() {
        run("rpc_frame");
    }

    #[test]
    fn rpc_calls_keep_their_promises() {
        run("rpc_call");
    }

    #[test]
    fn imap_responses_keep_their_promises() {
        run("imap_response");
    }

    #[test]
    fn imap_folders_keep_their_promises() {
        run("imap_folder");
    }

    #[test]
    fn maildir_names_keep_their_promises() {
        run("maildir_name");
    }

    #[test]
    fn seeds_are_what_their_names_say() {
        let parses = |target: &str, parse: fn(&[u8]) -> bool| {
            seeds(target).iter().filter(|bytes| !parse(bytes)).count()
        };
        assert_eq!(parses("write", |bytes| twice::<Write>(bytes).is_some()), 0);
        assert_eq!(parses("query", |bytes| twice::<Query>(bytes).is_some()), 0);
        assert_eq!(parses("chain", |bytes| Data::from_cbor(bytes).is_ok()), 0);
        assert_eq!(parses("rpc_frame", rpc_frame), 0);
        assert_eq!(parses("rpc_call", rpc_call), 0);
        assert_eq!(parses("imap_response", imap_response), 0);
        assert_eq!(parses("imap_folder", imap_folder), 0);
        assert_eq!(parses("cbor", |bytes| Data::from_cbor(bytes).is_ok()), 2);
    }
}
