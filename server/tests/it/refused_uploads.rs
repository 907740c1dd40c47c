//! Uploads that can't be stored are refused before their body is read.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    degrading::{READ_ONLY, set_read_only},
    harness::{
        CuttingProxy, Fault, Line, ObjectStore, Options, Protocol, RawConnection, RawResponse,
        SAMPLE, TestApp, address_of, eventually, generated, problem, required,
    },
    limits::begin_form,
};

const DATABASE_AWAY: &str = "The database can't be reached. Try again in a moment.";
const STORAGE_AWAY: &str = "The file storage can't be reached. Try again in a moment.";
const STORAGE_REFUSES: &str = "The file storage refuses access. Tell your administrator.";
const NO_ROOM: &str = "There isn't enough room for this file in the file storage. Delete jobs that are no longer needed, or \
                       tell your administrator.";

const BUSY: &str =
    "Too many requests of this kind are being answered right now. Try again in a few seconds.";

/// The announced size of an upload.
const LENGTH: u64 = 900_000_000;

/// The maximum time until an upload is refused.
const AT_ONCE: Duration = Duration::from_secs(5);

fn path_of(user_id: i64) -> String {
    format!("/jobs?user_id={user_id}")
}

/// Sends only the head of an upload with a body of `length` bytes. Returns the response, which is `100 Continue` if the
/// server wants the body.
async fn begin(base: &str, path: &str, headers: &str, length: u64) -> RawResponse {
    let mut connection = RawConnection::open(base).await;
    let host = base.strip_prefix("http://").unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n\
         Content-Length: {length}\r\nExpect: 100-continue\r\n{headers}\r\n"
    );
    connection.send(head).await;
    connection.response().await
}

/// Waits until the job says that it waits for this.
pub async fn waits_for(app: &TestApp, job_id: i64, what: &str) -> Value {
    eventually("a job to say what it waits for", async || {
        let job = app.get_json(&format!("/jobs/{job_id}")).await;
        (job["waits_for"] == what).then_some(job)
    })
    .await
}

/// Waits until uploads are refused for this reason, everywhere.
async fn refused(app: &TestApp, user_id: i64, status: u16, sentence: &str) {
    // The server looks at its services once a second.
    eventually("a refusal", async || {
        let response = begin(&app.api, &path_of(user_id), "", LENGTH).await;
        response.body.contains(sentence).then_some(())
    })
    .await;
    refused_everywhere(app, user_id, LENGTH, (status, sentence)).await;
}

async fn refused_everywhere(
    app: &TestApp,
    user_id: i64,
    length: u64,
    (status, sentence): (u16, &str),
) {
    let path = path_of(user_id);
    for (base, path) in [
        (&app.api, path.clone()),
        (&app.web, format!("/api{path}")),
        (&app.web, "/rpc/upload-file".to_owned()),
    ] {
        let began = Instant::now();
        let response = begin(base, &path, "Accept: application/json\r\n", length).await;
        assert!(began.elapsed() < AT_ONCE, "{path}: {:?}", began.elapsed());
        assert_eq!(response.status, status, "{path}: {response:?}");
        let body: Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(body["detail"], sentence, "{path}");
        // Trying again doesn't make room.
        assert_eq!(response.header("retry-after").is_some(), status == 503);
    }
    // Without JavaScript, the page with the form shows the sentence.
    let page = format!("{}/users/{user_id}", app.web);
    let person = format!("Accept: text/html\r\nReferer: {page}\r\n");
    let response = begin(&app.web, "/rpc/upload-file", &person, length).await;
    assert_eq!(response.status, 303, "{response:?}");
    assert_eq!(
        response.header("location"),
        Some(&*format!("/users/{user_id}"))
    );
    let cookie = response.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let shown = reqwest::Client::builder().no_proxy().build().unwrap();
    let shown = shown.get(page).header("cookie", cookie).send().await;
    let shown = shown.unwrap().text().await.unwrap();
    let shown = shown.replace("&#x27;", "'");
    assert!(shown.contains(sentence), "{shown}");
}

