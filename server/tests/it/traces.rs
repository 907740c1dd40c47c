//! OpenTelemetry traces, as a collector receives them from server and worker.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{
    Collector, Exported, Options, SAMPLE, TestApp, collector_environment, eventually, expect,
    generated,
};

const SERVER: &str = "batchline-server";
const WORKER: &str = "batchline-worker";

const START: &str = "POST /jobs/{job_id}/start";

/// Another system's trace, which asks to be sampled.
const FOREIGN_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const FOREIGN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The spans of one trace.
#[derive(Debug)]
struct Trace(Vec<Exported>);

impl Trace {
    /// The trace with this step of this job, once its root has arrived.
    async fn with_step(collector: &Collector, job_id: i64, step: &str) -> Self {
        let name = format!("RunActivity:{step}");
        eventually("the trace", async || {
            let mut traces = collector.traces().into_values().map(Self);
            traces.find(|trace| {
                trace.root().is_some()
                    && trace.0.iter().any(|it| {
                        it.span.name == name
                            && it.attribute("batchline.job.id") == Some(job_id.to_string())
                    })
            })
        })
        .await
    }

    fn root(&self) -> Option<&Exported> {
        self.0.iter().find(|it| it.span.parent_span_id.is_empty())
    }

    /// The service and the name of each span from the one with this name up to the root.
    fn path_to_root(&self, from: &str) -> Vec<(&str, &str)> {
        let mut at = self.0.iter().find(|it| it.span.name == from);
        let mut way = Vec::new();
        while let Some(Exported { service, span }) = at {
            way.push((service.as_str(), span.name.as_str()));
            at = self
                .0
                .iter()
                .find(|it| it.span.span_id == span.parent_span_id);
            assert!(at.is_some() || span.parent_span_id.is_empty(), "{span:?}");
        }
        way
    }

    fn named(&self, name: &str) -> Vec<&Exported> {
        let named = self.0.iter().filter(|it| it.span.name == name);
        named.collect()
    }

    /// The path to the root from the last statement within this step.
    fn path_from_commit(&self, step: &str, statement: &str) -> Vec<(&str, &str)> {
        let step = self.named(step)[0];
        let within = self
            .0
            .iter()
            .filter(|it| it.span.parent_span_id == step.span.span_id);
        let last = within.max_by_key(|it| it.span.end_time_unix_nano).unwrap();
        assert_eq!(last.span.name, statement);
        assert_eq!(
            last.attribute("db.system.name").as_deref(),
            Some("postgresql")
        );
        [
            vec![(last.service.as_str(), last.span.name.as_str())],
            self.path_to_root(&step.span.name),
        ]
        .concat()
    }

