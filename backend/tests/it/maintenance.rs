//! Maintenance, which runs every few seconds for as long as a worker runs.

use backend::maintenance::Maintenance;

use crate::state_machine::subject::{Subject, eventually};

/// Jobs that are over.
const OVER: i64 = 20_000;

#[tokio::test]
async fn a_round_does_not_read_the_jobs_that_are_over() {
    let subject = Subject::start().await;
    subject
        .upload("transaction_id,amount,date\nA,1,2024-01-01\n")
        .await;
    let columns: String = sqlx::query_scalar(
        "select string_agg(quote_ident(column_name), ', ') from information_schema.columns
         where table_name = 'jobs' and is_identity = 'NO' and is_generated = 'NEVER'
             and column_name not in ('status', 'storage_key')",
    )
    .fetch_one(&subject.pool)
    .await
    .unwrap();
    let many = format!(
        "insert into jobs (status, storage_key, {columns})
             select 'cancelled', storage_key || number, {columns} from jobs, generate_series(1, {OVER}) as number;
         analyze jobs;
         select pg_stat_reset()"
    );
    sqlx::raw_sql(&many).execute(&subject.pool).await.unwrap();
    let mut maintenance = Maintenance::new(subject.backend.clone());
    let (rounds, mut reads) = (5_i64, (0_i64, 0_i64));
    for _ in 0..rounds {
        maintenance.round().await.unwrap();
    }
    // A session reports what it has read a second later.
    eventually("the statistics", async || {
        maintenance.round().await.unwrap();
        reads = sqlx::query_as(
            "select idx_scan, (seq_tup_read + idx_tup_fetch)::bigint from pg_stat_user_tables where relname = 'jobs'",
        )
        .fetch_one(&subject.pool)
        .await
        .unwrap();
        reads.0 >= rounds
    })
    .await;
    assert!(reads.1 < OVER, "{reads:?}");
}
