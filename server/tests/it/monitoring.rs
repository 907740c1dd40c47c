//! Health checks, metrics and logs.

use std::collections::BTreeSet;

use promql_parser::{
    parser::{self, Expr},
    util::{ExprVisitor, walk_expr},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::{net::TcpListener, time::Instant};

use crate::harness::{Fault, ObjectStore, Options, SAMPLE, TestApp, eventually, expect, generated};

const OK: &str = "ok";
const HANGS: &str = "no answer within 2 s";
const AWAY: &str = "can't be reached or used";

async fn readiness(base: &str) -> (StatusCode, Value) {
    let began = Instant::now();
    let response = reqwest::get(format!("{base}/readyz")).await.unwrap();
    // Each service has two seconds, all at the same time.
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    (response.status(), response.json().await.unwrap())
}

fn parts(postgres: &str, temporal: &str, storage: &str) -> (StatusCode, Value) {
    let is_ready = [postgres, temporal, storage] == [OK; 3];
    let (status, word) = match is_ready {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = json!({
        "status": word, "postgres": postgres, "temporal": temporal, "storage": storage
    });
    (status, body)
}

#[tokio::test]
async fn readiness_names_the_service_that_does_not_respond() {
    // A Temporal that accepts connections but never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = TestApp::start_with(Options {
        temporal_address: Some(format!("http://{}", silent.local_addr().unwrap())),
        ..Options::default()
    })
    .await;
    for base in [&app.api, &app.web, &app.monitoring] {
        assert_eq!(readiness(base).await, parts(OK, HANGS, OK), "{base}");
    }

    let options = app.pool.connect_options();
    let database = options.get_database().unwrap().to_owned();
    let options = (*options).clone().database("postgres");
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    let allow = async |admin: &mut PgConnection, allowed: bool| {
        for statement in [
            format!("alter database {database} allow_connections {allowed}"),
            format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"
            ),
        ] {
            sqlx::raw_sql(&statement)
                .execute(&mut *admin)
                .await
                .unwrap();
        }
    };
    allow(&mut admin, false).await;
    let files = app.stored_files_directory();
    let elsewhere = files.with_extension("away");
    std::fs::rename(&files, &elsewhere).unwrap();
    eventually("the parts to be missed", async || {
        (readiness(&app.api).await == parts(AWAY, HANGS, AWAY)).then_some(())
    })
    .await;
    let health = expect(app.get("/health").await, StatusCode::SERVICE_UNAVAILABLE).await;
    let expected = json!({"status": "unavailable", "postgres": false, "temporal": false});
    assert_eq!(health, expected);
    // The process is still alive, and its metrics can be read.
    for base in [&app.api, &app.monitoring] {
        let alive = reqwest::get(format!("{base}/healthz")).await.unwrap();
        assert_eq!(expect(alive, StatusCode::OK).await, json!({"status": "ok"}));
    }
    let metrics = app.server_metrics().await;
    for line in [
        "batchline_ready{part=\"postgres\"} 0",
        "batchline_ready{part=\"storage\"} 0",
        "batchline_ready{part=\"temporal\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(!metrics.contains("batchline_jobs{"), "{metrics}");

    std::fs::rename(&elsewhere, &files).unwrap();
    allow(&mut admin, true).await;
    eventually("the parts to be back", async || {
        (readiness(&app.api).await == parts(OK, HANGS, OK)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_bucket_is_part_of_readiness() {
    let store = ObjectStore::start(std::time::Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let worker = app.metrics_url().replace("/metrics", "");
    for base in [&app.api, &worker] {
        assert_eq!(readiness(base).await, parts(OK, OK, OK), "{base}");
    }
    store.set(Fault::Unavailable);
    for base in [&app.api, &worker] {
        eventually("the storage to be missed", async || {
            let (status, body) = readiness(base).await;
            (status == StatusCode::SERVICE_UNAVAILABLE && body["storage"] != OK).then_some(())
        })
        .await;
        let alive = reqwest::get(format!("{base}/healthz")).await.unwrap();
        expect(alive, StatusCode::OK).await;
    }
}

#[tokio::test]
async fn the_server_counts_what_it_does() {
    let app = TestApp::start_set(&[("MAX_SOCKETS_PER_USER", "1")]).await;
    let job = app.process(SAMPLE).await;
    let user_id = job["user_id"].as_i64().unwrap();
    let _open = app.socket(user_id).await;
    let url = format!("{}/ws/{user_id}", app.api.replacen("http", "ws", 1));
    assert_eq!(
        crate::harness::Socket::open(&url, None).await.err(),
        Some(429)
    );
    // Made-up paths and methods share one label.
    for number in 0..20 {
        app.get(&format!("/nothing/{number}")).await;
        let made_up = reqwest::Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
        let request = reqwest::Client::new().request(made_up, format!("{}/jobs", app.api));
        request.send().await.unwrap();
    }
    let lines = [
        "batchline_http_request_seconds_count{method=\"POST\",route=\"/jobs\",status=\"2xx\"} 1",
        "batchline_http_request_seconds_count{method=\"GET\",route=\"other\",status=\"4xx\"} 20",
        "batchline_http_request_seconds_count{method=\"other\",route=\"/jobs\",status=\"4xx\"} 20",
        "batchline_http_requests_in_flight 0",
        "batchline_refused_total{kind=\"sockets\"} 1",
        "batchline_refused_total{kind=\"downloads\"} 0",
        "batchline_running{kind=\"sockets\"} 1",
        "batchline_running{kind=\"searches\"} 0",
        "batchline_jobs{status=\"completed\"} 1",
        "batchline_jobs{status=\"processing\"} 0",
        "batchline_deletion_queue 0",
        "batchline_ready{part=\"storage\"} 1",
        "batchline_database_connections{state=\"in_use\"}",
        "process_resident_memory_bytes",
        "process_open_fds",
    ];
    // A response is sent just before its request is no longer counted as in flight.
    let metrics = eventually("the server's metrics", async || {
        let metrics = app.server_metrics().await;
        let lacking = lines.iter().find(|line| !metrics.contains(**line));
        println!("lacking: {lacking:?}");
        lacking.is_none().then_some(metrics)
    })
    .await;
    for made_up in ["nothing", "M1"] {
        assert!(!metrics.contains(made_up), "{metrics}");
    }
    let bytes = metrics
        .lines()
        .find_map(|line| line.strip_prefix("batchline_http_request_bytes_total "))
        .unwrap();
    let bytes: usize = bytes.parse().unwrap();
    assert!(
        (SAMPLE.len()..SAMPLE.len() + 1000).contains(&bytes),
        "{bytes}"
    );
}

#[tokio::test]
async fn the_log_can_be_json() {
    let app = TestApp::start_set(&[("LOG_FORMAT", "json")]).await;
    let job = app.process(SAMPLE).await;
    let deleted = app.delete(&format!("/jobs/{}", job["id"])).await;
    let id = deleted.headers()["x-request-id"].to_str().unwrap();
    app.logged(&["answered", id]).await;
    let printed = app.printed();
    let lines: Vec<Value> = printed
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(lines.iter().any(|line| line["message"] == "worker ready"));
    let audited: Vec<&Value> = lines
        .iter()
        .filter(|line| line["message"] == "audit" && line["job_id"] == job["id"])
        .collect();
    let kinds: Vec<&Value> = audited.iter().map(|line| &line["kind"]).collect();
    assert_eq!(kinds, ["upload", "start", "delete_job"]);
    let delete = audited.last().unwrap();
    assert_eq!(delete["level"], "INFO");
    assert_eq!(delete["actor"], "anyone");
    assert_eq!(delete["outcome"], "done");
    assert_eq!(delete["address"], "127.0.0.1");
    assert_eq!(delete["user_id"], job["user_id"]);
    assert_eq!(delete["span"]["id"], id);
}

/// The names of the metrics that an expression reads.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl ExprVisitor for Names {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
        let selector = match expression {
            Expr::VectorSelector(selector) => Some(selector),
            Expr::MatrixSelector(range) => Some(&range.vs),
            _ => None,
        };
        self.0
            .extend(selector.and_then(|selector| selector.name.clone()));
        Ok(true)
    }
}

fn names(expression: &str) -> BTreeSet<String> {
    let parsed = parser::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut names = Names::default();
    let Ok(_) = walk_expr(&mut names, &parsed);
    assert!(!names.0.is_empty(), "{expression}");
    names.0
}

#[tokio::test]
async fn dashboard_and_alerts_read_existing_metrics() {
    let alerts = include_str!("../../../docs/monitoring/alerts.yml");
    let dashboard: Value =
        serde_json::from_str(include_str!("../../../docs/monitoring/grafana.json")).unwrap();
    let of_alerts = alerts
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("expr: "));
    let of_panels = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap());
    assert_eq!(
        of_alerts.clone().count(),
        alerts.matches("- alert: ").count()
    );
    let read: BTreeSet<String> = of_alerts
        .chain(of_panels)
        // Grafana substitutes a duration there.
        .map(|expression| expression.replace("$__rate_interval", "5m"))
        .flat_map(|expression| names(&expression))
        .collect();
    assert!(read.len() > 15, "{read:?}");

    let app = TestApp::start().await;
    // Long enough for several steps, which any worker may run.
    app.process(generated(60_000).0).await;
    app.get("/users").await;
    eventually("all metrics", async || {
        let exposed = app.server_metrics().await + &app.worker_metrics().await;
        let exposed: BTreeSet<&str> = exposed
            .lines()
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        let lacking = read.iter().find(|name| !exposed.contains(&***name));
        println!("lacking: {lacking:?}");
        lacking.is_none().then_some(())
    })
    .await;
}
