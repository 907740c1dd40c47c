//! A real job, with its own database and files and a real Temporal. The worker's steps are called directly.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use backend::{
    Attempt, Backend, BackendConfig, Error, QuotaDefaults, Viewer,
    accounts::{self, Auth, Credentials, Identity},
    control, deletion,
    maintenance::Maintenance,
    processing::{self, StepError},
    program::LogFormat,
    results::download::{self, Form},
    uploads::{self, UploadOptions, UploadRest},
};
use domain::{Command, Email, GivenFormat, JobId, JobStatus, NewUser, RowFilter, UserId, UserName};
use futures::{TryStreamExt, stream};
use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use testkit::{Expected, Transactions};
use url::Url;
use uuid::Uuid;

use super::model::{Change, Model};

const DEADLINE: Duration = Duration::from_secs(10);

/// A file with known verdicts.
pub struct File {
    pub content: String,
    pub is_small: bool,
    /// For each chunk, the number of rows, and of valid, invalid and suspicious ones.
    chunks: Vec<[i64; 4]>,
    results: Vec<u8>,
}

impl File {
    pub fn chunks(&self) -> u32 {
        self.chunks.len() as u32
    }
}

/// An act of a person or a worker.
#[derive(Debug, Clone)]
pub enum Act {
    Command(Command),
    Delete,
    Plan(u32),
    Validate(u32, std::ops::Range<u32>),
    Complete(u32),
    Small(u32),
    Fail(u32),
}

impl Act {
    pub fn changes(&self) -> Vec<Change> {
        match self.clone() {
            Self::Command(command) => vec![Change::Command(command)],
            Self::Delete => vec![Change::Delete],
            Self::Plan(run) => vec![Change::Begin(run), Change::Plan(run)],
            Self::Validate(run, numbers) => vec![Change::Commit(run, numbers)],
            Self::Complete(run) => vec![Change::Complete(run)],
            Self::Small(run) => vec![Change::Begin(run), Change::CompleteSmall(run)],
            Self::Fail(run) => vec![Change::Fail(run)],
        }
    }

    /// Returns whether it is an act of a worker, which may die during it.
    pub fn is_step(&self) -> bool {
        !matches!(self, Self::Command(_) | Self::Delete)
    }
}

/// How an act ended.
#[derive(Debug)]
pub enum Ended {
    /// Done. Whether it changed the job, if known.
    Done(Option<bool>),
    /// The job's state forbids it, or there is no such job.
    Refused,
    /// The step failed.
    Failed(#[expect(dead_code, reason = "shown where a case fails")] StepError),
    /// The act was dropped.
    Died,
}

/// The parts of a server and a worker under test.
pub struct Subject {
    pub backend: Backend,
    pub pool: PgPool,
    viewer: Viewer,
    user_id: UserId,
    files: TempDir,
}

impl Subject {
    pub async fn start() -> Self {
        let required = |name| std::env::var(name).expect("script/test sets it");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut url = Url::parse(&required("DATABASE_URL")).unwrap();
        let mut admin = PgConnection::connect(url.as_str()).await.unwrap();
        for role in ["batchline_owner", "batchline"] {
            let create = format!(
                "do $$ begin
                     create role {role} login;
                 exception when duplicate_object or unique_violation then
                 end $$"
            );
            sqlx::raw_sql(&create).execute(&mut admin).await.unwrap();
        }
        let create = format!("create database {name} owner batchline_owner");
        sqlx::raw_sql(&create).execute(&mut admin).await.unwrap();
        url.set_path(&name);
        let url_of = |role| {
            let mut url = url.clone();
            url.set_username(role).unwrap();
            url.to_string()
        };
        let files = TempDir::new().unwrap();
        let config = BackendConfig {
            database_url: url_of("batchline"),
            database_max_connections: 8,
            temporal_address: Some(required("TEMPORAL_ADDRESS")),
            temporal_host: None,
            temporal_namespace: None,
            // No worker serves this task queue.
            temporal_task_queue: name,
            storage_url: Url::from_directory_path(files.path()).unwrap().into(),
            max_upload_bytes: 1 << 30,
            storage_reserve_bytes: 0,
            quotas: QuotaDefaults {
                max_jobs_per_user: 0,
                max_stored_bytes_per_user: 0,
                max_active_jobs_per_user: 0,
                retention_days: 0,
            },
            audit_retention_days: None,
            allowed_hosts: "".parse().unwrap(),
            log_format: LogFormat::Text,
        };
        backend::migrate(&config, &url_of("batchline_owner"))
            .await
            .unwrap();
        let backend = Backend::connect(&config, None).await.unwrap();
        let pool = PgPoolOptions::new().max_connections(2);
        let pool = pool.connect(url.as_str()).await.unwrap();
        // All tests share one Temporal, in which workflows are named after job ids.
        let first = i64::try_from(Uuid::new_v4().as_u128() % (1 << 40)).unwrap() * 1000;
        sqlx::raw_sql(&format!(
            "alter table jobs alter column id restart with {first}"
        ))
        .execute(&pool)
        .await
        .unwrap();
        let identity = Auth::Open.identify(&backend, Credentials::default(), None);
        let Identity::Viewer(viewer) = identity.await.unwrap() else {
            panic!("nobody has to sign in");
        };
        let user = NewUser {
            name: UserName::parse("Ann").unwrap(),
            email: Email::parse("ann@example.com").unwrap(),
        };
        let user_id = accounts::create_user(&backend, &viewer, &user)
            .await
            .unwrap()
            .id;
        Self {
            backend,
            pool,
            viewer,
            user_id,
            files,
        }
    }

