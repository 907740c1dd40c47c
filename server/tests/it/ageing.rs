//! A database that has been in use for long, or that a newer version shares.

use reqwest::StatusCode;
use sqlx::PgPool;

use crate::harness::{SAMPLE, TestApp, database::APPLICATION, expect, generated};

/// Returns the size of all tables with their indexes, in bytes.
async fn stored_bytes(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select sum(pg_total_relation_size(oid))::bigint from pg_class
         where relkind = 'r' and relnamespace = 'public'::regnamespace",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn deleted_jobs_leave_nothing_behind() {
    let app = TestApp::start().await;
    let (file, [valid, ..]) = generated(200_000);
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let job = app.process(file.clone()).await;
        assert_eq!(job["valid_records"], valid);
        sizes.push(stored_bytes(&app.pool).await);
        let deletion = app.delete(&format!("/jobs/{}", job["id"])).await;
        expect(deletion, StatusCode::NO_CONTENT).await;
        app.emptied().await;
        sqlx::raw_sql("vacuum").execute(&app.pool).await.unwrap();
    }
    // 0.05 MB per million rows are stored; what grows is in pages of 8 kB. The first vacuum adds maps to each table.
    assert!(sizes[3] <= sizes[1] + (64 << 10), "{sizes:?}");
    assert!(sizes[1] <= sizes[0] + (512 << 10), "{sizes:?}");
    // BRIN indexes would make writing to freed pages slow.
    let summaries: i64 =
        sqlx::query_scalar("select count(*) from pg_indexes where indexdef like '%using brin%'")
            .fetch_one(&app.pool)
            .await
            .unwrap();
    assert_eq!(summaries, 0);
}

#[tokio::test]
async fn a_running_version_copes_with_columns_that_the_next_one_adds() {
    let app = TestApp::start().await;
    let job = app.process(SAMPLE).await;
    let (job_id, user_id) = (&job["id"], job["user_id"].as_i64().unwrap());
    let api = [
        "/users".to_owned(),
        format!("/users/{user_id}"),
        format!("/users/{user_id}/jobs"),
        format!("/users/{user_id}/quotas"),
        format!("/users/{user_id}/formats"),
        "/jobs".to_owned(),
        "/jobs?q=payments".to_owned(),
        format!("/jobs/{job_id}"),
        format!("/jobs/{job_id}/report"),
        format!("/jobs/{job_id}/events"),
        format!("/jobs/{job_id}/transactions?q=sub"),
        format!("/jobs/{job_id}/results.csv"),
        "/audit.ndjson".to_owned(),
        "/me".to_owned(),
    ];
    let pages = [
        "/".to_owned(),
        "/users".to_owned(),
        "/find?q=payments".to_owned(),
        format!("/users/{user_id}"),
        format!("/jobs/{job_id}"),
        format!("/jobs/{job_id}/rows/1"),
    ];
    let everything = async || {
        // Each connection prepares its own statement.
        for _ in 0..3 {
            for path in &api {
                assert_eq!(app.get(path).await.status(), StatusCode::OK, "{path}");
            }
            for path in &pages {
                assert_eq!(
                    app.page_response(path).await.status(),
                    StatusCode::OK,
                    "{path}"
                );
            }
            let job = app.process_for(user_id, SAMPLE).await;
            assert_eq!(app.finished(job).await["status"], "completed");
            let deletion = app.delete(&format!("/jobs/{job}")).await;
            expect(deletion, StatusCode::NO_CONTENT).await;
        }
    };
    everything().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select tablename::text from pg_tables where schemaname = 'public' and tablename not like '\\_%'",
    )
    .fetch_all(&app.pool)
    .await
    .unwrap();
    assert!(tables.contains(&"jobs".to_owned()), "{tables:?}");
    for table in tables {
        let change = format!("alter table {table} add column of_the_next_version integer");
        sqlx::raw_sql(&change).execute(&app.pool).await.unwrap();
    }
    everything().await;
    let complaint = app
        .printed()
        .into_iter()
        .find(|line| line.contains("cached plan"));
    assert_eq!(complaint, None);
}

/// The names of a thousand columns, in each of a page's jobs, would be read for nothing.
#[tokio::test]
async fn lists_do_not_read_the_headers_of_files() {
    let app = TestApp::start().await;
    let job = app.process(SAMPLE).await;
    let (job_id, user_id) = (&job["id"], &job["user_id"]);
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(column_name), ', ') from information_schema.columns
         where table_name = 'jobs' and column_name <> 'layout'",
    )
    .fetch_one(&app.pool)
    .await
    .unwrap();
    sqlx::raw_sql(&format!(
        "revoke select on jobs from {APPLICATION}; grant select ({columns}) on jobs to {APPLICATION}"
    ))
    .execute(&app.pool)
    .await
    .unwrap();
    for path in [
        "/users".to_owned(),
        format!("/users/{user_id}"),
        format!("/users/{user_id}/jobs"),
        "/jobs".to_owned(),
        "/jobs?status=completed&q=payments".to_owned(),
        format!("/jobs/{job_id}"),
        format!("/jobs/{job_id}/events"),
    ] {
        let response = app.get(&path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    for path in ["/", "/users", &format!("/users/{user_id}")] {
        let response = app.page_response(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    // Rows can't be read without.
    let rows = format!("/jobs/{job_id}/transactions");
    let refused = app.get(&rows).await.status();
    assert_eq!(refused, StatusCode::INTERNAL_SERVER_ERROR);
}
