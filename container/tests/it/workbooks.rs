use std::io::Cursor;

use container::{Error, Kind, Limits, Refusal, Sheet, convert_sheet, identify, sheets};
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};

use crate::build::{self, LIMITS, ods};

fn csv(file: &[u8], sheet: Option<&str>) -> Result<String, Refusal> {
    let kind = identify(Cursor::new(file)).unwrap();
    let mut out = Vec::new();
    let bytes = file.len() as u64;
    match convert_sheet(kind, Cursor::new(file), bytes, sheet, LIMITS, &mut out) {
        Ok(converted) => {
            assert_eq!(converted.bytes, out.len() as u64);
            Ok(String::from_utf8(out).unwrap())
        }
        Err(Error::Refused(refusal)) => Err(refusal),
        Err(Error::Io(error)) => panic!("{error}"),
    }
}

fn saved(mut workbook: Workbook) -> Vec<u8> {
    workbook.save_to_buffer().unwrap()
}

#[test]
fn values_of_all_types() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let date = Format::new().set_num_format("dd/mm/yyyy");
    let time = Format::new().set_num_format("hh:mm:ss");
    let day = ExcelDateTime::parse_from_str("2024-02-29").unwrap();
    let moment = ExcelDateTime::parse_from_str("2024-02-29T09:01:00").unwrap();
    let clock = ExcelDateTime::parse_from_str("18:30:15").unwrap();
    sheet.write(0, 0, "id").unwrap();
    sheet.write(0, 1, "a, \"b\"\nc").unwrap();
    sheet.write(1, 0, "12345678901234567").unwrap();
    sheet.write(1, 1, 12_345_678_901_234_567.0).unwrap();
    sheet.write(2, 0, 0.1 + 0.2).unwrap();
    sheet.write(2, 1, 5.0).unwrap();
    sheet.write_with_format(3, 0, &day, &date).unwrap();
    sheet.write_with_format(3, 1, &moment, &date).unwrap();
    sheet.write_with_format(4, 0, &clock, &time).unwrap();
    sheet.write(4, 1, true).unwrap();
    sheet
        .write_formula(5, 0, Formula::new("=1/0").set_result("#DIV/0!"))
        .unwrap();
    sheet
        .write_formula(5, 1, Formula::new("=40+2").set_result("42"))
        .unwrap();
    sheet.write(6, 0, "€ 007 ").unwrap();
    sheet.write(6, 1, -1234.5).unwrap();
    assert_eq!(
        csv(&saved(workbook), None).unwrap(),
        "id,\"a, \"\"b\"\"\nc\"\n\
         12345678901234567,12345678901234568\n\
         0.3,5\n\
         2024-02-29,2024-02-29T09:01:00\n\
         18:30:15,TRUE\n\
         #DIV/0!,42\n\
         € 007 ,-1234.5\n"
    );
}

#[test]
fn the_used_range_is_kept_with_its_gaps() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let format = Format::new();
    sheet.write(2, 1, "id").unwrap();
    sheet.merge_range(2, 2, 3, 3, "amount", &format).unwrap();
    sheet.write(5, 1, 1).unwrap();
    sheet.write(5, 3, 2).unwrap();
    // A cell that has only a format has no value.
    sheet.write_blank(10, 10, &format).unwrap();
    let file = saved(workbook);
    assert_eq!(csv(&file, None).unwrap(), "id,amount,\n\n\n1,,2\n");
    let input = Cursor::new(&file);
    let converted = convert_sheet(Kind::Xlsx, input, 0, None, LIMITS, Vec::new());
    assert_eq!(converted.unwrap().first_row, 3);
}