    /// Returns a file of `rows` rows of a kilobyte each, with the result of an undisturbed job. One tenth of the rows is
    /// invalid, another tenth suspicious.
    pub async fn file(&self, rows: u64, is_small: bool) -> File {
        let transactions = Transactions::new(rows)
            .invalid_every(10, &testkit::Error::ALL)
            .suspicious_every(10)
            .with_description(&"x".repeat(1000));
        let mut file = File {
            content: transactions.text(),
            is_small,
            chunks: Vec::new(),
            results: Vec::new(),
        };
        let job_id = self.upload(&file.content).await;
        self.act(job_id, &Act::Command(Command::Start)).await;
        if is_small {
            self.act(job_id, &Act::Small(1)).await;
        } else {
            self.act(job_id, &Act::Plan(1)).await;
            self.act(job_id, &Act::Validate(1, 0..1000)).await;
            self.act(job_id, &Act::Complete(1)).await;
        }
        let chunks: Vec<(i64, i64)> = sqlx::query_as(
            "select first_row, chunk.rows::bigint from jobs join job_chunks as chunk on chunk.result_id = jobs.result_id
             where id = $1 order by number",
        )
        .bind(job_id.get())
        .fetch_all(&self.pool)
        .await
        .unwrap();
        let mut next = chunks[0].0;
        for (first, count) in chunks {
            assert_eq!(first, next, "each row is in one chunk");
            next += count;
            let Expected {
                rows,
                valid,
                invalid,
                suspicious,
                ..
            } = transactions.expected_in(first as u64..=next as u64 - 1);
            file.chunks
                .push([rows, valid, invalid, suspicious].map(|count| count as i64));
        }
        let rows = rows as i64;
        assert_eq!(
            file.sums(0..file.chunks()),
            [rows, rows - rows / 10, rows / 10, rows / 10]
        );
        file.results = self.results(job_id).await;
        let lines = file.results.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines as i64, rows + 1);
        self.act(job_id, &Act::Delete).await;
        file
    }

    pub async fn upload(&self, content: &str) -> JobId {
        let content = stream::iter([Ok::<_, std::io::Error>(content.to_owned().into())]);
        let rest = async {
            Some(UploadRest {
                given: GivenFormat::default(),
                starts: false,
            })
        };
        let with = UploadOptions::default();
        let admission = uploads::admit(&self.backend, &self.viewer, self.user_id, None).await;
        let job = uploads::upload(
            &self.backend,
            &self.viewer,
            admission.unwrap(),
            "a.csv",
            &with,
            content,
            rest,
        );
        job.await.unwrap().job.id
    }

