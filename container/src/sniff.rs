//! Identifies files by their first bytes.
//!
//! Most formats begin with a signature that no text has. HTML, XML and JSON don't. They are text, and so may be the
//! header of a table: `<DATE>,<TIME>`, `[Date];[Amount]`, `{"a":1};5`. They are recognised only if the file can't be a
//! table. The same applies to the formats of bank statements in `statement.rs`.

use crate::{Archive, Image, Kind, statement};

/// The number of first bytes that [`sniff`] uses.
pub const SNIFF_BYTES: usize = 8 << 10;

const UTF_8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// Returns the kind of the file that begins with these bytes. Only the first 8 KiB count. A workbook looks like any
/// other zip archive unless its first entry identifies it.
pub fn sniff(first_bytes: &[u8]) -> Kind {
    let bytes = &first_bytes[..first_bytes.len().min(SNIFF_BYTES)];
    let is_whole = first_bytes.len() < SNIFF_BYTES;
    let by_text = |text: &[u8]| by_text(text, is_whole);
    if let Some(kind) = by_signature(bytes) {
        return kind;
    }
    // A BOM means that the file is text, but not which kind of text.
    if let Some(rest) = bytes.strip_prefix(UTF_8_BOM) {
        return by_text(rest).unwrap_or(Kind::Text);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFF\xFE") {
        return by_text(&narrow(rest, u16::from_le_bytes)).unwrap_or(Kind::Text);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xFE\xFF") {
        return by_text(&narrow(rest, u16::from_be_bytes)).unwrap_or(Kind::Text);
    }
    // UTF-16 without a BOM
    let without_bom = match bytes {
        [1..=0xFF, 0, ..] => by_text(&narrow(bytes, u16::from_le_bytes)),
        [0, 1..=0xFF, ..] => by_text(&narrow(bytes, u16::from_be_bytes)),
        _ => by_text(bytes),
    };
    if let Some(kind) = without_bom {
        return kind;
    }
    match is_binary(bytes) {
        true => Kind::Binary,
        false => Kind::Text,
    }
}

fn by_signature(bytes: &[u8]) -> Option<Kind> {
    let at = |offset: usize, signature: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(signature))
    };
    let byte = |offset: usize| bytes.get(offset).copied();
    let kind = if at(0, b"\x1F\x8B") {
        Kind::Gzip
    } else if at(0, b"PK\x03\x04") {
        // The first entry of an OpenDocument file is stored uncompressed and is its media type.
        match at(
            30,
            b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
        ) {
            true => Kind::Ods,
            false => Kind::Zip,
        }
    } else if at(0, b"PK\x05\x06") || at(0, b"PK\x07\x08") {
        Kind::Zip
    } else if at(0, b"\xD0\xCF\x11\xE0") || is_bare_biff(bytes) {
        Kind::Xls
    } else if at(0, b"\x89PNG\r\n\x1A\n") {
        Kind::Image(Image::Png)
    } else if at(0, b"\xFF\xD8\xFF") {
        Kind::Image(Image::Jpeg)
    } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
        Kind::Image(Image::Gif)
    } else if at(0, b"II*\0") || at(0, b"MM\0*") {
        Kind::Image(Image::Tiff)
    } else if at(0, b"RIFF") && at(8, b"WEBP") {
        Kind::Image(Image::WebP)
    } else if at(4, b"ftyphei") || at(4, b"ftyphev") || at(4, b"ftypmif1") || at(4, b"ftypavif") {
        Kind::Image(Image::Heic)
    } else if at(0, b"BM") && at(6, &[0; 4]) {
        Kind::Image(Image::Bmp)
    } else if at(0, b"Rar!\x1A\x07") {
        Kind::Archive(Archive::Rar)
    } else if at(0, b"7z\xBC\xAF\x27\x1C") {
        Kind::Archive(Archive::SevenZip)
    } else if at(0, b"\xFD7zXZ\0") {
        Kind::Archive(Archive::Xz)
    } else if at(0, b"BZh") && matches!(byte(3), Some(b'1'..=b'9')) && at(4, b"1AY&SY") {
        Kind::Archive(Archive::Bzip2)
    } else if at(0, b"\x28\xB5\x2F\xFD") {
        Kind::Archive(Archive::Zstd)
    } else if at(0, b"\x04\x22\x4D\x18") {
        Kind::Archive(Archive::Lz4)
    } else if at(0, b"MSCF\0\0\0\0") {
        Kind::Archive(Archive::Cab)
    } else if at(0, b"\x1F\x9D") || at(0, b"\x1F\xA0") {
        Kind::Archive(Archive::Compress)
    } else if at(257, b"ustar\0") || at(257, b"ustar ") {
        Kind::Archive(Archive::Tar)
    } else if at(0, b"PAR1") && byte(4).is_some_and(is_control) {
        Kind::Parquet
    } else if at(0, b"ORC") && byte(3).is_some_and(is_control) {
        Kind::Orc
    } else if at(0, b"Obj\x01") {
        Kind::Avro
    } else if at(0, b"age-encryption.org/v1\n") || is_openssl(bytes) || is_openpgp(bytes) {
        Kind::Encrypted
    } else if at(0, b"SQLite format 3\0") {
        Kind::Sqlite
    } else if at(0, b"\x7FELF")
        || at(0, b"\xCF\xFA\xED\xFE")
        || at(0, b"\xCE\xFA\xED\xFE")
        || at(0, b"MZ") && bytes.iter().take(64).any(|&byte| byte == 0)
    {
        Kind::Executable
    } else {
        return None;
    };
    Some(kind)
}

