//! How the reducer computes: expressions, values with expressions in them, schemas and lengths of
//! time.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Span, Timestamp, tz::TimeZone};
use model::Time;
use serde_json::{Map, Value as Json, json};

use super::{
    evaluate::{Ask, Evaluate},
    fault::{Fault, Standard},
    machine::Machine,
    outcome::Answer,
    program::{Delay, Expr, Shaping, Value},
    state::Body,
};
use crate::expr;

/// What an expression can see besides the context, the task and the workflow.
#[derive(Default)]
pub(super) struct Scope {
    /// Where it stands.
    pub(super) frame: Option<u64>,
    /// `$input`.
    pub(super) input: Arc<Json>,
    /// `$output`.
    pub(super) output: Json,
    /// Variables that no frame has.
    pub(super) extra: Vec<(String, Json)>,
}

impl Scope {
    /// Sees what a frame sees, with its input.
    pub(super) fn of(frame: u64, input: &Arc<Json>) -> Self {
        Self { frame: Some(frame), input: Arc::clone(input), ..Self::default() }
    }
}

/// Says whether a condition holds, as jq has it: all but `false` and `null` are true.
pub(super) fn holds(value: &Json) -> bool {
    !matches!(value, Json::Null | Json::Bool(false))
}

impl<E: Evaluate> Machine<'_, E> {
    /// Computes one expression.
    pub(super) async fn expr(
        &mut self,
        expr: &Expr,
        dot: &Json,
        scope: &Scope,
    ) -> Result<Json, Fault> {
        match self.values_of(&[expr], dot, scope).await.pop() {
            Some(Answer::Value(value)) => Ok(value),
            Some(Answer::Failed(why)) => Err(failed(expr, &why)),
            None => Err(failed(expr, "it was not computed")),
        }
    }

    /// Says whether a condition holds.
    pub(super) async fn is_true(
        &mut self,
        expr: &Expr,
        dot: &Json,
        scope: &Scope,
    ) -> Result<bool, Fault> {
        self.expr(expr, dot, scope).await.map(|value| holds(&value))
    }

    /// Computes all expressions of a value at once.
    pub(super) async fn render(
        &mut self,
        value: &Value,
        dot: &Json,
        scope: &Scope,
    ) -> Result<Json, Fault> {
        let mut expressions = Vec::new();
        collect(value, &mut expressions);
        let mut values = Vec::with_capacity(expressions.len());
        for (expr, answer) in expressions.iter().zip(self.values_of(&expressions, dot, scope).await)
        {
            match answer {
                Answer::Value(value) => values.push(value),
                Answer::Failed(why) => return Err(failed(expr, &why)),
            }
        }
        Ok(filled(value, &mut values.into_iter()))
    }

    /// Computes values by name.
    pub(super) async fn render_map(
        &mut self,
        values: &BTreeMap<String, Value>,
        dot: &Json,
        scope: &Scope,
    ) -> Result<Map<String, Json>, Fault> {
        let value = Value::Map(values.clone());
        match self.render(&value, dot, scope).await? {
            Json::Object(map) => Ok(map),
            _ => Ok(Map::new()),
        }
    }

    /// Checks input, then makes of it what it is to be.
    pub(super) async fn shape_input(
        &mut self,
        shaping: &Shaping,
        raw: &Json,
        scope: &Scope,
    ) -> Result<Json, Fault> {
        self.fit(shaping, raw).await?;
        match &shaping.made {
            Some(made) => self.render(made, raw, scope).await,
            None => Ok(raw.clone()),
        }
    }

    /// Makes of output what it is to be, then checks it.
    pub(super) async fn shape_output(
        &mut self,
        shaping: &Shaping,
        raw: Json,
        scope: &Scope,
    ) -> Result<Json, Fault> {
        let made = match &shaping.made {
            Some(made) => self.render(made, &raw, scope).await?,
            None => raw,
        };
        self.fit(shaping, &made).await?;
        Ok(made)
    }

    /// Makes the new context of an output, if anything is said about that.
    pub(super) async fn export(
        &mut self,
        shaping: &Shaping,
        output: &Json,
        scope: &Scope,
    ) -> Result<(), Fault> {
        if let Some(made) = &shaping.made {
            let context = self.render(made, output, scope).await?;
            self.fit(shaping, &context).await?;
            self.state.context = context;
        }
        Ok(())
    }

    pub(super) async fn fit(&mut self, shaping: &Shaping, value: &Json) -> Result<(), Fault> {
        let Some(schema) = &shaping.schema else { return Ok(()) };
        let ask = || Ask::Schema { schema: schema.clone(), value: value.clone() };
        let known = self.known().map_or_else(|| Open::Ask(ask()), Open::Answer);
        match self.answers_to(vec![known]).await.pop() {
            Some(Answer::Value(_)) => Ok(()),
            Some(Answer::Failed(why)) => Err(Fault::standard(Standard::Validation, why)),
            None => Err(Fault::standard(Standard::Validation, "it was not checked")),
        }
    }

    /// Gives the time that lies a while after another.
    pub(super) async fn after(
        &mut self,
        delay: &Delay,
        from: Time,
        dot: &Json,
        scope: &Scope,
    ) -> Result<Time, Fault> {
        let span = match delay {
            Delay::Fixed(text) => span(&Json::from(text.as_str())),
            Delay::Computed(expr) => {
                let value = self.expr(expr, dot, scope).await?;
                span(&value)
            }
        };
        let wrong = |why: String| Fault::standard(Standard::Expression, why);
        plus(from, span.map_err(wrong)?).map_err(wrong)
    }

    /// Computes expressions that all see the same.
    async fn values_of(&mut self, exprs: &[&Expr], dot: &Json, scope: &Scope) -> Vec<Answer> {
        let mut all = Vec::with_capacity(exprs.len());
        for expr in exprs {
            all.push(match self.known() {
                Some(answer) => Open::Answer(answer),
                None => self.open(expr, dot, scope),
            });
        }
        self.answers_to(all).await
    }

    fn open(&self, expr: &Expr, dot: &Json, scope: &Scope) -> Open {
        let mut variables = BTreeMap::new();
        for name in &expr.uses {
            if name != "secrets" {
                variables.insert(name.clone(), self.variable(name, scope));
            }
        }
        let secrets = expr.uses.iter().any(|name| name == "secrets");
        // What the program is differs from one build to the next, so it is asked for and kept.
        let lasting = !secrets && !variables.contains_key("runtime");
        match lasting.then(|| expr::quick(&expr.source, dot, &variables)).flatten() {
            Some(value) => Open::Answer(Answer::Value(value)),
            None => Open::Ask(Ask::Expression {
                source: expr.source.clone(),
                input: dot.clone(),
                variables,
                secrets,
            }),
        }
    }

    fn variable(&self, name: &str, scope: &Scope) -> Json {
        if let Some((_, value)) = scope.extra.iter().find(|(known, _)| known == name) {
            return value.clone();
        }
        match name {
            "context" => self.state.context.clone(),
            "input" => Json::clone(&scope.input),
            "output" => scope.output.clone(),
            "runtime" => json!({
                "name": "lockstep",
                "version": env!("CARGO_PKG_VERSION"),
                "metadata": {},
            }),
            "task" => self.described_task(scope),
            "workflow" => self.described_workflow(),
            _ => self.inherited(name, scope.frame),
        }
    }

    /// Looks a variable up in a frame and those around it.
    fn inherited(&self, name: &str, frame: Option<u64>) -> Json {
        let mut next = frame;
        while let Some(frame) = next.and_then(|id| self.state.frames.get(&id)) {
            if let Some(value) = frame.variables.get(name) {
                return value.clone();
            }
            next = frame.parent;
        }
        Json::Null
    }

    fn described_task(&self, scope: &Scope) -> Json {
        let Some(frame) = scope.frame.and_then(|id| self.state.frames.get(&id)) else {
            return Json::Null;
        };
        let Body::Task(task) = &frame.body else { return Json::Null };
        let Some(step) = self.step(task.step) else { return Json::Null };
        json!({
            "name": step.name,
            "reference": step.path,
            "definition": self.program.definition.pointer(&step.source),
            "input": scope.frame.map(|frame| self.raw_of(frame)),
            "output": scope.output,
            "startedAt": described_time(task.started),
        })
    }

    fn described_workflow(&self) -> Json {
        let origin = self.state.origin.as_ref();
        json!({
            "id": origin.map(|origin| &origin.id),
            "definition": self.program.definition,
            "input": origin.map(|origin| &origin.input),
            "startedAt": origin.map(|origin| described_time(origin.started)),
        })
    }

    /// Gives what the journal has for the next ask, and counts it.
    fn known(&mut self) -> Option<Answer> {
        let number = self.asked;
        self.asked += 1;
        self.recorded.and_then(|recorded| recorded.get(&number)).cloned()
    }

    /// Asks the world for what is open. All of these were counted last.
    async fn answers_to(&mut self, all: Vec<Open>) -> Vec<Answer> {
        let first = self.asked - u32::try_from(all.len()).unwrap_or_default();
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(all.len());
        let (mut asks, mut numbers) = (Vec::new(), Vec::new());
        for (number, one) in (first..).zip(all) {
            match one {
                Open::Answer(answer) => answers.push(Some(answer)),
                Open::Ask(ask) => {
                    numbers.push((answers.len(), number));
                    asks.push(ask);
                    answers.push(None);
                }
            }
        }
        if self.recorded.is_some() {
            self.gaps += asks.len();
        } else if !asks.is_empty() {
            let given = self.evaluator.evaluate(asks).await;
            for ((place, number), answer) in numbers.into_iter().zip(given) {
                self.answers.insert(number, answer.clone());
                if let Some(place) = answers.get_mut(place) {
                    *place = Some(answer);
                }
            }
        }
        let missing = || Answer::Failed("it was not computed".to_owned());
        answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
    }
}

