//! The demo's workflow: events start instances, whose steps workers in three languages do, and a
//! second version is published while those of the first are under way.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use client::{Lockstep, Remote, RemoteOptions};
use model::{
    Answer, CloudEvent, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Id, Instance,
    InstanceAnswer, InstanceCommand, InstanceFilter, InstanceQuery, InstanceStatus, Namespace,
    Publish, Published, Query, QueueCommand, Received, Reply, SpecName, Terms, data_from_json,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    LOOK_AGAIN, STALLED,
    count::{Found, Walk},
    crew::Crew,
    scene::Scene,
    stalled,
};
use crate::output::{Output, table};

pub(super) const NAMESPACE: &str = "demo";
const NAME: &str = "count-file";
const FIRST: &str = include_str!("../../../../examples/demo/count-file-1.yaml");
const SECOND: &str = include_str!("../../../../examples/demo/count-file-2.yaml");
/// The work specs of the steps, each for the worker of its name.
const SPECS: [&str; 3] = ["shell", "python", "rust"];
/// Events that come before, and after, the second version is published.
const EVENTS: usize = 8;
/// How long the Rust worker's leases are.
const LEASE: Duration = Duration::from_secs(60);

/// What became of one half of the events.
struct Half {
    version: &'static str,
    /// What the workflow of this version says of itself.
    number: u64,
    files: Vec<usize>,
    instances: Vec<Id>,
}

/// Plays the scene, and holds what came of it against the direct count.
pub(super) async fn play(url: &str, walk: &Walk, crew: &mut Crew, out: Output) -> Result<Scene> {
    let begun = Instant::now();
    let remote = Remote::new(url, RemoteOptions::standard())?;
    let lockstep = Lockstep::new(Arc::new(remote), Namespace::new(NAMESPACE)?);
    for spec in SPECS {
        let data = data_from_json(&json!({"name": spec, "min_gb": 0}))?;
        lockstep.command(QueueCommand::SetSpec { data }).await?;
    }
    let mut differences = Vec::new();
    let first = publish(&lockstep, FIRST).await?;
    let mut one = Half { version: "1.0.0", number: 1, files: Vec::new(), instances: Vec::new() };
    send(&lockstep, &walk.files, 0, &mut one).await?;
    wait_for_units(&lockstep, (EVENTS * SPECS.len()) as u64).await?;
    let second = publish(&lockstep, SECOND).await?;
    out.note(format!(
        "workflow {NAME}: version 1.0.0 has {EVENTS} instances under way, and 2.0.0 is published \
         and effective"
    ));
    let mut two = Half { version: "2.0.0", number: 2, files: Vec::new(), instances: Vec::new() };
    send(&lockstep, &walk.files, EVENTS, &mut two).await?;
    let again = resend(&lockstep, &walk.files).await?;
    differences.extend(again);
    differences.extend(unpublished(&first, &second));
    crew.start_steps(NAMESPACE, SPECS, LEASE, out)?;
    let instances = wait_for_end(&lockstep, EVENTS * 2).await.with_context(|| crew.logs())?;
    let mut rows = Vec::new();
    for half in [&one, &two] {
        rows.push(check(half, &instances, &walk.files, &mut differences));
    }
    differences.extend(count_again(&lockstep).await?);
    let seconds = begun.elapsed().as_secs_f64();
    Ok(scene(rows, differences, seconds))
}

async fn publish(lockstep: &Lockstep, source: &str) -> Result<Published> {
    let publish = Publish { source: source.to_owned(), base: None, terms: Terms::default() };
    match lockstep.command(DefinitionCommand::Publish(publish)).await? {
        Reply::Definition(published) => Ok(published),
        other => bail!("publishing was answered with {other:?}"),
    }
}

