//! Quotas: jobs, stored bytes, and jobs in progress.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use reqwest::{Method, Response, StatusCode, multipart};
use serde_json::{Value, json};

use crate::{
    harness::{RawConnection, SAMPLE, TestApp, eventually, expect, generated},
    people::{Accounts, By},
};

/// Checks for an exceeded quota and returns the sentence.
async fn exceeded(response: Response) -> String {
    let body = expect(response, StatusCode::FORBIDDEN).await;
    assert_eq!(body["type"], "/problems/quota-exceeded", "{body}");
    body["detail"].as_str().unwrap().to_owned()
}

async fn set(app: &TestApp, user_id: i64, change: Value) -> Value {
    let path = format!("/users/{user_id}/quotas");
    expect(app.patch_json(&path, &change).await, StatusCode::OK).await
}

#[tokio::test]
async fn me_describes_the_user_the_credential_and_the_quotas() {
    let app = TestApp::start().await;
    assert_eq!(
        app.get_json("/me").await,
        json!({"auth": "open", "user": null, "role": null, "credential": null, "quotas": null})
    );

    let accounts = Accounts::start_set(&[("MAX_JOBS_PER_USER", "10")]).await;
    let ann = accounts.member("ann").await;
    accounts.job(&ann).await;
    let me = async |by: &By| -> Value {
        let response = accounts.get("/me", by).await;
        expect(response, StatusCode::OK).await
    };
    let by_session = me(&By::from(&ann)).await;
    assert_eq!(by_session["auth"], "password");
    assert_eq!(by_session["user"]["email"], ann.email.as_str());
    assert_eq!(by_session["role"], "member");
    assert_eq!(by_session["credential"]["type"], "session");
    assert_eq!(by_session["credential"]["scope"], "write");
    let bytes = SAMPLE.len();
    assert_eq!(
        by_session["quotas"],
        json!({
            "jobs": {"used": 1, "limit": 10, "own": null},
            "bytes": {"used": bytes, "limit": null, "own": null},
            "active_jobs": {"used": 0, "limit": null, "own": null},
            "retention": {"days": null, "own": null},
        })
    );
    let token = accounts.token(&ann, "read").await;
    let by_token = me(&By::Token(token.clone())).await;
    let credential = &by_token["credential"];
    assert_eq!(credential["type"], "token");
    assert_eq!(credential["scope"], "read");
    let name = credential["name"].as_str().unwrap();
    assert!(name.starts_with("nightly"), "{name}");
    assert!(token.starts_with(credential["prefix"].as_str().unwrap()));
    let expires: String = sqlx::query_scalar(
        "select to_char(expires_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') from api_tokens",
    )
    .fetch_one(&accounts.app.pool)
    .await
    .unwrap();
    let said = credential["expires_at"].as_str().unwrap();
    assert!(said.starts_with(&expires), "{said}, not {expires}");
    assert_eq!(me(&By::from(&accounts.admin)).await["role"], "admin");

    // The account's page shows the same, and warns when a quota is nearly used up.
    let page = async || {
        let page = accounts.page("/account", &By::from(&ann)).await;
        page.text().await.unwrap()
    };
    let shown = page().await;
    assert!(shown.contains("1 of 10 (10%)"), "{shown}");
    assert!(!shown.contains("of the quota is used"), "{shown}");
    // An admin changes it, which the audit records.
    let path = format!("/users/{}/quotas", ann.id);
    let change = json!({"jobs": 1, "retention_days": 30});
    let request = accounts.api(Method::PATCH, &path, &By::from(&accounts.admin));
    let changed = request.json(&change).send().await.unwrap();
    let changed = expect(changed, StatusCode::OK).await;
    assert_eq!(changed["jobs"], json!({"used": 1, "limit": 1, "own": 1}));
    assert_eq!(changed["retention"], json!({"days": 30, "own": 30}));
    let shown = page().await;
    assert!(
        shown.contains("The quota is used up: 1 of 1 jobs."),
        "{shown}"
    );
    assert!(shown.contains("Deleted 30 days after they end"), "{shown}");
    let audit = accounts
        .get(
            "/audit.ndjson?kind=change_quotas",
            &By::from(&accounts.admin),
        )
        .await;
    let audit = audit.text().await.unwrap();
    assert!(audit.contains("jobs 1, retention_days 30"), "{audit}");
}

