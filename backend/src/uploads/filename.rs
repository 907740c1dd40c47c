//! The name of an uploaded file in the header of its part of a form.

use percent_encoding::percent_decode;

/// Returns the filename in a `Content-Disposition`, or `None` if there is none. `filename*` (RFC 8187) has precedence over
/// `filename` (RFC 6266, section 4.3). Bytes that aren't UTF-8 become replacement characters.
pub fn filename_of(disposition: &[u8]) -> Option<String> {
    let mut plain = None;
    for (name, value) in Parameters::of(disposition) {
        if name.eq_ignore_ascii_case(b"filename*")
            && let Some(decoded) = extended(&value)
        {
            return Some(decoded);
        }
        if name.eq_ignore_ascii_case(b"filename") && plain.is_none() {
            plain = Some(String::from_utf8_lossy(&value).into_owned());
        }
    }
    plain
}

/// Decodes a value such as `UTF-8''%e2%82%ac.csv`: a charset, a language and percent-encoded text.
fn extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    let text = percent_decode(text);
    if charset.eq_ignore_ascii_case(b"UTF-8") {
        return Some(text.decode_utf8_lossy().into_owned());
    }
    charset
        .eq_ignore_ascii_case(b"ISO-8859-1")
        .then(|| text.map(char::from).collect())
}

/// The parameters of a header that have a value, with their names.
struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    fn of(header: &'a [u8]) -> Self {
        let kind = header.iter().position(|&byte| byte == b';');
        Self(&header[kind.unwrap_or(header.len())..])
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = (&'a [u8], Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let end = self.0.iter().position(|byte| b"=;".contains(byte))?;
            let (name, rest) = self.0.split_at(end);
            self.0 = &rest[1..];
            if rest[0] == b'=' {
                return Some((name.trim_ascii(), self.value()));
            }
        }
    }
}

impl Parameters<'_> {
    /// Takes the value, quoted or not, from what is left.
    fn value(&mut self) -> Vec<u8> {
        self.0 = self.0.trim_ascii_start();
        let Some(mut quoted) = self.0.strip_prefix(b"\"") else {
            let end = self.0.iter().position(|&byte| byte == b';');
            let (value, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
            self.0 = rest;
            return value.trim_ascii_end().to_vec();
        };
        let mut value = Vec::new();
        while let Some((&byte, rest)) = quoted.split_first() {
            quoted = rest;
            match (byte, rest.first()) {
                (b'"', _) => break,
                // Old browsers send paths with backslashes that escape nothing.
                (b'\\', Some(&escaped @ (b'"' | b'\\'))) => {
                    value.push(escaped);
                    quoted = &rest[1..];
                }
                _ => value.push(byte),
            }
        }
        self.0 = quoted;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filenames() {
        for (parameters, filename) in [
            (&b"name=\"file\"; filename=\"a.csv\""[..], Some("a.csv")),
            (b"name=file;FileName=a.csv", Some("a.csv")),
            (b"filename=\"a;b.csv\"; name=\"file\"", Some("a;b.csv")),
            (b"filename=\"a\\\"b.csv\"", Some("a\"b.csv")),
            (b"filename=\"C:\\data\\a.csv\"", Some("C:\\data\\a.csv")),
            (b"filename = a.csv ; name=file", Some("a.csv")),
            (b"filename=\"\"", Some("")),
            (b"filename=\"a.csv", Some("a.csv")),
            (b"filename=\"\xe4.csv\"", Some("\u{fffd}.csv")),
            ("filename=\"\u{e4}.csv\"".as_bytes(), Some("\u{e4}.csv")),
            (b"filename*=UTF-8''%e2%82%ac.csv", Some("\u{20ac}.csv")),
            (
                b"filename*=utf-8'en'a%20b.csv; filename=x.csv",
                Some("a b.csv"),
            ),
            (
                b"filename=x.csv; filename*=UTF-8''%e2%82%ac.csv",
                Some("\u{20ac}.csv"),
            ),
            (b"filename*=iso-8859-1''%e4.csv", Some("\u{e4}.csv")),
            (b"filename*=UTF-8''%ff.csv", Some("\u{fffd}.csv")),
            (b"filename*=klingon''%ff; filename=x.csv", Some("x.csv")),
            (b"name=\"file\"", None),
            (b"name=\"x; filename=a.csv\"", None),
            (b"filename; name=file", None),
            (b"", None),
        ] {
            let disposition = [&b"form-data; "[..], parameters].concat();
            let shown = String::from_utf8_lossy(parameters);
            assert_eq!(filename_of(&disposition).as_deref(), filename, "{shown}");
        }
    }
}
