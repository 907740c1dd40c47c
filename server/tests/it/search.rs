//! Searches for texts in rows.

use serde_json::json;

use crate::harness::{TestApp, generated, numbers};

/// Returns a file that hides "Refund #7" among similar texts, and the numbers of the rows that contain it, with their
/// validity.
fn haystack(rows: u64) -> (String, Vec<(u64, bool)>) {
    let mut file = "transaction_id;amount;date;description\n".to_owned();
    let mut matches = Vec::new();
    for row in 1..=rows {
        let is_valid = row % 5 != 0;
        let amount = if is_valid { "1" } else { "x" };
        let description = match row {
            // Many in one chunk, none in the next ones.
            100..200 => "a REFUND #7",
            _ if row % 701 == 0 => "\"re\"fund #7, and more",
            _ if row % 997 == 0 => "\"a \"\"refund #7\"\"\"",
            _ => "refund # 7, which is another",
        };
        if !description.contains("another") {
            matches.push((row, is_valid));
        }
        file += &format!("{row};{amount};2024-01-01;{description}\n");
    }
    (file, matches)
}

#[tokio::test]
async fn a_text_is_found_on_each_page_however_it_is_quoted() {
    let app = TestApp::start().await;
    let (file, matches) = haystack(80_000);
    let job = app.process(file).await;
    assert!(job["total_batches"].as_u64() > Some(2), "{job}");
    let row = async |number: u64| {
        app.rows(&job["id"], &format!("row={number}&size=1"))
            .await
            .0
    };

    for (filter, wanted) in [
        ("all", matches.clone()),
        (
            "valid",
            Vec::from_iter(matches.iter().copied().filter(|row| row.1)),
        ),
        (
            "amount.not_a_number",
            Vec::from_iter(matches.iter().copied().filter(|row| !row.1)),
        ),
    ] {
        let wanted: Vec<u64> = wanted.into_iter().map(|(row, _)| row).collect();
        // The first search reads the file, whichever page it requests.
        for size in [30, 17, 1000] {
            let pages = wanted.len().div_ceil(size);
            for page in (1..=pages + 1).rev() {
                let query = format!("q=Refund%20%237&filter={filter}&size={size}&page={page}");
                let (rows, total) = app.rows(&job["id"], &query).await;
                let expected: Vec<u64> = wanted
                    .iter()
                    .copied()
                    .skip((page - 1) * size)
                    .take(size)
                    .collect();
                assert_eq!(
                    (numbers(&rows), total),
                    (expected, wanted.len() as u64),
                    "{query}"
                );
                // A row that was found equals the one in the list of rows.
                if let Some(found) = rows.last() {
                    assert_eq!(
                        row(found["row_number"].as_u64().unwrap()).await,
                        std::slice::from_ref(found)
                    );
                }
            }
        }
    }
    assert_eq!(app.rows(&job["id"], "q=refund%20%238").await, (vec![], 0));
}

#[tokio::test]
async fn texts_are_found_in_files_of_any_encoding() {
    let app = TestApp::start().await;
    let mut utf16 = vec![0xFF, 0xFE];
    let (file, matches) = haystack(1000);
    utf16.extend(
        file.replace("REFUND", "Ärger")
            .encode_utf16()
            .flat_map(u16::to_le_bytes),
    );
    let job = app.process(utf16).await;
    let found = app.rows(&job["id"], "q=%C3%A4RGER&size=1000").await;
    assert_eq!((numbers(&found.0), found.1), ((100..200).collect(), 100));
    let other = matches.len() as u64 - 100;
    assert_eq!(app.rows(&job["id"], "q=refund%20%237").await.1, other);

    // Bytes that aren't text are shown, and found, as U+FFFD.
    let job = app
        .process(
            b"transaction_id,amount,date,description\nA,1,2024-01-01,x\xFFy\nB,1,2024-01-01,x\xC3\xBCy\n",
        )
        .await;
    let found = app.rows(&job["id"], "q=X%EF%BF%BDY").await;
    assert_eq!((numbers(&found.0), found.1), (vec![1], 1));
    assert_eq!(found.0[0]["errors"][0]["code"], json!("row.encoding"));
}

#[tokio::test]
async fn a_search_returns_only_rows_with_a_verdict() {
    let app = TestApp::start().await;
    let user_id = app.user().await;
    let (file, _) = generated(600_000);
    let job_id = app.upload(user_id, file).await;
    let pending = json!({ "id": job_id });
    assert_eq!(app.rows(&pending["id"], "q=subscription").await.1, 0);
    app.slow_down().await;
    app.begin(job_id).await;
    app.under_way(job_id).await;
    app.command(job_id, "pause").await;
    let paused = app.get_json(&format!("/jobs/{job_id}")).await;
    let processed = paused["processed_records"].as_u64().unwrap();
    assert!((1..600_000).contains(&processed), "{processed}");
    assert_eq!(app.rows(&paused["id"], "q=subscription").await.1, processed);
    app.command(job_id, "resume").await;
    let job = app.finished(job_id).await;
    assert_eq!(app.rows(&job["id"], "q=subscription").await.1, 600_000);
}
