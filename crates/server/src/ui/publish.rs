//! Publishing, and the run of the pipeline that it is.

use askama::Template;
use model::{
    Answer, DefinitionCommand, Error, Id, Namespace, NodeInfo, Publish, Query, Reply, Result, Run,
    Terms, Time, Until,
};
use serde::Serialize;

use super::{
    ask::{self, visible},
    form::Form,
    frame::{Frame, Here, page},
    place, show,
    waterfall::{Bar, Waterfall},
};
use crate::{
    auth::now,
    call::{Call, mismatch, take},
    outcome::Outcome,
};

#[derive(Template, Serialize)]
#[template(path = "publish.html")]
struct ToPublish {
    namespace: Namespace,
    source: String,
    /// Why it could not be published, if it was tried.
    problems: Vec<String>,
    #[serde(skip)]
    form: String,
}

/// Shows where a document is written, with that of a version to begin with.
pub(crate) async fn show(call: Call) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let source = match params.word("definition")? {
        Some(name) => {
            let version = params.word("version")?;
            ask::version(&call, &namespace, &name, version).await?.source
        }
        None => example(&namespace),
    };
    answer(&call, namespace, source, Vec::new())
}

fn example(namespace: &Namespace) -> String {
    let namespace = namespace.as_str();
    format!(
        "document:\n  dsl: 1.0.3\n  namespace: {namespace}\n  name: greet\n  version: 1.0.0\n\
         do:\n- greet:\n    set:\n      said: ${{ \"hello \" + .name }}\n"
    )
}

fn answer(
    call: &Call,
    namespace: Namespace,
    source: String,
    problems: Vec<String>,
) -> Result<Outcome> {
    let form = call.app.sessions.form_token(&call.visit);
    let view = ToPublish { namespace, source, problems, form };
    page(call, Frame::of(&view.namespace, "Publish", Here::Definitions), &view)
}

/// Publishes a document, and leads to its run.
pub(crate) async fn publish(call: Call) -> Result<Outcome> {
    let form = Form::of(&call)?;
    let (namespace, source) = (call.namespace()?, form.text("source").to_owned());
    // Answered before it is effective, so that the page of the run can be watched.
    let terms = Terms { until: Until::Committed, ..Terms::default() };
    let publish = Publish { source: source.clone(), base: None, terms };
    match ask::change(&call, &namespace, DefinitionCommand::Publish(publish)).await {
        Ok(Reply::Definition(published)) => {
            Ok(Outcome::see_other(place::run(&namespace, &published.run)))
        }
        Ok(_) => Err(mismatch()),
        Err(Error::BadDefinition(problems)) => answer(&call, namespace, source, problems),
        Err(
            error @ (Error::VersionConflict { .. } | Error::BadInput(_) | Error::Refused { .. }),
        ) => answer(&call, namespace, source, vec![error.to_string()]),
        Err(error) => Err(error),
    }
}

#[derive(Template, Serialize)]
#[template(path = "runs.html")]
struct Runs {
    namespace: Namespace,
    runs: Vec<Run>,
    next: Option<Id>,
}

pub(crate) async fn list(call: Call) -> Result<Outcome> {
    let (namespace, params) = (call.namespace()?, call.params()?);
    let page_of = ask::rows(params.previous_id()?);
    let definition = params.word("definition")?;
    let (mut runs, as_of) = ask::runs(&call, &namespace, definition, page_of).await?;
    let next = ask::cut(&mut runs, |run| run.id);
    let frame = Frame::of(&namespace, "Publish runs", Here::Definitions).live(as_of);
    page(&call, frame, &Runs { namespace, runs, next })
}

#[derive(Template, Serialize)]
#[template(path = "run.html")]
struct OneRun {
    namespace: Namespace,
    run: Run,
    /// How far each node is; none if the visitor may not see nodes.
    nodes: Option<Vec<Barrier>>,
    #[serde(skip)]
    waterfall: Waterfall,
}

/// What a node has applied, beside what the run has changed.
#[derive(Serialize)]
struct Barrier {
    node: String,
    epoch: Option<u64>,
    lease: Time,
    /// `effective` once it answers from after the change, `overdue` if its lease is over, so that
    /// it answers nothing from memory, else `waiting`.
    standing: &'static str,
}

pub(crate) async fn run(call: Call) -> Result<Outcome> {
    let namespace = call.namespace()?;
    let text = call.part("{run}")?;
    let id = text.parse().map_err(|_| Error::bad_input(format!("run {text:?} is no number")))?;
    let (run, as_of) = ask::run(&call, &namespace, id).await?;
    let pipeline = ask::pipeline(&call, &namespace).await?;
    let nodes = match visible(call.read(Query::Nodes).await)? {
        Some(read) => Some(take!(read.answer, Answer::Nodes)?),
        None => None,
    };
    let (now, epoch) = (now(), run.epoch);
    let barrier = |node: NodeInfo| Barrier {
        standing: match (epoch, node.epoch) {
            (Some(epoch), Some(applied)) if applied >= epoch => "effective",
            _ if node.lease < now => "overdue",
            _ => "waiting",
        },
        node: node.name,
        epoch: node.epoch,
        lease: node.lease,
    };
    let nodes = nodes.map(|nodes| nodes.into_iter().map(barrier).collect());
    let waterfall = Waterfall::of(&run, &pipeline);
    let title = format!("{} of {}", run.operation, run.definitions.join(", "));
    let frame = Frame::of(&namespace, title, Here::Definitions).live(as_of);
    page(&call, frame, &OneRun { namespace, run, nodes, waterfall })
}

impl OneRun {
    fn bars(&self) -> &[Bar] {
        &self.waterfall.bars
    }

    /// Gives what it did to triggers: to which, of which definition, and what.
    fn triggers(&self) -> Vec<(&str, &str, &'static str)> {
        let done = |mark| match mark {
            '+' => "added",
            '-' => "removed",
            '~' => "changed",
            _ => "kept",
        };
        let mut all = Vec::new();
        for one in &self.run.published {
            let marked = one.triggers.marked();
            all.extend(marked.map(|(mark, trigger)| (trigger, one.name.as_str(), done(mark))));
        }
        all
    }
}
