//! The stages of the pipeline, in their order, with those that were added.

use model::{Pipeline, PipelineStage, Result};
use sha2::{Digest as _, Sha256};

use super::extension::{Extensions, sorted};

/// A phase, and its stages in order: each with its name and what it does.
type Phase = (&'static str, &'static [(&'static str, &'static str)]);

/// The stages that are always there. Those that are added take the place of `prepare-extensions`
/// and `commit-extensions`, and come before `announce`.
const PHASES: [Phase; 5] = [
    (
        "admit",
        &[
            ("authorize", "Looks who asks, and whether the request was answered before."),
            ("load", "Opens the run, so that whoever looks can see it."),
        ],
    ),
    (
        "prepare",
        &[
            ("parse", "Reads the document, and tells all that is wrong with it."),
            ("normalize", "Makes the canonical form and its hash."),
            ("validate", "Checks that the document is of this namespace."),
            ("compile", "Makes the form that instances are driven by."),
            ("resolve", "Looks for the workflows and work specs that the document names."),
            ("plan-triggers", "Says which triggers the document wants."),
            ("prepare-extensions", "Runs what was added to refuse or warn."),
            ("seal", "Puts the plan together, which nothing changes any more."),
        ],
    ),
    (
        "commit",
        &[
            ("lock-head", "Locks the heads, and compares their revisions with what was seen."),
            ("write-version", "Writes the versions that are new."),
            ("write-triggers", "Adds, removes and changes triggers; the others stay as they are."),
            ("write-effects", "Says what is to be true elsewhere."),
            ("commit-extensions", "Runs what was added to the transaction."),
            ("flip-head", "Turns the heads to the new versions."),
            ("log", "Takes the next epoch, and commits."),
        ],
    ),
    (
        "propagate",
        &[
            ("apply-local", "Lets this node forget what is old."),
            ("poke", "Gives the other nodes a hint."),
            ("barrier", "Waits until each node has applied the change, or its lease is over."),
        ],
    ),
    (
        "settle",
        &[
            ("effects", "Makes true elsewhere what is wanted, as often as it takes."),
            ("announce", "Tells what was done."),
        ],
    ),
];

/// The pipeline of an engine.
#[derive(Default)]
pub(crate) struct Stages {
    pub(crate) extensions: Extensions,
    shown: Option<Pipeline>,
}

impl Stages {
    /// Puts the pipeline together.
    ///
    /// # Errors
    /// [`model::Error::BadInput`] if two stages have one name, or some wait for each other.
    pub(crate) fn new(extensions: Extensions) -> Result<Self> {
        let extensions = sorted(extensions)?;
        let shown = Some(put_together(&extensions));
        Ok(Self { extensions, shown })
    }

    /// Shows the pipeline.
    pub(crate) fn pipeline(&self) -> Pipeline {
        self.shown.clone().unwrap_or_else(|| put_together(&self.extensions))
    }

    /// Gives the hash of the stages.
    pub(crate) fn fingerprint(&self) -> String {
        self.pipeline().fingerprint
    }
}

/// Gives the phase of a stage; what was added says its phase before its name.
pub(crate) fn phase_of(stage: &str) -> &str {
    if let Some((phase, _)) = stage.split_once(':') {
        return phase;
    }
    let is_in = |(_, stages): &&Phase| stages.iter().any(|(name, _)| *name == stage);
    PHASES.iter().find(is_in).map_or("", |(phase, _)| phase)
}

fn put_together(extensions: &Extensions) -> Pipeline {
    let mut stages = Vec::new();
    for (phase, of_phase) in PHASES {
        for (name, summary) in of_phase {
            let ids = extensions.ids(phase);
            let is_place = name.ends_with("-extensions");
            if is_place || *name == "announce" {
                stages.extend(ids.iter().map(|id| PipelineStage {
                    name: format!("{phase}:{id}"),
                    phase: phase.to_owned(),
                    summary: "Was added to this server.".to_owned(),
                    is_extension: true,
                }));
            }
            if !is_place || ids.is_empty() {
                stages.push(PipelineStage {
                    name: (*name).to_owned(),
                    phase: phase.to_owned(),
                    summary: (*summary).to_owned(),
                    is_extension: false,
                });
            }
        }
    }
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    let hash = Sha256::digest(names.join("\n"));
    let fingerprint = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Pipeline { fingerprint, stages }
}
