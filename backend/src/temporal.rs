//! The Temporal client. Starts and terminates the workflow of an attempt, and returns how it ended.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use domain::{Job, JobId, JobStatus};
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, ClientOptions, Connection, GrpcCompression, RetryOptions, RpcOptions, UntypedWorkflow,
    WorkflowDescribeOptions, WorkflowExecutionStatus, WorkflowHandle, WorkflowIdConflictPolicy,
    WorkflowIdReusePolicy, WorkflowStartOptions, WorkflowTerminateOptions,
    envconfig::LoadClientConfigProfileOptions,
    errors::WorkflowInteractionError,
    grpc::WorkflowService,
    schedules::{
        CreateScheduleOptions, ScheduleAction, ScheduleError, ScheduleOverlapPolicy, ScheduleSpec,
        ScheduleUpdate,
    },
    tonic::{Code, IntoRequest},
};
use temporalio_common::{
    HasWorkflowDefinition, WorkflowDefinition,
    protos::temporal::api::workflowservice::v1::GetSystemInfoRequest,
};
use tokio::sync::OnceCell;
use tracing::{Span, field::Empty};
use url::Url;

use crate::{
    BackendConfig, Error, Result,
    traces::{self, JobTraces, TARGET, traced},
};

/// An attempt to process a job. Steps of an earlier attempt can't commit anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt {
    pub job_id: JobId,
    /// Increases with each start, pause, resume, cancel and retry.
    #[serde(rename = "run")]
    pub number: u32,
}

impl Attempt {
    /// Returns the job's current attempt.
    pub fn of(job: &Job) -> Self {
        Self {
            job_id: job.id,
            number: job.state.run,
        }
    }

    pub fn next(self) -> Self {
        Self {
            number: self.number + 1,
            ..self
        }
    }

    /// Returns the id of the workflow that only this attempt has. Attempts have different ids, so a workflow that remains
    /// from an earlier attempt doesn't interfere.
    pub(crate) fn workflow_id(self) -> String {
        format!("job-{}-run-{}", self.job_id, self.number)
    }
}

/// The input of the workflow of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    #[serde(flatten)]
    pub attempt: Attempt,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// The contract (name, input and output) of the workflow that processes a job chunk by chunk. The worker implements it.
pub struct ProcessJob;

impl ProcessJob {
    pub const NAME: &'static str = "ProcessJob";
}

impl WorkflowDefinition for ProcessJob {
    type Input = Assignment;
    type Output = ();

    fn name(&self) -> &str {
        Self::NAME
    }
}

impl HasWorkflowDefinition for ProcessJob {
    type Run = Self;
}

/// The contract of the workflow that processes small files, each in a single step.
pub struct ProcessSmallJobs;

impl ProcessSmallJobs {
    pub const NAME: &'static str = "ProcessSmallJobs";
}

impl WorkflowDefinition for ProcessSmallJobs {
    type Input = Vec<Attempt>;
    type Output = ();

    fn name(&self) -> &str {
        Self::NAME
    }
}

impl HasWorkflowDefinition for ProcessSmallJobs {
    type Run = Self;
}

/// The contract of the workflow that deletes jobs and audit events whose retention period has ended.
pub struct ApplyRetention;

impl ApplyRetention {
    pub const NAME: &'static str = "ApplyRetention";
}

impl WorkflowDefinition for ApplyRetention {
    type Input = ();
    type Output = ();

    fn name(&self) -> &str {
        Self::NAME
    }
}

impl HasWorkflowDefinition for ApplyRetention {
    type Run = Self;
}

/// The interval at which retention is applied. Periods are given in days, so it needn't be short.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);

