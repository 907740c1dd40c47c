//! Data of the first version, which stored the rows in a table and had version 1 of the rules.

use std::path::Path;

use serde_json::{Value, json};
use sqlx::{PgConnection, migrate::Migrator};

use crate::harness::{SAMPLE, TestApp, eventually, numbers, separate_workflow_ids};

/// The last migration of that version.
const LAST_MIGRATION: i64 = 20261125000002;

const ROWS: u64 = 60_000;
const CHUNKS: u64 = 3;

/// A kind of row, under the rules of that version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Valid,
    Suspicious,
    /// Has the id of the first row.
    Repeated,
    /// Has an amount that only later versions can read.
    NotANumber,
}

impl Kind {
    fn of(row: u64) -> Self {
        match row % 10 {
            0 => Self::NotANumber,
            3 => Self::Suspicious,
            7 => Self::Repeated,
            _ => Self::Valid,
        }
    }

    fn is_valid(self) -> bool {
        matches!(self, Self::Valid | Self::Suspicious)
    }

    fn record(self, row: u64) -> String {
        let (id, amount) = match self {
            Self::Valid => (row, "1.50"),
            Self::Suspicious => (row, "-1"),
            Self::Repeated => (1, "1"),
            Self::NotANumber => (row, "\"1,234.50\""),
        };
        format!("T{id},{amount},2024-01-31,row {row}\n")
    }
}

/// Returns the numbers of the rows of these kinds.
fn rows_of(is: impl Fn(Kind) -> bool) -> Vec<u64> {
    (1..=ROWS).filter(|row| is(Kind::of(*row))).collect()
}

/// Inserts a job with a file, as it was after its upload and its first start.
async fn insert_job(connection: &mut PgConnection, files: &Path, file: &str, chunks: u64) -> i64 {
    let key = format!("{}.csv", uuid::Uuid::new_v4());
    std::fs::write(files.join(&key), file).unwrap();
    let layout = json!({
        "encoding": "utf8", "delimiter": 44, "names": ["transaction_id", "amount", "date", "description"],
        "transaction_id": 0, "amount": 1, "date": 2, "description": 3,
    });
    sqlx::query_scalar(
        "insert into jobs (user_id, filename, bytes, sha256, storage_key, status, result_id, layout, total_records,
                           total_batches, started_at, run, version)
         values ((select id from users), 'old.csv', octet_length($1), encode(sha256($1), 'hex'), $2, 'processing',
                 nextval('result_ids'), $3, $4, $5, now() - interval '2 seconds', 1, 3)
         returning id",
    )
    .bind(file.as_bytes())
    .bind(key)
    .bind(layout)
    .bind(file.lines().count() as i64 - 1)
    .bind(chunks as i32)
    .fetch_one(connection)
    .await
    .unwrap()
}

/// Inserts a job of the long file with this many committed chunks.
async fn insert_long_job(connection: &mut PgConnection, files: &Path, committed: u64) -> i64 {
    let header = "transaction_id,amount,date,description\n";
    let mut file = header.to_owned();
    let mut chunks = Vec::new();
    let rows = ROWS / CHUNKS;
    for number in 0..CHUNKS {
        let (start, first) = (file.len(), number * rows + 1);
        (first..first + rows).for_each(|row| file += &Kind::of(row).record(row));
        chunks.push((number, start, file.len(), first));
    }
    let job_id = insert_job(connection, files, &file, CHUNKS).await;
    for (number, start, end, first) in chunks {
        // Offsets from the first row, as little-endian numbers.
        let duplicates: Vec<u8> = (0..rows as u32)
            .filter(|row| Kind::of(first + u64::from(*row)) == Kind::Repeated)
            .flat_map(u32::to_le_bytes)
            .collect();
        sqlx::query(
            "insert into job_chunks (result_id, number, byte_start, byte_end, first_row, rows, duplicates)
             select result_id, $2, $3, $4, $5, $6, $7 from jobs where id = $1",
        )
        .bind(job_id)
        .bind(number as i32)
        .bind(start as i64)
        .bind(end as i64)
        .bind(first as i64)
        .bind(rows as i64)
        .bind(duplicates)
        .execute(&mut *connection)
        .await
        .unwrap();
    }
    // Of ten rows, seven are valid with 1.50 and one with -1.
    sqlx::query(
        r#"update job_chunks
           set valid_records = rows / 10 * 8, invalid_records = rows / 10 * 2, suspicious_records = rows / 10,
               problems = jsonb_build_object('amount.not_a_number', rows / 10, 'transaction_id.duplicate', rows / 10),
               valid_amount = rows / 10 * 9.5, first_date = '2024-01-31', last_date = '2024-01-31',
               committed_at = now() - interval '1 second'
           from jobs where jobs.id = $1 and job_chunks.result_id = jobs.result_id and number < $2"#,
    )
    .bind(job_id)
    .bind(committed as i32)
    .execute(&mut *connection)
    .await
    .unwrap();
    job_id
}