/// Returns whether the bytes begin a workbook of Excel 2 to 5, which has no container: a BOF record, its length and
/// version.
fn is_bare_biff(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x09, 0x00, 0x04, 0x00, ..]
            | [0x09, 0x02, 0x06, 0x00, ..]
            | [0x09, 0x04, 0x06, 0x00, ..]
            | [0x09, 0x08, 0x08 | 0x10, 0x00, ..]
    )
}

/// Returns whether the bytes begin a file of `openssl enc`: its name and a salt of 8 random bytes.
fn is_openssl(bytes: &[u8]) -> bool {
    let salt = bytes
        .strip_prefix(b"Salted__")
        .and_then(|rest| rest.get(..8));
    salt.is_some_and(|salt| {
        salt.iter()
            .any(|&byte| is_control(byte) || !byte.is_ascii())
    })
}

/// Returns whether the bytes begin an encrypted message of OpenPGP (RFC 9580, 4.2 and 5): a packet with a session key,
/// its length and version. A text has no such control characters.
fn is_openpgp(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x84, _, 3, ..]
            | [0x85, 0..=8, _, 3, ..]
            | [0x8C, 4..=0x2F, 4..=6, ..]
            | [0xC1, 0xC0..=0xC8, _, 3, ..]
            | [0xC1, 0x20..=0xBF, 3, ..]
            | [0xC3, 4..=0x2F, 4..=6, ..]
    )
}

/// Recognises text that isn't a table, in any encoding that contains ASCII. `is_whole` says whether it is all of a file.
fn by_text(bytes: &[u8], is_whole: bool) -> Option<Kind> {
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"%PDF-") {
        Some(Kind::Pdf)
    } else if text.starts_with(b"{\\rtf") {
        Some(Kind::Rtf)
    } else if text.starts_with(b"-----BEGIN PGP MESSAGE-----") {
        Some(Kind::Encrypted)
    } else if let Some(kind) = statement::kind(text) {
        Some(kind)
    } else if text.starts_with(b"MIME-Version:") {
        // The form in which Excel saves a "single file web page".
        Some(Kind::Html)
    } else if text.first() == Some(&b'<') {
        by_markup(text)
    } else if is_json(text, is_whole) {
        Some(Kind::Json)
    } else {
        None
    }
}

/// The elements with which web pages and parts of them begin.
const HTML: [&str; 31] = [
    "html", "head", "body", "table", "thead", "tbody", "tr", "td", "th", "script", "noscript",
    "meta", "style", "title", "div", "span", "p", "h1", "h2", "h3", "h4", "center", "font", "b",
    "strong", "pre", "a", "img", "iframe", "ul", "ol",
];

fn by_markup(text: &[u8]) -> Option<Kind> {
    let lower = text.to_ascii_lowercase();
    let contains = |part: &str| {
        lower
            .windows(part.len())
            .any(|window| window == part.as_bytes())
    };
    if lower.starts_with(b"<?xml") || lower.starts_with(b"<?mso-application") {
        return Some(
            if contains("urn:schemas-microsoft-com:office:spreadsheet") {
                Kind::XmlSpreadsheet
            } else if contains("<html") {
                Kind::Html
            } else if contains("<?ofx") || contains("<ofx>") {
                Kind::Ofx
            } else {
                Kind::Xml
            },
        );
    }
    if lower.starts_with(b"<!doctype") {
        return Some(match contains("html") {
            true => Kind::Html,
            false => Kind::Xml,
        });
    }
    if lower.starts_with(b"<!--") {
        return Some(match contains("<html") || contains("<table") {
            true => Kind::Html,
            false => Kind::Xml,
        });
    }
    let name_length = lower[1..]
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_:-.".contains(byte))
        .count();
    let name = &lower[1..=name_length];
    let rest = &lower[1 + name_length..];
    if name.is_empty()
        || !matches!(
            rest.first(),
            Some(b'>' | b'/' | b' ' | b'\t' | b'\r' | b'\n')
        )
    {
        return None;
    }
    // `<date>` may be a name in the header of a table. A real element has attributes, or ends somewhere.
    let tag_length = rest.iter().position(|&byte| byte == b'>')?;
    let has_attributes = rest[..tag_length]
        .windows(2)
        .any(|window| matches!(window, b"=\"" | b"='"));
    let has_end = contains(&format!("</{}>", String::from_utf8_lossy(name)));
    let in_html = HTML.map(str::as_bytes).contains(&name);
    let is_followed_by_markup = rest[tag_length + 1..].trim_ascii_start().first() == Some(&b'<');
    match (in_html, has_attributes || has_end) {
        (true, true) => Some(Kind::Html),
        (true, false) if name == b"html" && is_followed_by_markup => Some(Kind::Html),
        (false, true) => Some(Kind::Xml),
        _ => None,
    }
}