/// Creates the schedule that applies retention, or updates it to this version. If an operator has paused it, it stays
/// paused.
pub async fn schedule_retention(client: &Client, task_queue: &str) -> anyhow::Result<()> {
    let id = format!("retention-{task_queue}");
    let action = ScheduleAction::start_workflow(ApplyRetention, (), task_queue, &id);
    let spec = ScheduleSpec::from_interval(RETENTION_INTERVAL);
    let options = CreateScheduleOptions::builder()
        .action(action.clone())
        .spec(spec.clone())
        .overlap_policy(ScheduleOverlapPolicy::Skip)
        .build();
    match client.create_schedule(&id, options).await {
        Ok(_) => Ok(()),
        Err(ScheduleError::Rpc(status)) if status.code() == Code::AlreadyExists => {
            let update = |schedule: &mut ScheduleUpdate| {
                schedule
                    .set_spec(spec)
                    .set_action(action)
                    .set_overlap_policy(ScheduleOverlapPolicy::Skip);
            };
            let schedule = client.get_schedule_handle(&id);
            Ok(schedule.update(update, RpcOptions::default()).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// How long a request waits for Temporal before it fails. A person is waiting for the response.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long Temporal waits for the worker that executes a workflow task, and may be dead, before another one gets it.
const WORKFLOW_TASK_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that connects on first use, so that the server starts, and shows pages, while Temporal is down. Once
/// established, the connection is restored automatically.
#[derive(Clone)]
pub struct Temporal {
    config: BackendConfig,
    client: Arc<OnceCell<Client>>,
}

/// Connects with the settings in `config` and in Temporal's own variables. The former take precedence.
pub async fn connect(config: &BackendConfig) -> anyhow::Result<Client> {
    let (mut connection, mut client) =
        ClientOptions::load_from_config(LoadClientConfigProfileOptions::default())
            // The SDK's error is not Send + Sync.
            .map_err(|error| anyhow!("Temporal's settings can't be used: {error}"))?;
    let address = config
        .temporal_address
        .as_ref()
        .or(config.temporal_host.as_ref());
    if let Some(address) = address {
        let tls = connection.tls_options.is_some() || connection.api_key.is_some();
        connection.target = parse_address(address, tls)?;
    }
    if let Some(namespace) = &config.temporal_namespace {
        client.namespace.clone_from(namespace);
    }
    connection.connect_timeout = Some(PATIENCE);
    connection.identity = format!("batchline-{}", std::process::id());
    connection.grpc_compression = GrpcCompression::None;
    connection.retry_options = RetryOptions::builder()
        .max_elapsed_time(Some(PATIENCE))
        .max_interval(Duration::from_secs(1))
        .build();
    let target = connection.target.clone();
    let connection = tokio::time::timeout(2 * PATIENCE, Connection::connect(connection))
        .await
        .with_context(|| format!("Temporal at {target} doesn't answer"))?
        .with_context(|| format!("Temporal can't be reached at {target}"))?;
    Ok(Client::new(connection, client)?)
}

/// Parses `host:port` or a URL. Without a scheme, it is `https` if TLS is configured, and otherwise `http`.
fn parse_address(address: &str, tls: bool) -> anyhow::Result<Url> {
    let with_scheme = match address.contains("://") {
        true => address.to_owned(),
        false => format!("{}://{address}", if tls { "https" } else { "http" }),
    };
    Url::parse(&with_scheme)
        .ok()
        .filter(Url::has_host)
        .with_context(|| format!("TEMPORAL_ADDRESS {address:?} is neither host:port nor a URL"))
}

impl Temporal {
    pub(crate) fn new(config: &BackendConfig) -> Self {
        Self {
            config: config.clone(),
            client: Arc::new(OnceCell::new()),
        }
    }

    async fn client(&self) -> anyhow::Result<&Client> {
        self.client.get_or_try_init(|| connect(&self.config)).await
    }

    /// Starts the workflow of this attempt, unless it is already running. Fails like [`Self::start_workflow`].
    pub(crate) async fn start(&self, assignment: Assignment) -> Result<()> {
        let workflow_id = assignment.attempt.workflow_id();
        self.start_workflow(ProcessJob, assignment, workflow_id, [])
            .await
    }

    /// Starts a workflow that these attempts share. `asked_in` has the spans of the requests for them. Fails like
    /// [`Self::start_workflow`].
    pub(crate) async fn start_shared(
        &self,
        workflow_id: &str,
        attempts: Vec<Attempt>,
        asked_in: impl IntoIterator<Item = (JobId, &Span)>,
    ) -> Result<()> {
        self.start_workflow(ProcessSmallJobs, attempts, workflow_id.to_owned(), asked_in)
            .await
    }

    /// Starts a workflow, which continues the current trace and links to those of the requests for its jobs.
    ///
    /// Fails with [`Error::Unavailable`] if Temporal doesn't accept the workflow. It may still have been started, if only
    /// the response was lost. Starting it again is safe in both cases.
    async fn start_workflow<W>(
        &self,
        workflow: W,
        input: W::Input,
        id: String,
        asked_in: impl IntoIterator<Item = (JobId, &Span)>,
    ) -> Result<()>
    where
        W: HasWorkflowDefinition,
        W::Input: Send,
    {
        // Temporal's SDKs use the same names.
        let span = tracing::info_span!(
            target: TARGET,
            "StartWorkflow",
            otel.name = %format_args!("StartWorkflow:{}", workflow.name()),
            otel.kind = "client",
            otel.status_code = Empty,
            temporalWorkflowID = id,
        );
        let mut job_traces = JobTraces::started_in(&span);
        if let Some(traces) = &mut job_traces {
            for (job_id, asked_in) in asked_in {
                traces.insert(job_id, asked_in);
                traces::link(&span, asked_in);
            }
        }
        let options = WorkflowStartOptions::new(self.config.temporal_task_queue.clone(), &id)
            .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
            // A workflow that was terminated from outside before it did anything can be started again.
            .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
            .task_timeout(WORKFLOW_TASK_TIMEOUT)
            .maybe_header(job_traces.map(|traces| traces.header()))
            .build();
        let started = async {
            self.client()
                .await?
                .start_workflow(workflow, input, options)
                .await?;
            anyhow::Ok(())
        };
        let answered = async {
            tokio::time::timeout(2 * PATIENCE, started)
                .await
                .unwrap_or_else(|_| Err(anyhow!("no answer in time")))
        };
        traced(span, answered).await.map_err(|error| {
            tracing::warn!(
                workflow_id = id,
                error = format!("{error:#}"),
                "Temporal didn't accept the workflow"
            );
            Error::Unavailable(
                "The job could not be started, because the workflow service isn't available. \
                     Nothing was changed: try again in a moment."
                    .to_owned(),
            )
        })
    }

    /// Terminates the workflow of this attempt if it is running, to free workers. Not needed for correctness, because the
    /// steps of an outdated attempt do nothing. A workflow that it shares with other attempts continues.
    pub(crate) async fn terminate(&self, attempt: Attempt, reason: &str) {
        let terminated = async {
            self.handle(&attempt.workflow_id())
                .await?
                .terminate(WorkflowTerminateOptions::builder().reason(reason).build())
                .await?;
            anyhow::Ok(())
        };
        if let Err(error) = terminated.await {
            tracing::debug!(
                job_id = attempt.job_id.get(),
                error = format!("{error:#}"),
                "no workflow was ended"
            );
        }
    }

    /// Calls [`Self::terminate`] in the background.
    pub(crate) fn terminate_soon(&self, attempt: Attempt, status: JobStatus) {
        let temporal = self.clone();
        tokio::spawn(async move {
            temporal
                .terminate(attempt, &format!("the job is {status}"))
                .await;
        });
    }

    /// Returns how the workflow ended, as the predicate of a sentence. `None` while it is running, or if it continued as a
    /// new execution.
    pub(crate) async fn ended(&self, workflow_id: &str) -> anyhow::Result<Option<&'static str>> {
        let described = self
            .handle(workflow_id)
            .await?
            .describe(WorkflowDescribeOptions::default())
            .await;
        let status = match described {
            Ok(description) => description.status(),
            Err(WorkflowInteractionError::NotFound(_)) => return Ok(Some("has vanished")),
            Err(error) => return Err(error.into()),
        };
        Ok(match status {
            WorkflowExecutionStatus::Completed => Some("has ended before its time"),
            WorkflowExecutionStatus::Failed => Some("has failed"),
            WorkflowExecutionStatus::Canceled => Some("was cancelled from outside"),
            WorkflowExecutionStatus::Terminated => Some("was terminated from outside"),
            WorkflowExecutionStatus::TimedOut => Some("has timed out"),
            _ => None,
        })
    }

    async fn handle(
        &self,
        workflow_id: &str,
    ) -> anyhow::Result<WorkflowHandle<Client, UntypedWorkflow>> {
        let client = self.client().await?;
        Ok(client.get_workflow_handle::<UntypedWorkflow>(workflow_id))
    }

    pub(crate) async fn answers(&self) -> anyhow::Result<()> {
        let mut client = self.client().await?.clone();
        client
            .get_system_info(GetSystemInfoRequest::default().into_request())
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::parse_address;

    #[test]
    fn addresses() {
        let parsed = |address, tls| parse_address(address, tls).unwrap().to_string();
        assert_eq!(parsed("localhost:7233", false), "http://localhost:7233/");
        assert_eq!(
            parsed("a.tmprl.cloud:7233", true),
            "https://a.tmprl.cloud:7233/"
        );
        assert_eq!(
            parsed("http://10.0.0.1:7233", true),
            "http://10.0.0.1:7233/"
        );
        assert!(parse_address("", false).is_err());
    }
}
