//! Tests of the generator itself. That the validator finds what was generated is tested in `validator`.

use testkit::{
    Error, Transactions,
    process::{cpu_seconds, peak_memory},
};

/// `script/bench` compares its results with those of earlier versions, which measured with the same bytes.
#[test]
fn the_same_rows_have_the_same_bytes_in_every_version() {
    let file = Transactions::new(1_234_080).with_errors().text();
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!(lines.len(), 1_234_081);
    let long_id = format!(
        "TXN00000180{},10254.20,2024-03-31,\"Monthly subscription 000180\"",
        "x".repeat(252)
    );
    for (row, line) in [
        (0, "transaction_id,amount,date,description"),
        (1, r#"TXN00000001,10079.19,2024-02-01,"Service fee 000001""#),
        (
            51,
            r#"TXN00000051,-10038.69,2024-04-27,"Service fee 000051""#,
        ),
        (
            151,
            r#"TXN00000151,910957.69,2024-10-16,"Service fee 000151""#,
        ),
        (
            20,
            r#"TXN00000020,10583.80,yesterday,"Monthly subscription 000020""#,
        ),
        (40, r#",10167.60,2024-05-22,"Monthly subscription 000040""#),
        (
            60,
            r#"TXN00000060,10751.40,2024-02-30,"Monthly subscription 000060""#,
        ),
        (
            80,
            r#"TXN00000061,10335.20,2024-10-11,"Monthly subscription 000080""#,
        ),
        (
            100,
            r#"TXN00000100,10919.00,2024-06-21,"Monthly subscription 000100",one field too many"#,
        ),
        (
            120,
            r#"TXN00000120,,2024-03-01,"Monthly subscription 000120""#,
        ),
        (
            140,
            r#"TXN00000140,1e90,2024-11-10,"Monthly subscription 000140""#,
        ),
        (
            160,
            r#"TXN00000160,10670.40,,"Monthly subscription 000160""#,
        ),
        (180, &long_id),
        (
            200,
            r#"TXN00000200,n/a,2024-12-10,"Monthly subscription 000200""#,
        ),
        (
            1_000_001,
            r#"TXN01000001,10079.19,2024-02-01,"Service fee 000001""#,
        ),
        // Repeats the id of a row at half its number.
        (
            1_234_080,
            r#"TXN00617061,48335.20,2024-10-11,"Monthly subscription 234080""#,
        ),
    ] {
        assert_eq!(lines[row], line, "{row}");
    }
}

#[test]
fn the_results_of_parts_add_up_to_that_of_the_file() {
    let file = Transactions::new(10_007).invalid_every(7, &Error::ALL[..4]);
    let whole = file.expected();
    assert_eq!((whole.rows, whole.invalid), (10_007, 1429));
    assert_eq!(whole.errors.values().sum::<u64>(), whole.invalid);
    let parts = [1..=1, 2..=5000, 5001..=10_007].map(|rows| file.expected_in(rows));
    let sum = |count: fn(&testkit::Expected) -> u64| parts.iter().map(count).sum::<u64>();
    assert_eq!(sum(|part| part.rows), whole.rows);
    assert_eq!(sum(|part| part.valid), whole.valid);
    assert_eq!(sum(|part| part.suspicious), whole.suspicious);
}

/// Duplicates repeat the ids of valid rows before them, whatever the share of invalid rows.
#[test]
fn the_row_that_a_duplicate_repeats_is_valid() {
    for every in [2, 3, 7, 20, 999, 1000, 1500, 2001] {
        let file = Transactions::new(0).invalid_every(every, &[Error::IdDuplicate]);
        for duplicate in (1..40).map(|turn| turn * every) {
            let id = file.row(duplicate).transaction_id;
            let original = id.strip_prefix("TXN").unwrap().parse().unwrap();
            assert!(
                (1..duplicate).contains(&original),
                "{duplicate}: {original}"
            );
            assert_eq!(file.error(original), None, "{duplicate}: {original}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn processes_with_any_name_are_measured() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("a) R (b");
    std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
    let mut busy = std::process::Command::new(&program)
        // Waits for its input after it has used some time.
        .args([
            "-c",
            "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo; read end",
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0];
    std::io::Read::read_exact(busy.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let used = cpu_seconds(busy.id()).unwrap();
    assert!(used > 0.0);
    // Those of a process include those of its children.
    assert!(cpu_seconds(std::process::id()).unwrap() >= used);
    assert!(peak_memory(busy.id()).unwrap() > 100 << 10);
    drop(busy.stdin.take());
    busy.wait().unwrap();
}
