//! A separate installation for each test: a fresh database with two roles, a directory for files, a task queue, and one server and one
//! worker as real processes on free ports.

mod collector;
mod cutting_proxy;
pub mod database;
mod object_store;
mod openid;
mod process;
mod raw;
mod socket;

use std::{
    fmt::Debug,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use reqwest::{Client, Response, StatusCode, multipart};
use serde_json::Value;
use sqlx::{Connection, PgConnection, PgExecutor, PgPool, PgTransaction, postgres::PgPoolOptions};
use tempfile::{NamedTempFile, TempDir};
use testkit::Transactions;
#[cfg(target_os = "linux")]
use testkit::process as process_usage;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::{JoinHandle, spawn_blocking},
};
use url::Url;

use self::process::Process;
pub use self::{
    collector::{Collector, Exported, environment as collector_environment},
    cutting_proxy::{Cut, CuttingProxy, Line, Protocol},
    object_store::{Fault, ObjectStore},
    openid::{Browser, OpenIdProvider},
    raw::{RawConnection, RawResponse, raw},
    socket::Socket,
};

/// The maximum time that a test waits for anything.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Returns the numbers of these rows.
pub fn numbers(rows: &[Value]) -> Vec<u64> {
    rows.iter()
        .map(|row| row["row_number"].as_u64().unwrap())
        .collect()
}

/// The file in the README.
pub const SAMPLE: &str = "transaction_id,amount,date,description\n\
    TXN001,150.00,2024-01-15,Monthly subscription\n\
    TXN002,75.50,2024-01-16,Service fee\n\
    TXN003,-50.00,2024-01-17,Refund\n\
    TXN004,1000.00,2024-01-18,Product purchase\n";

/// A file with known verdicts, in which all rows have the same description.
pub fn transactions(rows: u64) -> Transactions {
    Transactions::new(rows)
        .with_errors()
        .with_description("Monthly subscription")
}

/// Returns the file of [`transactions`], and its numbers of valid, invalid and suspicious rows.
pub fn generated(rows: u64) -> (String, [u64; 3]) {
    let file = transactions(rows);
    let expected = file.expected();
    let counts = [expected.valid, expected.invalid, expected.suspicious];
    (file.text(), counts)
}