#[tokio::test]
async fn a_file_beyond_a_quota_is_refused_and_deleting_makes_room() {
    let app = TestApp::start_set(&[
        ("MAX_JOBS_PER_USER", "2"),
        ("MAX_STORED_BYTES_PER_USER", "3000000"),
    ])
    .await;
    let user_id = app.user().await;
    let first = app.upload(user_id, SAMPLE).await;
    let upload = async |content: Vec<u8>| app.upload_response(user_id, "a.csv", content).await;

    // Refused by its length before any of the body is sent, also on the pages' address.
    let length = 5_000_000;
    for (base, path, fields) in [
        (&app.api, format!("/jobs?user_id={user_id}"), String::new()),
        (
            &app.web,
            "/rpc/upload-file".to_owned(),
            format!("--x\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n{user_id}\r\n"),
        ),
    ] {
        let mut connection = RawConnection::open(base).await;
        let host = base.strip_prefix("http://").unwrap();
        connection
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\
                 Content-Type: multipart/form-data; boundary=x\r\n\r\n{fields}--x\r\n\
                 Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"
            ))
            .await;
        let answer = connection.response().await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(
            answer
                .body
                .contains("quota for stored files is 3.0\u{a0}MB"),
            "{answer:?}"
        );
    }
    // Without a useful length, refused as soon as the quota is exceeded.
    let sentence = exceeded(upload(vec![b'x'; 3_000_000]).await).await;
    let used = format!("and {} bytes are used", SAMPLE.len());
    assert!(
        sentence.starts_with("The file doesn't fit: the quota for stored files is 3.0\u{a0}MB, ")
            && sentence.contains(&used)
            && sentence.ends_with("or ask an admin for a higher quota."),
        "{sentence}"
    );
    eventually("the refused file to be removed", async || {
        (app.stored_files().len() == 1).then_some(())
    })
    .await;

    let second = app.upload(user_id, SAMPLE).await;
    let sentence = exceeded(upload(SAMPLE.into()).await).await;
    assert!(
        sentence.starts_with("The quota for jobs is used up: 2 of 2."),
        "{sentence}"
    );
    // Other users have their own quotas.
    app.upload(app.user().await, SAMPLE).await;
    let page = app.page(&format!("/users/{user_id}")).await;
    assert!(
        page.contains("The quota is used up: 2 of 2 jobs."),
        "{page}"
    );
    expect(
        app.delete(&format!("/jobs/{first}")).await,
        StatusCode::NO_CONTENT,
    )
    .await;
    app.upload(user_id, SAMPLE).await;
    exceeded(upload(SAMPLE.into()).await).await;

    // An admin's value replaces the default: another number, unlimited, or the default again.
    set(&app, user_id, json!({"jobs": 3.0})).await;
    app.upload(user_id, SAMPLE).await;
    exceeded(upload(SAMPLE.into()).await).await;
    let quotas = set(&app, user_id, json!({"jobs": 0, "bytes": 0})).await;
    assert_eq!(quotas["jobs"], json!({"used": 3, "limit": null, "own": 0}));
    expect(upload(vec![b'x'; 3_000_000]).await, StatusCode::CREATED).await;
    let quotas = set(&app, user_id, json!({"jobs": null})).await;
    assert_eq!(quotas["jobs"], json!({"used": 4, "limit": 2, "own": null}));
    // Both before and after maintenance sums up the counts.
    let bytes = json!(3_000_000 + 3 * SAMPLE.len());
    assert_eq!(quotas["bytes"]["used"], bytes);
    eventually("the counts to be summed up", async || {
        let rows: i64 = sqlx::query_scalar("select count(*) from stored_bytes where user_id = $1")
            .bind(user_id)
            .fetch_one(&app.pool)
            .await
            .unwrap();
        (rows == 1).then_some(())
    })
    .await;
    let quotas = app.get_json(&format!("/users/{user_id}/quotas")).await;
    assert_eq!(quotas["bytes"]["used"], bytes);
    assert_eq!(quotas["jobs"]["used"], 4);
    for wrong in [
        json!({"jobs": -1}),
        json!({"jobs": 1.5}),
        json!({"job": 1}),
        json!({"retention_days": 36_501}),
    ] {
        let response = app
            .patch_json(&format!("/users/{user_id}/quotas"), &wrong)
            .await;
        expect(response, StatusCode::UNPROCESSABLE_ENTITY).await;
    }
    app.begin(second).await;
}

