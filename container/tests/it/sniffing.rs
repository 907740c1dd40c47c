use std::io::Cursor;

use container::{Archive, Image, Kind, Refusal, identify, shown_name, sniff};

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
        // What looks like JSON or a statement may be a header.
        b"null\n1\n",
        b"null,amount\n1,2\n",
        b"[1]\n5\n",
        b"[ref],[amount]\n1,2\n",
        b"[1,2],amount\n5,6\n",
        b"{},amount\n",
        b"1\n",
        b"\"hello\"\n",
        b"!Type:Bank,!Account\n1,2\n",
        b"!Account,Amount\n1,2\n",
        b"!Type;Amount\n1;2\n",
        b"id,text\n1,\"\n:20:x\n:25:y\"\n",
        b"Statement\n:20: is not a field\n",
        b"01,account,text/\n02,account,text/\n",
        b"01,2,3,180601,text\n02,3\n",
        b"101,amount\n102,5\n",
        b"0000018011372505;amount\n1;2\n",
        b"ORC,amount\n1,2\n",
        b"Obj,amount\n1,2\n",
        b"Salted__,amount,date\n1,2\n",
        b"<p>,<h1>\n1,2\n",
        b"\x84Zahlung\x93;Betrag\n1;2\n",
        b"\xC3\xA4;Betrag\n1;2\n",
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
        (Kind::Xml, b"<\0?\0x\0m\0l\0 \0v\0=\0"),
        (Kind::Xml, b"\0<\0?\0x\0m\0l\0 \0v\0="),
        (Kind::XmlSpreadsheet, b"<?xml version=\"1.0\"?><Workbook xmlns=\"urn:schemas-microsoft-com:office:spreadsheet\">"),
        (Kind::Html, b"<!DOCTYPE html><html>"),
        (Kind::Html, b"\n <HTML>\n<HEAD>"),
        (Kind::Html, b"<html xmlns:x=\"urn:schemas-microsoft-com:office:excel\"><table>"),
        (Kind::Html, b"<table border=\"1\"><tr><td>1</td></tr></table>"),
        (Kind::Html, b"<table><tr><td>1</td></tr></table>"),
        (Kind::Html, b"<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\">"),
        (Kind::Html, b"<h1>502 Bad Gateway</h1>"),
        (Kind::Html, b"<TR><TD>transaction_id</TD></TR>"),
        (Kind::Html, b"<center><table><tr><td>a</td></tr></table></center>"),
        (Kind::Html, b"<font face=\"Arial\">x"),
        (Kind::Html, b"<p>Session expired</p>"),
        (Kind::Html, b"\xFF\xFE<\0h\0t\0m\0l\0>\0<\0h\0e\0a\0d\0>\0"),
        (Kind::Json, b"[{\"id\":\"T1\"}]"),
        (Kind::Json, b" {\n  \"rows\" : [1, 2]\n}\n"),
        (Kind::Json, b"{\"a\":1}\n{\"a\":2}\n"),
        (Kind::Json, b"[[1,2],[3,4]]"),
        (Kind::Json, b"{\"a\\\"}\":\"}\""),
        (Kind::Json, b"{}\n"),
        (Kind::Json, b"[ ]"),
        (Kind::Json, b"null\r\n"),
        (Kind::Json, b"[\"a\", \"b]\",\n -1.5e3, true]\n"),
        (Kind::Json, b"\xEF\xBB\xBF[1,2]"),
        (Kind::Rtf, b"{\\rtf1\\ansi"),
        (Kind::Ofx, b"OFXHEADER:100\r\nDATA:OFXSGML\r\n"),
        (Kind::Ofx, b"<?xml version=\"1.0\"?><?OFX OFXHEADER=\"200\"?><OFX>"),
        (Kind::Ofx, b"ofxheader:100\ndata:OFXSGML\n"),
        (Kind::Ofx, b"<ofx>\n<SIGNONMSGSRSV1>"),
        (Kind::Qif, b"!Type:Bank\nD01/01/2024\n"),
        (Kind::Qif, b"\xEF\xBB\xBF!type:bank \nD01/01/2024\n"),
        (Kind::Qif, b"!Option:MDY\n!Type:Bank\n"),
        (Kind::Qif, b"!Clear:AutoSwitch\n!Type:Bank\n"),
        (Kind::Qif, b"!Account\nNGiro\n^\n"),
        (Kind::Mt940, b":20:STARTUMS\r\n:25:10020030/1234567\r\n"),
        (Kind::Mt940, b"{1:F01INGBNL2ABXXX0000000000}{2:I940"),
        (Kind::Mt940, b"{1:A21BANKDEFFAXXX0000000000}{2:O103"),
        (Kind::Mt940, b":940:\r\n:20:STARTUMSE\r\n:25:50010060/1234\r\n"),
        (Kind::Mt940, b"ABNANL2A\r\n940\r\nABNANL2A\r\n:20:ABN AMRO BANK NV\r\n:25:517852257\r\n"),
        (Kind::Mt940, b"0000 01INGBNL2AXXXX00001\r\n0000 01INGBNL2AXXXX00001\r\n940 00\r\n:20:P1\r\n:21:X\r\n:25:NL69\r\n"),
        (Kind::Coda, CODA),
        (Kind::Bai2, b"01,121000248,999999999,180601,1200,1,80,1,2/\n02,999999999,121000248,1,180601,1200,USD,2/\n"),
        (Kind::Nacha, b"101 091000019 1234567891806010830A094101FIRST BANK             MY COMPANY\n5200MY COMPANY\n"),
        (Kind::Encrypted, b"-----BEGIN PGP MESSAGE-----\n\nhQEMA6zl\n"),
        (Kind::Encrypted, b"\x85\x01\x0C\x03\x9A"),
        (Kind::Encrypted, b"\x8C\x0D\x04\x09\x03"),
        (Kind::Encrypted, b"Salted__\x8F\x01abcdef"),
        (Kind::Encrypted, b"age-encryption.org/v1\n-> X25519 abc\n"),
        (Kind::Orc, b"ORC\x08\x03"),
        (Kind::Avro, b"Obj\x01\x04\x14avro.codec"),
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

