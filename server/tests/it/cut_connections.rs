//! Results stay exactly-once, whichever request to PostgreSQL, Temporal or the object store is lost.
//!
//! A proxy in front of each service cuts a connection at the n-th request of a job's whole path. It cuts either before
//! forwarding the request, or after the service has responded, so that the client can't know that the request was
//! carried out. `EVERY_CUT=1` tries both for each request. Otherwise some requests are tried, with both kinds in turn.

use std::{env, net::SocketAddr, time::Duration};

use reqwest::{Response, StatusCode};

use crate::harness::{
    Cut, CuttingProxy, DEADLINE, ObjectStore, Options, Protocol, SAMPLE, TestApp, address_of,
    eventually, generated, problem, required, unique,
};

/// The number of rows of a file with several chunks.
const ROWS: u64 = 36_000;

/// The number of times a user repeats a request. One connection is cut, and requests that share it may fail with it.
const MOST_REPETITIONS: u32 = 3;

struct File {
    content: String,
    /// The numbers of valid, invalid and suspicious rows.
    counts: [u64; 3],
    chunks: i64,
    /// The content of the results download.
    results: String,
}

struct Rig {
    app: TestApp,
    store: ObjectStore,
    user_id: i64,
    postgres: CuttingProxy,
    temporal: CuttingProxy,
    files: CuttingProxy,
}

impl Rig {
    async fn start() -> Self {
        let store = ObjectStore::start(Duration::ZERO).await;
        let mut environment = store.environment();
        let url = |address: SocketAddr| format!("http://{address}");
        let postgres = address_of(&required("DATABASE_URL"));
        let temporal = address_of(&required("TEMPORAL_ADDRESS"));
        let (_, endpoint) = environment
            .iter()
            .find(|(name, _)| *name == "AWS_ENDPOINT")
            .unwrap();
        let files = CuttingProxy::start(Protocol::Http, address_of(endpoint)).await;
        let postgres = CuttingProxy::start(Protocol::Postgres, postgres).await;
        let temporal = CuttingProxy::start(Protocol::Grpc, temporal).await;
        environment.extend([
            ("AWS_ENDPOINT", url(files.address)),
            ("TEMPORAL_ADDRESS", url(temporal.address)),
        ]);
        let app = TestApp::start_with(Options {
            postgres_proxy: Some(postgres.address),
            environment,
            ..Options::default()
        })
        .await;
        let user_id = app.user().await;
        Self {
            app,
            store,
            user_id,
            postgres,
            temporal,
            files,
        }
    }

    /// Repeats a request until the response isn't a server error. Returns the response, and whether the first request
    /// sufficed.
    async fn repeated(&self, ask: impl AsyncFn() -> Response) -> (Response, bool) {
        for repetition in 0..=MOST_REPETITIONS {
            let response = ask().await;
            if !response.status().is_server_error() {
                return (response, repetition == 0);
            }
            let sentence = problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
            println!("a user reads: {sentence}");
        }
        panic!("it still fails");
    }

    /// Sends a file along the whole path of a user, from its upload to its deletion.
    async fn whole_path(&self, file: &File) {
        let app = &self.app;
        let upload = || app.upload_response(self.user_id, "a.csv", file.content.clone().into());
        let (response, _) = self.repeated(upload).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let job: serde_json::Value = response.json().await.unwrap();
        let job_id = job["job_id"].as_i64().unwrap();
        let path = format!("/jobs/{job_id}");

        let start = format!("{path}/start");
        let (response, _) = self.repeated(|| app.post(&start)).await;
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        // Uses the test's own connection, so that these queries aren't counted.
        eventually("the job to finish", async || {
            let is_over = "select status in ('completed', 'failed') from jobs where id = $1";
            let is_over: bool = sqlx::query_scalar(is_over)
                .bind(job_id)
                .fetch_one(&app.pool)
                .await
                .unwrap();
            is_over.then_some(())
        })
        .await;
        self.check(job_id, file).await;
        let (response, _) = self.repeated(|| app.get(&path)).await;
        let job: serde_json::Value = response.json().await.unwrap();
        assert_eq!(job["status"], "completed", "{job}");
        self.check_results(job_id, file).await;

        let (response, is_first) = self.repeated(|| app.delete(&path)).await;
        match response.status() {
            StatusCode::NO_CONTENT => {}
            StatusCode::NOT_FOUND if !is_first => {}
            other => panic!("{other}"),
        }
    }

    /// Checks the download, which may break off once.
    async fn check_results(&self, job_id: i64, file: &File) {
        let path = format!("/jobs/{job_id}/results.csv");
        for _ in 0..=MOST_REPETITIONS {
            let (response, _) = self.repeated(|| self.app.get(&path)).await;
            assert_eq!(response.status(), StatusCode::OK);
            if let Ok(text) = response.text().await {
                assert!(text == file.results, "other results");
                return;
            }
        }
        panic!("the download breaks off again and again");
    }

