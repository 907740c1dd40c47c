//! Tests the child process. This test program acts as the child: it is started again with a single test, which finds a
//! request in the environment.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::process::ExitStatusExt,
    process::{Command, Output},
};

use container::{Converted, Kind, Limits, Outcome, Packing, Refusal, Request, run, run_child};
use tempfile::TempDir;

use crate::build::{CSV, LIMITS, gzip, xlsx, zeros, zip};

const REQUEST: &str = "CONTAINER_TEST_REQUEST";

#[test]
fn acts_as_the_child() {
    if let Some(request) = env::var_os(REQUEST) {
        run_child([request].into_iter());
    }
}

fn request(file: &[u8]) -> (TempDir, Request) {
    let folder = tempfile::tempdir().unwrap();
    let request = Request {
        input: folder.path().join("in"),
        output: folder.path().join("out"),
        limits: LIMITS,
        sheet: None,
        max_memory_bytes: 256 << 20,
        max_cpu_seconds: 60,
    };
    fs::write(&request.input, file).unwrap();
    (folder, request)
}

fn start(request: &Request) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["child::acts_as_the_child", "--exact", "--nocapture"])
        .env(REQUEST, serde_json::to_string(request).unwrap())
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap()
}

fn outcome(request: &Request) -> Outcome {
    let output = start(request);
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.starts_with(['{', '"']));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    serde_json::from_str(line).unwrap()
}

#[test]
fn a_workbook_becomes_csv() {
    let file = xlsx(&[r#"<row><c><v>1</v></c><c><v>2</v></c></row>"#]);
    let (_folder, request) = request(&file);
    let converted = Converted {
        packing: None,
        container: Kind::Xlsx,
        sheet: Some("Sheet1".to_owned()),
        first_row: Some(1),
        bytes: 4,
    };
    assert_eq!(outcome(&request), Outcome::Converted(converted));
    assert_eq!(fs::read(&request.output).unwrap(), b"1,2\n");
}

#[test]
fn a_bomb_needs_little_memory() {
    let (_folder, mut request) = request(&zeros(1024));
    request.limits.max_ratio = u64::MAX;
    request.max_memory_bytes = 64 << 20;
    let max_bytes = LIMITS.max_unpacked_bytes;
    let refusal = Refusal::TooLargeUnpacked { max_bytes };
    assert_eq!(outcome(&request), Outcome::Refused(refusal));
}

#[test]
fn too_much_memory_ends_the_child() {
    let text = "0".repeat(40 << 20);
    let row = format!(r#"<row><c t="inlineStr"><is><t>{text}</t></is></c></row>"#);
    let (_folder, mut request) = request(&xlsx(&[&row]));
    request.limits.max_ratio = u64::MAX;
    request.max_memory_bytes = 64 << 20;
    let output = start(&request);
    // SIGABRT, with which Rust ends when allocation fails.
    assert_eq!(output.status.signal(), Some(6), "{output:?}");
    request.max_memory_bytes = 1 << 30;
    assert!(matches!(outcome(&request), Outcome::Converted(_)));
}

#[test]
fn too_much_time_ends_the_child() {
    let (_folder, mut request) = request(&zeros(16 << 10));
    request.limits = Limits {
        max_unpacked_bytes: u64::MAX,
        max_ratio: u64::MAX,
    };
    request.output = "/dev/null".into();
    request.max_cpu_seconds = 1;
    // SIGXCPU
    assert_eq!(start(&request).status.signal(), Some(24));
}

#[test]
fn files_in_archives() {
    let workbook = xlsx(&[r#"<row><c><v>1</v></c></row>"#]);
    let converted = |packing, container, sheet: Option<&str>, first_row, bytes| {
        Outcome::Converted(Converted {
            packing,
            container,
            sheet: sheet.map(str::to_owned),
            first_row,
            bytes,
        })
    };
    let gzip_packing = Some(Packing::Gzip);
    let sheet = Some("Sheet1");
    let text_bytes = CSV.len() as u64;
    let cases = [
        (CSV.to_vec(), Outcome::Text),
        (
            gzip(CSV),
            converted(gzip_packing, Kind::Text, None, None, text_bytes),
        ),
        (
            gzip(&workbook),
            converted(gzip_packing, Kind::Xlsx, sheet, Some(1), 2),
        ),
        (
            zip(&[("book.xlsx", &workbook)]),
            converted(Some(Packing::Zip), Kind::Xlsx, sheet, Some(1), 2),
        ),
        (
            zip(&[("inner.zip", &zip(&[("a.csv", CSV)]))]),
            Outcome::Refused(Refusal::Nested(Kind::Zip)),
        ),
    ];
    for (file, expected) in cases {
        let (folder, request) = request(&file);
        assert_eq!(run(&request), expected);
        let files = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, if expected == Outcome::Text { 1 } else { 2 });
        // Survives a round trip through JSON.
        let json = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), expected);
    }
}

#[test]
fn sample_files() {
    let cases = [
        (
            "130-workbook.xlsx",
            "file.damaged",
            "This is an Excel workbook (.xlsx) that can't be read: ",
        ),
        (
            "131-old-excel.xls",
            "file.damaged",
            "This is an old Excel workbook (.xls) that can't be read here. ",
        ),
        (
            "134-statement.pdf",
            "file.pdf",
            "This is a PDF document, not a table. ",
        ),
        (
            "136-camt.xml",
            "file.xml",
            "This is an XML document, such as a bank statement in camt.053 format, ",
        ),
        (
            "137-json.json",
            "file.json",
            "This is a JSON document, not a table. ",
        ),
    ];
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/");
    for (name, code, sentence) in cases {
        let (_folder, request) = request(&fs::read(format!("{folder}{name}")).unwrap());
        let Outcome::Refused(refusal) = run(&request) else {
            panic!("{name} is not refused");
        };
        assert_eq!(refusal.code(), code, "{name}");
        assert!(refusal.to_string().starts_with(sentence), "{refusal}");
    }
    let (_folder, request) = request(&fs::read(format!("{folder}133-compressed.zip")).unwrap());
    assert!(matches!(run(&request), Outcome::Converted(_)));
    let text = fs::read_to_string(&request.output).unwrap();
    assert_eq!(
        text,
        "transaction_id,amount,date,description\nT1,10.00,2025-01-01,a\n"
    );
}

#[test]
fn errors_unrelated_to_the_file_are_not_refusals() {
    let (folder, mut request) = request(&gzip(CSV));
    request.output = folder.path().join("missing/out");
    assert!(matches!(run(&request), Outcome::Failed(_)));
    request.input = folder.path().join("nowhere");
    assert!(matches!(run(&request), Outcome::Failed(_)));
}

#[test]
fn wrong_arguments_are_a_defect() {
    let arguments = |arguments: &[&str]| {
        let arguments = Vec::from_iter(arguments.iter().map(OsString::from));
        let code = run_child(arguments.into_iter());
        assert_ne!(code, std::process::ExitCode::SUCCESS);
    };
    arguments(&[]);
    arguments(&["{}"]);
    arguments(&["{}", "more"]);
}