/// The beginning of a statement in CODA: records of 128 characters.
const CODA: &[u8] = b"0000018011372505        00309755  Some company              BBRUBEBB   00435000000 00000                                       2\r\n\
                      12001BE33737018595246                  EUR0000000000100200010118Some name                 Zichtrekening                      001\r\n";

#[test]
fn json_is_recognised_by_its_beginning() {
    let mut file = b"[".to_vec();
    while file.len() < 100_000 {
        file.extend_from_slice(b"\"A, B\",\n");
    }
    assert_eq!(sniff(&file), Kind::Json);
    file[9] = b'x';
    assert_eq!(sniff(&file), Kind::Text);
}

#[test]
fn the_entries_of_a_zip_determine_its_kind() {
    let kind = |file: &[u8]| identify(Cursor::new(file)).unwrap();
    assert_eq!(kind(&zip(&[("a.csv", CSV)])), Kind::Zip);
    assert_eq!(kind(&xlsx(&[""])), Kind::Xlsx);
    assert_eq!(kind(&ods("")), Kind::Ods);
    let manifest = b"<manifest:file-entry manifest:full-path=\"/\" manifest:media-type=\"application/vnd.oasis.opendocument.spreadsheet\"/>";
    let without_type = [("content.xml", CSV), ("META-INF/manifest.xml", manifest)];
    assert_eq!(kind(&zip(&without_type)), Kind::Ods);
    let type_last = [
        ("content.xml", CSV),
        (
            "mimetype",
            b"application/vnd.oasis.opendocument.spreadsheet",
        ),
    ];
    assert_eq!(kind(&zip(&type_last)), Kind::Ods);
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
fn ole_files_are_recognised_by_their_streams() {
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
    assert_eq!(entry("__properties_version1.0"), Kind::OutlookMessage);
    assert_eq!(entry("__substg1.0_001A001E"), Kind::OutlookMessage);
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
        Refusal::Kind(Kind::Encrypted).to_string(),
        "This is an encrypted file. Decrypt it, and upload the CSV file or Excel workbook in it."
    );
    assert_eq!(
        Refusal::Kind(Kind::OutlookMessage).to_string(),
        "This is an Outlook message (.msg), not a table. Save the file that is attached to it, and upload that file."
    );
    let names = ["a\u{202E}vsc.exe", "b\u{200B}\u{1B}\u{FEFF}"].map(str::to_owned);
    assert_eq!(
        Refusal::SeveralFiles(names).to_string(),
        "This zip archive contains several files, such as \"a\u{FFFD}vsc.exe\" and \"b\u{FFFD}\u{FFFD}\u{FFFD}\". Unpack it, \
         and upload each file on its own."
    );
    assert_eq!(shown_name("\u{202E}Fees"), "\u{FFFD}Fees");
    assert_eq!(
        Refusal::TooLargeUnpacked {
            max_bytes: 2_500_000_000
        }
        .to_string(),
        "The table in this file is larger than 2.5 GB as text. Split it, and upload the parts one by one."
    );
}