/// Says what is wrong with how the versions were published.
fn unpublished(first: &Published, second: &Published) -> Vec<String> {
    let mut wrong = Vec::new();
    if second.epoch <= first.epoch || second.revision != first.revision + 1 {
        wrong.push(format!("version 2.0.0 did not follow 1.0.0: {second:?} after {first:?}"));
    }
    if second.triggers.unchanged != ["found"] {
        wrong.push(format!("the trigger was not kept: {:?}", second.triggers));
    }
    for published in [first, second].into_iter().filter(|one| one.state == "committed") {
        wrong.push(format!("{} was not effective when its publishing returned", published.name));
    }
    wrong
}

/// Sends an event for each of some files, starting with the one at a place; small folders have
/// their files counted more than once.
async fn send(lockstep: &Lockstep, files: &[Found], place: usize, half: &mut Half) -> Result<()> {
    half.files = (place..place + EVENTS).map(|number| number % files.len()).collect();
    let events = half
        .files
        .iter()
        .enumerate()
        .filter_map(|(number, file)| Some(event(place + number, files.get(*file)?)));
    for received in receive(lockstep, events.collect()).await? {
        half.instances.extend(received.started);
    }
    Ok(())
}

fn event(number: usize, found: &Found) -> CloudEvent {
    CloudEvent {
        id: format!("file-{number}"),
        source: "lockstep/demo".to_owned(),
        kind: "demo.file.found.v1".to_owned(),
        subject: Some(found.name.clone()),
        time: None,
        datacontenttype: None,
        dataschema: None,
        data: json!({"path": found.path}),
        extensions: BTreeMap::new(),
    }
}

async fn receive(lockstep: &Lockstep, events: Vec<CloudEvent>) -> Result<Vec<Received>> {
    match lockstep.command(InstanceCommand::Send(events)).await? {
        Reply::Received(received) => Ok(received),
        other => bail!("events were answered with {other:?}"),
    }
}

/// Sends the first event once more, which must start nothing.
async fn resend(lockstep: &Lockstep, files: &[Found]) -> Result<Option<String>> {
    let Some(found) = files.first() else { return Ok(None) };
    let received = receive(lockstep, vec![event(0, found)]).await?;
    let is_known = received.iter().all(|one| one.is_duplicate);
    Ok((!is_known).then(|| "an event that was sent twice counted twice".to_owned()))
}