#[test]
fn dates_of_the_1904_system() {
    let file = build::xlsx(&[r#"<row r="1"><c r="A1" s="1"><v>43889.5</v></c></row>"#]);
    let file = with_parts(
        &file,
        &[
            (
                "xl/workbook.xml",
                "<sheets>",
                r#"<workbookPr date1904="1"/><sheets>"#,
            ),
            (
                "xl/_rels/workbook.xml.rels",
                "</Relationships>",
                r#"<Relationship Id="rId9" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>"#,
            ),
        ],
        &[(
            "xl/styles.xml",
            r#"<?xml version="1.0"?><styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>"#,
        )],
    );
    assert_eq!(csv(&file, None).unwrap(), "2024-02-29T12:00:00\n");
}

/// Copies a zip archive, replacing text in some parts and adding others.
fn with_parts(file: &[u8], replaced: &[(&str, &str, &str)], added: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).unwrap();
    let mut parts = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut content = std::io::read_to_string(&mut entry).unwrap();
        for (part, from, to) in replaced {
            if *part == name {
                assert!(content.contains(from), "{content}");
                content = content.replace(from, to);
            }
        }
        parts.push((name, content));
    }
    let added = added
        .iter()
        .map(|(name, content)| ((*name).to_owned(), (*content).to_owned()));
    parts.extend(added);
    let entries = Vec::from_iter(
        parts
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_bytes())),
    );
    build::zip(&entries)
}

#[test]
fn long_numbers_keep_their_digits() {
    let file = build::xlsx(&[
        "",
        r#"<row r="1"><c r="A1" t="n"><v>12345678901234567</v></c><c><v>12345678901234568</v></c></row>
           <row><c><v>-98765432109876543210</v></c><c><v>1.1000000000000001</v></c></row>
           <row r="4"><c r="A4"><v>0.1234567890123456789</v></c><c t="str"><v>00123</v></c></row>
           <row r="5"><c r="A5"><f>6*7</f><v>42</v></c><c t="e"><v>#N/A</v></c><c t="d"><v>2024-02-29T00:00:00</v></c></row>"#,
    ]);
    assert_eq!(
        csv(&file, None).unwrap(),
        "12345678901234567,12345678901234568,\n\
         -98765432109876543210,1.1,\n\
         \n\
         0.1234567890123456789,00123,\n\
         42,#N/A,2024-02-29\n"
    );
}

/// A formula whose value is an empty text doesn't count as a value.
#[test]
fn cells_out_of_order_are_sorted() {
    let file = build::xlsx(&[
        r#"<row r="3"><c r="C3" t="str"><f>""</f><v></v></c></row><row r="2"><c r="B2"><v>4</v></c><c r="A2"><v>3</v></c></row><row r="1"><c r="A1"><v>1</v></c></row>"#,
    ]);
    assert_eq!(csv(&file, None).unwrap(), "1,\n3,4\n");
}

