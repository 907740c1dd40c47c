//! What is done although the client that asked for it disconnects.

use reqwest::{
    Client, StatusCode,
    multipart::{Form, Part},
};

use crate::{
    harness::{SAMPLE, TestApp, eventually},
    people::{Accounts, By, link_in},
};

/// Drops the request once a session of PostgreSQL waits for a lock of this kind.
async fn drop_waiting<T>(app: &TestApp, lock: &str, request: impl Future<Output = T>) {
    tokio::select! {
        _ = request => panic!("the request isn't waiting"),
        () = app.waiting(lock, 1) => {}
    }
}

#[tokio::test]
async fn a_bulk_command_reaches_every_job() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let mut jobs = Vec::new();
    // More than are handled at the same time.
    for _ in 0..40 {
        jobs.push(app.upload(user_id, SAMPLE).await.to_string());
    }
    let jobs = jobs.iter().map(|job_id| ("job", &**job_id));
    let fields: Vec<_> = jobs.chain([("command", "start")]).collect();
    let lock = app.hold("after update on jobs for each row", "true").await;
    let command = app.post_form("/jobs/commands", &fields);
    drop_waiting(&app, "advisory", command).await;
    lock.rollback().await.unwrap();
    eventually("all jobs to start", async || {
        let pending = "select count(*) from jobs where status = 'pending'";
        let pending: i64 = sqlx::query_scalar(pending)
            .fetch_one(&app.pool)
            .await
            .unwrap();
        (pending == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_file_that_has_arrived_gets_its_job() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let mut socket = app.socket(user_id).await;
    let file = || Part::bytes(SAMPLE.as_bytes()).file_name("a.csv");
    let form = Form::new().text("user_id", user_id.to_string());
    let http = Client::builder().no_proxy().build().unwrap();
    let uploads = [
        (
            format!("{}/jobs?user_id={user_id}", app.api),
            Form::new().part("file", file()),
            false,
        ),
        (
            format!("{}/rpc/upload-file", app.web),
            form.part("file", file()).text("then", "start"),
            true,
        ),
    ];
    let mut lock = app.hold("after insert on jobs for each row", "true").await;
    for (url, form, starts) in uploads {
        let upload = http.post(url).multipart(form);
        drop_waiting(&app, "advisory", upload.send()).await;
        lock.rollback().await.unwrap();
        let message = socket.json().await;
        let job_id = message["job_id"].as_i64().unwrap();
        if starts {
            let last = socket.until_finished(job_id).await.pop().unwrap();
            assert_eq!(last["status"], "completed");
        } else {
            assert_eq!(message["status"], "pending");
        }
        lock = app.lock().await;
    }
    let demo = [("user_id", &*user_id.to_string())];
    let demo = app.post_form("/rpc/create-demo-job", &demo);
    drop_waiting(&app, "advisory", demo).await;
    lock.rollback().await.unwrap();
    let job_id = socket.json().await["job_id"].as_i64().unwrap();
    let last = socket.until_finished(job_id).await.pop().unwrap();
    assert_eq!(last["processed_records"], 200_000);
}

/// Without it, they could neither sign in nor be created again.
#[tokio::test]
async fn a_user_is_created_together_with_the_link() {
    let accounts = Accounts::start().await;
    let pool = &accounts.app.pool;
    let mut locked = pool.begin().await.unwrap();
    sqlx::query("lock table password_links in exclusive mode")
        .execute(&mut *locked)
        .await
        .unwrap();
    let by = By::from(&accounts.admin);
    let fields = [("name", "Ann"), ("email", "ann@example.com")];
    let create = || accounts.form("/accounts", &fields, &by);
    drop_waiting(&accounts.app, "relation", create()).await;
    let without_link = "select count(*) from users where email = 'ann@example.com'";
    let without_link: i64 = sqlx::query_scalar(without_link)
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(without_link, 0);
    locked.rollback().await.unwrap();
    let created = create().await;
    assert_eq!(created.status(), StatusCode::CREATED);
    link_in(&created.text().await.unwrap());
}
