//! Batchline's own Prometheus metrics, served together with those of the Temporal SDK.

use std::{sync::Arc, time::Duration};

use backend::processing::Committed;
use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, HistogramF64, MetricAttributes, MetricKeyValue, MetricParameters,
};

/// The name of the histogram of step durations in seconds, and its buckets, which range from the transaction of a small
/// job to the plan of the longest file.
pub const STEP_SECONDS: &str = "batchline_step_seconds";
pub const STEP_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0,
];

pub struct JobMetrics {
    rows: Counter,
    chunks: Counter,
    seconds: HistogramF64,
    valid: MetricAttributes,
    invalid: MetricAttributes,
    none: MetricAttributes,
    meter: Arc<dyn CoreMeter>,
}

impl JobMetrics {
    pub fn new(meter: Arc<dyn CoreMeter>) -> Self {
        let parameters = |name: &'static str, description: &'static str| {
            MetricParameters::builder()
                .name(name)
                .description(description)
                .build()
        };
        let metrics = Self {
            rows: meter.counter(parameters(
                "batchline_rows",
                "rows committed by this worker, by verdict",
            )),
            chunks: meter.counter(parameters(
                "batchline_chunks",
                "chunks committed by this worker",
            )),
            seconds: meter.histogram_f64(parameters(
                STEP_SECONDS,
                "seconds that an attempt at a step took, by step and outcome",
            )),
            valid: meter.new_attributes([label("verdict", "valid")].into()),
            invalid: meter.new_attributes([label("verdict", "invalid")].into()),
            none: meter.new_attributes([].into()),
            meter,
        };
        // Created at the start, so that the first commit shows as an increase.
        metrics.committed(Committed::default());
        metrics
    }

    pub fn committed(&self, Committed { counts, chunks }: Committed) {
        self.rows.add(counts.valid, &self.valid);
        self.rows.add(counts.invalid, &self.invalid);
        self.chunks.add(chunks, &self.none);
    }

    /// Records that an attempt at a step has ended.
    pub fn step(&self, step: &str, succeeded: bool, took: Duration) {
        let outcome = if succeeded { "success" } else { "failure" };
        let attributes = self
            .meter
            .new_attributes([label("step", step), label("outcome", outcome)].into());
        self.seconds.record(took.as_secs_f64(), &attributes);
    }
}

fn label(name: &str, value: &str) -> MetricKeyValue {
    MetricKeyValue::new(name, value.to_owned())
}
