use std::io::Cursor;

use container::{Archive, Image, Kind, Refusal, identify, sniff};

use crate::build::{CSV, ods, xlsx, zip};

#[test]
fn tables_are_text() {
    let tables: &[&[u8]] = &[
        b"",
        CSV,
        b"\xEF\xBB\xBFid,amount\n1,2\n",
        b"\xFF\xFEi\0d\0,\0a\0\n\0",
        b"\xFE\xFF\0i\0d\0,\0a\0\n",
        b"i\0d\0,\0a\0m\0o\0u\0n\0t\0\n\0",
        b"sep=;\nid;amount\n",
        b"<DATE>,<TIME>,<AMOUNT>\n20240101,10:00,1\n",
        b"<DATE>\t<TIME>\t<AMOUNT>\n20240101\t10:00\t1\n",
        b"<id>;<amount>\n1;2\n",
        b"<none>\n",
        b"< 5,amount\n",
        b"[Date],[Amount]\n2024-01-01,5\n",
        b"[\"a\",\"b\"],c\n",
        b"[1] id,amount\n",
        b"{id},{amount}\n1,2\n",
        b"{\"id\":1},5.00,2024-01-01\n{\"id\":2},6.00,2024-01-01\n",
        b"{}\n",
        b"BMW,amount\n1,2\n",
        b"MZ,amount\n1,2\n",
        b"PAR1,PAR2\n1,2\n",
        b"PK,amount\n1,2\n",
        b"BZh9,amount\n1,2\n",
        b"%PDF,amount\n",
        b"a\0b\0c,1\n2,3\n",
        b"caf\xE9;montant\n1;2\n",
    ];
    for table in tables {
        assert_eq!(sniff(table), Kind::Text, "{:?}", table.escape_ascii());
    }
}

