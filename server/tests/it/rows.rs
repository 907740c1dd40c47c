//! Pages of rows, and reports.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{TestApp, problem};

/// Returns the row numbers of a page, the total, and the relations of its links.
async fn page(app: &TestApp, path: &str) -> (Vec<u64>, u64, Vec<String>) {
    let response = app.get(path).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let total = header("x-total-count").parse().unwrap();
    let relations = header("link")
        .split(", ")
        .map(|link| {
            link.split("rel=")
                .nth(1)
                .unwrap()
                .trim_matches('"')
                .to_owned()
        })
        .collect();
    let rows: Vec<Value> = response.json().await.unwrap();
    let numbers = rows
        .iter()
        .map(|row| row["row_number"].as_u64().unwrap())
        .collect();
    (numbers, total, relations)
}

#[tokio::test]
async fn rows_are_paged_filtered_and_searched() {
    let app = TestApp::start().await;
    let mut file = "transaction_id,amount,date,description\n".to_owned();
    for row in 1..=50 {
        let amount = match row {
            row if row % 10 == 0 => "broken",
            row if row % 7 == 0 => "-1",
            _ => "1",
        };
        file += &format!("T{row:03},{amount},2024-01-01,\"50%_{row} of Ünit\"\n");
    }
    let job = app.process(file).await;
    assert_eq!(job["invalid_records"], 5);
    let rows = format!("/jobs/{}/transactions", job["id"]);

    assert_eq!(page(&app, &rows).await.0, (1..=20).collect::<Vec<_>>());
    let (numbers, total, relations) = page(&app, &format!("{rows}?page=3&size=20")).await;
    assert_eq!((numbers, total), ((41..=50).collect(), 50));
    assert_eq!(relations, ["first", "last", "prev"]);
    assert_eq!(
        page(&app, &format!("{rows}?page=4&size=20")).await.0,
        [0_u64; 0]
    );

    let (numbers, total, relations) = page(&app, &format!("{rows}?filter=invalid&size=2")).await;
    assert_eq!((numbers, total), (vec![10, 20], 5));
    assert_eq!(relations, ["first", "last", "next"]);
    // 7, 14, 21, 28, 35, 42 and 49; 70 isn't suspicious.
    assert_eq!(page(&app, &format!("{rows}?filter=suspicious")).await.1, 7);
    assert_eq!(
        page(&app, &format!("{rows}?filter=valid&page=3&size=20"))
            .await
            .1,
        45
    );

    let code = "amount.not_a_number";
    let (numbers, total, _) = page(&app, &format!("{rows}?filter={code}&page=2&size=2")).await;
    assert_eq!((numbers, total), (vec![30, 40], 5));
    assert_eq!(
        page(&app, &format!("{rows}?filter=date.missing")).await.1,
        0
    );
    assert_eq!(
        page(&app, &format!("{rows}?filter={code}&q=T030")).await.0,
        [30]
    );

    // The page that contains a row. Beyond the last row it is empty.
    for (row, first, relations) in [
        (1, Some(1), vec!["first", "last", "next"]),
        (21, Some(21), vec!["first", "last", "prev", "next"]),
        (50, Some(41), vec!["first", "last", "prev"]),
        (51, None, vec!["first", "last", "prev"]),
        (9_999_999_999_u64, None, vec!["first", "last", "prev"]),
    ] {
        let found = page(&app, &format!("{rows}?row={row}&size=20")).await;
        assert_eq!(
            (found.0.first().copied(), found.1, found.2),
            (
                first,
                50,
                relations.iter().map(ToString::to_string).collect()
            ),
            "{row}"
        );
    }

    let search = async |query: &str| page(&app, &format!("{rows}?{query}")).await;
    assert_eq!(search("q=t00").await.1, 9);
    assert_eq!(
        search("q=%25_7%20OF").await.0,
        [7],
        "% and _ are only characters"
    );
    assert_eq!(search("q=t0&filter=invalid").await.0, [10, 20, 30, 40, 50]);
    assert_eq!(search("q=nothing").await.1, 0);
    // An exact match of an id takes precedence over texts that contain it.
    let file = "transaction_id,amount,date,description\n\
                A1,1,2024-01-01,x\nA10,1,2024-01-01,see A1\na1,x,2024-01-01,\nA1,1,2024-01-01,again\n";
    let job = app.process(file).await;
    let rows = format!("/jobs/{}/transactions", job["id"]);
    for (query, expected) in [
        ("q=A1", vec![1, 4]),
        ("q=A1&size=1", vec![1]),
        ("q=A1&size=1&page=2", vec![4]),
        ("q=A1&size=1&page=3", vec![]),
        ("q=A1&filter=valid", vec![1]),
        ("q=A1&filter=invalid", vec![4]),
        ("q=a1", vec![3]),
        ("q=A1&filter=suspicious", vec![]),
        ("q=1&filter=invalid", vec![3, 4]),
        ("q=see", vec![2]),
    ] {
        assert_eq!(
            page(&app, &format!("{rows}?{query}")).await.0,
            expected,
            "{query}"
        );
    }
    let rows = format!("/jobs/{}/transactions", job["id"]);

    for bad in [
        "page=0",
        "size=0",
        "size=1001",
        "filter=broken",
        "page=x",
        "row=0",
        "row=x",
    ] {
        problem(
            app.get(&format!("{rows}?{bad}")).await,
            StatusCode::UNPROCESSABLE_ENTITY,
        )
        .await;
    }
}