#[tokio::test]
async fn the_text_of_an_archive_counts_and_needs_room() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let (text, [valid, ..]) = generated(20_000);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let in_all = packed.len() + text.len();
    let used = async || {
        let quotas = app.get_json(&format!("/users/{user_id}/quotas")).await;
        quotas["bytes"]["used"].as_u64().unwrap() as usize
    };
    set(&app, user_id, json!({"bytes": in_all - 1})).await;
    let job_id = app.upload(user_id, packed.clone()).await;
    app.begin(job_id).await;
    let job = app.finished(job_id).await;
    let error = job["error"].as_str().unwrap();
    assert!(
        error.starts_with("The text of this file doesn't fit: the quota for stored files is"),
        "{error}"
    );
    assert_eq!(used().await, packed.len());

    let retry = format!("/jobs/{job_id}/retry");
    set(&app, user_id, json!({"bytes": in_all})).await;
    app.restart_worker_set(&[("STORAGE_RESERVE_BYTES", "1000000000000000000")]);
    expect(app.post(&retry).await, StatusCode::ACCEPTED).await;
    let job = app.finished(job_id).await;
    let error = job["error"].as_str().unwrap();
    assert!(
        error.starts_with("There isn't enough room for the text of this file"),
        "{error}"
    );
    app.restart_worker();
    expect(app.post(&retry).await, StatusCode::ACCEPTED).await;
    let job = app.finished(job_id).await;
    assert_eq!(job["valid_records"], valid, "{job}");
    assert_eq!(used().await, in_all);
    exceeded(app.upload_response(user_id, "a.csv", SAMPLE.into()).await).await;
    let path = format!("/jobs/{job_id}");
    expect(app.delete(&path).await, StatusCode::NO_CONTENT).await;
    assert_eq!(used().await, 0);
}