#[test]
fn other_kinds_are_recognised() {
    let mut tar = vec![0; 512];
    tar[257..263].copy_from_slice(b"ustar\0");
    let files: &[(Kind, &[u8])] = &[
        (Kind::Pdf, b"%PDF-1.4\n"),
        (Kind::Pdf, b"\xEF\xBB\xBF\r\n%PDF-1.7\n"),
        (Kind::Gzip, b"\x1F\x8B\x08"),
        (Kind::Zip, b"PK\x03\x04"),
        (Kind::Xls, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"),
        (Kind::Xls, b"\x09\x04\x06\x00\x00\x00\x10\x00"),
        (Kind::Xml, b"<?xml version=\"1.0\"?><Document/>"),
        (Kind::Xml, b"<Document xmlns=\"urn:iso\"><a/></Document>"),
        (Kind::Xml, b"<!DOCTYPE note SYSTEM \"note.dtd\">"),
        (Kind::Xml, b"<rows><row>1</row></rows>"),
        (Kind::XmlSpreadsheet, b"<?xml version=\"1.0\"?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">"),
        (Kind::Html, b"<!DOCTYPE html><html>"),
        (Kind::Html, b"\n <HTML>\n<HEAD>"),
        (Kind::Html, b"<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><table>"),
        (Kind::Html, b"<table border=\"1\"><tr><td>1</td></tr></table>"),
        (Kind::Html, b"<table><tr><td>1</td></tr></table>"),
        (Kind::Html, b"<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\">"),
        (Kind::Html, b"\xFF\xFE<\0h\0t\0m\0l\0>\0<\0h\0e\0a\0d\0>\0"),
        (Kind::Json, b"[{\"id\":\"T1\"}]"),
        (Kind::Json, b" {\n  \"rows\" : [1, 2]\n}\n"),
        (Kind::Json, b"{\"a\":1}\n{\"a\":2}\n"),
        (Kind::Json, b"[[1,2],[3,4]]"),
        (Kind::Json, b"{\"a\\\"}\":\"}\""),
        (Kind::Rtf, b"{\\rtf1\\ansi"),
        (Kind::Ofx, b"OFXHEADER:100\r\nDATA:OFXSGML\r\n"),
        (Kind::Ofx, b"<?xml version=\"1.0\"?><?OFX OFXHEADER=\"200\"?><OFX>"),
        (Kind::Qif, b"!Type:Bank\nD01/01/2024\n"),
        (Kind::Mt940, b":20:STARTUMS\r\n:25:10020030/1234567\r\n"),
        (Kind::Image(Image::Png), b"\x89PNG\r\n\x1A\n"),
        (Kind::Image(Image::Jpeg), b"\xFF\xD8\xFF\xE0"),
        (Kind::Image(Image::Gif), b"GIF89a"),
        (Kind::Image(Image::Tiff), b"II*\0"),
        (Kind::Image(Image::WebP), b"RIFF\x10\0\0\0WEBPVP8 "),
        (Kind::Image(Image::Heic), b"\0\0\0\x18ftypheic"),
        (Kind::Image(Image::Bmp), b"BM\x10\x20\0\0\0\0\0\0"),
        (Kind::Archive(Archive::Rar), b"Rar!\x1A\x07\x01\0"),
        (Kind::Archive(Archive::SevenZip), b"7z\xBC\xAF\x27\x1C"),
        (Kind::Archive(Archive::Xz), b"\xFD7zXZ\0"),
        (Kind::Archive(Archive::Bzip2), b"BZh91AY&SY"),
        (Kind::Archive(Archive::Zstd), b"\x28\xB5\x2F\xFD"),
        (Kind::Archive(Archive::Tar), &tar),
        (Kind::Parquet, b"PAR1\x15\x04"),
        (Kind::Sqlite, b"SQLite format 3\0"),
        (Kind::Executable, b"\x7FELF\x02"),
        (Kind::Executable, b"MZ\x90\0\x03\0\0\0"),
        (Kind::Binary, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 0]),
    ];
    for (kind, file) in files {
        assert_eq!(sniff(file), *kind, "{:?}", file.escape_ascii());
    }
}

#[test]
fn the_entries_of_a_zip_determine_its_kind() {
    let kind = |file: &[u8]| identify(Cursor::new(file)).unwrap();
    assert_eq!(kind(&zip(&[("a.csv", CSV)])), Kind::Zip);
    assert_eq!(kind(&xlsx(&[""])), Kind::Xlsx);
    assert_eq!(kind(&ods("")), Kind::Ods);
    let odt = b"application/vnd.oasis.opendocument.text";
    assert_eq!(kind(&zip(&[("mimetype", odt)])), Kind::WordDocument);
    let word = [("[Content_Types].xml", CSV), ("word/document.xml", CSV)];
    assert_eq!(kind(&zip(&word)), Kind::WordDocument);
    let binary = [("[Content_Types].xml", CSV), ("xl/workbook.bin", CSV)];
    assert_eq!(kind(&zip(&binary)), Kind::Xlsb);
    assert_eq!(kind(&zip(&[("Index/Document.iwa", CSV)])), Kind::Numbers);
    // A truncated file is still recognised.
    let cut = [("[Content_Types].xml", CSV), ("xl/workbook.xml", CSV)];
    assert_eq!(kind(&zip(&cut)[..200]), Kind::Xlsx);
    assert_eq!(kind(&zip(&[("a.csv", CSV)])[..60]), Kind::Zip);
}

#[test]
fn an_encrypted_workbook_is_recognised_by_its_streams() {
    let mut file = vec![0; 1024];
    file[..8].copy_from_slice(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
    file[30] = 9;
    let identify = |file: &[u8]| identify(Cursor::new(file)).unwrap();
    assert_eq!(identify(&file), Kind::Xls);
    let mut entry = |name: &str| {
        file[512..640].fill(0);
        for (n, unit) in name.encode_utf16().enumerate() {
            file[512 + 2 * n..][..2].copy_from_slice(&unit.to_le_bytes());
        }
        identify(&file)
    };
    assert_eq!(entry("EncryptedPackage"), Kind::EncryptedWorkbook);
    assert_eq!(entry("WordDocument"), Kind::WordDocument);
    assert_eq!(entry("Workbook"), Kind::Xls);
}

#[test]
fn refusals_name_the_file_and_what_to_do() {
    assert_eq!(
        Refusal::Kind(Kind::Pdf).to_string(),
        "This is a PDF document, not a table. Export the transactions as CSV or as an Excel workbook and upload that \
         file."
    );
    assert_eq!(Refusal::Kind(Kind::Pdf).code(), "file.pdf");
    assert_eq!(
        Refusal::TooLargeUnpacked {
            max_bytes: 2_500_000_000
        }
        .to_string(),
        "The table in this file is larger than 2.5 GB as text. Split it, and upload the parts one by one."
    );
}
