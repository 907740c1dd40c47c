//! The audit: who did what, and when.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{SAMPLE, TestApp, expect},
    people::{Accounts, By, Person, password_of},
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
    let formats = format!("/users/{}/formats", ann.id);
    let format = json!({"name": "bank", "format": {"delimiter": ";"}});
    let created = accounts.api(Method::POST, &formats, &by_ann).json(&format);
    let created = expect(created.send().await.unwrap(), StatusCode::CREATED).await;
    let format = format!("{formats}/{}", created["id"]);
    let renamed = accounts.api(Method::PATCH, &format, &by_ann);
    let renamed = renamed.json(&json!({"name": "new bank"}));
    assert_eq!(renamed.send().await.unwrap().status(), 200);
    let deleted = accounts.api(Method::DELETE, &format, &by_ann);
    assert_eq!(deleted.send().await.unwrap().status(), 204);
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
            ("create_format", "done"),
            ("change_format", "done"),
            ("delete_format", "done"),
            ("create_token", "done"),
            ("use_token", "done"),
            ("access", "refused"),
            ("delete_job", "done"),
            ("sign_in", "refused"),
            ("sign_out", "done"),
        ]
    );
    let renamed = export("?kind=change_format").await;
    assert_eq!(renamed[0]["detail"], "new bank");
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
async fn refused_requests_do_not_fill_the_audit() {
    let settings = [
        ("TRUSTED_PROXIES", "127.0.0.1"),
        ("MAX_SIGN_INS_PER_ACCOUNT", "4"),
    ];
    let accounts = Accounts::start_set(&settings).await;
    let (ann, ben) = (accounts.member("ann").await, accounts.member("ben").await);
    let admin = By::from(&accounts.admin);
    // Returns refused attempts of this kind, oldest first.
    let refused = async |kind: &str| -> Vec<Value> {
        let path = format!("/audit.ndjson?kind={kind}");
        let export = accounts.get(&path, &admin).await.text().await.unwrap();
        let events = events(&export).into_iter();
        events
            .filter(|event| event["outcome"] == "refused")
            .collect()
    };
    let see = async |user_id: i64, by: &Person| {
        let path = format!("/users/{user_id}");
        assert_eq!(accounts.get(&path, &By::from(by)).await.status(), 404);
    };

    // A user can't find out who exists, so a loop over ids is recorded once, and one over invented ids not at all.
    for invented in 900_000_000..900_000_005 {
        see(invented, &ann).await;
    }
    assert_eq!(refused("access").await, [] as [Value; 0]);
    let users: Vec<i64> = sqlx::query_scalar(
        "insert into users (name, email) select 'x', number || '@example.com' from generate_series(1, 50) as number
         returning id",
    )
    .fetch_all(&accounts.app.pool)
    .await
    .unwrap();
    for user_id in &users {
        see(*user_id, &ann).await;
    }
    assert_eq!(
        accounts
            .get("/audit.ndjson", &By::from(&ann))
            .await
            .status(),
        403
    );
    see(users[0], &ben).await;
    let access = refused("access").await;
    let seen: Vec<_> = access
        .iter()
        .map(|event| (&event["actor"], &event["user_id"]))
        .collect();
    let expected = [
        (json!(ann.email), json!(users[0])),
        (json!(ben.email), json!(users[0])),
    ];
    let expected: Vec<_> = expected.iter().map(|(actor, user)| (actor, user)).collect();
    assert_eq!(seen, expected);

    // A refused token is recorded once a minute for each address, and named only if it was one.
    let (revoked, expired) = (
        accounts.token(&ann, "read").await,
        accounts.token(&ben, "read").await,
    );
    sqlx::raw_sql(
        "update api_tokens set revoked_at = now() where id = (select min(id) from api_tokens);
         update api_tokens set expires_at = now() where revoked_at is null",
    )
    .execute(&accounts.app.pool)
    .await
    .unwrap();
    for (token, address) in [
        ("bl_invented", "203.0.113.1"),
        ("bl_another", "203.0.113.1"),
        (&revoked, "203.0.113.1"),
        (&revoked, "203.0.113.2"),
        (&expired, "2001:db8::1"),
        (&revoked, "2001:db8::2"),
    ] {
        let request = accounts.api(Method::GET, "/users", &By::Token(token.to_owned()));
        let request = request.header("x-forwarded-for", address);
        let response = request.header("x-forwarded-proto", "https").send().await;
        assert_eq!(response.unwrap().status(), 401);
    }
    let tokens = refused("use_token").await;
    let seen: Vec<_> = tokens
        .iter()
        .map(|event| json!([event["address"], event["user_id"], event["detail"]]))
        .collect();
    assert_eq!(
        seen,
        [
            json!(["203.0.113.1", null, "unknown"]),
            json!([
                "203.0.113.2",
                ann.id,
                format!("{}, revoked", &revoked[..11])
            ]),
            json!([
                "2001:db8::1",
                ben.id,
                format!("{}, expired", &expired[..11])
            ]),
        ]
    );

    // Each wrong password is recorded, until there are too many. One attempt was made by `member`.
    for _ in 0..6 {
        accounts.sign_in(&ann.email, "a wrong password").await;
    }
    let sign_ins = refused("sign_in").await;
    let seen: Vec<_> = sign_ins
        .iter()
        .map(|event| json!([event["user_id"], event["detail"]]))
        .collect();
    let wrong = json!([ann.id, null]);
    let too_many = json!([ann.id, "too many attempts"]);
    assert_eq!(seen, [wrong.clone(), wrong.clone(), wrong, too_many]);
    let page = accounts.page("/audit?kind=sign_in", &admin).await;
    assert!(page.text().await.unwrap().contains("too many attempts"));
}

/// Even for a superuser, who has all rights. `database_roles.rs` tests those of server and worker.
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
