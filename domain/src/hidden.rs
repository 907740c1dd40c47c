//! Invisible characters in names, and those that change the order in which a name is displayed.
//! `invoice\u{202e}fdp.exe` looks like `invoiceexe.pdf`, and `Ann\u{200b}` like `Ann`.

/// Returns the text without control characters and hidden ones.
pub fn without_hidden(text: &str) -> String {
    shown(text).map(|(_, shown)| shown).collect()
}

/// Returns whether the text has control or hidden characters.
pub fn has_hidden(text: &str) -> bool {
    shown(text).count() != text.chars().count()
}

fn shown(text: &str) -> impl Iterator<Item = (usize, char)> {
    text.char_indices().filter(move |&(at, character)| {
        if !matches!(character, '\u{200c}' | '\u{200d}') {
            return !is_hidden(character);
        }
        // Persian and Indian scripts and emoji use these to join characters, always within a word.
        let is_joined = |next: Option<char>| {
            next.is_some_and(|next| !next.is_ascii() && !is_hidden(next) && !next.is_whitespace())
        };
        let is_joiner = |other: Option<char>| matches!(other, Some('\u{200c}' | '\u{200d}'));
        let (before, after) = (
            text[..at].chars().next_back(),
            text[at + character.len_utf8()..].chars().next(),
        );
        is_joined(before) && is_joined(after) && !is_joiner(before) && !is_joiner(after)
    })
}

/// Returns whether a character is a control or format character, a line separator, or a zero-width filler (Unicode,
/// General_Category Cc, Cf, Zl and Zp, Default_Ignorable_Code_Point). Variation selectors and joiners don't count.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_found_and_removed() {
        for hidden in [
            "\u{202e}",
            "\u{202a}",
            "\u{2066}",
            "\u{2069}",
            "\u{200e}",
            "\u{200f}",
            "\u{61c}",
            "\u{200b}",
            "\u{200c}",
            "\u{200d}",
            "\u{2060}",
            "\u{feff}",
            "\u{ad}",
            "\u{2028}",
            "\u{3164}",
            "\u{e0041}",
            "\0",
            "\n",
            "\u{7f}",
            "\u{85}",
        ] {
            for text in [
                format!("A{hidden}nn"),
                format!("Ann{hidden}"),
                format!("{hidden}Ann"),
            ] {
                assert!(has_hidden(&text), "{text:?}");
                assert_eq!(without_hidden(&text), "Ann", "{text:?}");
            }
        }
        for fine in [
            "Ann",
            "Zoë",
            "می\u{200c}خواهم",
            "👩\u{200d}💻",
            "❤\u{fe0f}",
            "שלום",
            "李 明",
        ] {
            assert!(!has_hidden(fine), "{fine:?}");
        }
        assert!(has_hidden("ü\u{200d}\u{200d}ü"));
    }
}