/// Waits until uploads are accepted again.
async fn accepted(app: &TestApp, user_id: i64) {
    eventually("an upload to be accepted", async || {
        let upload = app.upload_response(user_id, "a.csv", SAMPLE.into()).await;
        (upload.status() == StatusCode::CREATED).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_or_a_directory_uploads_are_refused_at_once() {
    let service = address_of(&required("DATABASE_URL"));
    let postgres = CuttingProxy::start(Protocol::Postgres, service).await;
    let app = TestApp::start_with(Options {
        postgres_proxy: Some(postgres.address),
        max_upload_bytes: Some(1 << 60),
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;

    set_read_only(&app, true).await;
    refused(&app, user_id, 503, READ_ONLY).await;
    set_read_only(&app, false).await;
    accepted(&app, user_id).await;

    let directory = app.stored_files_directory();
    let elsewhere = directory.with_extension("elsewhere");
    fs::rename(&directory, &elsewhere).unwrap();
    refused(&app, user_id, 503, STORAGE_AWAY).await;
    fs::write(&directory, "a file in its place").unwrap();
    refused(&app, user_id, 503, STORAGE_AWAY).await;
    fs::remove_file(&directory).unwrap();
    fs::rename(&elsewhere, &directory).unwrap();
    accepted(&app, user_id).await;

    // No disk has room for this one.
    refused_everywhere(&app, user_id, 1 << 59, (507, NO_ROOM)).await;
    accepted(&app, user_id).await;

    for line in [Line::Away, Line::Silent] {
        postgres.set(line);
        eventually("a refusal", async || {
            let began = Instant::now();
            let response = begin(&app.api, &path_of(user_id), "", LENGTH).await;
            assert!(began.elapsed() < AT_ONCE, "{line:?}: {:?}", began.elapsed());
            response.body.contains(DATABASE_AWAY).then_some(())
        })
        .await;
        postgres.set(Line::Up);
        accepted(&app, user_id).await;
    }
    let jobs = app.get_json(&format!("/users/{user_id}/jobs")).await;
    assert_eq!(app.stored_files().len(), jobs.as_array().unwrap().len());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_refuses_uploads_and_only_delays_jobs() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let done = app.process_for(user_id, SAMPLE).await;
    let small = app.upload(user_id, SAMPLE).await;
    // These store something while they are processed: an index of ids, and the text of an archive.
    let (content, [valid, ..]) = generated(50_000);
    let large = app.upload(user_id, content).await;
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(SAMPLE.as_bytes()).unwrap();
    let archive = app.upload(user_id, packed.finish().unwrap()).await;
    let directory = app.stored_files_directory();
    let set_mode =
        |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();

    set_mode(0o555);
    refused(&app, user_id, 503, STORAGE_REFUSES).await;
    let page = app.page_response(&format!("/jobs/{done}")).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(app.downloaded_rows(done).await.0, 4);
    app.begin(small).await;
    assert_eq!(app.finished(small).await["status"], "completed");
    for job_id in [large, archive] {
        app.begin(job_id).await;
        let workflow = format!("job-{job_id}-run-1");
        app.logged(&[&workflow, "a step will be tried again", "Permission denied"])
            .await;
        let job = waits_for(&app, job_id, "The file storage refuses access.").await;
        assert_eq!(job["status"], "processing", "{job}");
        let page = app.page(&format!("/jobs/{job_id}")).await;
        let headline = "The file storage refuses access. Trying again until it works.";
        assert!(page.contains(headline), "{page}");
    }
    set_mode(0o755);
    accepted(&app, user_id).await;
    for (job_id, valid) in [(large, valid), (archive, 4)] {
        let job = app.finished(job_id).await;
        assert_eq!(job["status"], "completed", "{job}");
        assert_eq!(job["valid_records"], valid, "{job}");
        assert_eq!(job["waits_for"], Value::Null, "{job}");
    }
}

#[tokio::test]
async fn an_upload_leaves_the_reserve_free() {
    let app = TestApp::start_set(&[("STORAGE_RESERVE_BYTES", "1000000000000000000")]).await;
    let user_id = app.user().await;
    refused(&app, user_id, 507, NO_ROOM).await;
    let upload = app.upload_response(user_id, "a.csv", SAMPLE.into()).await;
    let detail = problem(upload, StatusCode::INSUFFICIENT_STORAGE).await;
    assert_eq!(detail, NO_ROOM);
    let jobs = app.get_json(&format!("/users/{user_id}/jobs")).await;
    assert_eq!(jobs, json!([]));
    assert!(app.stored_files().is_empty());
}

#[tokio::test]
async fn every_upload_takes_a_turn() {
    let app = TestApp::start_set(&[("MAX_UPLOADS", "1")]).await;
    let user_id = app.user().await;
    let (first, status) = begin_form(&app.api, &path_of(user_id), "").await;
    assert_eq!(status, 100);
    refused_everywhere(&app, user_id, LENGTH, (503, BUSY)).await;
    drop(first);
    accepted(&app, user_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_object_store_an_upload_is_refused_at_once() {
    let store = ObjectStore::start(Duration::ZERO).await;
    let app = TestApp::start_in(&store).await;
    let user_id = app.user().await;
    accepted(&app, user_id).await;
    for fault in [Fault::Unavailable, Fault::Silent] {
        store.set(fault);
        refused(&app, user_id, 503, STORAGE_AWAY).await;
        store.set(Fault::None);
        accepted(&app, user_id).await;
    }
    assert_eq!(store.keys().await.len(), 3);
}