/// Returns whether text is JSON: a single array or object; or the beginning of an object with a name, or of an array of
/// objects or of arrays, unless it is the first field of a record.
fn is_json(text: &[u8], is_whole: bool) -> bool {
    if is_single_value(text, is_whole) {
        return true;
    }
    let is_json = match text.first() {
        Some(b'{') => begins_object(text),
        Some(b'[') => {
            let inner = text[1..].trim_ascii_start();
            match inner.first() {
                Some(b'{') => begins_object(inner),
                Some(b'[') => inner[1..]
                    .trim_ascii_start()
                    .first()
                    .is_some_and(|byte| b"\"-0123456789[{".contains(byte)),
                _ => false,
            }
        }
        _ => false,
    };
    is_json && !is_followed_by_field(text)
}

/// Returns whether the text begins with an object that has at least one name.
fn begins_object(text: &[u8]) -> bool {
    let Some(name) = text[1..].trim_ascii_start().strip_prefix(b"\"") else {
        return false;
    };
    let mut is_escaped = false;
    let end = name.iter().position(|&byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.is_some_and(|end| name[end + 1..].trim_ascii_start().first() == Some(&b':'))
}

/// Returns whether the text is one array or object of JSON and nothing else, or `null`. Such a file has no rows. Without
/// its end, it must be the beginning of a value.
fn is_single_value(text: &[u8], is_whole: bool) -> bool {
    let text = text.trim_ascii_end();
    if text == b"null" && is_whole {
        return true;
    }
    if !matches!(text.first(), Some(b'[' | b'{')) {
        return false;
    }
    let mut depth = 0_usize;
    for (n, byte) in outside_strings(text) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {}
            // Numbers, `true`, `false` and `null`
            b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E' => {}
            b't' | b'r' | b'u' | b'f' | b'a' | b'l' | b's' | b'n' => {}
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => {}
            _ => return false,
        }
        if depth == 0 {
            return n + 1 == text.len() && is_whole;
        }
    }
    !is_whole && depth > 0
}

/// Returns the bytes of JSON outside strings, with their positions. The quote that opens a string is one of them.
fn outside_strings(text: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let mut in_string = false;
    let mut is_escaped = false;
    text.iter().copied().enumerate().filter(move |&(_, byte)| {
        let is_outside = !in_string;
        in_string = match is_outside {
            true => byte == b'"',
            false => byte != b'"' || is_escaped,
        };
        is_escaped = !is_outside && byte == b'\\' && !is_escaped;
        is_outside
    })
}

/// Returns whether the value at the start of the text ends, and a delimiter follows on the same line.
fn is_followed_by_field(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    for (n, byte) in outside_strings(text) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let next = text[n + 1..].iter().find(|&&byte| byte != b' ');
            return next.is_some_and(|byte| b",;\t|".contains(byte));
        }
    }
    false
}

/// Converts UTF-16 to Latin-1, with `?` for characters that Latin-1 doesn't have.
fn narrow(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (units, _) = bytes.as_chunks::<2>();
    Vec::from_iter(
        units
            .iter()
            .map(|&bytes| u8::try_from(unit(bytes)).unwrap_or(b'?')),
    )
}

/// Returns whether more than three in ten bytes are control characters. UTF-16 doesn't count, which has NULs only at
/// even or only at odd offsets.
fn is_binary(bytes: &[u8]) -> bool {
    let controls = bytes.iter().filter(|&&byte| is_control(byte)).count();
    if controls * 10 <= bytes.len() * 3 {
        return false;
    }
    let has_null = |parity: usize| bytes.iter().skip(parity).step_by(2).any(|&byte| byte == 0);
    has_null(0) == has_null(1)
}

/// Returns whether a byte is a control character that text doesn't contain.
fn is_control(byte: u8) -> bool {
    byte < 0x20 && !b"\t\n\x0B\x0C\r\x1A\x1B".contains(&byte)
}