/// Inserts a small job that is completed.
async fn insert_small_job(connection: &mut PgConnection, files: &Path) -> i64 {
    let job_id = insert_job(connection, files, SAMPLE, 1).await;
    sqlx::query(
        "insert into job_chunks (result_id, number, byte_start, byte_end, first_row, rows, duplicates, valid_records,
                                 suspicious_records, valid_amount, first_date, last_date, committed_at)
         select result_id, 0, strpos($2, E'\\n'), length($2), 1, 4, '', 4, 1, 1175.50, '2024-01-15', '2024-01-18', now()
         from jobs where id = $1",
    )
    .bind(job_id)
    .bind(SAMPLE)
    .execute(&mut *connection)
    .await
    .unwrap();
    sqlx::query("update jobs set shared_workflow_id = 'small-jobs-1' where id = $1")
        .bind(job_id)
        .execute(&mut *connection)
        .await
        .unwrap();
    job_id
}

/// Ends what a job's attempt did with this status.
async fn end(connection: &mut PgConnection, job_id: i64, status: &str) {
    sqlx::query(
        "update jobs
         set status = $2, processed_records = valid + invalid, valid_records = valid, invalid_records = invalid,
             suspicious_records = suspicious, batch_completed = chunks, version = version + chunks + 1,
             run = case $2 when 'paused' then run + 1 else run end,
             paused_at = case $2 when 'paused' then now() end, finished_at = case $2 when 'completed' then now() end
         from (
             select sum(chunk.valid_records)::bigint as valid, sum(chunk.invalid_records)::bigint as invalid,
                    sum(chunk.suspicious_records)::bigint as suspicious, count(*)::integer as chunks
             from job_chunks as chunk join jobs using (result_id) where jobs.id = $1 and committed_at is not null
         ) as done
         where id = $1",
    )
    .bind(job_id)
    .bind(status)
    .execute(&mut *connection)
    .await
    .unwrap();
}

/// Compares pages of a job of the long file, its download and its report with what its rows are.
async fn check_long_job(app: &TestApp, job_id: i64) {
    let id = json!(job_id);
    for (filter, expected) in [
        ("all", rows_of(|_| true)),
        ("valid", rows_of(Kind::is_valid)),
        ("invalid", rows_of(|kind| !kind.is_valid())),
        ("suspicious", rows_of(|kind| kind == Kind::Suspicious)),
        (
            "amount.not_a_number",
            rows_of(|kind| kind == Kind::NotANumber),
        ),
        (
            "transaction_id.duplicate",
            rows_of(|kind| kind == Kind::Repeated),
        ),
        ("date.not_a_date", vec![]),
    ] {
        // The second chunk begins on the second of these pages.
        for page in [
            1,
            expected.len() / CHUNKS as usize / 70 + 1,
            expected.len().div_ceil(70),
        ] {
            let query = format!("filter={filter}&size=70&page={}", page.max(1));
            let found = app.rows(&id, &query).await;
            let shown = expected.chunks(70).nth(page.saturating_sub(1));
            let shown = shown.unwrap_or_default().to_vec();
            assert_eq!(
                (numbers(&found.0), found.1),
                (shown, expected.len() as u64),
                "{query}"
            );
        }
    }
    let (found, total) = app.rows(&id, "q=T4").await;
    assert_eq!((numbers(&found), total), (vec![4], 1));
    let (found, _) = app.rows(&id, "row=20010&size=10").await;
    let last = found.last().unwrap();
    assert_eq!(
        (&last["row_number"], &last["amount"], &last["error_message"]),
        (
            &json!(20_010),
            &Value::Null,
            &json!("\"1,234.50\" isn't a number")
        )
    );
    assert_eq!(
        app.downloaded_rows(job_id).await,
        (ROWS, ROWS / 10 * 8, ROWS / 10)
    );
    let report = app.get_json(&format!("/jobs/{job_id}/report")).await;
    assert_eq!(report["valid_amount"].as_f64(), Some(57_000.0), "{report}");
}