#[test]
fn errors_of_any_kind_are_text() {
    let error =
        |cell: &str, text: &str| format!(r#"<c r="{cell}" t="e"><f>A1</f><v>{text}</v></c>"#);
    let row = |number: u32, texts: [&str; 3]| {
        let cells = [("A", texts[0]), ("B", texts[1]), ("C", texts[2])];
        let cells = cells.map(|(column, text)| error(&format!("{column}{number}"), text));
        format!(r#"<row r="{number}">{}</row>"#, cells.concat())
    };
    let rows = [
        row(1, ["#GETTING_DATA", "#CALC!", "#FIELD!"]),
        row(2, ["#N/A", "#BLOCKED!", "#BUSY!"]),
        row(3, ["#SPILL!", "", "#SPILL!"]),
        row(4, ["#NV", "#DIV/0!", "Err:502"]),
    ];
    let file = build::xlsx(&["", &rows.concat()]);
    assert_eq!(
        csv(&file, None).unwrap(),
        "#GETTING_DATA,#CALC!,#FIELD!\n\
         #N/A,#BLOCKED!,#BUSY!\n\
         #SPILL!,,#SPILL!\n\
         #NV,#DIV/0!,Err:502\n"
    );
    // Without positions the cells after an error would move.
    let unplaced = r#"<row><c t="e"><v>#SPILL!</v></c><c><v>1</v></c></row>"#;
    let damaged = Err(Refusal::Damaged(Kind::Xlsx));
    assert_eq!(csv(&build::xlsx(&[unplaced]), None), damaged);
}

/// Returns a workbook with a number in each of these cells, ordered by rows.
fn with_cells(cells: &[&str]) -> Vec<u8> {
    let cells = cells
        .iter()
        .map(|cell| format!(r#"<row><c r="{cell}"><v>1</v></c></row>"#));
    build::xlsx(&[&String::from_iter(cells)])
}

#[test]
fn cells_far_away_cost_little() {
    // Far to the right: the row alone is long.
    let file = with_cells(&["A1", "C1", "XFD2", "A3"]);
    let text = format!("1,,1\n{}1\n1,,\n", ",".repeat(16_383));
    assert_eq!(csv(&file, None).unwrap(), text);
    // At the bottom: rows without values are empty.
    let file = with_cells(&["A1", "XFD1", "A600000"]);
    let text = csv(&file, None).unwrap();
    assert_eq!(text.lines().count(), 600_000);
    assert_eq!(text.len(), 600_000 + 16_383 + 3);
    assert_eq!(csv(&with_cells(&["XFD1048576"]), None).unwrap(), "1\n");
    // A small file never becomes a large one.
    let far = csv(&with_cells(&["A1", "XFD1048576"]), None).unwrap_err();
    assert_eq!(far, Refusal::SheetRatio { max_ratio: 200 });
    assert_eq!(
        (far.code(), far.to_string().as_str()),
        (
            "file.ratio",
            "This sheet is more than 200 times as large as the file when it is written as text, probably because there \
             are values far from the table. Delete all rows and columns beyond the table, save the workbook, and upload \
             it again."
        )
    );
    let damaged = Refusal::Damaged(Kind::Xlsx);
    assert_eq!(csv(&with_cells(&["A1048577"]), None), Err(damaged));
}

#[test]
fn the_ratio_is_that_to_the_uploaded_file() {
    let row =
        |row: u32| format!(r#"<row><c r="A{row}"><v>1</v></c><c r="CV{row}"><v>1</v></c></row>"#);
    let rows = Vec::from_iter((1..=12_000).map(row));
    let workbook = build::xlsx(&[&rows.concat()]);
    let text = csv(&workbook, None).unwrap();
    assert_eq!(text.len(), 12_000 * 102);
    let input = Cursor::new(&workbook);
    let result = convert_sheet(Kind::Xlsx, input, 1000, None, LIMITS, std::io::sink());
    let refused = matches!(result, Err(Error::Refused(Refusal::SheetRatio { .. })));
    assert!(refused, "{result:?}");
}

#[test]
fn a_number_cell_never_looks_grouped() {
    let cell = |attributes: &str| format!("<table:table-cell {attributes}/>");
    let number = |value| {
        cell(&format!(
            r#"office:value-type="float" office:value="{value}""#
        ))
    };
    let text =
        r#"<table:table-cell office:value-type="string"><text:p>1.234</text:p></table:table-cell>"#;
    let file = ods(&format!(
        r#"<table:table table:name="a"><table:table-row>{}{}{text}</table:table-row></table:table>"#,
        number("1.234"),
        number("1.23")
    ));
    assert_eq!(csv(&file, None).unwrap(), "1.2340,1.23,1.234\n");
    let row = r#"<row r="1"><c r="A1"><v>1.234</v></c><c r="B1" t="str"><v>1.234</v></c><c r="C1"><v>1234.6599999999999</v></c></row>"#;
    assert_eq!(
        csv(&build::xlsx(&[row]), None).unwrap(),
        "1.2340,1.234,1234.66\n"
    );
}

fn three_sheets() -> Workbook {
    let mut workbook = Workbook::new();
    workbook.add_worksheet().set_name("Empty").unwrap();
    let sheet = workbook.add_worksheet().set_name("Payments").unwrap();
    sheet.write(0, 0, "id").unwrap();
    let sheet = workbook.add_worksheet().set_name("Rates").unwrap();
    sheet.write(0, 0, "rate").unwrap().set_hidden(true);
    workbook
}

#[test]
fn the_only_sheet_with_cells_is_chosen() {
    let file = saved(three_sheets());
    let sheet = |name: &str, is_hidden, has_cells| Sheet {
        name: name.to_owned(),
        is_hidden,
        has_cells,
    };
    let expected = [
        sheet("Empty", false, false),
        sheet("Payments", false, true),
        sheet("Rates", true, true),
    ];
    assert_eq!(sheets(Kind::Xlsx, Cursor::new(&file)).unwrap(), expected);
    assert_eq!(csv(&file, None).unwrap(), "id\n");
    assert_eq!(csv(&file, Some("Rates")).unwrap(), "rate\n");
    assert_eq!(csv(&file, Some(" payments")).unwrap(), "id\n");
    let empty = Refusal::EmptySheet("Empty".to_owned());
    assert_eq!(csv(&file, Some("Empty")), Err(empty));
    let unknown = csv(&file, Some("2023")).unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "This workbook has no sheet \"2023\". Choose the sheet with the transactions: \"Payments\", \"Rates\" (hidden)."
    );
    assert_eq!(unknown.code(), "format.sheet");
}

#[test]
fn several_sheets_are_a_question() {
    let mut workbook = three_sheets();
    let sheet = workbook.add_worksheet().set_name("Fees").unwrap();
    sheet.write(0, 0, "id").unwrap();
    assert_eq!(
        csv(&saved(workbook), None).unwrap_err().to_string(),
        "This workbook has several sheets with values. Choose the sheet with the transactions: \"Payments\", \"Fees\", \
         \"Rates\" (hidden)."
    );
}

#[test]
fn a_hidden_sheet_is_not_chosen_on_its_own() {
    let mut workbook = Workbook::new();
    workbook.add_worksheet();
    let sheet = workbook.add_worksheet().set_name("Data").unwrap();
    sheet.write(0, 0, "id").unwrap().set_very_hidden(true);
    assert_eq!(
        csv(&saved(workbook), None).unwrap_err().to_string(),
        "The transactions may be on a hidden sheet of this workbook. Choose the sheet with the transactions: \"Data\" \
         (hidden)."
    );
}

#[test]
fn an_empty_workbook_is_refused() {
    let mut workbook = Workbook::new();
    workbook.add_worksheet();
    assert_eq!(csv(&saved(workbook), None), Err(Refusal::EmptyWorkbook));
}

#[test]
fn a_truncated_workbook_is_refused() {
    let file = saved(three_sheets());
    for length in [100, 1000, file.len() / 2, file.len() - 1] {
        let refusal = csv(&file[..length], None).unwrap_err();
        assert_eq!(refusal, Refusal::Damaged(Kind::Xlsx), "{length}");
    }
}

#[test]
fn the_csv_is_bounded() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for row in 0..1000 {
        sheet.write(row, 0, "0123456789").unwrap();
    }
    let file = saved(workbook);
    let limits = Limits {
        max_unpacked_bytes: 10_999,
        ..LIMITS
    };
    let mut out = Vec::new();
    let result = convert_sheet(Kind::Xlsx, Cursor::new(&file), 0, None, limits, &mut out);
    let refused = matches!(
        result,
        Err(Error::Refused(Refusal::TooLargeUnpacked { .. }))
    );
    assert!(refused, "{result:?}");
    assert!(out.len() < 11_000);
    assert_eq!(csv(&file, None).unwrap().len(), 11_000);
}

#[test]
fn opendocument() {
    let cell = |attributes: &str, text: &str| {
        format!("<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>")
    };
    let rows = [
        [
            cell(r#"office:value-type="string""#, "a, b"),
            cell(r#"office:value-type="float" office:value="0.1""#, "0,10"),
            cell(
                r#"office:value-type="date" office:date-value="2024-02-29""#,
                "29.02.24",
            ),
        ],
        [
            cell(
                r#"office:value-type="boolean" office:boolean-value="true""#,
                "WAHR",
            ),
            cell(
                r#"office:value-type="time" office:time-value="PT18H30M15S""#,
                "18:30",
            ),
            cell(
                r#"office:value-type="date" office:date-value="2024-02-29T09:01:00""#,
                "29.02.",
            ),
        ],
    ];
    let rows = rows.map(|cells| format!("<table:table-row>{}</table:table-row>", cells.concat()));
    let rows = rows.concat();
    let file = ods(&format!(
        r#"<table:table table:name="Data">{rows}</table:table><table:table table:name="Old" table:style-name="ta2">{rows}</table:table>"#
    ));
    let expected = "\"a, b\",0.1,2024-02-29\nTRUE,18:30:15,2024-02-29T09:01:00\n";
    assert_eq!(csv(&file, None).unwrap(), expected);
    assert_eq!(csv(&file, Some("Old")).unwrap(), expected);
}