    pub async fn act(&self, job_id: JobId, act: &Act) -> Ended {
        let backend = &self.backend;
        let attempt = |number| Attempt { job_id, number };
        let asked = |result: backend::Result<Option<bool>>| match result {
            Ok(has_changed) => Ended::Done(has_changed),
            Err(Error::Conflict(_) | Error::NotFound(_)) => Ended::Refused,
            Err(error) => panic!("{error:?}"),
        };
        let step = match act.clone() {
            Act::Command(command) => {
                let given = GivenFormat::default();
                let commanded =
                    control::command(backend, &self.viewer, job_id, command, &given).await;
                return asked(commanded.map(|commanded| Some(commanded.has_changed)));
            }
            Act::Delete => {
                let deleted = deletion::delete_job(backend, &self.viewer, job_id).await;
                return asked(deleted.map(|()| Some(true)));
            }
            Act::Plan(run) => processing::plan(backend, attempt(run)).await.map(drop),
            Act::Validate(run, numbers) => {
                processing::validate_chunks(backend, attempt(run), numbers, false)
                    .await
                    .map(drop)
            }
            Act::Complete(run) => processing::complete(backend, attempt(run)).await,
            Act::Small(run) => processing::process_small_file(backend, attempt(run), None)
                .await
                .map(drop),
            Act::Fail(run) => processing::fail(backend, attempt(run), "It was a test.").await,
        };
        match step {
            Ok(()) => Ended::Done(None),
            Err(error) => Ended::Failed(error),
        }
    }

    /// Runs an act like [`Self::act`], but its worker dies after it has been woken up `wakes` times.
    pub async fn act_and_die(&self, job_id: JobId, act: &Act, wakes: u32) -> Ended {
        let mut acting = Box::pin(self.act(job_id, act));
        let mut woken = 0;
        poll_fn(|context| {
            woken += 1;
            match acting.as_mut().poll(context) {
                Poll::Pending if woken <= wakes => Poll::Pending,
                Poll::Pending => Poll::Ready(Ended::Died),
                ended => ended,
            }
        })
        .await
    }

    /// Returns the job as stored in the database. Checks that every count matches the chunks.
    pub async fn observe(&self, job_id: JobId, file: &File) -> (Model, i64) {
        let observed: Option<Observed> = sqlx::query_as(
            "select job_states.status, job_states.run, job_states.version, layout is not null as is_planned,
                    job_states.total_records, job_states.valid_records, job_states.invalid_records,
                    job_states.suspicious_records, job_states.batch_completed,
                    array(select number from job_chunks as chunk
                          where chunk.result_id = jobs.result_id and committed_at is not null
                          order by number) as committed,
                    array(select count
                          from job_chunks as chunk,
                               unnest(array[chunk.rows, chunk.valid_records, chunk.invalid_records,
                                            chunk.suspicious_records]) with ordinality as counts (count, column_number)
                          where chunk.result_id = jobs.result_id and committed_at is not null
                          order by number, column_number) as counts,
                    array(select kind from job_events where job_id = jobs.id and kind <> 'worker_lost' order by id)
                        as kinds,
                    array(select run from job_events where job_id = jobs.id and kind <> 'worker_lost' order by id)
                        as runs
             from jobs join job_states using (id) where jobs.id = $1",
        )
        .bind(job_id.get())
        .fetch_optional(&self.pool)
        .await
        .unwrap();
        let Some(observed) = observed else {
            return (Model::deleted(), i64::MAX);
        };
        let committed: Vec<u32> = observed.committed.iter().map(|n| *n as u32).collect();
        let expected: Vec<[i64; 4]> = committed
            .iter()
            .map(|number| file.chunks[*number as usize])
            .collect();
        assert_eq!(observed.counts, expected.concat(), "the ledger");
        let [_, valid, invalid, suspicious] = file.sums(committed.iter().copied());
        assert_eq!(
            (
                observed.valid_records,
                observed.invalid_records,
                observed.suspicious_records,
                observed.batch_completed
            ),
            (valid, invalid, suspicious, committed.len() as i32),
            "the counts"
        );
        let total = match observed.is_planned {
            true => file.sums(0..file.chunks())[0],
            false => 0,
        };
        assert_eq!(observed.total_records, total);
        let runs = observed.runs.iter().map(|run| *run as u32);
        let model = Model {
            status: observed.status.parse::<JobStatus>().unwrap(),
            run: observed.run as u32,
            is_planned: observed.is_planned,
            committed,
            events: observed.kinds.into_iter().zip(runs).collect(),
            is_deleted: false,
        };
        (model, observed.version)
    }

