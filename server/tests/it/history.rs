//! The history of a job across its attempts.

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{SAMPLE, TestApp, expect, generated, problem};

async fn history(app: &TestApp, job_id: i64) -> Vec<(String, u64)> {
    let events = app.get_json(&format!("/jobs/{job_id}/events")).await;
    let event = |event: &Value| {
        let kind = event["kind"].as_str().unwrap().to_owned();
        (kind, event["run"].as_u64().unwrap())
    };
    events.as_array().unwrap().iter().map(event).collect()
}

fn expected(events: &[(&str, u64)]) -> Vec<(String, u64)> {
    let owned = |(kind, run): &(&str, u64)| ((*kind).to_owned(), *run);
    events.iter().map(owned).collect()
}

#[tokio::test]
async fn events_are_kept_over_all_attempts() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    // A small file, and one that fails and is retried.
    let small = app.upload(user_id, SAMPLE).await;
    assert_eq!(history(&app, small).await, []);
    app.begin(small).await;
    app.finished(small).await;
    assert_eq!(
        history(&app, small).await,
        expected(&[("started", 1), ("completed", 1)])
    );
    let broken = app.upload(user_id, "no,header\n").await;
    app.begin(broken).await;
    app.finished(broken).await;
    expect(
        app.post(&format!("/jobs/{broken}/retry")).await,
        StatusCode::ACCEPTED,
    )
    .await;
    app.finished(broken).await;
    assert_eq!(
        history(&app, broken).await,
        expected(&[("started", 1), ("failed", 1), ("retried", 2), ("failed", 2)])
    );

    // One that is long enough to be paused.
    let long = app.upload(user_id, generated(1_500_000).0).await;
    app.begin(long).await;
    for command in ["pause", "resume", "cancel", "retry"] {
        let path = format!("/jobs/{long}/{command}");
        expect(app.post(&path).await, StatusCode::ACCEPTED).await;
        // A repeated command changes nothing.
        expect(app.post(&path).await, StatusCode::ACCEPTED).await;
    }
    app.finished(long).await;
    let events = history(&app, long).await;
    let kinds: Vec<&str> = events.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "started",
            "paused",
            "resumed",
            "cancelled",
            "retried",
            "completed"
        ]
    );
    let times = app.get_json(&format!("/jobs/{long}/events")).await;
    let times: Vec<&str> = times
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");

    expect(
        app.delete(&format!("/jobs/{small}")).await,
        StatusCode::NO_CONTENT,
    )
    .await;
    problem(
        app.get(&format!("/jobs/{small}/events")).await,
        StatusCode::NOT_FOUND,
    )
    .await;
}
