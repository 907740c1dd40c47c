//! Formats values from a file for messages.

/// The number of characters of a value that a message shows.
const MAX_CHARS: usize = 80;

/// Returns `value` in quotation marks, shortened if long, with visible control characters.
pub(crate) fn shown(value: &str) -> String {
    shown_to(value, MAX_CHARS)
}

pub(crate) fn shown_to(value: &str, max_chars: usize) -> String {
    let mut shown = String::with_capacity(value.len().min(4 * max_chars) + 8);
    shown.push('"');
    let mut characters = value.chars();
    shown.extend(characters.by_ref().take(max_chars).map(visible));
    if characters.next().is_some() {
        shown.push('…');
    }
    shown.push('"');
    shown
}

/// Returns the name of a column like [`shown_to`], with a mark for each space other than U+0020. Such a space is the only
/// difference between some names and those that are expected.
pub(crate) fn shown_name(name: &str, max_chars: usize) -> String {
    let mark = |character| match character {
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => {
            '⍽'
        }
        _ => character,
    };
    shown_to(name, max_chars).chars().map(mark).collect()
}

/// Unicode has pictures for the ASCII control characters. Other control characters, and those that can't be seen, break
/// lines or change the direction of text, are replaced.
fn visible(character: char) -> char {
    match character {
        '\0'..='\x1F' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{FFFD}'),
        '\x7F' => '\u{2421}',
        '\u{80}'..='\u{9F}'
        | '\u{AD}'
        | '\u{61C}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}' => '\u{FFFD}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::{shown, shown_name, shown_to};

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(shown("12,50"), "\"12,50\"");
        assert_eq!(
            shown("a\0b\r\n\x7F\u{85}\u{202E}"),
            "\"a␀b␍␊␡\u{FFFD}\u{FFFD}\""
        );
        assert_eq!(shown(&"é".repeat(80)), format!("\"{}\"", "é".repeat(80)));
        assert_eq!(shown(&"é".repeat(81)), format!("\"{}…\"", "é".repeat(80)));
        assert_eq!(shown_to("abc", 2), "\"ab…\"");
        for hidden in [
            '\u{AD}',
            '\u{61C}',
            '\u{200B}',
            '\u{200D}',
            '\u{2060}',
            '\u{2067}',
            '\u{FEFF}',
            '\u{E0041}',
        ] {
            assert_eq!(
                shown(&format!("1{hidden}2")),
                "\"1\u{FFFD}2\"",
                "{hidden:?}"
            );
        }
        assert_eq!(shown("1\u{A0}234"), "\"1\u{A0}234\"");
        assert_eq!(shown_name("a\u{A0}b c\u{2009}", 9), "\"a⍽b c⍽\"");
    }
}
