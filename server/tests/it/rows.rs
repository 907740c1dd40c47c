use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{TestApp, problem};

/// The row numbers of a page, the total, and the relations of its links.
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
    // 7, 14, 21, 28, 35, 42, 49; 70 is none.
    assert_eq!(page(&app, &format!("{rows}?filter=suspicious")).await.1, 7);
    assert_eq!(
        page(&app, &format!("{rows}?filter=valid&page=3&size=20"))
            .await
            .1,
        45
    );

    let search = async |query: &str| page(&app, &format!("{rows}?{query}")).await;
    assert_eq!(search("q=t00").await.1, 9);
    assert_eq!(
        search("q=%25_7%20OF").await.0,
        [7],
        "% and _ are only characters"
    );
    assert_eq!(search("q=t0&filter=invalid").await.0, [10, 20, 30, 40, 50]);
    assert_eq!(search("q=nothing").await.1, 0);
    // An id that is there as it stands wins over what only contains it.
    let file = "transaction_id,amount,date,description\n\
                A1,1,2024-01-01,x\nA10,1,2024-01-01,see A1\na1,x,2024-01-01,\nA1,1,2024-01-01,again\n";
    let job = app.process(file).await;
    let rows = format!("/jobs/{}/transactions", job["id"]);
    for (query, expected) in [
        ("q=A1", vec![1, 4]),
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

    for bad in ["page=0", "size=0", "size=1001", "filter=broken", "page=x"] {
        problem(
            app.get(&format!("{rows}?{bad}")).await,
            StatusCode::UNPROCESSABLE_ENTITY,
        )
        .await;
    }
}
