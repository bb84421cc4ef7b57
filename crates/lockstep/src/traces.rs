//! Spans on their way to a collector: OTLP over HTTP, in its JSON form.
//!
//! All that there is to know of a span follows from records, so of the libraries of OpenTelemetry
//! nothing but the encoding would be left to use; it is written here, as its specification says.
//! Spans wait in a queue with a bound, and whoever records one never waits: what finds no room, and
//! what the collector does not take, is counted and gone.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use model::{Span, SpanKind, Time, TraceContext, Tracer};
use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde_json::{Value as Json, json};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::config::Config;

/// Spans that wait for the collector; further ones are dropped.
const QUEUE_MAX: usize = 8_192;
/// Spans in one request.
const BATCH_MAX: usize = 512;
/// How long spans wait for others to go with.
const LINGER: Duration = Duration::from_millis(500);
/// How long the collector may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long the last spans of a program may take.
const LAST_MAX: Duration = Duration::from_secs(2);

/// Takes spans for a collector.
struct Traces {
    queue: mpsc::Sender<Span>,
    /// A trace is recorded if the lower half of its id is below this.
    below: u64,
    dropped: Dropped,
}

impl Tracer for Traces {
    fn place(&self, parent: Option<TraceContext>) -> TraceContext {
        let mut random = [0; 24];
        // Without random numbers, places are all alike; nothing else depends on them.
        let _alike = getrandom::fill(&mut random);
        let [high, low, span] = [0, 8, 16].map(|at| number(random.get(at..at + 8)));
        match parent {
            Some(parent) => parent.at(span),
            None => {
                let trace = u128::from(high) << 64 | u128::from(low);
                TraceContext::new(trace, span, low < self.below || self.below == u64::MAX)
            }
        }
    }

    fn now(&self) -> Time {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX))
    }

    fn record(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.dropped.count(1);
        }
    }
}

fn number(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// Counts the spans that nobody gets.
#[derive(Clone, Default)]
struct Dropped(Arc<OnceLock<metrics::Counter>>);

impl Dropped {
    fn count(&self, spans: usize) {
        // Made when it is first needed, since whoever shows it may come later than this.
        let make = || metrics::counter!("lockstep_spans_dropped_total");
        self.0.get_or_init(make).increment(spans as u64);
    }
}

/// The way to a collector.
pub(crate) struct Export {
    tracer: Arc<dyn Tracer>,
    stop: watch::Sender<bool>,
    sending: JoinHandle<()>,
}

impl Export {
    /// Opens the way, if the settings name a collector.
    pub(crate) fn start(config: &Config, service: &str) -> Result<Option<Self>> {
        let Some(url) = config.otlp_endpoint()? else { return Ok(None) };
        // Who has set one before is as good.
        let _set = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(ANSWER_MAX)
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the way to the collector of spans cannot be opened")?;
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (stop, stopped) = watch::channel(false);
        let dropped = Dropped::default();
        let collector = Collector { client, url, resource: resource(service) };
        let sending = tokio::spawn(send(collector, waiting, stopped, dropped.clone()));
        let tracer = Arc::new(Traces { queue, below: below(config.otlp_sample()?), dropped });
        Ok(Some(Self { tracer, stop, sending }))
    }

    /// Gives who takes the spans.
    pub(crate) fn tracer(&self) -> Arc<dyn Tracer> {
        Arc::clone(&self.tracer)
    }

    /// Sends what is left, unless that takes long.
    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        if timeout(LAST_MAX, self.sending).await.is_err() {
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}

/// Gives the number below which a share of all numbers is.
fn below(share: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 and 1")]
    let below = (share * u64::MAX as f64) as u64;
    below
}

/// Who takes the requests.
struct Collector {
    client: Client,
    url: Url,
    resource: Json,
}

/// Sends what is recorded, in batches, until it is told to stop; then what is left.
async fn send(
    collector: Collector,
    mut waiting: mpsc::Receiver<Span>,
    mut stop: watch::Receiver<bool>,
    dropped: Dropped,
) {
    let (mut batch, mut is_well) = (Vec::with_capacity(BATCH_MAX), true);
    loop {
        tokio::select! {
            count = waiting.recv_many(&mut batch, BATCH_MAX) => if count == 0 { return },
            // A sender that is gone says the same.
            _ = stop.wait_for(|stop| *stop), if !waiting.is_closed() => waiting.close(),
        }
        if !waiting.is_closed() && batch.len() < BATCH_MAX {
            let mut more = async || {
                while batch.len() < BATCH_MAX {
                    let room = BATCH_MAX - batch.len();
                    if waiting.recv_many(&mut batch, room).await == 0 {
                        return;
                    }
                }
            };
            tokio::select! {
                // Waits because each request costs more than the spans in it.
                _ = timeout(LINGER, more()) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        if batch.is_empty() {
            continue;
        }
        let count = batch.len();
        let outcome = collector.take(&batch).await;
        batch.clear();
        match &outcome {
            Ok(()) => metrics::counter!("lockstep_spans_exported_total").increment(count as u64),
            Err(error) => {
                dropped.count(count);
                if is_well {
                    tracing::warn!("the collector of spans takes none: {error:#}");
                }
            }
        }
        is_well = outcome.is_ok();
    }
}

impl Collector {
    async fn take(&self, spans: &[Span]) -> Result<()> {
        let body = request(&self.resource, spans).to_string();
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        // An address may hold a password, so errors do not name it.
        let sent = request.body(body).send().await.map_err(reqwest::Error::without_url)?;
        sent.error_for_status().map_err(reqwest::Error::without_url)?;
        Ok(())
    }
}

fn resource(service: &str) -> Json {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    json!({ "attributes": [
        attribute("service.name", service),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("service.instance.id", &format!("{host}-{}", std::process::id())),
        attribute("host.name", &host),
    ]})
}

fn attribute(key: &str, value: &str) -> Json {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Writes an `ExportTraceServiceRequest`.
fn request(resource: &Json, spans: &[Span]) -> Json {
    let spans: Vec<Json> = spans.iter().map(written).collect();
    let scope = json!({ "name": "lockstep", "version": env!("CARGO_PKG_VERSION") });
    json!({ "resourceSpans": [{
        "resource": resource,
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }]})
}

fn written(span: &Span) -> Json {
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    let attributes = span.attributes.iter().map(|(key, value)| attribute(key, value));
    json!({
        "traceId": span.context.trace_id(),
        "spanId": span.context.span_id(),
        "parentSpanId": span.parent.map(TraceContext::span_id).unwrap_or_default(),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": span.start.0.to_string(),
        "endTimeUnixNano": span.end.0.to_string(),
        "attributes": attributes.collect::<Vec<_>>(),
        "status": { "code": if span.is_error { 2 } else { 0 } },
    })
}
