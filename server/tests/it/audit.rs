//! The audit: who did what, and when.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{SAMPLE, TestApp, expect},
    people::{Accounts, By, password_of},
};

fn events(export: &str) -> Vec<Value> {
    export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn actions_are_recorded_in_the_audit() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let ben = accounts.member("ben").await;
    let by_ann = By::from(&ann);
    let job_id = accounts.job(&ann).await;
    let command = async |name: &str| {
        let path = format!("/jobs/{job_id}/{name}");
        accounts
            .api(Method::POST, &path, &by_ann)
            .send()
            .await
            .unwrap()
    };
    expect(command("start").await, StatusCode::ACCEPTED).await;
    crate::harness::eventually("the end", async || {
        let job = accounts.get(&format!("/jobs/{job_id}"), &by_ann).await;
        let job: Value = job.json().await.unwrap();
        (job["status"] == "completed").then_some(())
    })
    .await;
    // A repeated command changes nothing.
    expect(command("start").await, StatusCode::ACCEPTED).await;
    let csv = format!("/jobs/{job_id}/results.csv");
    // A repeated download isn't recorded again, and another user's is refused.
    for _ in 0..2 {
        assert_eq!(accounts.get(&csv, &by_ann).await.status(), 200);
        assert_eq!(accounts.get(&csv, &By::from(&ben)).await.status(), 404);
    }
    let token = By::Token(accounts.token(&ann, "read").await);
    for _ in 0..3 {
        assert_eq!(accounts.get("/users", &token).await.status(), 200);
    }
    let path = format!("/jobs/{job_id}");
    let delete = async |by: &By| {
        let request = accounts.api(Method::DELETE, &path, by);
        request.send().await.unwrap().status()
    };
    assert_eq!(delete(&token).await, 403);
    assert_eq!(delete(&by_ann).await, 204);
    accounts.sign_in(&ann.email, "a wrong password").await;
    accounts.sign_in("somebody else", "a wrong password").await;
    accounts.form("/sign-out", &[], &by_ann).await;

    let admin = By::from(&accounts.admin);
    let export = async |query: &str| {
        let response = accounts.get(&format!("/audit.ndjson{query}"), &admin).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        events(&response.text().await.unwrap())
    };
    let seen: Vec<(String, String)> = export(&format!("?user_id={}", ann.id))
        .await
        .iter()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            (text("kind"), text("outcome"))
        })
        .collect();
    let seen: Vec<(&str, &str)> = seen
        .iter()
        .map(|(kind, outcome)| (kind.as_str(), outcome.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("create_user", "done"),
            ("create_password_link", "done"),
            ("use_password_link", "done"),
            ("sign_in", "done"),
            ("upload", "done"),
            ("start", "done"),
            ("download", "done"),
            ("access", "refused"),
            ("create_token", "done"),
            ("use_token", "done"),
            ("access", "refused"),
            ("delete_job", "done"),
            ("sign_in", "refused"),
            ("sign_out", "done"),
        ]
    );
    let downloads = export("?kind=download").await;
    assert_eq!(downloads.len(), 1);
    let event = &downloads[0];
    assert_eq!(event["actor"], ann.email.as_str());
    assert_eq!(event["actor_id"], ann.id);
    assert_eq!(event["means"], "session");
    assert_eq!(event["job_id"], job_id);
    assert_eq!(event["address"], "127.0.0.1");
    // The audit records who tried to access it, but not what was typed.
    let refused = export("?kind=access").await;
    assert_eq!(refused[0]["actor"], ben.email.as_str());
    assert_eq!(refused[0]["job_id"], job_id);
    assert_eq!(refused[1]["means"], "token");
    let all = export("").await;
    assert!(!format!("{all:?}").contains("somebody else"));
    assert!(!format!("{all:?}").contains(&password_of(&ann.email)));
    let ids: Vec<i64> = all
        .iter()
        .map(|event| event["id"].as_i64().unwrap())
        .collect();
    assert!(ids.is_sorted(), "{ids:?}");

    // The page shows the same events to admins, newest first.
    let page = accounts
        .page(&format!("/audit?user={}&kind=download", ann.id), &admin)
        .await;
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Download results") && page.contains(&format!("job {job_id}")),
        "{page}"
    );
    let by_email = accounts
        .page(&format!("/audit?user={}&kind=upload", ann.email), &admin)
        .await;
    assert!(by_email.text().await.unwrap().contains("a.csv"));
    let nobody = accounts
        .page("/audit?user=nobody@example.com", &admin)
        .await;
    assert!(nobody.text().await.unwrap().contains("No events match"));
    for (query, status) in [("?kind=nothing", 422), ("?user_id=x", 422), ("?who=1", 422)] {
        let response = accounts.get(&format!("/audit.ndjson{query}"), &admin).await;
        assert_eq!(response.status(), status, "{query}");
    }
}

#[tokio::test]
async fn the_audit_is_append_only() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    app.upload(user_id, SAMPLE).await;
    for sql in [
        "update audit_events set actor = 'somebody else'",
        "delete from audit_events",
        "truncate audit_events",
    ] {
        let refused = sqlx::raw_sql(sql).execute(&app.pool).await.unwrap_err();
        let sentence = refused.to_string();
        assert!(
            sentence.contains("audit_events can only be added to"),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn without_sign_in_the_audit_records_addresses() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let job_id = app.upload(user_id, SAMPLE).await;
    app.begin(job_id).await;
    app.finished(job_id).await;
    app.get(&format!("/jobs/{job_id}/results.csv")).await;
    assert_eq!(app.delete(&format!("/users/{user_id}")).await.status(), 204);
    let export = app.get("/audit.ndjson").await;
    let events = events(&export.text().await.unwrap());
    let kinds: Vec<&Value> = events.iter().map(|event| &event["kind"]).collect();
    assert_eq!(
        kinds,
        [
            "create_user",
            "upload",
            "start",
            "download",
            "delete_user",
            "read_audit"
        ]
    );
    for event in &events {
        assert_eq!(event["actor"], "anyone");
        assert_eq!(event["actor_id"], Value::Null);
        assert_eq!(event["address"], "127.0.0.1");
        assert_eq!(event["means"], "none");
    }
    assert_eq!(events[1]["job_id"], json!(job_id));
}