/// Something to compute, or what was computed.
enum Open {
    Answer(Answer),
    Ask(Ask),
}

fn failed(expr: &Expr, why: &str) -> Fault {
    let detail = format!("${{ {} }}: {why}", expr.source);
    Fault::standard(Standard::Expression, detail)
}

fn collect<'a>(value: &'a Value, expressions: &mut Vec<&'a Expr>) {
    match value {
        Value::Plain(_) => {}
        Value::Computed(expr) => expressions.push(expr),
        Value::List(items) => items.iter().for_each(|item| collect(item, expressions)),
        Value::Map(map) => map.values().for_each(|item| collect(item, expressions)),
    }
}

/// Puts computed values in the places of their expressions, in the order of [`collect`].
fn filled(value: &Value, values: &mut impl Iterator<Item = Json>) -> Json {
    match value {
        Value::Plain(json) => json.clone(),
        Value::Computed(_) => values.next().unwrap_or_default(),
        Value::List(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Map(map) => {
            map.iter().map(|(key, item)| (key.clone(), filled(item, values))).collect()
        }
    }
}

/// Reads a length of time: ISO 8601 text, or a mapping of parts.
pub(super) fn span(value: &Json) -> Result<Span, String> {
    let wrong = || format!("{value} is not a duration, such as PT5M or {{ minutes: 5 }}");
    match value {
        Json::String(text) => match text.parse::<Span>() {
            Ok(span) if text.starts_with('P') && !span.is_negative() => Ok(span),
            _ => Err(wrong()),
        },
        Json::Object(parts) if !parts.is_empty() => {
            let mut span = Span::new();
            for (part, count) in parts {
                let count = count.as_i64().filter(|count| *count >= 0).ok_or_else(wrong)?;
                let next = match part.as_str() {
                    "days" => span.try_days(count),
                    "hours" => span.try_hours(count),
                    "minutes" => span.try_minutes(count),
                    "seconds" => span.try_seconds(count),
                    "milliseconds" => span.try_milliseconds(count),
                    _ => return Err(wrong()),
                };
                span = next.map_err(|_| wrong())?;
            }
            Ok(span)
        }
        _ => Err(wrong()),
    }
}

/// Adds a length of time by the calendar of UTC.
fn plus(from: Time, span: Span) -> Result<Time, String> {
    let late = || "the duration is too long".to_owned();
    let stamp = Timestamp::from_nanosecond(i128::from(from.0)).map_err(|_| late())?;
    let then = stamp.to_zoned(TimeZone::UTC).checked_add(span).map_err(|_| late())?;
    i64::try_from(then.timestamp().as_nanosecond()).map(Time).map_err(|_| late())
}

fn described_time(time: Time) -> Json {
    let milliseconds = time.0.div_euclid(1_000_000);
    json!({
        "iso8601": time.to_string(),
        "epoch": { "seconds": time.unix_seconds(), "milliseconds": milliseconds },
    })
}
