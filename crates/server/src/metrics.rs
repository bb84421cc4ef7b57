//! What `GET /metrics` shows: the process-wide recorder, and unit counts read at that moment.

use std::{
    fmt::Write as _,
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http::StatusCode;
use metrics::{Gauge, Histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use model::{Backend, Namespace, Query, Result, SpecName, SummaryRow, Time};

use crate::{call::take, routes::ROUTES};

const REQUEST_SECONDS: &str = "lockstep_http_request_seconds";
const RPC_SECONDS: &str = "lockstep_rpc_request_seconds";
const IN_FLIGHT: &str = "lockstep_http_requests_in_flight";
const SUMMARY_SECONDS: &str = "coordinate_summary_seconds";

const REQUEST_BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0];

/// The ancestor's buckets: 2⁻⁵ to 2⁶.
const SUMMARY_BUCKETS: [f64; 12] =
    [0.03125, 0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The statuses that have a series of their own; others count as the last.
const STATUSES: [u16; 20] = [
    200, 201, 204, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 410, 413, 415, 429, 503, 507,
    500,
];

/// The meters of one server.
pub(crate) struct Metrics {
    recorder: &'static PrometheusHandle,
    in_flight: Gauge,
    /// By route, then by status; made when first needed.
    seconds: Vec<[OnceLock<Histogram>; STATUSES.len()]>,
}

/// Installs the recorder that all crates of the process report to.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        // Another recorder in place keeps what others report; this one then has our own meters.
        builder().install_recorder().unwrap_or_else(|_taken| builder().build_recorder().handle())
    })
}

fn builder() -> PrometheusBuilder {
    let builder = PrometheusBuilder::new();
    // The only refusal is of an empty list of buckets.
    let builder = builder.set_buckets(&REQUEST_BUCKETS).unwrap_or_default();
    let summary = Matcher::Full(SUMMARY_SECONDS.to_owned());
    builder.set_buckets_for_metric(summary, &SUMMARY_BUCKETS).unwrap_or_default()
}

/// Counters without labels, which are there from the start, so that their first event is a change
/// that can be seen.
const COUNTERS: [(&str, &str); 15] = [
    ("lockstep_claims_total", "Attempts started"),
    ("lockstep_finishes_total", "Attempts finished"),
    ("lockstep_failures_total", "Attempts failed"),
    ("lockstep_lease_expiries_total", "Attempts whose lease ran out"),
    ("lockstep_cache_hits_total", "Reads by name answered from memory"),
    ("lockstep_cache_misses_total", "Reads by name that had to be loaded"),
    ("lockstep_cache_rejected_fills_total", "Loads that were too old to be kept"),
    ("lockstep_cache_joiner_retries_total", "Reads that waited for a load and loaded again"),
    ("lockstep_cache_floors_total", "Floors that commits have raised"),
    ("lockstep_cache_evictions_total", "Entries that had to go for others"),
    ("lockstep_instance_conflicts_total", "Steps of instances that another node was faster with"),
    ("lockstep_start_fence_conflicts_total", "Starts of instances that met a publication"),
    ("lockstep_expression_children_lost_total", "Processes of expressions that were lost"),
    ("lockstep_spans_exported_total", "Spans of traces that the collector took"),
    ("lockstep_spans_dropped_total", "Spans of traces that nobody took"),
];

fn declare() {
    for (name, help) in COUNTERS {
        metrics::describe_counter!(name, help);
        metrics::counter!(name).increment(0);
    }
    let refused = "lockstep_rate_limited_total";
    metrics::describe_counter!(refused, "Requests refused as too many");
    for what in ["requests", "wrong_tokens"] {
        metrics::counter!(refused, "what" => what).increment(0);
    }
    let passed = "lockstep_passed_on_total";
    metrics::describe_counter!(passed, "Writes passed on to the node that writes in a namespace");
    for outcome in ["done", "not_done", "unknown"] {
        metrics::counter!(passed, "outcome" => outcome).increment(0);
    }
    let peers = "lockstep_peers";
    metrics::describe_gauge!(peers, "Other nodes that writes can be passed on to");
    metrics::gauge!(peers).increment(0.0);
    let lag = "lockstep_cache_lag_seconds";
    metrics::describe_gauge!(lag, "Age of the newest commit of another node when it was heard of");
    metrics::gauge!(lag).increment(0.0);
    metrics::describe_gauge!(IN_FLIGHT, "Requests that are being answered");
    for (name, help) in [
        (REQUEST_SECONDS, "Time to answer a request"),
        (RPC_SECONDS, "Time to answer a CBOR-RPC request"),
        (SUMMARY_SECONDS, "Seconds required to gather coordinate summary"),
        ("lockstep_pipeline_stage_seconds", "Time that a stage of publishing took"),
        ("lockstep_pipeline_barrier_seconds", "Time until a change of definitions was effective"),
    ] {
        metrics::describe_histogram!(name, help);
    }
}

