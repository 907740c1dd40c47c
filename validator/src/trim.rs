//! What is removed from both ends of names and of checked values.

/// Removes ASCII space, TAB, CR, LF and U+00A0 from both ends, and nothing else.
pub(crate) fn trim(value: &str) -> &str {
    let bytes = value.as_bytes();
    let stays = |byte: Option<&u8>| byte.is_some_and(|byte| (0x21..0x80).contains(byte));
    if stays(bytes.first()) && stays(bytes.last()) {
        return value;
    }
    value.trim_matches([' ', '\t', '\r', '\n', '\u{A0}'])
}

#[cfg(test)]
mod tests {
    use super::trim;

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
        }
    }
}
