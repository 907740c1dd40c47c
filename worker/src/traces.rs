//! Passes traces on from workflows to their steps. Workflows have no spans, because replays repeat their code.

use std::{cell::OnceCell, collections::HashMap};

use backend::{
    Attempt,
    traces::{self, HEADER, JobTraces, TARGET},
};
use temporalio_common::protos::temporal::api::common::v1::Payload;
use temporalio_sdk::{
    WorkflowContextView,
    activities::ActivityContext,
    workflow_interceptors::{
        CancellableWorkflowOutboundFuture, ContinueAsNewInput, ContinueAsNewResult,
        ExecuteWorkflowInput, ExecuteWorkflowResult, InitializeWorkflowInput,
        InitializeWorkflowOutput, ScheduleActivityInput, ScheduleActivityResult,
        ScheduleLocalActivityInput, SyncWorkflowInterceptorContext, WorkflowInterceptor,
        WorkflowInterceptorConstructor, WorkflowInterceptorContext, WorkflowInterceptorFuture,
        WorkflowNext,
    },
};
use tracing::{Span, field::Empty};

/// The spans of a step, which are disabled while traces are off.
pub struct StepSpans {
    pub trace: Span,
    /// The span of the log, whose lines contain the ids of the trace.
    pub log: Span,
}

/// Returns the spans of a step in the trace of the attempt's job.
pub fn spans(context: &ActivityContext, attempt: Option<Attempt>) -> StepSpans {
    let info = context.info();
    // The type is `Activities::validate`.
    let step = info.activity_type.rsplit(':').next().unwrap_or_default();
    let job_id = attempt.map(|attempt| attempt.job_id);
    let job = job_id.map(|job_id| job_id.get());
    // The names are those of Temporal's SDKs.
    let trace = tracing::info_span!(
        target: TARGET,
        "RunActivity",
        otel.name = %format_args!("RunActivity:{step}"),
        otel.kind = "consumer",
        otel.status_code = Empty,
        temporalWorkflowID = info.workflow_id,
        temporalRunID = info.workflow_run_id,
        temporalActivityID = info.activity_id,
        batchline.step.attempt = info.attempt,
        batchline.job.id = job,
        batchline.job.attempt = attempt.map(|attempt| attempt.number),
    );
    if trace.is_disabled() {
        let log = Span::none();
        return StepSpans { trace, log };
    }
    if let Some(job_traces) = JobTraces::from_headers(context.headers()) {
        if let Some(parent) = job_traces.parent(job_id) {
            traces::continue_trace(&trace, parent);
        }
        if let Some(start) = job_traces.start_elsewhere(job_id) {
            traces::link_trace(&trace, start);
        }
    }
    let log = tracing::info_span!(
        parent: &trace,
        "step",
        step,
        job_id = job,
        trace_id = Empty,
        span_id = Empty
    );
    if let Some(ids) = traces::ids(&trace) {
        log.record("trace_id", ids.trace_id);
        log.record("span_id", ids.span_id);
    }
    StepSpans { trace, log }
}

/// Hands the header with a workflow's traces on to its steps and to the execution that it goes on as. Headers are no part
/// of what a replay compares.
pub fn pass_traces_on() -> Vec<WorkflowInterceptorConstructor> {
    let pass_on = |_: &WorkflowContextView| PassTracesOn::default();
    vec![WorkflowInterceptorConstructor::new(pass_on)]
}

/// The header of one workflow, once it is known.
#[derive(Default)]
struct PassTracesOn(OnceCell<Payload>);

impl PassTracesOn {
    fn take(&self, headers: &HashMap<String, Payload>) {
        if let Some(payload) = headers.get(HEADER) {
            self.0.get_or_init(|| payload.clone());
        }
    }

    fn give(&self, headers: &mut HashMap<String, Payload>) {
        if let Some(payload) = self.0.get() {
            headers.insert(HEADER.to_owned(), payload.clone());
        }
    }
}

impl WorkflowInterceptor for PassTracesOn {
    fn initialize_workflow(
        &self,
        _context: WorkflowContextView,
        input: InitializeWorkflowInput,
        next: WorkflowNext<'_, InitializeWorkflowInput, InitializeWorkflowOutput>,
    ) -> InitializeWorkflowOutput {
        self.take(input.headers());
        next.run(input)
    }

    fn execute<'a>(
        &'a self,
        _context: WorkflowInterceptorContext,
        input: ExecuteWorkflowInput,
        next: WorkflowNext<
            'a,
            ExecuteWorkflowInput,
            WorkflowInterceptorFuture<'a, ExecuteWorkflowResult>,
        >,
    ) -> WorkflowInterceptorFuture<'a, ExecuteWorkflowResult> {
        self.take(input.headers());
        next.run(input)
    }

    fn schedule_activity(
        &self,
        _context: WorkflowInterceptorContext,
        mut input: ScheduleActivityInput,
        next: WorkflowNext<
            'static,
            ScheduleActivityInput,
            CancellableWorkflowOutboundFuture<ScheduleActivityResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<ScheduleActivityResult> {
        self.give(input.headers_mut());
        next.run(input)
    }

    fn schedule_local_activity(
        &self,
        _context: WorkflowInterceptorContext,
        mut input: ScheduleLocalActivityInput,
        next: WorkflowNext<
            'static,
            ScheduleLocalActivityInput,
            CancellableWorkflowOutboundFuture<ScheduleActivityResult>,
        >,
    ) -> CancellableWorkflowOutboundFuture<ScheduleActivityResult> {
        self.give(input.headers_mut());
        next.run(input)
    }

    fn continue_as_new(
        &self,
        _context: SyncWorkflowInterceptorContext,
        mut input: ContinueAsNewInput,
        next: WorkflowNext<'static, ContinueAsNewInput, ContinueAsNewResult>,
    ) -> ContinueAsNewResult {
        self.give(input.headers_mut());
        next.run(input)
    }
}