pub struct TestApp {
    pub web: String,
    pub api: String,
    /// The URL of the server's metrics and health checks.
    pub monitoring: String,
    pub database: String,
    /// The superuser's. Server and worker have a role that may do less.
    pub pool: PgPool,
    pub http: Client,
    files: Arc<TempDir>,
    environment: Vec<(&'static str, String)>,
    // Killed on drop.
    server: Mutex<Option<Process>>,
    worker: Mutex<Option<Process>>,
    /// The URL of the worker's metrics.
    metrics: Mutex<String>,
}

/// Settings of a test that differ from the default.
#[derive(Default)]
pub struct Options {
    /// A database, and the role of server and worker, instead of a new database with two roles.
    pub database: Option<(String, String)>,
    pub max_upload_bytes: Option<u64>,
    /// Replaces the running Temporal.
    pub temporal_address: Option<String>,
    /// The address at which the server and the worker reach PostgreSQL, if not directly. The test itself connects
    /// directly.
    pub postgres_proxy: Option<SocketAddr>,
    /// Environment variables of the server and the worker, which override the others.
    pub environment: Vec<(&'static str, String)>,
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    /// Starts with the uploaded files in this bucket.
    pub async fn start_in(store: &ObjectStore) -> Self {
        Self::start_with(Options {
            environment: store.environment(),
            ..Options::default()
        })
        .await
    }

    /// Starts with these settings.
    pub async fn start_set(settings: &[(&'static str, &str)]) -> Self {
        let environment = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self::start_with(Options {
            environment: environment.collect(),
            ..Options::default()
        })
        .await
    }

    pub async fn start_with(options: Options) -> Self {
        let temporal_is_there = options.temporal_address.is_none();
        let (environment, files) = Self::prepare(options).await;
        let app = Self::launch(environment, files).await;
        separate_workflow_ids(&app.pool).await;
        if temporal_is_there {
            app.restart_worker();
        }
        app
    }

    /// Starts a server with the database and the files that an earlier version has left. `fill` creates them, in an
    /// empty database as its owner, and inserts no jobs before it has called [`separate_workflow_ids`].
    pub async fn start_upgraded(fill: impl AsyncFnOnce(&mut PgConnection, &Path)) -> Self {
        let name = database::create_empty(database::OWNER).await;
        let (environment, files) = Self::prepare(Options {
            database: Some((name.clone(), database::APPLICATION.to_owned())),
            ..Options::default()
        })
        .await;
        let owner_url = database::url(&name, database::OWNER);
        let mut connection = PgConnection::connect(&owner_url).await.unwrap();
        fill(&mut connection, files.path()).await;
        connection.close().await.unwrap();
        database::migrate(&name);
        Self::launch(environment, files).await
    }

    /// Starts the server and the worker of a release by its script, in a directory of their own. [`Self::end_server`]
    /// ends both.
    pub async fn start_release(release: &Path, directory: &Path) -> Self {
        let (environment, files) = Self::prepare(Options::default()).await;
        let script = release.join("batchline");
        let started = Process::start_alone(&script, directory, &environment, "server ready");
        let app = Self::with_server(started, environment, files).await;
        separate_workflow_ids(&app.pool).await;
        app
    }

    /// Creates a database and a directory for files. Returns the environment of the programs that use them.
    async fn prepare(options: Options) -> (Vec<(&'static str, String)>, Arc<TempDir>) {
        // Sets the TLS provider of the HTTP client. An error means that one is already set.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (name, role) = match options.database {
            Some(given) => given,
            None => (database::create().await, database::APPLICATION.to_owned()),
        };
        let database_url = database::url(&name, &role);

        let files = Arc::new(TempDir::new().unwrap());
        let temporal = options
            .temporal_address
            .unwrap_or_else(|| required("TEMPORAL_ADDRESS"));
        let mut environment = vec![
            ("DATABASE_URL", database_url.clone()),
            ("TEMPORAL_ADDRESS", temporal),
            ("TEMPORAL_TASK_QUEUE", name),
            (
                "STORAGE_URL",
                Url::from_directory_path(files.path()).unwrap().to_string(),
            ),
            ("WEB_ADDR", "127.0.0.1:0".to_owned()),
            ("API_ADDR", "127.0.0.1:0".to_owned()),
            ("METRICS_ADDR", "127.0.0.1:0".to_owned()),
            ("SERVER_METRICS_ADDR", "127.0.0.1:0".to_owned()),
            // On a machine with many cores, a pause would find nothing left to do.
            ("WORKER_CONCURRENCY", "4".to_owned()),
        ];
        if let Some(limit) = options.max_upload_bytes {
            environment.push(("MAX_UPLOAD_BYTES", limit.to_string()));
        }
        if let Some(proxy) = options.postgres_proxy {
            let mut url = Url::parse(&database_url).unwrap();
            let _ = url.set_ip_host(proxy.ip());
            let _ = url.set_port(Some(proxy.port()));
            url.set_query(Some("sslmode=disable"));
            environment.push(("DATABASE_URL", url.to_string()));
        }
        environment.extend(options.environment);
        (environment, files)
    }

    /// Starts another server and worker with the same database, files and task queue.
    pub async fn beside(&self) -> Self {
        let app = Self::launch(self.environment.clone(), self.files.clone()).await;
        app.restart_worker();
        app
    }

    /// Starts a server.
    async fn launch(environment: Vec<(&'static str, String)>, files: Arc<TempDir>) -> Self {
        let server = Path::new(env!("CARGO_BIN_EXE_server"));
        let started = Process::start(server, &environment, "server ready");
        Self::with_server(started, environment, files).await
    }

    /// Connects to a server that has printed this line.
    async fn with_server(
        (server, ready): (Process, String),
        environment: Vec<(&'static str, String)>,
        files: Arc<TempDir>,
    ) -> Self {
        let (web, api) = (address(&ready, "web"), address(&ready, "api"));
        let metrics = address(&ready, "metrics");
        let (_, database_url) = environment
            .iter()
            .find(|(name, _)| *name == "DATABASE_URL")
            .unwrap();
        let name = Url::parse(database_url).unwrap().path()[1..].to_owned();
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect(&database::url(&name, database::SUPERUSER))
            .await
            .unwrap();
        Self {
            web,
            api,
            database: name,
            monitoring: metrics.strip_suffix("/metrics").unwrap().to_owned(),
            pool,
            http: Client::builder().no_proxy().build().unwrap(),
            files,
            environment,
            server: Mutex::new(Some(server)),
            worker: Mutex::new(None),
            metrics: Mutex::default(),
        }
    }

    /// Returns the value of a setting.
    fn setting(&self, name: &str) -> &str {
        let mut settings = self.environment.iter();
        let (_, value) = settings.find(|(found, _)| *found == name).unwrap();
        value
    }

    /// Returns a dump of the database, as in a backup.
    pub fn dump(&self, pg_dump: &Path) -> NamedTempFile {
        let dump = NamedTempFile::new().unwrap();
        let dumped = Command::new(pg_dump)
            .args(["--format=custom", "--file"])
            .arg(dump.path())
            .arg(database::url(&self.database, database::OWNER))
            .output()
            .unwrap();
        assert!(dumped.status.success(), "{dumped:?}");
        dump
    }

    /// Starts another installation with the database of this dump and a copy of the current files.
    pub async fn restored(&self, programs: &str, dump: &NamedTempFile) -> Self {
        let name = database::create_empty(database::OWNER).await;
        let restored = Command::new(Path::new(programs).join("pg_restore"))
            .args(["--exit-on-error", "--no-owner", "--no-privileges"])
            .args(["--dbname", &database::url(&name, database::OWNER)])
            .arg(dump.path())
            .output()
            .unwrap();
        assert!(restored.status.success(), "{restored:?}");
        database::migrate(&name);
        let database_url = database::url(&name, database::APPLICATION);
        let files = Arc::new(TempDir::new().unwrap());
        for file in self.stored_files() {
            std::fs::copy(&file, files.path().join(file.file_name().unwrap())).unwrap();
        }
        let storage_url = Url::from_directory_path(files.path()).unwrap();
        let environment = self.environment.iter().cloned().map(|(variable, value)| {
            let value = match variable {
                "DATABASE_URL" => database_url.clone(),
                "STORAGE_URL" => storage_url.to_string(),
                "TEMPORAL_TASK_QUEUE" => name.clone(),
                _ => value,
            };
            (variable, value)
        });
        let app = Self::launch(environment.collect(), files).await;
        app.restart_worker();
        app
    }

    /// Sets the modification time of all stored files.
    pub fn age_files(&self, time: SystemTime) {
        for path in self.stored_files() {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(time).unwrap();
        }
    }

    /// Returns a line of the log of server or worker that contains all of these words.
    pub async fn logged(&self, words: &[&str]) -> String {
        eventually("a line in the log", async || {
            let mut lines = self.printed().into_iter();
            lines.find(|line| words.iter().all(|word| line.contains(word)))
        })
        .await
    }

    /// Returns the output of the server and the worker so far.
    pub fn printed(&self) -> Vec<String> {
        let (server, worker) = (self.server.lock().unwrap(), self.worker.lock().unwrap());
        let running = [server.as_ref(), worker.as_ref()].into_iter().flatten();
        running.flat_map(Process::printed).collect()
    }

    /// Returns the server's peak memory in bytes, and its CPU time in seconds.
    #[cfg(target_os = "linux")]
    pub fn server_usage(&self) -> (u64, f64) {
        let server = self.server.lock().unwrap().as_ref().unwrap().id();
        (
            process_usage::peak_memory(server).unwrap(),
            process_usage::cpu_seconds(server).unwrap(),
        )
    }

    /// Returns the worker's peak memory in bytes.
    #[cfg(target_os = "linux")]
    pub fn worker_memory(&self) -> u64 {
        process_usage::peak_memory(self.worker.lock().unwrap().as_ref().unwrap().id()).unwrap()
    }

    /// Sends SIGTERM to the server. Returns its exit code and the duration of its shutdown.
    pub fn end_server(&self) -> JoinHandle<(Option<i32>, Duration)> {
        let server = self.server.lock().unwrap().take().unwrap();
        spawn_blocking(|| server.end())
    }

    /// Sends SIGTERM to the worker, like [`Self::end_server`].
    pub fn end_worker(&self) -> JoinHandle<(Option<i32>, Duration)> {
        let worker = self.worker.lock().unwrap().take().unwrap();
        spawn_blocking(|| worker.end())
    }

    /// Kills the server with SIGKILL.
    pub fn stop_server(&self) {
        *self.server.lock().unwrap() = None;
    }

    /// Kills the worker with SIGKILL.
    pub fn stop_worker(&self) {
        *self.worker.lock().unwrap() = None;
    }

    pub fn restart_worker(&self) {
        self.restart_worker_set(&[]);
    }

    /// Restarts the worker with these settings, which override the others.
    pub fn restart_worker_set(&self, settings: &[(&'static str, &str)]) {
        self.stop_worker();
        let settings = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let environment: Vec<_> = self.environment.iter().cloned().chain(settings).collect();
        let (worker, ready) = Process::start(&worker_binary(), &environment, "worker ready");
        *self.worker.lock().unwrap() = Some(worker);
        *self.metrics.lock().unwrap() = address(&ready, "metrics");
    }

    /// Returns the URL of the worker's metrics, such as `http://127.0.0.1:9464/metrics`.
    pub fn metrics_url(&self) -> String {
        self.metrics.lock().unwrap().clone()
    }

    /// Returns the worker's Prometheus metrics.
    pub async fn worker_metrics(&self) -> String {
        let url = self.metrics.lock().unwrap().clone();
        let response = self.http.get(url).send().await.unwrap();
        response.text().await.unwrap()
    }

    /// Returns the server's Prometheus metrics.
    pub async fn server_metrics(&self) -> String {
        let url = format!("{}/metrics", self.monitoring);
        let response = self.http.get(url).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }

    /// Returns the workflow that the job's latest attempt shares with other jobs.
    pub async fn shared_workflow(&self, job_id: i64) -> Option<String> {
        sqlx::query_scalar("select shared_workflow_id from jobs where id = $1")
            .bind(job_id)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Terminates a workflow as an operator would, through Temporal's command line.
    pub fn terminate_workflow(&self, workflow_id: &str) {
        let address = required("TEMPORAL_ADDRESS").replace("http://", "");
        let ended = Command::new(required("TEMPORAL_CLI"))
            .args([
                "workflow",
                "terminate",
                "--address",
                &address,
                "--workflow-id",
                workflow_id,
            ])
            .status()
            .unwrap();
        assert!(ended.success());
    }

    /// Triggers the Temporal schedule with this name, as soon as it exists.
    pub async fn trigger_schedule(&self, name: &str) {
        let address = required("TEMPORAL_ADDRESS").replace("http://", "");
        let id = format!("{name}-{}", self.setting("TEMPORAL_TASK_QUEUE"));
        eventually("the schedule", async || {
            let triggered = Command::new(required("TEMPORAL_CLI"))
                .args([
                    "schedule",
                    "trigger",
                    "--address",
                    &address,
                    "--schedule-id",
                    &id,
                ])
                .output()
                .unwrap();
            triggered.status.success().then_some(())
        })
        .await;
    }

    /// Runs the server's program with these arguments and settings, and this line as input. Returns its output.
    pub fn server_program(
        &self,
        arguments: &[&str],
        settings: &[(&str, &str)],
        input: &str,
    ) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_server"))
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .envs(settings.iter().copied())
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may not read it.
        let _ = writeln!(child.stdin.take().unwrap(), "{input}");
        child.wait_with_output().unwrap()
    }

    /// Runs the worker's program with these arguments and returns its output.
    pub fn worker_output(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(worker_binary())
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// Counts all, valid and suspicious rows in a completed job's download. Each row must occur once, in the order of
    /// the file.
    pub async fn downloaded_rows(&self, job_id: i64) -> (u64, u64, u64) {
        let response = self.get(&format!("/jobs/{job_id}/results.csv")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let text = response.bytes().await.unwrap();
        // Rows with surplus fields have them at the end.
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(&text[..]);
        let names = reader.headers().unwrap().clone();
        let column = |name| names.iter().position(|column| column == name).unwrap();
        let (number, valid, suspicious) = (
            column("row_number"),
            column("is_valid"),
            column("is_suspicious"),
        );
        let mut counts = (0, 0, 0);
        for record in reader.records() {
            let record = record.unwrap();
            counts.0 += 1;
            assert_eq!(record[number].parse(), Ok(counts.0));
            counts.1 += u64::from(&record[valid] == "true");
            counts.2 += u64::from(&record[suspicious] == "true");
        }
        counts
    }

    /// Returns the page of a job's rows for a query, and the total number of matching rows.
    pub async fn rows(&self, job_id: &Value, query: &str) -> (Vec<Value>, u64) {
        let path = format!("/jobs/{job_id}/transactions?{query}");
        let response = self.get(&path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let total = response.headers()["x-total-count"].to_str().unwrap();
        let total = total.parse().unwrap();
        (response.json().await.unwrap(), total)
    }

    /// Returns the number of listed rows of the job, which are all rows with a verdict.
    pub async fn listed_rows(&self, job_id: i64) -> u64 {
        self.rows(&job_id.into(), "size=1").await.1
    }

    /// Returns the files in the storage.
    pub fn stored_files(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.files.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    }

    /// Waits until all data of deleted jobs is removed, if there are no others.
    pub async fn emptied(&self) {
        eventually("everything to be removed", async || {
            let left: i64 = sqlx::query_scalar(
                "select (select count(*) from job_chunks) + (select count(*) from removals)",
            )
            .fetch_one(&self.pool)
            .await
            .unwrap();
            (left == 0 && self.stored_files().is_empty()).then_some(())
        })
        .await;
    }

    /// Returns the directory of the files.
    pub fn stored_files_directory(&self) -> PathBuf {
        self.files.path().to_owned()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http
            .get(format!("{}{path}", self.api))
            .send()
            .await
            .unwrap()
    }

    pub async fn get_json(&self, path: &str) -> Value {
        expect(self.get(path).await, StatusCode::OK).await
    }

    /// Returns the first page of a job's rows as text, because a JSON parser would read 150.00 as 150.0.
    pub async fn rows_as_text(&self, job_id: &Value) -> String {
        let response = self.get(&format!("/jobs/{job_id}/transactions")).await;
        response.text().await.unwrap()
    }

    pub async fn post(&self, path: &str) -> Response {
        self.http
            .post(format!("{}{path}", self.api))
            .send()
            .await
            .unwrap()
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Response {
        let request = self.http.post(format!("{}{path}", self.api));
        request.json(body).send().await.unwrap()
    }

    /// Posts a form to a page.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.http
            .post(format!("{}{path}", self.web))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish())
            .send()
            .await
            .unwrap()
    }

    /// Returns the HTML of a page.
    pub async fn page(&self, path: &str) -> String {
        let page = self.http.get(format!("{}{path}", self.web)).send().await;
        page.unwrap().text().await.unwrap()
    }

    /// Returns the response to a request for a page.
    pub async fn page_response(&self, path: &str) -> Response {
        let page = self.http.get(format!("{}{path}", self.web)).send().await;
        page.unwrap()
    }

    pub async fn patch_json(&self, path: &str, body: &Value) -> Response {
        let request = self.http.patch(format!("{}{path}", self.api));
        request.json(body).send().await.unwrap()
    }

    pub async fn delete(&self, path: &str) -> Response {
        self.http
            .delete(format!("{}{path}", self.api))
            .send()
            .await
            .unwrap()
    }

    /// Creates a user and returns its id.
    pub async fn user(&self) -> i64 {
        let body = serde_json::json!({"name": "Ann", "email": format!("{}@example.com", unique())});
        let user = expect(self.post_json("/users", &body).await, StatusCode::CREATED).await;
        user["id"].as_i64().unwrap()
    }

    pub async fn upload_response(
        &self,
        user_id: i64,
        filename: &str,
        content: Vec<u8>,
    ) -> Response {
        let part = multipart::Part::bytes(content).file_name(filename.to_owned());
        self.http
            .post(format!("{}/jobs?user_id={user_id}", self.api))
            .multipart(multipart::Form::new().part("file", part))
            .send()
            .await
            .unwrap()
    }

    pub async fn post_multipart(&self, path: &str, form: multipart::Form) -> Response {
        let url = format!("{}{path}", self.api);
        self.http.post(url).multipart(form).send().await.unwrap()
    }

    /// Starts an upload of 900 MB and returns its connection after 12 MiB.
    pub async fn begin_upload(&self, user_id: i64) -> TcpStream {
        let address = self.api.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /jobs?user_id={user_id} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 900000000\r\n\
             Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 12 << 20]).await.unwrap();
        stream
    }

    /// Creates a pending job and returns its id.
    pub async fn upload(&self, user_id: i64, content: impl Into<Vec<u8>>) -> i64 {
        let response = self
            .upload_response(user_id, "payments.csv", content.into())
            .await;
        let job = expect(response, StatusCode::CREATED).await;
        job["job_id"].as_i64().unwrap()
    }

    pub async fn begin(&self, job_id: i64) -> Value {
        let response = self.post(&format!("/jobs/{job_id}/start")).await;
        expect(response, StatusCode::ACCEPTED).await
    }

    /// Makes each commit take 50 ms per chunk from now on, as on a slow disk.
    pub async fn slow_down(&self) {
        sqlx::raw_sql(
            "create function slow_down() returns trigger language plpgsql as
                 $$ begin perform pg_sleep(0.05); return null; end $$;
             create trigger slow_down after update on job_chunks for each row execute function slow_down()",
        )
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// From now on, makes each statement or row for which this trigger fires and the condition holds wait until the
    /// returned transaction ends.
    pub async fn hold(&self, trigger: &str, condition: &str) -> PgTransaction<'static> {
        sqlx::raw_sql(&format!(
            "create function hold() returns trigger language plpgsql as $$
                 begin
                     if {condition} then
                         perform pg_advisory_xact_lock_shared(1);
                     end if;
                     return null;
                 end $$;
             create trigger hold {trigger} execute function hold()"
        ))
        .execute(&self.pool)
        .await
        .unwrap();
        self.lock().await
    }

    /// Takes the lock for which [`Self::hold`] makes others wait.
    pub async fn lock(&self) -> PgTransaction<'static> {
        let mut lock = self.pool.begin().await.unwrap();
        sqlx::query("select pg_advisory_xact_lock(1)")
            .execute(&mut *lock)
            .await
            .unwrap();
        lock
    }

    /// Waits until this many sessions wait for a lock of this kind. [`Self::hold`] takes an `advisory` one.
    pub async fn waiting(&self, lock: &str, sessions: i64) {
        eventually("sessions that wait", async || {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock' and wait_event = $1",
            )
            .bind(lock)
            .fetch_one(&self.pool)
            .await
            .unwrap();
            (waiting >= sessions).then_some(())
        })
        .await;
    }

    /// Waits until some of the job's rows are committed.
    pub async fn under_way(&self, job_id: i64) -> Value {
        eventually("some progress", async || {
            let job = self.get_json(&format!("/jobs/{job_id}")).await;
            (job["processed_records"].as_u64() > Some(0)).then_some(job)
        })
        .await
    }

    /// Waits until the job is completed or has failed.
    pub async fn finished(&self, job_id: i64) -> Value {
        eventually("the job to finish", async || {
            let job = self.get_json(&format!("/jobs/{job_id}")).await;
            matches!(job["status"].as_str(), Some("completed" | "failed")).then_some(job)
        })
        .await
    }

    /// Processes a file as a new job of this user and returns the job's id.
    pub async fn process_for(&self, user_id: i64, content: impl Into<Vec<u8>>) -> i64 {
        let job_id = self.upload(user_id, content).await;
        self.begin(job_id).await;
        self.finished(job_id).await;
        job_id
    }

    /// Uploads a file, starts its job and waits for the end.
    pub async fn process(&self, content: impl Into<Vec<u8>>) -> Value {
        let user_id = self.user().await;
        let job_id = self.upload(user_id, content).await;
        self.begin(job_id).await;
        self.finished(job_id).await
    }

    pub async fn socket(&self, user_id: i64) -> Socket {
        let url = format!("{}/ws/{user_id}", self.api.replacen("http", "ws", 1));
        Socket::connect(&url).await
    }
}

/// Returns the URL that follows `name` in the line with which a program reports that it is ready, in text or JSON.
fn address(ready: &str, name: &str) -> String {
    let named = ["=", "\":\"", " "].map(|between| format!("{name}{between}http://"));
    let start = named.iter().find_map(|named| ready.find(&**named)).unwrap();
    let rest = &ready[start..];
    let rest = &rest[rest.find("http://").unwrap()..];
    let end = rest.find([',', '"', ' ', '\n']);
    rest[..end.unwrap_or(rest.len())].to_owned()
}

/// Checks the status of a response and returns its JSON body.
pub async fn expect(response: Response, status: StatusCode) -> Value {
    let (found, url) = (response.status(), response.url().to_string());
    let body = response.text().await.unwrap();
    assert_eq!(found, status, "{url}: {body}");
    serde_json::from_str(&body).unwrap_or(Value::Null)
}

/// Checks the status of a problem and returns its sentence.
pub async fn problem(response: Response, status: StatusCode) -> String {
    let kind = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(kind, "application/problem+json");
    let body = expect(response, status).await;
    assert_eq!(body["status"], status.as_u16());
    let kind = body["type"].as_str().unwrap();
    assert!(kind.starts_with("/problems/"), "{kind}");
    body["detail"].as_str().unwrap().to_owned()
}

/// Repeats `ask` until it returns a value. Fails after [`DEADLINE`].
pub async fn eventually<T: Debug>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns the path of the `worker` program beside `server`. cargo doesn't provide it, because it is another package.
fn worker_binary() -> PathBuf {
    let worker = Path::new(env!("CARGO_BIN_EXE_server")).with_file_name("worker");
    assert!(
        worker.exists(),
        "build the worker first: cargo build -p worker"
    );
    worker
}

/// All tests share one Temporal, in which workflows are named after job ids, so these must differ.
pub async fn separate_workflow_ids(database: impl PgExecutor<'_>) {
    let first = i64::try_from(unique() % (1 << 40)).unwrap() * 1000;
    sqlx::query("select setval(pg_get_serial_sequence('jobs', 'id'), $1)")
        .bind(first)
        .execute(database)
        .await
        .unwrap();
}

/// Returns the host and port of a URL, which may contain a user and a path.
pub fn address_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap();
    let rest = rest.rsplit('@').next().unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// Returns a number that no other test uses.
pub fn unique() -> u128 {
    uuid::Uuid::new_v4().as_u128()
}

pub fn required(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run the tests by script/test"))
}
