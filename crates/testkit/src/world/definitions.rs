//! Workflow definitions: publishing them, and looking at them.

use model::{
    Answer, Definition, DefinitionAnswer, DefinitionCommand, DefinitionQuery, Error, Id, Page,
    Publish, Published, Query, Reply, Result, Run, Running, Terms, Trigger, Version,
};

use super::World;

impl World {
    /// Gives a document of this namespace: its name and version, and what stands below `schedule`.
    pub fn document(&self, name: &str, version: &str, schedule: &str) -> String {
        let namespace = self.namespace().as_str().replace('_', "-");
        let schedule = match schedule {
            "" => String::new(),
            schedule => format!("schedule: {schedule}\n"),
        };
        format!(
            "document: {{dsl: '1.0.3', namespace: {namespace}, name: {name}, \
             version: '{version}'}}\n\
             {schedule}do:\n  - answer: {{set: {{from: '{version}'}}}}\n"
        )
    }

    /// Gives the same backend in a namespace that documents can name.
    #[track_caller]
    pub fn labelled(&self) -> Self {
        self.in_namespace(&self.namespace().as_str().replace('_', "-"))
    }

    /// Makes several changes of definitions in one bundle.
    pub fn change_definitions(
        &self,
        commands: impl IntoIterator<Item = DefinitionCommand>,
    ) -> Result<Vec<Published>> {
        let replies = self.write(commands)?.replies;
        let published = replies.into_iter().map(|reply| match reply {
            Reply::Definition(published) => published,
            other => panic!("a change of a definition answers {other:?}"),
        });
        Ok(published.collect())
    }

    /// Makes one change of a definition.
    pub fn change_definition(&self, command: DefinitionCommand) -> Result<Published> {
        let mut published = self.change_definitions([command])?;
        Ok(published.remove(0))
    }

    /// Publishes a document, if that goes.
    pub fn try_publish(&self, source: &str) -> Result<Published> {
        self.change_definition(publishing(source, None))
    }

    /// Publishes a document.
    #[track_caller]
    pub fn publish(&self, source: &str) -> Published {
        self.try_publish(source).expect("the document is published")
    }

    /// Retracts a definition, if that goes.
    pub fn try_retract(&self, name: &str) -> Result<Published> {
        let (name, base, running) = (name.to_owned(), None, Running::Keep);
        let terms = Terms::default();
        self.change_definition(DefinitionCommand::Retract { name, base, running, terms })
    }

    /// Deletes a definition, if that goes.
    pub fn try_delete_definition(&self, name: &str) -> Result<Published> {
        let (name, base, running) = (name.to_owned(), None, Running::Keep);
        let terms = Terms::default();
        self.change_definition(DefinitionCommand::Delete { name, base, running, terms })
    }

    /// Publishes an earlier version, if that goes.
    pub fn try_rollback(&self, name: &str, version: &str) -> Result<Published> {
        let (name, version) = (name.to_owned(), version.to_owned());
        let (base, terms) = (None, Terms::default());
        self.change_definition(DefinitionCommand::Rollback { name, version, base, terms })
    }

    /// Deletes a version, if that goes.
    pub fn try_delete_version(&self, name: &str, version: &str) -> Result<Published> {
        let (name, version) = (name.to_owned(), version.to_owned());
        let terms = Terms::default();
        self.change_definition(DefinitionCommand::DeleteVersion { name, version, terms })
    }

    /// Asks about definitions.
    pub fn ask_definitions(&self, query: DefinitionQuery) -> Result<DefinitionAnswer> {
        match self.ask(Query::Definitions(self.namespace().clone(), query))? {
            Answer::Definitions(answer) => Ok(answer),
            other => panic!("a question about definitions answers {other:?}"),
        }
    }

    /// Gives a definition, if it is there.
    pub fn try_definition(&self, name: &str) -> Result<Definition> {
        match self.ask_definitions(DefinitionQuery::One(name.to_owned()))? {
            DefinitionAnswer::Definition(definition) => Ok(definition),
            other => panic!("asking for a definition answers {other:?}"),
        }
    }

    /// Gives a definition.
    #[track_caller]
    pub fn definition(&self, name: &str) -> Definition {
        self.try_definition(name).expect("the definition is there")
    }

    /// Gives a version, or the published one, if it is there.
    pub fn try_version(&self, name: &str, version: Option<&str>) -> Result<Version> {
        let query = DefinitionQuery::Version(name.to_owned(), version.map(str::to_owned));
        match self.ask_definitions(query)? {
            DefinitionAnswer::Version(version) => Ok(version),
            other => panic!("asking for a version answers {other:?}"),
        }
    }

    /// Gives the names of the versions of a definition, newest first.
    #[track_caller]
    pub fn versions(&self, name: &str) -> Vec<String> {
        match self.ask_definitions(DefinitionQuery::Versions(name.to_owned())) {
            Ok(DefinitionAnswer::Versions(versions)) => {
                versions.into_iter().map(|version| version.version).collect()
            }
            other => panic!("asking for versions answers {other:?}"),
        }
    }

    /// Gives all triggers of the namespace.
    #[track_caller]
    pub fn triggers(&self) -> Vec<Trigger> {
        match self.ask_definitions(DefinitionQuery::Triggers(None)) {
            Ok(DefinitionAnswer::Triggers(triggers)) => triggers,
            // Without anything in it there may be no namespace.
            Err(Error::NoSuchNamespace(_)) => Vec::new(),
            other => panic!("asking for triggers answers {other:?}"),
        }
    }

    /// Gives the runs of the pipeline, newest first.
    #[track_caller]
    pub fn runs(&self, name: Option<&str>) -> Vec<Run> {
        let query = DefinitionQuery::Runs(name.map(str::to_owned), Page::default());
        match self.ask_definitions(query) {
            Ok(DefinitionAnswer::Runs(runs)) => runs,
            other => panic!("asking for runs answers {other:?}"),
        }
    }

    /// Gives a run with its stages.
    #[track_caller]
    pub fn pipeline_run(&self, id: Id) -> Run {
        match self.ask_definitions(DefinitionQuery::Run(id)) {
            Ok(DefinitionAnswer::Runs(mut runs)) if runs.len() == 1 => runs.remove(0),
            other => panic!("asking for a run answers {other:?}"),
        }
    }

    /// Gives what the definitions break of the invariants.
    #[track_caller]
    pub fn audit(&self) -> Vec<String> {
        match self.ask_definitions(DefinitionQuery::Audit) {
            Ok(DefinitionAnswer::Audit(findings)) => findings,
            Err(Error::NoSuchNamespace(_)) => Vec::new(),
            other => panic!("an audit answers {other:?}"),
        }
    }
}

/// Makes the command that publishes a document, over the revision that the caller saw.
pub fn publishing(source: &str, base: Option<u64>) -> DefinitionCommand {
    let terms = Terms::default();
    DefinitionCommand::Publish(Publish { source: source.to_owned(), base, terms })
}
