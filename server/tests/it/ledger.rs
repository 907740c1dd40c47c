//! Every reader shows what the ledger says.

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use serde_json::{Value, json};

use crate::harness::{TestApp, eventually, numbers};

/// Uses verdicts of other rules: they reject the second row's amount, consider only the first row suspicious, and
/// accept the fourth row's date.
#[tokio::test]
async fn committed_verdicts_outlive_the_rules() {
    let app = TestApp::start().await;
    let job = app
        .process(
            "transaction_id,amount,date,description\n\
             A,1.50,2024-01-01,first\nB,2,2024-01-02,second\nC,-3,2024-01-03,third\nD,4,tomorrow,fourth\n",
        )
        .await;
    // Version 1; three kinds: suspicious, amount.not_a_number, valid; three runs; one mark at the start.
    let verdicts: [u8; 12] = [1, 3, 0x01, 0x80, 0x02, 0x00, 3, 0, 1, 5, 0, 0];
    sqlx::query(
        r#"update job_chunks set verdicts = $1, valid_records = 3, invalid_records = 1, suspicious_records = 1,
                  problems = '{"amount.not_a_number": 1}'"#,
    )
    .bind(&verdicts[..])
    .execute(&app.pool)
    .await
    .unwrap();

    let (rows, total) = app.rows(&job["id"], "").await;
    assert_eq!((numbers(&rows), total), (vec![1, 2, 3, 4], 4));
    let shown: Vec<Value> = rows
        .iter()
        .map(|row| {
            let codes: Vec<&Value> = row["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|error| &error["code"])
                .collect();
            json!([
                row["amount"],
                row["date"],
                row["is_valid"],
                row["is_suspicious"],
                codes,
                row["error_message"]
            ])
        })
        .collect();
    assert_eq!(
        json!(shown),
        json!([
            [1.50, "2024-01-01", true, true, [], null],
            [
                null,
                "2024-01-02",
                false,
                false,
                ["amount.not_a_number"],
                "\"2\" isn't a number"
            ],
            [-3, "2024-01-03", true, false, [], null],
            [4, null, true, false, [], null],
        ])
    );
    for (query, expected) in [
        ("filter=valid", vec![1, 3, 4]),
        ("filter=invalid", vec![2]),
        ("filter=suspicious", vec![1]),
        ("filter=amount.not_a_number", vec![2]),
        ("filter=date.not_a_date", vec![]),
        ("q=C&filter=suspicious", vec![]),
        ("q=C", vec![3]),
        ("q=fourth&filter=valid", vec![4]),
        ("q=fourth&filter=invalid", vec![]),
    ] {
        let (rows, total) = app.rows(&job["id"], query).await;
        assert_eq!(
            (numbers(&rows), total),
            (expected.clone(), expected.len() as u64),
            "{query}"
        );
    }
    let csv = app.get(&format!("/jobs/{}/results.csv", job["id"])).await;
    let csv = csv.text().await.unwrap();
    let verdicts: Vec<&str> = csv
        .lines()
        .skip(1)
        .map(|line| line.splitn(5, ',').nth(4).unwrap())
        .collect();
    assert_eq!(
        verdicts,
        [
            "1,2,true,true,,",
            "2,3,false,false,amount.not_a_number,\"\"\"2\"\" isn't a number\"",
            "3,4,true,false,,",
            "4,5,true,false,,",
        ]
    );
    let invalid = app
        .get(&format!("/jobs/{}/results.csv?filter=invalid", job["id"]))
        .await;
    assert_eq!(invalid.text().await.unwrap().lines().count(), 2);
    let workbook = app.get(&format!("/jobs/{}/results.xlsx", job["id"])).await;
    let workbook = Cursor::new(workbook.bytes().await.unwrap());
    let sheet = Xlsx::new(workbook).unwrap().worksheet_range("Results");
    let verdicts: Vec<_> = sheet
        .unwrap()
        .rows()
        .skip(1)
        .map(|row| row[6..9].to_vec())
        .collect();
    let verdict = |valid, suspicious, code: &str| {
        let code = match code {
            "" => Data::Empty,
            code => Data::String(code.to_owned()),
        };
        vec![Data::Bool(valid), Data::Bool(suspicious), code]
    };
    assert_eq!(
        verdicts,
        [
            verdict(true, true, ""),
            verdict(false, false, "amount.not_a_number"),
            verdict(true, false, ""),
            verdict(true, false, ""),
        ]
    );
    let address = format!("/jobs/{}", job["id"]);
    let report = app.get_json(&format!("{address}/report")).await;
    assert_eq!(report["problems"], json!({"amount.not_a_number": 1}));
    let page = app.page(&address).await;
    let shown = (1..=4).map(|row| {
        let (_, row) = page.split_once(&format!("<tr id=\"row-{row}\"")).unwrap();
        let (row, _) = row.split_once("</tr>").unwrap();
        (
            row.contains("data-verdict=\"valid\""),
            row.contains("data-status=\"suspicious\""),
        )
    });
    assert_eq!(
        Vec::from_iter(shown),
        [(true, true), (false, false), (true, false), (true, false)]
    );
    for (row, expected) in [(2, true), (4, false)] {
        let page = app.page(&format!("{address}/rows/{row}")).await;
        assert_eq!(page.contains("isn't a number"), expected, "{page}");
        assert!(!page.contains("Use a date like"), "{page}");
    }
}

/// Resets the ledger to the state of the version without verdicts: duplicates as a list that is kept after the commit.
async fn forget_verdicts(app: &TestApp, duplicates: &[(i64, Vec<u32>)]) {
    sqlx::query("update job_chunks set verdicts = null where committed_at is not null")
        .execute(&app.pool)
        .await
        .unwrap();
    for (first_row, rows) in duplicates {
        let list: Vec<u8> = rows.iter().flat_map(|row| row.to_le_bytes()).collect();
        sqlx::query("update job_chunks set duplicates = '\\x00'::bytea || $2 where first_row = $1")
            .bind(first_row)
            .bind(list)
            .execute(&app.pool)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn results_of_an_earlier_version_are_read_and_get_verdicts() {
    let app = TestApp::start().await;
    let job = app
        .process(
            "transaction_id,amount,date\nA,1,2024-01-01\nA,-1,2024-01-02\nB,x,2024-01-03\nA,1,\n",
        )
        .await;
    let before = app.rows(&job["id"], "").await;
    let invalid = app.rows(&job["id"], "filter=invalid").await;
    assert_eq!(numbers(&invalid.0), [2, 3, 4]);
    let csv = async || {
        app.get(&format!("/jobs/{}/results.csv", job["id"]))
            .await
            .text()
            .await
            .unwrap()
    };
    let csv_before = csv().await;

    app.stop_worker();
    forget_verdicts(&app, &[(1, vec![1, 3])]).await;
    // Nothing has been derived yet.
    assert_eq!(app.rows(&job["id"], "").await, before);
    assert_eq!(app.rows(&job["id"], "filter=invalid").await, invalid);
    assert_eq!(csv().await, csv_before);
    let lacking = async || -> i64 {
        sqlx::query_scalar("select count(*) from job_chunks where verdicts is null")
            .fetch_one(&app.pool)
            .await
            .unwrap()
    };
    assert_eq!(lacking().await, 1);
    app.restart_worker();
    eventually("the verdicts to be derived", async || {
        (lacking().await == 0).then_some(())
    })
    .await;
    assert_eq!(app.rows(&job["id"], "").await, before);
    assert_eq!(csv().await, csv_before);
}

/// The verdicts that this version would derive contradict what was committed: a suspicious row, and the number of rows.
#[tokio::test]
async fn committed_counts_outlive_verdicts_that_cannot_be_derived() {
    let app = TestApp::start().await;
    const FILE: &str = "transaction_id,amount,date\nA,1,2024-01-01\nB,x,2024-01-02\n";
    let mut result_ids: Vec<i64> = Vec::new();
    for change in ["suspicious_records = 1", "rows = 3, valid_records = 2", ""] {
        let job = app.process(FILE).await;
        let result_id: i64 = sqlx::query_scalar("select result_id from jobs where id = $1")
            .bind(job["id"].as_i64())
            .fetch_one(&app.pool)
            .await
            .unwrap();
        if !change.is_empty() {
            let change = format!(
                "update job_chunks set verdicts = null, {change} where result_id = {result_id}"
            );
            sqlx::raw_sql(&change).execute(&app.pool).await.unwrap();
        }
        result_ids.push(result_id);
    }
    let refusals = || {
        let lines = app.printed().into_iter();
        lines
            .filter(|line| line.contains("can't be derived"))
            .count()
    };
    eventually("both to be logged", async || {
        (refusals() == 2).then_some(())
    })
    .await;
    // A later round derives the verdicts of the third result, and doesn't try the others again.
    sqlx::query("update job_chunks set verdicts = null where result_id = $1")
        .bind(result_ids[2])
        .execute(&app.pool)
        .await
        .unwrap();
    let derived = eventually("the verdicts to be derived", async || {
        let derived: Vec<i64> = sqlx::query_scalar(
            "select result_id from job_chunks where verdicts is not null order by result_id",
        )
        .fetch_all(&app.pool)
        .await
        .unwrap();
        derived.contains(&result_ids[2]).then_some(derived)
    })
    .await;
    assert_eq!((derived, refusals()), (vec![result_ids[2]], 2));
    let job_id: i64 = sqlx::query_scalar("select id from jobs where result_id = $1")
        .bind(result_ids[0])
        .fetch_one(&app.pool)
        .await
        .unwrap();
    let (rows, total) = app.rows(&json!(job_id), "").await;
    assert_eq!((numbers(&rows), total), (vec![1, 2], 2));
    assert_eq!(app.rows(&json!(job_id), "filter=suspicious").await.1, 1);
}

/// An id is found through the index beside the file. Both are removed with the job.
#[tokio::test]
async fn ids_are_found_in_a_long_file() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let mut file = "transaction_id,amount,date,description\n".to_owned();
    for row in 1..=100_000 {
        match row {
            // An id that many rows have, and one that too many have to be looked up one by one.
            _ if row % 50 == 0 => file += &format!("often,1,2024-01-01,{row}\n"),
            _ if row % 1000 == 1 => file += "seldom,1,2024-01-01,\n",
            77 => file += "T77,1,2024-01-01\n",
            _ => file += &format!("T{row},1,2024-01-01,see T{}\n", row + 1),
        }
    }
    let job_id = app.upload(user_id, file).await;
    app.begin(job_id).await;
    let job = app.finished(job_id).await;
    let index = |name: &str| name.ends_with(".ids");
    let stored = || -> Vec<String> {
        let names = app.stored_files().into_iter();
        names
            .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        stored().iter().filter(|name| index(name)).count(),
        1,
        "{:?}",
        stored()
    );
    for (query, expected, total) in [
        ("q=T98", vec![98], 1),
        ("q=T99999", vec![99_999], 1),
        // Broken rows are found by the id that they show.
        ("q=T77", vec![77], 1),
        ("q=seldom&size=3", vec![1, 1001, 2001], 100),
        ("q=seldom&size=3&page=34", vec![99_001], 100),
        ("q=seldom&filter=valid", vec![1], 1),
        ("q=often&size=2&page=2", vec![150, 200], 2000),
        (
            "q=often&filter=transaction_id.duplicate&size=1",
            vec![100],
            1999,
        ),
        // Occurs only in a description.
        ("q=T100000", vec![99_999], 1),
    ] {
        let (rows, found) = app.rows(&job["id"], query).await;
        assert_eq!((numbers(&rows), found), (expected, total), "{query}");
    }
    app.delete(&format!("/jobs/{job_id}")).await;
    eventually("the file and its index to be removed", async || {
        stored().is_empty().then_some(())
    })
    .await;
}