    fn id(&self) -> String {
        hexadecimal(&self.0[0].span.trace_id)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_trace_connects_the_request_to_the_commit() {
    let collector = Collector::start().await;
    let mut environment = collector.environment();
    environment.push(("LOG_FORMAT", "json".to_owned()));
    let app = TestApp::start_with(Options {
        environment,
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;

    let small = app.upload(user_id, SAMPLE).await;
    let form = [("job_id", &*small.to_string()), ("command", "start")];
    app.post_form("/rpc/command-job", &form).await;
    app.finished(small).await;
    let trace = Trace::with_step(&collector, small, "process").await;
    assert_eq!(
        trace.path_from_commit("RunActivity:process", "insert job_chunks"),
        [
            (WORKER, "insert job_chunks"),
            (WORKER, "RunActivity:process"),
            (SERVER, "start small file"),
            (SERVER, "POST /rpc/command-job"),
        ]
    );

    let large = app.upload(user_id, generated(60_000).0).await;
    app.begin(large).await;
    app.finished(large).await;
    let trace = Trace::with_step(&collector, large, "complete").await;
    for step in ["RunActivity:plan", "RunActivity:complete"] {
        let way = [
            (WORKER, "update jobs"),
            (WORKER, step),
            (SERVER, "StartWorkflow:ProcessJob"),
            (SERVER, START),
        ];
        assert_eq!(trace.path_from_commit(step, "update jobs"), way);
    }
    let root = trace.root().unwrap();
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/jobs/{job_id}/start"),
        ("http.response.status_code", "202"),
    ] {
        assert_eq!(root.attribute(name).as_deref(), Some(value), "{name}");
    }
    let last = trace.0.iter().max_by_key(|it| it.span.end_time_unix_nano);
    assert_eq!(last.unwrap().span.name, "RunActivity:complete");

    // The log contains the ids, and what is exported contains nothing of users and files but ids.
    let line: Value = serde_json::from_str(&app.logged(&["answered", &trace.id()]).await).unwrap();
    assert_eq!(line["span"]["span_id"], hexadecimal(&root.span.span_id));
    let everything = format!("{:?}", collector.spans());
    for content in ["payments.csv", "@example.com", "Ann", "Monthly", "TXN"] {
        assert!(!everything.contains(content), "{content}");
    }
}

#[tokio::test]
async fn jobs_that_share_a_workflow_keep_their_own_traces() {
    let collector = Collector::start().await;
    let app = TestApp::start_with(Options {
        environment: collector.environment(),
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;
    let jobs = join_all((0..10).map(|_| app.upload(user_id, SAMPLE))).await;
    join_all(jobs.iter().map(|job_id| app.begin(*job_id))).await;
    let mut workflows = HashSet::new();
    let mut linked = 0;
    for job_id in &jobs {
        app.finished(*job_id).await;
        let trace = Trace::with_step(&collector, *job_id, "process").await;
        let way = trace.path_from_commit("RunActivity:process", "insert job_chunks");
        assert_eq!(way[2..], [(SERVER, "start small file"), (SERVER, START)]);
        let [step] = trace.named("RunActivity:process")[..] else {
            panic!("{trace:?}");
        };
        workflows.insert(step.attribute("temporalWorkflowID"));
        let starts = trace.named("StartWorkflow:ProcessSmallJobs");
        // If a job isn't in the trace of its workflow's start, links lead there and back.
        for link in &step.span.links {
            assert!(starts.is_empty());
            linked += 1;
            let start = eventually("the start", async || {
                let mut spans = collector.spans().into_iter();
                spans.find(|it| it.span.span_id == link.span_id)
            })
            .await;
            assert_eq!(start.span.name, "StartWorkflow:ProcessSmallJobs");
            let mut back = start.span.links.iter();
            assert!(back.any(|link| link.trace_id == step.span.trace_id));
        }
        assert_eq!(starts.len() + step.span.links.len(), 1, "{trace:?}");
    }
    assert!(linked > 0 && workflows.len() + linked == jobs.len());
}

#[tokio::test]
async fn a_strangers_traceparent_is_only_linked() {
    let collector = Collector::start().await;
    let start = async |trusts: &str, sampler: &str| {
        let mut environment = collector.environment();
        environment.push(("TRUST_TRACEPARENT", trusts.to_owned()));
        environment.push(("OTEL_TRACES_SAMPLER", sampler.to_owned()));
        TestApp::start_with(Options {
            environment,
            // A worker isn't needed.
            temporal_address: Some("127.0.0.1:9".to_owned()),
            ..Options::default()
        })
        .await
    };
    let ask = async |app: &TestApp, path: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", app.api));
        let response = request.header("traceparent", FOREIGN).send().await;
        expect(response.unwrap(), StatusCode::OK).await
    };
    let (unsampled, linked, trusting) = tokio::join!(
        start("false", "parentbased_always_off"),
        start("false", "always_on"),
        start("true", "parentbased_always_off"),
    );
    ask(&unsampled, "/me").await;
    ask(&linked, "/jobs").await;
    // Health checks and unknown addresses have no spans.
    ask(&linked, "/healthz").await;
    assert_eq!(linked.get("/secret").await.status(), StatusCode::NOT_FOUND);
    ask(&trusting, "/users").await;
    trusting.get_json("/me").await;
    for app in [unsampled, linked, trusting] {
        app.end_server().await.unwrap();
    }
    let traces = collector.traces();
    let requests: Vec<(bool, &str)> = traces
        .iter()
        .flat_map(|(trace_id, spans)| {
            let is_foreign = hexadecimal(trace_id) == FOREIGN_TRACE;
            spans.iter().map(move |it| (is_foreign, &*it.span.name))
        })
        .collect();
    let requests: HashSet<(bool, &str)> = requests.into_iter().collect();
    assert_eq!(
        requests,
        [(false, "GET /jobs"), (true, "GET /users")].into()
    );
    let own = traces
        .values()
        .flatten()
        .find(|it| it.span.name == "GET /jobs");
    let links: Vec<String> = own
        .unwrap()
        .span
        .links
        .iter()
        .map(|link| hexadecimal(&link.trace_id))
        .collect();
    assert_eq!(links, [FOREIGN_TRACE]);
}

#[tokio::test]
async fn a_collector_that_hangs_or_refuses_delays_no_job() {
    // Accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let refusing = Collector::answering(StatusCode::FORBIDDEN).await;
    let start = async |endpoint: &str| {
        TestApp::start_with(Options {
            environment: collector_environment(endpoint),
            ..Options::default()
        })
        .await
    };
    let (hangs, refuses) = tokio::join!(start(&silent), start(&refusing.endpoint));
    for app in [&hangs, &refuses] {
        assert_eq!(app.process(SAMPLE).await["status"], "completed");
        let job = app.process(generated(60_000).0).await;
        assert_eq!(
            (&job["status"], &job["total_records"]),
            (&json!("completed"), &json!(60_000))
        );
    }
    let before = refusing.requests();
    eventually("more that is refused", async || {
        refuses.get_json("/me").await;
        (refusing.requests() > before + 3).then_some(())
    })
    .await;
    let printed = refuses.printed();
    let warnings = printed
        .iter()
        .filter(|line| line.contains("can't be exported"));
    // One of each program.
    assert_eq!(warnings.count(), 2, "{printed:#?}");
    for app in [hangs, refuses] {
        for ended in [app.end_server(), app.end_worker()] {
            let (code, took) = ended.await.unwrap();
            assert_eq!(code, Some(0));
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
    }
}
