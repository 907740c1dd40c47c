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

/// Unicode has pictures for the ASCII control characters. Other control characters, and those that break lines or
/// reverse the direction of text, are replaced.
fn visible(character: char) -> char {
    match character {
        '\0'..='\x1F' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{FFFD}'),
        '\x7F' => '\u{2421}',
        '\u{80}'..='\u{9F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}'
        | '\u{200E}'
        | '\u{200F}' => '\u{FFFD}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::{shown, shown_to};

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
    }
}