#[tokio::test]
async fn data_of_the_first_version_is_taken_over() {
    let mut jobs = [0; 3];
    let app = TestApp::start_upgraded(async |connection: &mut PgConnection, files: &Path| {
        let mut migrations = Migrator::new(Path::new("../backend/migrations")).await.unwrap();
        migrations
            .migrations
            .to_mut()
            .retain(|migration| migration.version <= LAST_MIGRATION);
        migrations.run(&mut *connection).await.unwrap();
        separate_workflow_ids(&mut *connection).await;
        sqlx::raw_sql("insert into users (name, email) values ('Ann', 'ann@example.com')")
            .execute(&mut *connection)
            .await
            .unwrap();
        jobs = [
            insert_long_job(connection, files, CHUNKS).await,
            insert_small_job(connection, files).await,
            insert_long_job(connection, files, 1).await,
        ];
        for (job_id, status) in jobs.into_iter().zip(["completed", "completed", "paused"]) {
            end(connection, job_id, status).await;
        }
        sqlx::raw_sql(
            "insert into transactions (result_id, row_number, transaction_id, is_valid, is_suspicious)
             select result_id, first_row + row, 'T', true, false
             from job_chunks, generate_series(0, rows - 1) as row where committed_at is not null and rows < 10",
        )
        .execute(connection)
        .await
        .unwrap();
    })
    .await;
    let [long, small, paused] = jobs;
    let before = app.get_json(&format!("/jobs/{long}")).await;
    assert_eq!(
        json!([
            before["status"],
            before["valid_records"],
            before["invalid_records"],
            before["suspicious_records"]
        ]),
        json!(["completed", ROWS / 10 * 8, ROWS / 10 * 2, ROWS / 10])
    );
    // While no worker has derived anything, and after one has.
    check_long_job(&app, long).await;
    app.restart_worker();
    eventually("the verdicts to be derived", async || {
        let lacking: i64 = sqlx::query_scalar(
            "select count(*) from job_chunks where committed_at is not null and verdicts is null",
        )
        .fetch_one(&app.pool)
        .await
        .unwrap();
        (lacking == 0).then_some(())
    })
    .await;
    check_long_job(&app, long).await;
    assert_eq!(app.get_json(&format!("/jobs/{long}")).await, before);
    let (rows, total) = app.rows(&json!(small), "").await;
    assert_eq!((numbers(&rows), total), (vec![1, 2, 3, 4], 4));
    assert_eq!(app.downloaded_rows(small).await, (4, 4, 1));

    let job = app.get_json(&format!("/jobs/{paused}")).await;
    assert_eq!(
        json!([
            job["status"],
            job["processed_records"],
            job["total_records"]
        ]),
        json!(["paused", ROWS / CHUNKS, ROWS])
    );
    app.command(paused, "resume").await;
    let job = app.finished(paused).await;
    assert_eq!(
        json!([
            job["status"],
            job["valid_records"],
            job["invalid_records"],
            job["suspicious_records"]
        ]),
        json!(["completed", ROWS / 10 * 8, ROWS / 10 * 2, ROWS / 10])
    );
    check_long_job(&app, paused).await;
}