    /// Waits until no attempt to plan counts as one that has taken its worker down.
    pub async fn no_plan_is_unfinished(&self, job_id: JobId) {
        eventually("the end of a plan to be recorded", async || {
            let unfinished: Option<i32> =
                sqlx::query_scalar("select unfinished_plans::integer from jobs where id = $1")
                    .bind(job_id.get())
                    .fetch_optional(&self.pool)
                    .await
                    .unwrap();
            unfinished.unwrap_or(0) == 0
        })
        .await;
    }

    /// Checks the download of a completed job.
    pub async fn check_results(&self, job_id: JobId, file: &File) {
        assert!(self.results(job_id).await == file.results, "other results");
    }

    async fn results(&self, job_id: JobId) -> Vec<u8> {
        let (filter, form) = (RowFilter::All, Form::Csv);
        let download = download::download(&self.backend, &self.viewer, job_id, filter, form).await;
        let pieces: Vec<_> = download.unwrap().content.try_collect().await.unwrap();
        pieces.concat()
    }

    /// Deletes whatever a failed case has left.
    pub async fn clear(&self) {
        let jobs: Vec<i64> = sqlx::query_scalar("select id from jobs")
            .fetch_all(&self.pool)
            .await
            .unwrap();
        for job_id in jobs {
            self.act(job_id.into(), &Act::Delete).await;
        }
    }

    /// Waits until nothing remains of any job. Lets the leases of files with dead writers expire.
    pub async fn nothing_is_left(&self) {
        eventually("everything to be removed", async || {
            sqlx::query("update removals set due_at = now(), is_leased = false")
                .execute(&self.pool)
                .await
                .unwrap();
            let mut maintenance = Maintenance::new(self.backend.clone());
            maintenance.round().await.unwrap();
            let (jobs, removals, chunks, open): (i64, i64, i64, i64) = sqlx::query_as(
                "select (select count(*) from jobs), (select count(*) from removals),
                        (select count(*) from job_chunks),
                        (select count(*) from pg_stat_activity where datname = current_database()
                             and state like 'idle in transaction%')",
            )
            .fetch_one(&self.pool)
            .await
            .unwrap();
            let files = std::fs::read_dir(self.files.path()).unwrap().count();
            (jobs, removals, chunks, open, files) == (0, 0, 0, 0, 0)
        })
        .await;
    }
}

impl File {
    fn sums(&self, chunks: impl IntoIterator<Item = u32>) -> [i64; 4] {
        chunks.into_iter().fold([0; 4], |sums, number| {
            let chunk = self.chunks[number as usize];
            std::array::from_fn(|column| sums[column] + chunk[column])
        })
    }
}

#[derive(sqlx::FromRow)]
struct Observed {
    status: String,
    run: i32,
    version: i64,
    is_planned: bool,
    total_records: i64,
    valid_records: i64,
    invalid_records: i64,
    suspicious_records: i64,
    batch_completed: i32,
    committed: Vec<i32>,
    counts: Vec<i64>,
    kinds: Vec<String>,
    runs: Vec<i32>,
}

pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
