//! The Temporal client: starts a job's workflow, and ends it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, ClientOptions, Connection, GrpcCompression, RetryOptions, UntypedWorkflow,
    WorkflowIdConflictPolicy, WorkflowIdReusePolicy, WorkflowStartOptions,
    WorkflowTerminateOptions, envconfig::LoadClientConfigProfileOptions, grpc::WorkflowService,
    tonic::IntoRequest,
};
use temporalio_common::{
    HasWorkflowDefinition, WorkflowDefinition,
    protos::temporal::api::workflowservice::v1::GetSystemInfoRequest,
};
use tokio::sync::OnceCell;
use url::Url;

use crate::{BackendConfig, Error, Result};

/// One run of one job: what a workflow is about. Work for an older run can't commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub job_id: i64,
    pub run: u32,
}

/// The contract of the workflow that the worker implements: its name, its input, its output.
pub struct ProcessJob;

impl ProcessJob {
    pub const NAME: &'static str = "ProcessJob";

    fn workflow_id(job_id: i64) -> String {
        format!("job-{job_id}")
    }
}

impl WorkflowDefinition for ProcessJob {
    type Input = Run;
    type Output = ();

    fn name(&self) -> &str {
        Self::NAME
    }
}

impl HasWorkflowDefinition for ProcessJob {
    type Run = Self;
}

/// How long a person waits at most for a Temporal that doesn't answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects when it is first needed, so that the server starts and shows everything while Temporal
/// is down. A connection that was made heals by itself.
#[derive(Clone)]
pub struct Temporal {
    config: BackendConfig,
    client: Arc<OnceCell<Client>>,
}

/// Connects as `config` and Temporal's own variables say.
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

/// `host:port` or a URL. Without a scheme it is `https` where TLS is set up.
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

    /// Starts the workflow of this run, unless it is running already. Fails with
    /// [`Error::Unavailable`] when Temporal doesn't take it; then nothing was started, or it was and
    /// the answer was lost: starting again is safe either way.
    pub(crate) async fn start(&self, run: Run) -> Result<()> {
        let started = async {
            let options = WorkflowStartOptions::new(
                self.config.temporal_task_queue.clone(),
                ProcessJob::workflow_id(run.job_id),
            )
            .id_conflict_policy(WorkflowIdConflictPolicy::UseExisting)
            // A later run of the same job is a new execution; an older one finds itself outdated.
            .id_reuse_policy(WorkflowIdReusePolicy::AllowDuplicate)
            .build();
            self.client()
                .await?
                .start_workflow(ProcessJob, run, options)
                .await?;
            anyhow::Ok(())
        };
        tokio::time::timeout(2 * PATIENCE, started)
            .await
            .unwrap_or_else(|_| Err(anyhow!("no answer in time")))
            .map_err(|error| {
                tracing::warn!(
                    job_id = run.job_id,
                    error = format!("{error:#}"),
                    "Temporal did not take the job"
                );
                Error::Unavailable(
                    "The job could not be started, because the workflow service doesn't answer. \
                     Nothing was changed: try again in a moment."
                        .to_owned(),
                )
            })
    }

    /// Ends the job's workflow if one is running. A courtesy: without its job it would end by itself.
    pub(crate) async fn terminate(&self, job_id: i64) {
        let terminated = async {
            self.client()
                .await?
                .get_workflow_handle::<UntypedWorkflow>(ProcessJob::workflow_id(job_id))
                .terminate(
                    WorkflowTerminateOptions::builder()
                        .reason("the job was deleted")
                        .build(),
                )
                .await?;
            anyhow::Ok(())
        };
        if let Err(error) = terminated.await {
            tracing::debug!(
                job_id,
                error = format!("{error:#}"),
                "no workflow was ended"
            );
        }
    }

    pub(crate) async fn answers(&self) -> bool {
        let answer = async {
            let mut client = self.client().await?.clone();
            client
                .get_system_info(GetSystemInfoRequest::default().into_request())
                .await?;
            anyhow::Ok(())
        };
        matches!(
            tokio::time::timeout(Duration::from_secs(2), answer).await,
            Ok(Ok(()))
        )
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