/// Counts a request as in flight until it is dropped.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let recorder = recorder();
        declare();
        let seconds = ROUTES.iter().map(|_| [const { OnceLock::new() }; STATUSES.len()]).collect();
        Self { recorder, in_flight: gauge!(IN_FLIGHT), seconds }
    }

    pub(crate) fn enter(&self) -> InFlight {
        self.in_flight.increment(1.0);
        InFlight(self.in_flight.clone())
    }

    /// Counts an answer of the route at this place in the table.
    pub(crate) fn answered(&self, route: usize, status: StatusCode, time: Duration) {
        let code = status.as_u16();
        let place = STATUSES.iter().position(|own| *own == code).unwrap_or(STATUSES.len() - 1);
        let Some((row, meters)) = ROUTES.get(route).zip(self.seconds.get(route)) else { return };
        let Some(meter) = meters.get(place) else { return };
        let meter = meter.get_or_init(|| {
            histogram!(REQUEST_SECONDS, "method" => row.method, "route" => row.path,
                "status" => status.as_str().to_owned())
        });
        meter.record(time);
    }

    /// Counts an answer of a CBOR-RPC method.
    pub(crate) fn rpc_answered(&self, method: &'static str, ok: bool, time: Duration) {
        let outcome = if ok { "ok" } else { "error" };
        histogram!(RPC_SECONDS, "method" => method, "outcome" => outcome).record(time);
    }

    /// Folds what was recorded into the histograms, so that it does not pile up between scrapes.
    pub(crate) fn fold(&self) {
        self.recorder.run_upkeep();
    }

    /// Writes all series in the text format 0.0.4.
    pub(crate) async fn render(&self, backend: &dyn Backend) -> Result<String> {
        let start = Instant::now();
        let read = backend.read(Query::Summary(None, None), 0).await?;
        let rows = take!(read.answer, model::Answer::Summary)?;
        histogram!(SUMMARY_SECONDS).record(start.elapsed());
        let read = backend.read(Query::OldestReady, 0).await?;
        let oldest = take!(read.answer, model::Answer::OldestReady)?;
        let mut text = self.recorder.render();
        oldest_ready(&mut text, &oldest);
        units(&mut text, "lockstep_units", "Work units by status", "spec", &rows);
        let help = "Number of coordinate work specs";
        units(&mut text, "coordinate_work_units", help, "work_spec", &rows);
        Ok(text)
    }
}

/// Writes unit counts as a gauge; a combination that is gone has no line.
fn units(text: &mut String, name: &str, help: &str, spec_label: &str, rows: &[SummaryRow]) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for row in rows {
        let (namespace, spec) = (label(row.namespace.as_str()), label(row.spec.as_str()));
        let labels = format!("namespace=\"{namespace}\",{spec_label}=\"{spec}\"");
        let (status, count) = (row.status.as_str(), row.count);
        let _infallible = writeln!(text, "{name}{{{labels},status=\"{status}\"}} {count}");
    }
}

/// Writes how long ago the oldest ready unit of each spec was added.
fn oldest_ready(text: &mut String, rows: &[(Namespace, SpecName, Time)]) {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time(i64::try_from(since_1970.as_nanos()).unwrap_or(i64::MAX));
    let name = "lockstep_oldest_ready_seconds";
    // Writing to a string cannot fail.
    let _infallible =
        writeln!(text, "# HELP {name} Age of the oldest ready work unit\n# TYPE {name} gauge");
    for (namespace, spec, added) in rows {
        let (namespace, spec) = (label(namespace.as_str()), label(spec.as_str()));
        let age = now.since(*added).as_secs_f64();
        let labels = format!("namespace=\"{namespace}\",spec=\"{spec}\"");
        let _infallible = writeln!(text, "{name}{{{labels}}} {age}");
    }
}

/// Escapes a label value.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
