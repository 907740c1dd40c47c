//! Trims names and checked values.

/// Removes ASCII space, TAB, CR, LF and U+00A0 from both ends, and nothing else.
pub(crate) fn trim(value: &str) -> &str {
    value.trim_matches([' ', '\t', '\r', '\n', '\u{A0}'])
}

/// Does the same for bytes that are UTF-8.
#[inline]
pub(crate) fn trim_bytes(value: &[u8]) -> &[u8] {
    let stays = |byte: Option<&u8>| byte.is_some_and(|byte| (0x21..0x80).contains(byte));
    if stays(value.first()) && stays(value.last()) {
        return value;
    }
    trim_ends(value)
}

#[inline(never)]
fn trim_ends(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] | [0xC2, 0xA0, rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] | [rest @ .., 0xC2, 0xA0] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{trim, trim_bytes};

    #[test]
    fn removes_five_characters_and_no_others() {
        for (input, expect) in [
            ("", ""),
            (" \t\r\n\u{A0}", ""),
            ("a", "a"),
            (" a b ", "a b"),
            ("\u{A0}\ta\r\n", "a"),
            ("a\u{A0}", "a"),
            ("\u{FEFF}a", "\u{FEFF}a"),
            ("\u{2003}a\u{B}", "\u{2003}a\u{B}"),
            ("\u{C}a\u{85}", "\u{C}a\u{85}"),
            (" à ", "à"),
            ("\0 ", "\0"),
            ("\u{7F}", "\u{7F}"),
        ] {
            assert_eq!(trim(input), expect, "{input:?}");
            assert_eq!(trim_bytes(input.as_bytes()), expect.as_bytes(), "{input:?}");
        }
    }
}
