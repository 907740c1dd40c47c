//! Builds files for the tests.

use std::io::{Cursor, Write};

use container::Limits;
use flate2::{Compression, write::GzEncoder};
use zip::{ZipWriter, write::SimpleFileOptions};

pub const LIMITS: Limits = Limits {
    max_unpacked_bytes: 50_000_000,
    max_ratio: 200,
};

pub const CSV: &[u8] = b"transaction_id,amount,date\nT1,10.00,2025-01-01\n";

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        if name.ends_with('/') {
            writer
                .add_directory(*name, SimpleFileOptions::default())
                .unwrap();
        } else {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

/// Returns a gzip file of this many megabytes of zeros, in members of 16 MB.
pub fn zeros(megabytes: usize) -> Vec<u8> {
    gzip(&vec![0x30; 16 << 20]).repeat(megabytes.div_ceil(16))
}

/// Returns an .xlsx workbook with the XML of these sheets (`<row>…`), for content that the library wouldn't write.
pub fn xlsx(sheet_data: &[&str]) -> Vec<u8> {
    let head = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#;
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006";
    let mut sheets = String::new();
    let mut relationships = String::new();
    let mut parts = Vec::new();
    for (n, data) in sheet_data.iter().enumerate() {
        let n = n + 1;
        sheets += &format!(r#"<sheet name="Sheet{n}" sheetId="{n}" r:id="rId{n}"/>"#);
        relationships += &format!(
            r#"<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>"#
        );
        let part =
            format!(r#"{head}<worksheet xmlns="{main}"><sheetData>{data}</sheetData></worksheet>"#);
        parts.push((format!("xl/worksheets/sheet{n}.xml"), part));
    }
    parts.push((
        "[Content_Types].xml".into(),
        format!(r#"{head}<Types xmlns="{package}/content-types"></Types>"#),
    ));
    parts.push((
        "_rels/.rels".into(),
        format!(
            r#"{head}<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
        ),
    ));
    parts.push((
        "xl/workbook.xml".into(),
        format!(
            r#"{head}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{sheets}</sheets></workbook>"#
        ),
    ));
    parts.push((
        "xl/_rels/workbook.xml.rels".into(),
        format!(
            r#"{head}<Relationships xmlns="{package}/relationships">{relationships}</Relationships>"#
        ),
    ));
    let entries = Vec::from_iter(
        parts
            .iter()
            .map(|(name, part)| (name.as_str(), part.as_bytes())),
    );
    zip(&entries)
}

/// Returns an .ods workbook with the rows of a table, written by hand.
pub fn ods(tables: &str) -> Vec<u8> {
    let content = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"><office:automatic-styles><style:style style:name="ta2" style:family="table"><style:table-properties table:display="false"/></style:style></office:automatic-styles><office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>"#
    );
    let manifest = r#"<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"></manifest:manifest>"#;
    zip(&[
        (
            "mimetype",
            b"application/vnd.oasis.opendocument.spreadsheet",
        ),
        ("META-INF/manifest.xml", manifest.as_bytes()),
        ("content.xml", content.as_bytes()),
    ])
}