    /// Checks the job's counts, its events and its chunks.
    async fn check(&self, job_id: i64, file: &File) {
        let [valid, invalid, suspicious] = file.counts.map(|count| i64::try_from(count).unwrap());
        let counts: (String, i64, i64, i64, i64, i64) = sqlx::query_as(
            "select coalesce(error, status), total_records, processed_records, valid_records, invalid_records,
                    suspicious_records
             from jobs where id = $1",
        )
        .bind(job_id)
        .fetch_one(&self.app.pool)
        .await
        .unwrap();
        let rows = valid + invalid;
        let exact = (
            "completed".to_owned(),
            rows,
            rows,
            valid,
            invalid,
            suspicious,
        );
        assert_eq!(counts, exact);
        let ledger: (i64, i64, i64, i64, bool) = sqlx::query_as(
            "select count(*), sum(chunk.rows)::bigint, sum(chunk.valid_records)::bigint,
                    sum(chunk.invalid_records)::bigint, bool_and(committed_at is not null and verdicts is not null)
             from jobs join job_chunks as chunk on chunk.result_id = jobs.result_id where jobs.id = $1",
        )
        .bind(job_id)
        .fetch_one(&self.app.pool)
        .await
        .unwrap();
        assert_eq!(ledger, (file.chunks, rows, valid, invalid, true));
        let events: Vec<String> =
            sqlx::query_scalar("select kind from job_events where job_id = $1 order by id")
                .bind(job_id)
                .fetch_all(&self.app.pool)
                .await
                .unwrap();
        assert_eq!(events, ["started", "completed"]);
    }

    /// Deletes the jobs of uploads whose response was lost, and waits until nothing remains of any job.
    async fn check_nothing_is_left(&self, failed_uploads: i64) {
        let pool = &self.app.pool;
        let unknown: Vec<i64> = sqlx::query_scalar("select id from jobs")
            .fetch_all(pool)
            .await
            .unwrap();
        assert!(unknown.len() as i64 <= failed_uploads, "{unknown:?}");
        for job_id in unknown {
            let response = self.app.delete(&format!("/jobs/{job_id}")).await;
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
        }
        // Lets the leases of files expire whose writers have lost PostgreSQL.
        sqlx::query("update removals set due_at = now(), is_leased = false")
            .execute(pool)
            .await
            .unwrap();
        eventually("everything to be removed", async || {
            let left: (i64, i64, i64) = sqlx::query_as(
                "select (select count(*) from removals), (select count(*) from job_chunks),
                        (select count(*) from pg_stat_activity where datname = current_database()
                             and state like 'idle in transaction%')",
            )
            .fetch_one(pool)
            .await
            .unwrap();
            (left == (0, 0, 0) && self.store.keys().await.is_empty()).then_some(())
        })
        .await;
    }

    /// Returns a file with the result of an undisturbed job.
    async fn file(&self, content: &str, counts: [u64; 3]) -> File {
        let job_id = self.app.upload(self.user_id, content).await;
        self.app.begin(job_id).await;
        self.app.finished(job_id).await;
        let [valid, invalid, suspicious] = counts;
        let rows = valid + invalid;
        assert_eq!(
            self.app.downloaded_rows(job_id).await,
            (rows, valid, suspicious)
        );
        let results = self.app.get(&format!("/jobs/{job_id}/results.csv")).await;
        let chunks: i32 = sqlx::query_scalar("select total_batches from jobs where id = $1")
            .bind(job_id)
            .fetch_one(&self.app.pool)
            .await
            .unwrap();
        let file = File {
            content: content.to_owned(),
            counts,
            chunks: chunks.into(),
            results: results.text().await.unwrap(),
        };
        self.check(job_id, &file).await;
        let response = self.app.delete(&format!("/jobs/{job_id}")).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        file
    }

    /// Cuts a connection at one request of the whole path after another, until there are no more requests. Without
    /// `EVERY_CUT`, does so only a few times for each service, at different requests in each run. `services` contains
    /// the approximate number of requests on the path, and the number of cuts.
    async fn cut_all_over(&self, file: &File, services: [(&str, &CuttingProxy, usize, usize); 3]) {
        let every = env::var_os("EVERY_CUT").is_some();
        for (service, proxy, requests, times) in services {
            let (first, step, times) = match every {
                true => (1, 1, usize::MAX),
                false => (
                    1 + unique() as usize % (requests / times),
                    requests / times,
                    times,
                ),
            };
            let mut cuts = [Cut::BeforeRequest, Cut::BeforeAnswer];
            if unique().is_multiple_of(2) {
                cuts.reverse();
            }
            let mut failed_uploads = 0;
            for n in (first..).step_by(step).take(times) {
                let mut requests_are_left = false;
                for cut in if every { &cuts[..] } else { &cuts[..1] } {
                    println!("{service}: {cut:?} {n} with {} chunks", file.chunks);
                    proxy.arm(n, *cut);
                    let path = self.whole_path(file);
                    let ended = tokio::time::timeout(DEADLINE, path).await;
                    let at = proxy.disarm();
                    println!("{service}: {cut:?} {n} was {at:?}");
                    ended.expect("in time");
                    requests_are_left |= at.is_some();
                    failed_uploads += i64::from(*cut == Cut::BeforeAnswer);
                }
                if !requests_are_left {
                    break;
                }
                cuts.reverse();
            }
            self.check_nothing_is_left(failed_uploads).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_row_has_one_verdict_whichever_request_is_lost() {
    let rig = Rig::start().await;
    let (postgres, temporal, files) = (&rig.postgres, &rig.temporal, &rig.files);
    let small = rig.file(SAMPLE, [4, 0, 1]).await;
    let services = [
        ("PostgreSQL", postgres, 54, 6),
        ("Temporal", temporal, 6, 2),
        ("files", files, 5, 2),
    ];
    rig.cut_all_over(&small, services).await;
    let (content, counts) = generated(ROWS);
    let long = rig.file(&content, counts).await;
    let services = [
        ("PostgreSQL", postgres, 90, 3),
        ("Temporal", temporal, 20, 1),
        ("files", files, 16, 1),
    ];
    rig.cut_all_over(&long, services).await;
}
