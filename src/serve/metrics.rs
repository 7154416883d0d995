//! The same figures for Prometheus. The names are part of what nightreel promises.
//!
//! What the ledger knows is a gauge, and holds over restarts; what only the run in this process knows begins at nought with
//! it, and is not there without one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::{Desk, Ground};
use crate::domain::{Money, StateCode};
use crate::pipeline::{LaneView, Submitting};
use crate::store::{Store, StoreError};

/// What Prometheus asks for.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// One measure of one thing.
#[derive(Debug)]
enum Value {
    Gauge(f64),
    Counter(u64),
    /// The sum, and how many are within each bound and beyond the one before.
    Histogram(f64, Vec<(f64, u64)>),
}

/// All measures of one name.
#[derive(Debug)]
struct Metric {
    name: &'static str,
    help: &'static str,
    values: Vec<(Labels, Value)>,
}

/// How everything stands, for one answer.
#[derive(Debug)]
struct Standing(Vec<Metric>);

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in &self.0 {
            let Some((_, first)) = metric.values.first() else { continue };
            let kind = match first {
                Value::Gauge(_) => MetricType::Gauge,
                Value::Counter(_) => MetricType::Counter,
                Value::Histogram(..) => MetricType::Histogram,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for (labels, value) in &metric.values {
                let mut one = family.encode_family(labels)?;
                match value {
                    Value::Gauge(value) => one.encode_gauge(value)?,
                    Value::Counter(value) => one.encode_counter::<NoLabelSet, _, u64>(value, None)?,
                    Value::Histogram(sum, bounds) => {
                        let count = bounds.iter().map(|(_, count)| count).sum();
                        one.encode_histogram::<NoLabelSet>(*sum, count, bounds, None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// All measures, as `OpenMetrics` text.
pub(super) async fn metrics(State(ground): State<Arc<Ground>>) -> Response {
    let unreadable = |words: String| (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    let store = match ground.live.store() {
        Ok(store) => store,
        Err(error) => return unreadable(error.to_string()),
    };
    let mut all = match store {
        Some(store) => match of_ledger(store.as_ref()).await {
            Ok(metrics) => metrics,
            Err(error) => return unreadable(error.to_string()),
        },
        None => Vec::new(),
    };
    all.extend(of_run(&ground));
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Standing(all)));
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => unreadable(error.to_string()),
    }
}

/// What the ledger knows.
async fn of_ledger(store: &dyn Store) -> Result<Vec<Metric>, StoreError> {
    let groups = store.groups(None).await?;
    let rows = StateCode::ALL.into_iter().map(|state| {
        let rows: u64 = groups.iter().filter(|group| group.state == state).map(|group| group.jobs).sum();
        (vec![("state", state.word().replace(' ', "_"))], whole(rows))
    });
    let spent = store.spent(None).await?;
    let paid = spent.iter().filter_map(|spent| {
        let price = spent.price.as_ref()?;
        let labels = vec![("account", spent.account.to_string()), ("currency", price.currency.to_string())];
        Some((labels, Value::Gauge(amount(price.amount))))
    });
    let mut requests: Vec<(Labels, Value)> = Vec::new();
    for account in store.accounts().await? {
        let of: u64 = spent.iter().filter(|spent| spent.account == account.name).map(|spent| spent.requests).sum();
        requests.push((vec![("account", account.name.to_string())], whole(of)));
    }
    Ok(vec![
        Metric { name: "nightreel_rows", help: "Rows of the ledger by state", values: rows.collect() },
        Metric {
            name: "nightreel_paid_requests",
            help: "Requests of all runs that may have been paid",
            values: requests,
        },
        Metric { name: "nightreel_spent", help: "What those were thought to cost", values: paid.collect() },
    ])
}

/// What the run in this process knows.
fn of_run(ground: &Ground) -> Vec<Metric> {
    let Desk::Run { control, budget } = &ground.desk else { return Vec::new() };
    let lanes = control.lanes();
    let each = |name, help, value: &dyn Fn(&LaneView) -> Value| Metric {
        name,
        help,
        values: lanes.iter().map(|lane| (vec![("account", lane.account.to_string())], value(lane))).collect(),
    };
    let size = |count: usize| whole(count as u64);
    let mut all = vec![
        each(
            "nightreel_submissions",
            "Requests for a task that were sent in this run; nightreel_put_offs of them made nothing",
            &|lane| Value::Counter(lane.counts.submissions),
        ),
        each("nightreel_put_offs", "Requests that made nothing and are sent again", &|lane| {
            Value::Counter(lane.counts.put_offs)
        }),
        each("nightreel_doubts", "Requests of which nobody knew whether they made a task", &|lane| {
            Value::Counter(lane.counts.doubts)
        }),
        each("nightreel_failures", "Rows that ended without a video", &|lane| Value::Counter(lane.counts.failures)),
        each("nightreel_videos", "Videos that were stored", &|lane| Value::Counter(lane.counts.videos)),
        each("nightreel_download_bytes", "Bytes of the videos that were stored", &|lane| {
            Value::Counter(lane.counts.bytes)
        }),
        each("nightreel_task_seconds", "How long tasks took", &|lane| {
            let bound = |bound: Option<u64>| bound.map_or(f64::INFINITY, |bound| bound as f64);
            let bounds = lane.counts.tasks.iter().map(|(up_to, count)| (bound(*up_to), *count));
            Value::Histogram(lane.counts.task_time.as_secs_f64(), bounds.collect())
        }),
        each("nightreel_slots_used", "Parallel generations under way", &|lane| size(lane.slots_used)),
        each("nightreel_slots_allowed", "Parallel generations that the remote is thought to allow", &|lane| {
            size(lane.slots_allowed)
        }),
        each("nightreel_slots_limit", "Parallel generations as they are set", &|lane| size(lane.slots_limit)),
        each("nightreel_requests_last_minute", "Requests of the last minute", &|lane| whole(lane.last_minute)),
        each("nightreel_requests_per_minute_limit", "Requests that a minute allows", &|lane| {
            Value::Gauge(lane.per_minute())
        }),
        each("nightreel_account_paused", "Whether the account sends nothing more in this run", &|lane| {
            whole(u64::from(lane.paused.is_some()))
        }),
        one("nightreel_submitting", "Whether rows are sent: 1, or 0 when held or drained", {
            whole(u64::from(control.submitting() == Submitting::On))
        }),
    ];
    if let Some(budget) = budget {
        let labels = vec![("currency", budget.currency.to_string())];
        let help = "What may be paid in all runs of the batch";
        all.push(Metric {
            name: "nightreel_budget",
            help,
            values: vec![(labels, Value::Gauge(amount(budget.amount)))],
        });
    }
    if let Some(hooks) = &ground.hooks {
        let counts =
            [("heeded", &hooks.counts.heeded), ("ignored", &hooks.counts.ignored), ("refused", &hooks.counts.refused)];
        let count = |(what, count): (&'static str, &std::sync::atomic::AtomicU64)| {
            (vec![("outcome", what.to_owned())], Value::Counter(count.load(Ordering::Relaxed)))
        };
        let values = counts.into_iter().map(count).collect();
        all.push(Metric { name: "nightreel_callbacks", help: "Callbacks by what became of them", values });
    }
    all
}

fn one(name: &'static str, help: &'static str, value: Value) -> Metric {
    Metric { name, help, values: vec![(Vec::new(), value)] }
}

fn whole(count: u64) -> Value {
    Value::Gauge(count as f64)
}

/// For a graph, which needs no exactness.
fn amount(money: Money) -> f64 {
    money.micros() as f64 / 1_000_000.0
}