#[tokio::test]
async fn two_uploads_at_once_cannot_both_take_the_last_place() {
    let app = TestApp::start_set(&[("MAX_JOBS_PER_USER", "1")]).await;
    let user_id = app.user().await;
    // Both are stored before either becomes a job.
    let lock = app.hold("after insert on jobs for each row", "true").await;
    let upload = || app.upload_response(user_id, "a.csv", SAMPLE.into());
    let (first, second, ()) = tokio::join!(upload(), upload(), async {
        app.waiting("advisory", 2).await;
        lock.rollback().await.unwrap();
    });
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 403]);
    eventually("the refused file to be removed", async || {
        (app.stored_files().len() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn jobs_in_progress_are_limited() {
    let app = TestApp::start_set(&[("MAX_ACTIVE_JOBS_PER_USER", "1")]).await;
    let user_id = app.user().await;
    // No job ends meanwhile. The file is larger than those that start together.
    app.stop_worker();
    let file = generated(40_000).0;
    let mut jobs = [
        app.upload(user_id, file.clone()).await,
        app.upload(user_id, file).await,
    ];
    let command = async |job_id: i64, name: &str| {
        let path = format!("/jobs/{job_id}/{name}");
        app.post(&path).await
    };
    let is_start = "new.status = 'processing'";
    let lock = app
        .hold("after update on jobs for each row", is_start)
        .await;
    let (first, second, ()) = tokio::join!(
        command(jobs[0], "start"),
        command(jobs[1], "start"),
        async {
            app.waiting("advisory", 2).await;
            lock.rollback().await.unwrap();
        }
    );
    let refused = match (first.status().as_u16(), second.status().as_u16()) {
        (202, 403) => second,
        (403, 202) => {
            jobs.reverse();
            first
        }
        other => panic!("{other:?}"),
    };
    let sentence = exceeded(refused).await;
    assert!(
        sentence.starts_with("1 job is being processed, and the quota is 1 at the same time."),
        "{sentence}"
    );
    let [started, waiting] = jobs;
    // Pausing a job frees its place, which it needs again to resume.
    expect(command(started, "pause").await, StatusCode::ACCEPTED).await;
    expect(command(waiting, "start").await, StatusCode::ACCEPTED).await;
    exceeded(command(started, "resume").await).await;
    app.restart_worker();
    assert_eq!(app.finished(waiting).await["status"], "completed");
    expect(command(started, "resume").await, StatusCode::ACCEPTED).await;
    assert_eq!(app.finished(started).await["status"], "completed");
    // The same holds for small files. Several of them start in one workflow.
    let small: Vec<i64> = [
        app.upload(user_id, SAMPLE).await,
        app.upload(user_id, SAMPLE).await,
    ]
    .into();
    app.stop_worker();
    let (first, second) = tokio::join!(command(small[0], "start"), command(small[1], "start"));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 403]);
}

#[tokio::test]
async fn an_admin_sets_quotas_on_the_users_page() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let admin = By::from(&accounts.admin);
    let user_page = format!("/users/{}", ann.id);
    let post = async |jobs: &str, bytes: &str| {
        let id = ann.id.to_string();
        let fields = [
            ("user_id", id.as_str()),
            ("jobs", jobs),
            ("bytes", bytes),
            ("active_jobs", ""),
            ("retention_days", "0"),
        ];
        let request = accounts
            .request(
                Method::POST,
                format!("{}/rpc/set-quotas", accounts.app.web),
                &admin,
            )
            .header("accept", "text/html")
            .header("origin", &accounts.app.web)
            .header("referer", format!("{}{user_page}", accounts.app.web))
            .header("content-type", "application/x-www-form-urlencoded");
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        request.body(body.finish()).send().await.unwrap()
    };
    assert_eq!(post("100", "10 GB").await.status(), StatusCode::FOUND);
    let quotas = accounts
        .get(&format!("{user_page}/quotas"), &By::from(&ann))
        .await;
    let quotas: Value = quotas.json().await.unwrap();
    assert_eq!(quotas["jobs"]["own"], 100);
    assert_eq!(quotas["bytes"]["limit"], 10_000_000_000_u64);
    assert_eq!(quotas["active_jobs"]["own"], Value::Null);
    assert_eq!(quotas["retention"], json!({"days": null, "own": 0}));
    let page = accounts
        .page(&user_page, &admin)
        .await
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("value=\"10 GB\"") && page.contains("Save quotas"),
        "{page}"
    );
    // The values that were typed are returned with the errors.
    let response = post("many", "10 GB").await;
    let cookie = response.headers()["set-cookie"]
        .to_str()
        .unwrap()
        .to_owned();
    let session = format!(
        "session={}; {}",
        accounts.admin.session,
        cookie.split(';').next().unwrap()
    );
    let page = accounts
        .http
        .get(format!("{}{user_page}", accounts.app.web))
        .header("accept", "text/html")
        .header("cookie", session)
        .send()
        .await
        .unwrap();
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Enter a whole number from 0 to") && page.contains("value=\"many\""),
        "{page}"
    );
    // The owner's page has no such form.
    let page = accounts
        .page(&user_page, &By::from(&ann))
        .await
        .text()
        .await
        .unwrap();
    assert!(!page.contains("Save quotas"), "{page}");
    // A file counts towards the quotas of the job's owner, whoever uploads it.
    let file = multipart::Part::bytes(SAMPLE.as_bytes()).file_name("a.csv");
    let request = accounts.api(Method::POST, &format!("/jobs?user_id={}", ann.id), &admin);
    let response = request
        .multipart(multipart::Form::new().part("file", file))
        .send()
        .await
        .unwrap();
    expect(response, StatusCode::CREATED).await;
    let quotas = accounts.get(&format!("{user_page}/quotas"), &admin).await;
    assert_eq!(quotas.json::<Value>().await.unwrap()["jobs"]["used"], 1);
}
