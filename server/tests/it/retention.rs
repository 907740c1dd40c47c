//! Deletes data whose retention has ended.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{SAMPLE, TestApp, database::keep_audit, eventually, expect};

#[tokio::test]
async fn jobs_and_events_are_deleted_after_their_retention() {
    let app = TestApp::start_set(&[("RETENTION_DAYS", "30"), ("AUDIT_RETENTION_DAYS", "40")]).await;
    let (user_id, keeper) = (app.user().await, app.user().await);
    let quotas = format!("/users/{keeper}/quotas");
    expect(
        app.patch_json(&quotas, &json!({"retention_days": 0})).await,
        StatusCode::OK,
    )
    .await;
    let completed = app.process_for(user_id, SAMPLE).await;
    let failed = app.process_for(user_id, "no,header\n").await;
    let recent = app.process_for(user_id, SAMPLE).await;
    let kept = app.process_for(keeper, SAMPLE).await;
    let pending = app.upload(user_id, SAMPLE).await;
    let aged = sqlx::query(
        "update jobs set created_at = created_at - interval '31 days', finished_at = finished_at - interval '31 days'
         where id <> $1",
    );
    aged.bind(recent).execute(&app.pool).await.unwrap();
    sqlx::raw_sql(
        "insert into audit_events (at, kind, outcome, actor, means)
         select now() - days * interval '1 day', 'upload', 'done', 'somebody', 'none'
         from unnest(array[50, 41, 39]) as days",
    )
    .execute(&app.pool)
    .await
    .unwrap();
    sqlx::raw_sql(
        "insert into sessions (secret_hash, user_id, expires_at)
         select sha256(days::text::bytea), id, now() + days * interval '1 day'
         from unnest(array[-1, 1]) as days, (select min(id) as id from users) as users;
         insert into password_links (secret_hash, user_id, expires_at)
         select sha256('link'), min(id), now() - interval '1 day' from users;
         insert into api_tokens (secret_hash, prefix, user_id, name, scope, revoked_at, expires_at)
         select sha256(name::bytea), 'bl_', id, name, 'read', now() + revoked * interval '1 day',
                now() + expires * interval '1 day'
         from (values ('expired', null, -91), ('revoked', -91, 7), ('expired lately', null, -89), ('valid', null, 7))
                  as tokens (name, revoked, expires),
              (select min(id) as id from users) as users",
    )
    .execute(&app.pool)
    .await
    .unwrap();

    // Until then, pages and API show the date.
    let job = app.get_json(&format!("/jobs/{recent}")).await;
    let (end, expires) = (job["finished_at"].as_str(), job["expires_at"].as_str());
    assert!(end < expires, "{job}");
    let page = app.page(&format!("/jobs/{recent}")).await;
    assert!(page.contains("Will be deleted"), "{page}");
    for stays in [kept, pending] {
        let job = app.get_json(&format!("/jobs/{stays}")).await;
        assert_eq!(job["expires_at"], Value::Null);
    }

    // A second worker finds the existing schedule.
    app.restart_worker();
    app.trigger_schedule("retention").await;
    for gone in [completed, failed] {
        eventually("the job to be deleted", async || {
            let status = app.get(&format!("/jobs/{gone}")).await.status();
            (status == StatusCode::NOT_FOUND).then_some(())
        })
        .await;
    }
    eventually("their files to be removed", async || {
        (app.stored_files().len() == 3).then_some(())
    })
    .await;
    for stays in [recent, kept, pending] {
        let status = app.get(&format!("/jobs/{stays}")).await.status();
        assert_eq!(status, StatusCode::OK);
    }
    // Credentials that no longer work are deleted, too.
    eventually("the ended credentials to be deleted", async || {
        let left: Vec<String> = sqlx::query_scalar(
            "select 'session' from sessions union all select 'link' from password_links
             union all select name from api_tokens order by 1",
        )
        .fetch_all(&app.pool)
        .await
        .unwrap();
        (left == ["expired lately", "session", "valid"]).then_some(())
    })
    .await;
    let events = async |kind: &str| -> Vec<Value> {
        let export = app.get(&format!("/audit.ndjson?kind={kind}")).await;
        let export = export.text().await.unwrap();
        let events = export
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        events.collect()
    };
    let deleted = events("delete_job").await;
    assert_eq!(deleted.len(), 2, "{deleted:?}");
    assert_eq!(deleted[0]["actor"], "retention");
    assert_eq!(deleted[0]["user_id"], user_id);
    assert_eq!(deleted[0]["detail"], "30 days after it ended");
    // With the rights of the server nobody deletes events that the owner of the database keeps.
    app.logged(&["ERROR", "no audit events are deleted"]).await;
    assert!(events("delete_events").await.is_empty());
    keep_audit(&app.database, "40");
    let deleted = eventually("the old events to be deleted", async || {
        app.trigger_schedule("retention").await;
        let deleted = events("delete_events").await;
        (!deleted.is_empty()).then_some(deleted)
    })
    .await;
    assert_eq!(deleted[0]["detail"], "2 events older than 40 days");
    let old = events("upload").await;
    assert_eq!(
        old.iter()
            .filter(|event| event["actor"] == "somebody")
            .count(),
        1
    );
    // PostgreSQL refuses to delete events of the last 30 days, even by mistake.
    let refused = sqlx::raw_sql(
        "delete from audit_events where at < now() - interval '29 days' or kind = 'delete_job'",
    );
    let refused = refused.execute(&app.pool).await.unwrap_err().to_string();
    assert!(refused.contains("those of the last 30 days"), "{refused}");
}