/// Waits until all steps of the instances that were started wait for workers.
async fn wait_for_units(lockstep: &Lockstep, wanted: u64) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mut ready = 0;
        for spec in SPECS {
            ready += lockstep.spec(SpecName::new(spec)?).get().await?.counts.available;
        }
        if ready >= wanted {
            return Ok(());
        }
        if begun.elapsed() > STALLED {
            return Err(stalled("no instance came to its steps"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Waits until so many instances have ended, and gives them with their outputs.
async fn wait_for_end(lockstep: &Lockstep, wanted: usize) -> Result<BTreeMap<Id, Instance>> {
    let (mut last, mut ended) = (Instant::now(), 0);
    loop {
        let filter = InstanceFilter { definition: Some(NAME.to_owned()), ..Default::default() };
        let InstanceAnswer::Instances(found) = ask(lockstep, InstanceQuery::List(filter)).await?
        else {
            bail!("instances were asked for, and something else was told")
        };
        let over = found.iter().filter(|instance| instance.status.is_over()).count();
        if over == found.len() && over >= wanted {
            let mut instances = BTreeMap::new();
            for instance in found {
                let InstanceAnswer::Instance(whole) =
                    ask(lockstep, InstanceQuery::One(instance.id)).await?
                else {
                    bail!("an instance was asked for, and something else was told")
                };
                instances.insert(instance.id, *whole);
            }
            return Ok(instances);
        }
        if over > ended {
            (last, ended) = (Instant::now(), over);
        }
        if last.elapsed() > STALLED {
            return Err(stalled("the workers of the workflow stopped getting on"));
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn ask(lockstep: &Lockstep, query: InstanceQuery) -> Result<InstanceAnswer> {
    match lockstep.ask(Query::Instances(lockstep.namespace().clone(), query)).await? {
        Answer::Instances(answer) => Ok(answer),
        other => bail!("instances were asked for, and {other:?} was told"),
    }
}

/// What the instances of one version have counted together, and what is there.
struct Row {
    version: &'static str,
    instances: usize,
    reported: [u64; 2],
    counted: [u64; 2],
}

/// Holds the instances of one version against the direct count.
fn check(
    half: &Half,
    instances: &BTreeMap<Id, Instance>,
    files: &[Found],
    differences: &mut Vec<String>,
) -> Row {
    let version = half.version;
    if half.instances.len() != EVENTS {
        let count = half.instances.len();
        differences.push(format!("{EVENTS} events started {count} instances of {version}"));
    }
    let mut row = Row { version, instances: 0, reported: [0; 2], counted: [0; 2] };
    for (id, file) in half.instances.iter().zip(&half.files) {
        let (Some(instance), Some(found)) = (instances.get(id), files.get(*file)) else {
            differences.push(format!("instance {id} of {version} is gone"));
            continue;
        };
        let says = instance.output.get("version");
        if instance.version != version || says != Some(&json!(half.number)) {
            let is = &instance.version;
            differences.push(format!("instance {id} of {version} followed {is} and says {says:?}"));
        }
        if instance.status != InstanceStatus::Finished {
            let (status, why) = (instance.status.as_str(), &instance.error);
            differences.push(format!("instance {id} is {status}: {why}"));
            continue;
        }
        if found.has_changed() {
            continue;
        }
        row.instances += 1;
        let counted = [found.figures.bytes, found.figures.lines];
        for worker in SPECS {
            let count = ["bytes", "lines"].map(|figure| {
                let said = instance.output.get(worker).and_then(|said| said.get(figure));
                said.and_then(Value::as_u64).unwrap_or_default()
            });
            if count != counted {
                let name = &found.name;
                differences
                    .push(format!("{name}: {worker} reported {count:?}, counted {counted:?}"));
            }
            row.reported = add(row.reported, count);
        }
        SPECS.iter().for_each(|_| row.counted = add(row.counted, counted));
    }
    row
}

fn add(one: [u64; 2], other: [u64; 2]) -> [u64; 2] {
    let ([a, b], [c, d]) = (one, other);
    [a + c, b + d]
}

/// Counts another way: by the units that were finished, and by the audit of the catalog.
async fn count_again(lockstep: &Lockstep) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for spec in SPECS {
        let counts = lockstep.spec(SpecName::new(spec)?).get().await?.counts;
        if (counts.finished, counts.total()) != (2 * EVENTS as u64, 2 * EVENTS as u64) {
            wrong.push(format!("of {} units of {spec}, all should be finished: {counts:?}", {
                2 * EVENTS
            }));
        }
    }
    let namespace = lockstep.namespace().clone();
    match lockstep.ask(Query::Definitions(namespace, DefinitionQuery::Audit)).await? {
        Answer::Definitions(DefinitionAnswer::Audit(found)) => {
            wrong.extend(found.iter().map(|finding| format!("the audit found {finding:?}")));
        }
        other => bail!("an audit was asked for, and {other:?} was told"),
    }
    Ok(wrong)
}

fn scene(rows: Vec<Row>, differences: Vec<String>, seconds: f64) -> Scene {
    let json = |row: &Row| -> Value {
        let [bytes, lines] = row.reported;
        json!({"version": row.version, "instances": row.instances, "bytes": bytes, "lines": lines})
    };
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let numbers = [row.reported, row.counted].concat();
            let numbers = numbers.into_iter().map(|number| number.to_string());
            [row.version.to_owned(), row.instances.to_string()].into_iter().chain(numbers).collect()
        })
        .collect();
    let heads = ["version", "instances", "bytes", "lines", "bytes counted", "lines counted"];
    let text = format!(
        "{}The instances of 1.0.0 were under way when 2.0.0 was published, and kept their version; \
         those after it took the new one.\n",
        table(&heads, &cells)
    );
    let versions: Vec<Value> = rows.iter().map(json).collect();
    Scene {
        name: "workflow",
        title: "Workflows",
        differences,
        json: json!({"versions": versions, "seconds": seconds}),
        text,
    }
}
