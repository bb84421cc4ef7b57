//! Steps and lists of steps.

use std::collections::BTreeMap;

use super::{Compiler, data::json};
use crate::{
    Attributes, Catch, Filter, Flow, For, Kind, Listen, ListenTask, Part, Raise, Ref, Retry,
    Strategy, Switch, Task, Tasks, Try, limits,
    problem::{Code, Step as PathStep},
    run::program::{
        Action, EventFilter, ForAction, ForEach, Growth, ListenAction, Next, Read, RetryPlan, Step,
        SwitchCase, TryAction, Until, Value, Wanted,
    },
};

impl Compiler<'_> {
    /// Compiles a list, whose number comes before those of the lists in it.
    pub(super) fn list(&mut self, tasks: &Tasks) -> u32 {
        let number = self.lists.len();
        self.lists.push(Vec::new());
        let mut steps = Vec::with_capacity(tasks.0.len());
        for (index, task) in tasks.0.iter().enumerate() {
            let name = task.name.as_str();
            let step = self.below(PathStep::Index(index), |c| {
                c.at(name, |c| {
                    let step = c.step(name, &task.item)?;
                    let then = task.item.common.then.as_ref();
                    let then = c.at("then", |c| c.next(then, tasks));
                    let switch = match &task.item.kind {
                        Kind::Switch(switch) => Some(c.at("switch", |c| c.cases(switch, tasks))),
                        _ => None,
                    };
                    let place = c.steps.get_mut(usize::try_from(step).ok()?)?;
                    place.then = then;
                    if let Some(cases) = switch {
                        place.action = Action::Switch(cases);
                    }
                    Some(step)
                })
            });
            steps.extend(step);
        }
        if let Some(list) = self.lists.get_mut(number) {
            *list = steps;
        }
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn next(&mut self, then: Option<&Flow>, tasks: &Tasks) -> Next {
        match then {
            None | Some(Flow::Continue) => Next::Continue,
            Some(Flow::Exit) => Next::Exit,
            Some(Flow::End) => Next::End,
            Some(Flow::Task(name)) => {
                let place = tasks.0.iter().position(|task| task.name == *name);
                match place.and_then(|place| u32::try_from(place).ok()) {
                    Some(place) => Next::Goto(place),
                    None => {
                        let message = format!("no task of this list is named {name:?}");
                        self.problem(Code::UnknownTarget, message, "name a task of the list");
                        Next::Continue
                    }
                }
            }
        }
    }

    /// Compiles one step, and gives its number.
    pub(super) fn step(&mut self, name: &str, task: &Task) -> Option<u32> {
        let path = self.step_path();
        if path.len() > limits::STEP_PATH_BYTES_MAX {
            let max = limits::STEP_PATH_BYTES_MAX;
            let message = format!("the path of the task has {} bytes, more than {max}", path.len());
            self.problem(Code::TooLarge, message, "use shorter names, or nest less");
            return None;
        }
        if self.steps.len() >= limits::STEPS_MAX {
            let max = limits::STEPS_MAX;
            if !self.problems.iter().any(|problem| problem.code == Code::TooLarge) {
                let message = format!("the calls of functions make more than {max} tasks");
                self.problem(Code::TooLarge, message, "call workflows in the place of functions");
            }
            return None;
        }
        let common = &task.common;
        let number = self.steps.len();
        let condition = self.when("if", common.condition.as_ref());
        let step = Step {
            path,
            source: self.path.to_string(),
            name: name.to_owned(),
            condition,
            input: self.at("input", |c| c.input(common.input.as_ref())),
            output: self.at("output", |c| c.output(common.output.as_ref())),
            export: self.at("export", |c| c.export(common.export.as_ref())),
            timeout: self.at("timeout", |c| c.timeout(common.timeout.as_ref())),
            then: match &common.then {
                Some(Flow::End) => Next::End,
                Some(Flow::Exit) => Next::Exit,
                Some(Flow::Continue | Flow::Task(_)) | None => Next::Continue,
            },
            compensate: None,
            idempotency_key: common
                .idempotency_key
                .as_ref()
                .map(|key| self.at("idempotencyKey", |c| c.written(key))),
            action: Action::Switch(Vec::new()),
        };
        // The place is taken first, so that steps are numbered in the order of the document.
        self.steps.push(step);
        let action = self.action(&task.kind)?;
        let compensate =
            common.compensate.as_ref().map(|tasks| self.at("compensate", |c| c.list(tasks)));
        let place = self.steps.get_mut(number)?;
        place.action = action;
        place.compensate = compensate;
        u32::try_from(number).ok()
    }

    fn action(&mut self, kind: &Kind) -> Option<Action> {
        Some(match kind {
            Kind::Call(call) => return self.call(call),
            Kind::Run(run) => return self.at("run", |c| c.run(&run.run)),
            Kind::Do(tasks) => Action::Do(self.at("do", |c| c.list(&tasks.tasks))),
            Kind::Emit(emit) => {
                let with = &emit.emit.event.with;
                Action::Emit(self.at("emit", |c| c.at("event", |c| c.attributes(with))))
            }
            Kind::For(each) => Action::For(Box::new(self.for_each(each))),
            Kind::Fork(fork) => Action::Fork {
                branches: self.at("fork", |c| c.at("branches", |c| c.list(&fork.fork.branches))),
                compete: fork.fork.compete.unwrap_or(false),
            },
            Kind::Listen(listen) => Action::Listen(Box::new(self.listen(listen))),
            Kind::Raise(raise) => self.raise(&raise.raise),
            Kind::Set(set) => Action::Set(self.at("set", |c| c.projection(&set.set))),
            // The list that the step is in knows where its cases lead.
            Kind::Switch(_) => Action::Switch(Vec::new()),
            Kind::Try(body) => Action::Try(Box::new(self.try_catch(body))),
            Kind::Wait(wait) => Action::Wait(self.at("wait", |c| c.delay(&wait.wait))),
        })
    }

    fn cases(&mut self, switch: &Switch, tasks: &Tasks) -> Vec<SwitchCase> {
        let mut cases = Vec::new();
        for (index, case) in switch.cases.0.iter().enumerate() {
            let name = case.name.as_str();
            cases.push(self.below(PathStep::Index(index), |c| {
                c.at(name, |c| SwitchCase {
                    name: name.to_owned(),
                    when: c.when("when", case.item.when.as_ref()),
                    then: c.at("then", |c| c.next(case.item.then.as_ref(), tasks)),
                })
            }));
        }
        cases
    }

    fn attributes(&mut self, with: &Attributes) -> BTreeMap<String, Value> {
        self.at("with", |c| {
            let compile = |(key, value): (&str, &crate::Template)| {
                (key.to_owned(), c.at(key, |c| c.value(value.as_json())))
            };
            with.iter().map(compile).collect()
        })
    }

    fn for_each(&mut self, each: &For) -> ForAction {
        let variable = |name: &Option<crate::Variable>, default: &str| {
            name.as_ref().map_or(default, |name| name.as_str()).to_owned()
        };
        let item = variable(&each.each.item, "item");
        let at = variable(&each.each.at, "index");
        let items = self.at("for", |c| c.at("in", |c| c.expression(&each.each.list)));
        self.with_variables(&[&item, &at], |c| ForAction {
            items,
            condition: c.when("while", each.condition.as_ref()),
            concurrency: each.each.concurrency.and_then(|count| u32::try_from(count).ok()),
            list: c.at("do", |c| c.list(&each.tasks)),
            item: item.clone(),
            at: at.clone(),
        })
    }

    fn raise(&mut self, raise: &Raise) -> Action {
        let known = self.components.and_then(|components| components.errors.as_ref());
        let fault = match &raise.error {
            Ref::Inline(fault) => Some(fault),
            Ref::Named(name) => known.and_then(|known| known.get(name.as_str())),
        };
        let parts = fault.map(json).unwrap_or_default();
        Action::Raise(self.at("raise", |c| c.at("error", |c| c.value(&parts))))
    }

    fn listen(&mut self, task: &ListenTask) -> ListenAction {
        let Listen { to, read } = &task.listen;
        let to = self.at("listen", |c| c.at("to", |c| c.wanted(to)));
        let each = task.each.as_ref().map(|each| {
            let item = each.item.as_ref().map_or("item", |name| name.as_str());
            let at = each.at.as_ref().map_or("index", |name| name.as_str());
            self.at("foreach", |c| {
                c.with_variables(&[item, at], |c| ForEach {
                    item: item.to_owned(),
                    at: at.to_owned(),
                    list: each.tasks.as_ref().map(|tasks| c.at("do", |c| c.list(tasks))),
                    output: c.at("output", |c| c.output(each.output.as_ref())),
                    export: c.at("export", |c| c.export(each.export.as_ref())),
                })
            })
        });
        let read = match read {
            Some(Part::Data) | None => Read::Data,
            Some(Part::Envelope) => Read::Envelope,
            Some(Part::Raw) => Read::Raw,
        };
        ListenAction { to, read, each }
    }

    fn wanted(&mut self, strategy: &Strategy) -> Wanted {
        let until = match &strategy.until {
            _ if strategy.all.is_some() => Until::Each,
            None => Until::First,
            Some(crate::Until::Never(_)) => Until::Never,
            Some(crate::Until::Condition(when)) => {
                Until::Condition(self.at("until", |c| c.expression(when)))
            }
            Some(crate::Until::Events(events)) => {
                Until::Events(Box::new(self.at("until", |c| c.wanted(events))))
            }
        };
        let mut filters = Vec::new();
        if let Some(one) = &strategy.one {
            filters.push(self.at("one", |c| c.filter(one)));
        }
        for (key, list) in [("any", &strategy.any), ("all", &strategy.all)] {
            for (index, filter) in list.iter().flatten().enumerate() {
                let place = PathStep::Index(index);
                filters.push(self.at(key, |c| c.below(place, |c| c.filter(filter))));
            }
        }
        // Any of no filters is any event.
        if filters.is_empty() {
            filters.push(EventFilter {
                literal: BTreeMap::new(),
                computed: BTreeMap::new(),
                correlate: BTreeMap::new(),
            });
        }
        Wanted { filters, until }
    }

    pub(super) fn filter(&mut self, filter: &Filter) -> EventFilter {
        let (mut literal, mut computed) = (BTreeMap::new(), BTreeMap::new());
        for (key, value) in self.attributes(&filter.with) {
            match value {
                Value::Plain(value) => _ = literal.insert(key, value),
                value => _ = computed.insert(key, value),
            }
        }
        let mut correlate = BTreeMap::new();
        for (key, correlation) in filter.correlate.iter().flatten() {
            let compiled = self.at("correlate", |c| {
                c.at(key, |c| {
                    let from = c.at("from", |c| c.expression(&correlation.from));
                    let expect = correlation.expect.as_ref();
                    (from, expect.map(|expect| c.at("expect", |c| c.written(expect))))
                })
            });
            correlate.insert(key.clone(), compiled);
        }
        EventFilter { literal, computed, correlate }
    }

    fn try_catch(&mut self, body: &Try) -> TryAction {
        let Catch { errors, variable, when, except_when, retry, tasks } = &body.catch;
        let list = self.at("try", |c| c.list(&body.tasks));
        let variable = variable.as_ref().map_or("error", |name| name.as_str());
        self.at("catch", |c| {
            c.with_variables(&[variable], |c| TryAction {
                list,
                with: errors.as_ref().map(|errors| c.fault_filter(errors)).unwrap_or_default(),
                variable: variable.to_owned(),
                when: c.when("when", when.as_ref()),
                except_when: c.when("exceptWhen", except_when.as_ref()),
                retry: c.at("retry", |c| c.retry(retry.as_ref())),
                handler: tasks.as_ref().map(|tasks| c.at("do", |c| c.list(tasks))),
            })
        })
    }

    fn fault_filter(&mut self, errors: &crate::FaultFilter) -> BTreeMap<String, Value> {
        let with = json(&errors.with);
        let keys = with.as_object().cloned().unwrap_or_default();
        self.at("errors", |c| {
            c.at("with", |c| {
                keys.iter()
                    .map(|(key, value)| (key.clone(), c.at(key, |c| c.value(value))))
                    .collect()
            })
        })
    }

    fn retry(&mut self, retry: Option<&Ref<Retry>>) -> Option<RetryPlan> {
        let known = self.components.and_then(|components| components.retries.as_ref());
        let retry = match retry? {
            Ref::Inline(retry) => retry,
            Ref::Named(name) => known?.get(name.as_str())?,
        };
        let limit = retry.limit.as_ref();
        let attempt = limit.and_then(|limit| limit.attempt.as_ref());
        let backoff = match &retry.backoff {
            Some(backoff) if backoff.exponential.is_some() => Growth::Exponential,
            Some(backoff) if backoff.linear.is_some() => Growth::Linear,
            Some(_) | None => Growth::Constant,
        };
        Some(RetryPlan {
            when: self.when("when", retry.when.as_ref()),
            except_when: self.when("exceptWhen", retry.except_when.as_ref()),
            delay: self.delay_at("delay", retry.delay.as_ref()),
            backoff,
            count_max: attempt.and_then(|attempt| attempt.count),
            each_max: attempt.and_then(|a| self.delay_at("limit", a.duration.as_ref())),
            total_max: limit.and_then(|limit| self.delay_at("limit", limit.duration.as_ref())),
            jitter: retry.jitter.as_ref().map(|jitter| {
                self.at("jitter", |c| {
                    (c.at("from", |c| c.delay(&jitter.from)), c.at("to", |c| c.delay(&jitter.to)))
                })
            }),
        })
    }
}