#[tokio::test]
async fn a_report_sums_up_the_rows() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let pending = app
        .upload(user_id, "transaction_id,amount,date\nA,1,2024-01-01\n")
        .await;
    let nothing = app.get_json(&format!("/jobs/{pending}/report")).await;
    assert_eq!(nothing["problems"], json!({}));
    assert_eq!(nothing["valid_dates"], Value::Null);

    let job = app
        .process(
            "transaction_id,amount,date\nA,1.10,2024-03-01\nB,-0.205,2023-01-02\nA,5,2020-01-01\nC,x,\n,9,2025-01-01\n",
        )
        .await;
    let text = app
        .get(&format!("/jobs/{}/report", job["id"]))
        .await
        .text()
        .await
        .unwrap();
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        found["problems"],
        json!({"transaction_id.duplicate": 1, "amount.not_a_number": 1, "date.missing": 1, "transaction_id.missing": 1})
    );
    assert!(text.contains("\"valid_amount\":0.895,"), "{text}");
    assert_eq!(
        found["valid_dates"],
        json!({"first": "2023-01-02", "last": "2024-03-01"})
    );
    let size = |from: u64, below, rows| json!({"from": from, "below": below, "rows": rows});
    assert_eq!(
        found["amounts"].as_array().unwrap()[..3],
        [
            size(0, json!(1), 1),
            size(1, json!(10), 1),
            size(10, json!(100), 0)
        ]
    );
    assert_eq!(
        found["months"],
        json!([{"month": "2023-01", "rows": 1}, {"month": "2024-03", "rows": 1}])
    );

    // As if an earlier version had validated the chunk.
    let job_id = job["id"].as_i64().unwrap();
    sqlx::query(
        "update job_chunks set spread = null where result_id = (select result_id from jobs where id = $1)",
    )
    .bind(job_id)
    .execute(&app.pool)
    .await
    .unwrap();
    let found = app.get_json(&format!("/jobs/{job_id}/report")).await;
    assert_eq!(
        (&found["amounts"], &found["months"]),
        (&Value::Null, &Value::Null)
    );
    problem(app.get("/jobs/999999/report").await, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn each_row_has_the_number_of_its_first_line() {
    let app = TestApp::start().await;
    let file = include_bytes!("../../../validator/tests/cases/160-lines-and-rows.csv");
    let job = app.process(&file[..]).await;
    let lines = async |job: &Value, query: &str| -> Vec<Value> {
        let (rows, _) = app.rows(&job["id"], query).await;
        rows.iter().map(|row| row["line"].clone()).collect()
    };
    assert_eq!(lines(&job, "").await, [2, 7]);
    assert_eq!(lines(&job, "filter=invalid").await, [7]);
    assert_eq!(lines(&job, "q=T2").await, [7]);

    // As if an earlier version had planned the chunk.
    let job_id = job["id"].as_i64().unwrap();
    sqlx::query(
        "update job_chunks set first_line = null where result_id = (select result_id from jobs where id = $1)",
    )
    .bind(job_id)
    .execute(&app.pool)
    .await
    .unwrap();
    assert_eq!(lines(&job, "").await, [Value::Null, Value::Null]);
    let path = format!("/jobs/{job_id}/results.csv?filter=invalid");
    let download = app.get(&path).await.text().await.unwrap();
    assert!(download.contains(",2,,false,false,amount"), "{download}");

    // Many chunks, each with many positions at which reading can start.
    let mut file = "transaction_id,amount,date,note\r\n".to_owned();
    for row in 1..=100_000 {
        file += &format!("T{row},1,2024-01-01,\"two\r\nlines\"\r\n");
    }
    let job = app.process(file).await;
    assert!(job["total_batches"].as_u64() > Some(1), "{job}");
    for row in [1_u64, 1234, 50_000, 99_999] {
        assert_eq!(
            lines(&job, &format!("page={row}&size=1")).await,
            [2 * row],
            "{row}"
        );
    }
}
