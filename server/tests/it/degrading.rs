//! Batchline while a service that it depends on is unreachable, full or read-only, and afterwards.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Response, StatusCode};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::{
    harness::{
        CuttingProxy, Line, Options, Protocol, SAMPLE, TestApp, address_of, eventually, expect,
        generated, problem, required,
    },
    limits::send_endlessly,
    people::{Accounts, By},
};

pub const READ_ONLY: &str =
    "The database is read-only at the moment, so nothing can be changed. Try again later.";

/// Makes the database of the test read-only, or writable again, for new connections, and terminates all others.
pub async fn set_read_only(app: &TestApp, read_only: bool) {
    // This connection must be able to write while the database is read-only.
    let options = app.pool.connect_options();
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("set default_transaction_read_only = off; set transaction_read_only = off")
        .execute(&mut admin)
        .await
        .unwrap();
    let name: String = sqlx::query_scalar("select current_database()::text")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let setting = if read_only { "on" } else { "off" };
    sqlx::raw_sql(&format!(
        "alter database {name} set default_transaction_read_only = {setting}"
    ))
    .execute(&mut admin)
    .await
    .unwrap();
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(&mut admin)
    .await
    .unwrap();
}

/// Makes PostgreSQL refuse to store anything, with the error of a full disk, or accept everything again.
async fn set_full(app: &TestApp, is_full: bool) {
    let tables: Vec<String> =
        sqlx::query_scalar("select tablename::text from pg_tables where schemaname = 'public'")
            .fetch_all(&app.pool)
            .await
            .unwrap();
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    let fail = "create or replace function full_disk() returns trigger language plpgsql as $$ begin
        raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
    end $$";
    sqlx::raw_sql(fail).execute(&app.pool).await.unwrap();
    // A transaction each, so that none of them waits for a lock while it holds another.
    for table in tables {
        let change = if is_full {
            format!(
                "create trigger full_disk before insert or update on {table}
                     for each row execute function full_disk()"
            )
        } else {
            format!("drop trigger full_disk on {table}")
        };
        sqlx::raw_sql(&change).execute(&app.pool).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_is_read_only_for_a_while_costs_nothing() {
    costs_nothing(set_read_only, READ_ONLY).await;
}

#[tokio::test]
async fn a_database_that_is_full_for_a_while_costs_nothing() {
    costs_nothing(set_full, "The database is full. Tell your administrator.").await;
}

/// Checks what people see while the database accepts no changes, and that everything continues afterwards. `set` begins
/// and ends that state.
async fn costs_nothing(set: impl AsyncFn(&TestApp, bool), sentence: &str) {
    let app = TestApp::start().await;
    app.slow_down().await;
    let user_id = app.user().await;
    let (content, [valid, invalid, _]) = generated(600_000);
    let running = app.upload(user_id, content).await;
    let waiting = app.upload(user_id, SAMPLE).await;
    app.begin(running).await;
    app.under_way(running).await;

    set(&app, true).await;
    // Refused before the body has arrived, so nobody sends the rest of it.
    let path = format!("/jobs?user_id={user_id}");
    let status = send_endlessly(
        &app.api,
        "POST",
        &path,
        "multipart/form-data; boundary=x",
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n",
    );
    assert_eq!(status.await, StatusCode::SERVICE_UNAVAILABLE);
    let refused = app
        .upload_response(user_id, "payments.csv", SAMPLE.into())
        .await;
    assert_eq!(
        problem(refused, StatusCode::SERVICE_UNAVAILABLE).await,
        sentence
    );
    for path in [
        format!("/jobs/{waiting}/start"),
        format!("/jobs/{running}/pause"),
    ] {
        let detail = problem(app.post(&path).await, StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!(detail, sentence, "{path}");
    }
    // Existing data can be read.
    let page = app.page(&format!("/jobs/{running}")).await;
    assert!(page.contains("Processing"), "{page}");

    set(&app, false).await;
    let job = app.finished(running).await;
    assert_eq!(
        (
            &job["status"],
            &job["valid_records"],
            &job["invalid_records"]
        ),
        (&json!("completed"), &json!(valid), &json!(invalid))
    );
    app.begin(waiting).await;
    assert_eq!(app.finished(waiting).await["status"], "completed");
    expect(app.get("/health").await, StatusCode::OK).await;
}

#[tokio::test]
async fn people_who_are_signed_in_can_read_a_database_that_is_read_only() {
    let accounts = Accounts::start().await;
    let ann = accounts.member("ann").await;
    let token = accounts.token(&ann, "read").await;
    // Their next requests will want to record that they are here.
    sqlx::raw_sql(
        "update sessions set last_used_at = now() - interval '5 minutes';
         update api_tokens set last_used_at = now() - interval '5 minutes'",
    )
    .execute(&accounts.app.pool)
    .await
    .unwrap();
    set_read_only(&accounts.app, true).await;
    let path = format!("/users/{}", ann.id);
    assert_eq!(accounts.page(&path, &By::from(&ann)).await.status(), 200);
    assert_eq!(accounts.get(&path, &By::Token(token)).await.status(), 200);
}

/// Checks that a response says what is the matter, reveals nothing, and leads back.
async fn says_what_is_the_matter(path: &str, response: Response) {
    let headers = response.headers().clone();
    let status = response.status();
    let text = response.text().await.unwrap().replace("&#x27;", "'");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {text}");
    let sentences = [
        "The database can't be reached. Try again in a moment.",
        "A service that Batchline depends on is taking too long to respond. Try again in a moment.",
    ];
    let says_it = sentences.iter().any(|sentence| text.contains(sentence));
    assert!(says_it, "{path}: {text}");
    for inside in ["sqlx", "PoolTimedOut", "os error", "panicked", "pg_"] {
        assert!(!text.contains(inside), "{path}: {text}");
    }
    if headers["content-type"] == "application/problem+json" {
        assert_eq!(headers["retry-after"], "5", "{path}");
    } else {
        assert_eq!(headers["refresh"], "10", "{path}");
        assert!(
            text.contains("Try again") && text.contains("href=\"/\""),
            "{path}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgresql_everything_says_so_and_comes_back() {
    let service = address_of(&required("DATABASE_URL"));
    let postgres = CuttingProxy::start(Protocol::Postgres, service).await;
    let app = TestApp::start_with(Options {
        postgres_proxy: Some(postgres.address),
        environment: vec![("RESPONSE_TIMEOUT_SECONDS", "4".to_owned())],
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;
    let done = app.process_for(user_id, SAMPLE).await;
    app.slow_down().await;
    let (content, [valid, ..]) = generated(300_000);
    let running = app.upload(user_id, content).await;
    let mut socket = app.socket(user_id).await;
    app.begin(running).await;
    app.under_way(running).await;

    let pages = [
        "/".to_owned(),
        "/users".to_owned(),
        "/find?q=payments".to_owned(),
        format!("/users/{user_id}"),
        format!("/jobs/{done}"),
        format!("/jobs/{done}?filter=valid"),
        format!("/jobs/{done}/rows/1"),
    ];
    let reads = [
        "/users".to_owned(),
        "/jobs".to_owned(),
        format!("/users/{user_id}/jobs"),
        format!("/jobs/{done}"),
        format!("/jobs/{done}/transactions"),
        format!("/jobs/{done}/report"),
        format!("/jobs/{done}/events"),
        format!("/jobs/{done}/results.csv"),
    ];
    let pause = format!("/jobs/{running}/pause");
    for line in [Line::Away, Line::Silent] {
        postgres.set(line);
        let began = Instant::now();
        let pages = join_all(pages.iter().map(async |path| {
            let request = reqwest::Client::builder().no_proxy().build().unwrap();
            let request = request.get(format!("{}{path}", app.web));
            let response = request.header("accept", "text/html").send().await;
            says_what_is_the_matter(path, response.unwrap()).await;
        }));
        let reads = join_all(reads.iter().map(async |path| {
            says_what_is_the_matter(path, app.get(path).await).await;
        }));
        let change = async { says_what_is_the_matter(&pause, app.post(&pause).await).await };
        tokio::join!(pages, reads, change);
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{line:?}: {:?}",
            began.elapsed()
        );
    }
    postgres.set(Line::Up);
    for path in &reads {
        eventually(path, async || {
            (app.get(path).await.status() == 200).then_some(())
        })
        .await;
    }
    for path in &pages {
        assert_eq!(app.page_response(path).await.status(), 200, "{path}");
    }
    eventually("the job to be completed", async || {
        let job = app.get_json(&format!("/jobs/{running}")).await;
        // The command may have taken effect although nobody got its result.
        if job["status"] == "paused" {
            app.command(running, "resume").await;
        }
        (job["status"] == "completed").then_some(())
    })
    .await;
    let last = socket.until_finished(running).await.pop().unwrap();
    assert_eq!(last["valid_records"], valid, "{last}");
    assert_eq!(app.downloaded_rows(running).await.0, 300_000);
}

/// Sets how long each chunk takes after [`TestApp::slow_down`].
async fn set_pace(app: &TestApp, seconds: f64) {
    sqlx::raw_sql(&format!(
        "create or replace function slow_down() returns trigger language plpgsql as
             $$ begin perform pg_sleep({seconds}); return null; end $$"
    ))
    .execute(&app.pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_temporal_commands_change_nothing_and_can_be_repeated() {
    let service = address_of(&required("TEMPORAL_ADDRESS"));
    let temporal = CuttingProxy::start(Protocol::Grpc, service).await;
    let environment = vec![
        ("TEMPORAL_ADDRESS", format!("http://{}", temporal.address)),
        // All jobs make progress at the same time.
        ("WORKER_CONCURRENCY", "12".to_owned()),
    ];
    let app = TestApp::start_with(Options {
        environment,
        ..Options::default()
    })
    .await;
    let user_id = app.user().await;
    app.slow_down().await;
    set_pace(&app, 0.3).await;
    let (content, [valid, invalid, _]) = generated(400_000);
    let upload = || app.upload(user_id, content.clone());
    let running = [upload().await, upload().await, upload().await];
    let waiting = app.upload(user_id, SAMPLE).await;
    for job_id in running {
        app.begin(job_id).await;
    }
    for job_id in running {
        app.under_way(job_id).await;
    }
    let [paused, cancelled, deleted] = running;
    let jobs = [paused, cancelled];

    temporal.set(Line::Silent);
    // These succeed, because they don't need Temporal.
    let deletion = format!("/jobs/{deleted}");
    let (.., deletion) = tokio::join!(
        app.command(paused, "pause"),
        app.command(cancelled, "cancel"),
        app.delete(&deletion)
    );
    assert_eq!(deletion.status(), StatusCode::NO_CONTENT);
    set_pace(&app, 0.0).await;
    let state = async |job_id: i64| {
        let job = app.get_json(&format!("/jobs/{job_id}")).await;
        (job["status"].clone(), job["run"].clone())
    };
    let commands = [(waiting, "start"), (paused, "resume"), (cancelled, "retry")];
    // https://grpc.io/docs/guides/status-codes/
    let [overloaded, forbidden] = [8, 7].map(Line::Refusing);
    for line in [Line::Silent, Line::Away, overloaded, forbidden] {
        temporal.set(line);
        let began = Instant::now();
        join_all(commands.map(|(job_id, command)| {
            let (app, state) = (&app, &state);
            async move {
                let before = state(job_id).await;
                let response = app.post(&format!("/jobs/{job_id}/{command}")).await;
                let detail = problem(response, StatusCode::SERVICE_UNAVAILABLE).await;
                assert!(
                    detail.contains("Nothing was changed: try again"),
                    "{detail}"
                );
                assert_eq!(state(job_id).await, before, "{command}");
            }
        }))
        .await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(12), "{line:?}: {took:?}");
        // Everything can be seen.
        for path in ["/".to_owned(), format!("/jobs/{paused}")] {
            assert_eq!(app.page_response(&path).await.status(), 200, "{path}");
        }
    }

    temporal.set(Line::Up);
    for (job_id, command) in commands {
        eventually(command, async || {
            let response = app.post(&format!("/jobs/{job_id}/{command}")).await;
            (response.status() == StatusCode::ACCEPTED).then_some(())
        })
        .await;
    }
    for job_id in jobs {
        let job = app.finished(job_id).await;
        let counts = (
            &job["status"],
            &job["valid_records"],
            &job["invalid_records"],
        );
        assert_eq!(
            counts,
            (&json!("completed"), &json!(valid), &json!(invalid))
        );
    }
    assert_eq!(app.finished(waiting).await["status"], "completed");
}
