use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const DECIMALS: [Decimal; 2] = [Decimal::Point, Decimal::Comma];

#[test]
fn short_numbers_are_parsed_like_all_others() {
    let bytes = b"0059.,+-e:/\0\xB0\xFF";
    let check = |value: &[u8]| {
        for decimal in DECIMALS {
            if let Some(amount) = parse_short(value, decimal) {
                assert_eq!(Ok(amount), parse_any(value, decimal), "{value:?}");
            } else {
                let plain = |byte: &u8| byte.is_ascii_digit() || *byte == decimal.byte();
                let is_short = value.len() <= 8 && value.iter().all(plain);
                assert!(!is_short || parse_any(value, decimal).is_err(), "{value:?}");
            }
        }
        if let Some(evidence) = short_evidence(value) {
            assert_eq!(evidence, any_evidence(value), "{value:?}");
        }
        if let v1 @ (Ok(_) | Err(NumberError::OutOfRange(_))) = parse_amount_v1(value) {
            assert_eq!(v1, parse_amount(value, Decimal::Point), "{value:?}");
        }
    };
    // Every value of up to four of these bytes, alone and at both ends of digits.
    let mut values: Vec<Vec<u8>> = vec![vec![]];
    for _ in 0..4 {
        values = values
            .iter()
            .flat_map(|value| {
                bytes
                    .iter()
                    .map(move |&byte| [&value[..], &[byte]].concat())
            })
            .collect();
        for value in &values {
            check(value);
            check(&[value, &b"1234"[..]].concat());
            check(&[&b"98765"[..], value].concat());
            check(&[&b"-12"[..], value, b"99"].concat());
        }
    }
    for byte in 0..=u8::MAX {
        for sign in [b'.', b','] {
            for at in 0..8 {
                let mut value = *b"12345678";
                value[at] = byte;
                check(&value);
                value[7 - at] = sign;
                check(&value);
            }
        }
    }
    let (point, comma) = (Decimal::Point, Decimal::Comma);
    let amount = |mantissa, scale| Some(Amount::new(mantissa, scale));
    assert_eq!(parse_short(b"99999999", point), amount(99_999_999, 0));
    assert_eq!(parse_short(b"-12345.67", point), amount(-1_234_567, 2));
    assert_eq!(parse_short(b"-12345,67", comma), amount(-1_234_567, 2));
    assert_eq!(parse_short(b"-12345.67", comma), None);
}

/// Checks a value with a decimal point and commas between groups, and the same value with the two exchanged.
#[track_caller]
fn check(value: &str, expect: Result<&str, NumberError>) {
    let exchanged: String = value
        .chars()
        .map(|char| match char {
            '.' => ',',
            ',' => '.',
            other => other,
        })
        .collect::<String>()
        .replace("Fr,", "Fr.");
    for (value, decimal) in [(value, Decimal::Point), (&exchanged, Decimal::Comma)] {
        let found = parse_amount(value.as_bytes(), decimal).map(|amount| amount.to_string());
        assert_eq!(found.as_deref(), expect.as_deref(), "{value} {decimal:?}");
    }
}

#[test]
fn amounts_with_currency_sign_parentheses_and_groups() {
    for (value, expect) in [
        // The examples of the specification
        ("- $220.00", "-220.00"),
        ("€-5", "-5"),
        ("(1,234.50)", "-1234.50"),
        ("12.50-", "-12.50"),
        ("CHF 1'850.00", "1850.00"),
        // Currencies
        ("$5", "5"),
        ("5 €", "5"),
        ("5\u{A0}€", "5"),
        ("5\u{202F} €", "5"),
        ("£1,000.00", "1000.00"),
        ("R$ 5.5", "5.5"),
        ("5R$", "5"),
        ("kr 5", "5"),
        ("5 kr", "5"),
        ("5.50zł", "5.50"),
        ("Fr. 5", "5"),
        ("Fr.5", "5"),
        ("5 Fr.", "5"),
        ("5.Fr.", "5"),
        ("Fr..5", "0.5"),
        ("USD5", "5"),
        ("5USD", "5"),
        ("EUR .5", "0.5"),
        ("5. EUR", "5"),
        ("1e3 EUR", "1000"),
        ("EUR1E3", "1000"),
        ("1E3EUR", "1000"),
        ("EEE1E3", "1000"),
        ("＄5", "5"),
        ("\u{20C1}5", "5"),
        ("\u{1ECB0}5", "5"),
        // Signs
        ("- 5", "-5"),
        ("5 -", "-5"),
        ("5+", "5"),
        ("+ 5", "5"),
        ("\u{2212}5", "-5"),
        ("5\u{2212}", "-5"),
        ("\u{2212}\u{A0}$\u{A0}5", "-5"),
        ("$ - 5", "-5"),
        ("5 $ -", "-5"),
        ("5- EUR", "-5"),
        ("-5 EUR", "-5"),
        ("- 5 EUR", "-5"),
        ("EUR 5-", "-5"),
        ("1e5-", "-100000"),
        ("1e-2-", "-0.01"),
        ("$-0", "0"),
        // Parentheses
        ("(5)", "-5"),
        ("( 5 )", "-5"),
        ("$(5)", "-5"),
        ("$ (5)", "-5"),
        ("($5)", "-5"),
        ("($ 5)", "-5"),
        ("(5) EUR", "-5"),
        ("(5 EUR)", "-5"),
        ("(0.00)", "0.00"),
        ("(1e3)", "-1000"),
        // Groups
        ("1,234", "1234"),
        ("12,345,678.90", "12345678.90"),
        ("1 234.5", "1234.5"),
        ("1 234 567", "1234567"),
        ("1\u{A0}234\u{A0}567.8", "1234567.8"),
        ("1\u{202F}234", "1234"),
        ("1'234'567.8", "1234567.8"),
        ("1\u{2019}234", "1234"),
        ("123,456.", "123456"),
        ("0,123", "123"),
        ("000,000,001", "1"),
        ("000,000.0", "0.0"),
        ("-1,234.50", "-1234.50"),
        ("+1,234", "1234"),
        ("1,234.50-", "-1234.50"),
        ("1 234 EUR", "1234"),
        ("- 1 234 EUR", "-1234"),
        ("999,999,999,999,999,999", "999999999999999999"),
        ("0,999,999,999,999,999,999", "999999999999999999"),
        ("1,234.12345678900", "1234.1234567890"),
    ] {
        check(value, Ok(expect));
    }
    for value in [
        "",
        "$",
        "-",
        "()",
        "EUR",
        "- $",
        "(EUR)",
        "1.2.3",
        "1,23",
        "1,2345",
        "1234,567",
        ",123",
        "1,,234",
        "1,234,",
        "1,234,56",
        "1,234 567",
        "1 234,567",
        "1 234\u{A0}567",
        "1'234\u{2019}567",
        "1  234",
        "1 23",
        "1.234,567",
        "1.234 567",
        "1.234'5",
        "1,234e5",
        "1 234e5",
        "12,34,567.00",
        "--5",
        "-5-",
        "- -5",
        "+-5",
        "$-5-",
        "-(5)",
        "(-5)",
        "(5)-",
        "(5-)",
        "+(5)",
        "(5)+",
        "$-(5)",
        "((5))",
        "(5",
        "5)",
        "(5)(5)",
        "$5$",
        "$5 EUR",
        "EUR USD 5",
        "EUR$5",
        "$$5",
        "US$5",
        "CR$5",
        "EURO 5",
        "EURO5",
        "5EURO",
        "5 EU",
        "eur 5",
        "Eur 5",
        "KR 5",
        "Kr 5",
        "kr. 5",
        "5 kr.",
        "Fr 5",
        "FR. 5",
        "ZŁ5",
        "1E",
        "1EEUR",
        "1E EUR",
        "e5 EUR",
        "1e-",
        "1e+",
        "5 %",
        "5\u{2009}EUR",
        "\u{202F}5",
        "5\u{202F}",
        "\u{2013}5",
        "1\u{2009}234",
        "1_234",
        "1`234",
        "nan",
        "INF",
        "USD nan",
        "0x10",
        "٥ EUR",
        "５",
    ] {
        check(value, Err(NumberError::NotANumber));
    }
    for (value, limit) in [
        ("1,000,000,000,000,000,000", Limit::WholeDigits),
        ("$1e18", Limit::WholeDigits),
        ("1e100-", Limit::Exponent),
        ("(1e-99)", Limit::FractionDigits),
        ("1,234.00000000001", Limit::FractionDigits),
        ("9,999,999,999,999,999,999,999", Limit::WholeDigits),
    ] {
        check(value, Err(NumberError::OutOfRange(limit)));
    }
    // Long values
    let zeros = "000,".repeat(100_000);
    check(&format!("{zeros}001.5"), Ok("1.5"));
    check(
        &format!("1,{zeros}000"),
        Err(NumberError::OutOfRange(Limit::WholeDigits)),
    );
    check(&format!("1,{zeros}00"), Err(NumberError::NotANumber));
    check(&"-".repeat(100_000), Err(NumberError::NotANumber));
}

#[test]
fn the_decimal_sign_decides() {
    let read = |value: &str, decimal| {
        parse_amount(value.as_bytes(), decimal)
            .ok()
            .map(|amount| amount.to_string())
    };
    for (value, point, comma) in [
        ("1.234", Some("1.234"), Some("1234")),
        ("1,234", Some("1234"), Some("1.234")),
        ("1.5", Some("1.5"), None),
        ("1,5", None, Some("1.5")),
        ("1,5e1", None, Some("15")),
        ("12345,67", None, Some("12345.67")),
        ("1.234.567", None, Some("1234567")),
        ("kr.5", Some("0.5"), None),
    ] {
        let found = (read(value, Decimal::Point), read(value, Decimal::Comma));
        assert_eq!((found.0.as_deref(), found.1.as_deref()), (point, comma));
    }
    // Version 1 supports none of these.
    for value in ["1,5", "$5", "5-", "(5)", "1,234", "- 5", "1 000", "5 EUR"] {
        assert_eq!(
            parse_amount_v1(value.as_bytes()),
            Err(NumberError::NotANumber)
        );
    }
    assert_eq!(parse_amount_v1(b"-1.50"), Ok(Amount::new(-150, 2)));
}

#[test]
fn evidence() {
    use DecimalEvidence::{Comma, None, Point, Undecided};

    for (value, expect) in [
        ("", None),
        ("5", None),
        ("-12345678", None),
        ("1234567890123", None),
        ("1 234", None),
        ("1'234 EUR", None),
        ("Fr. 5", None),
        ("5 Fr.", None),
        ("1e5", None),
        ("x", None),
        (".", None),
        (",", None),
        ("-.", None),
        ("x.y", None),
        ("1.2.3", None),
        ("1.2,3", None),
        ("12,34,567.00", None),
        ("1.234 567", None),
        ("1,234.567,8", None),
        ("1,234,567.890.123", None),
        ("-(1.5)", None),
        ("1.5 %", None),
        ("1.5", Point),
        ("1,5", Comma),
        ("-1.50", Point),
        ("+1,50", Comma),
        ("1.", Point),
        ("1,", Comma),
        (".5", Point),
        (",5", Comma),
        (".500", Point),
        (",500", Comma),
        ("1.2345", Point),
        ("1.234", Undecided),
        ("1,234", Undecided),
        ("-12.345", Undecided),
        ("123,456", Undecided),
        ("$ 123,456", Undecided),
        ("(1.234)", Undecided),
        ("1.234-", Undecided),
        ("Fr. 1.234", Undecided),
        ("1234.567", Point),
        ("1234,567", Comma),
        ("123456789,123", Comma),
        ("0.123", Point),
        ("0,123", Comma),
        ("-0.123", Point),
        ("0.123 EUR", Point),
        ("$0,123", Comma),
        ("00.123", Undecided),
        ("000,123", Undecided),
        ("1 234,567", Comma),
        ("1 234.567", Point),
        ("1'234.567", Point),
        ("0 123,456", Comma),
        ("1.234.567", Comma),
        ("1,234,567", Point),
        ("12.345,6", Comma),
        ("12,345.6", Point),
        ("1,234.", Point),
        ("1.234,567", Comma),
        ("1.5e3", Point),
        ("1.234e3", Point),
        ("1,234e3", Comma),
        ("1.5e500", Point),
        ("10000000000000000000.5", Point),
        ("1,50 kr", Comma),
        ("€1.50", Point),
        ("- $220.00", Point),
    ] {
        assert_eq!(decimal_evidence(value.as_bytes()), expect, "{value}");
    }
}

/// A slow, independent implementation of `docs/RULES.md`.
mod reference {
    use super::{Decimal, DecimalEvidence};

    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct Read {
        is_negative: bool,
        /// The rest of the value after everything was removed.
        pub(super) rest: String,
        /// The same without groups and with a point.
        plain: String,
    }

    impl Read {
        pub(super) fn in_version_1(&self) -> String {
            let sign = if self.is_negative { "-" } else { "" };
            format!("{sign}{}", self.plain)
        }
    }

    #[derive(Clone, Copy, Default)]
    struct Seen {
        currency: bool,
        sign: Option<bool>,
        parentheses: bool,
    }

    /// Tries every order of removal. All orders that succeed must agree.
    pub(super) fn read(value: &str, decimal: Decimal) -> Option<Read> {
        let mut all = vec![];
        let chars: Vec<char> = value.chars().collect();
        peel(&chars, decimal, Seen::default(), &mut all);
        all.dedup();
        assert!(all.len() <= 1, "{value}: {all:?}");
        all.pop()
    }

    fn peel(chars: &[char], decimal: Decimal, seen: Seen, all: &mut Vec<Read>) {
        if let Some(plain) = number(chars, decimal)
            && !(seen.parentheses && seen.sign.is_some())
        {
            all.push(Read {
                is_negative: seen.parentheses || seen.sign == Some(true),
                rest: chars.iter().collect(),
                plain,
            });
        }
        for length in 1..=chars.len().min(3) {
            let (start, after) = chars.split_at(length);
            let (before, end) = chars.split_at(chars.len() - length);
            for (piece, rest, at_start) in [(start, after, true), (end, before, false)] {
                let piece: String = piece.iter().collect();
                let mut next = seen;
                if is_currency(&piece) && !seen.currency {
                    next.currency = true;
                } else if ["-", "+", "\u{2212}"].contains(&piece.as_str()) && seen.sign.is_none() {
                    next.sign = Some(piece != "+");
                } else {
                    continue;
                }
                let mut rest = rest;
                loop {
                    peel(rest, decimal, next, all);
                    rest = match (at_start, rest) {
                        (true, [first, rest @ ..]) if is_space(*first) => rest,
                        (false, [rest @ .., last]) if is_space(*last) => rest,
                        _ => break,
                    };
                }
            }
        }
        if let ['(', inner @ .., ')'] = chars
            && !seen.parentheses
        {
            let next = Seen {
                parentheses: true,
                ..seen
            };
            for start in 0..=inner.len() {
                for end in start..=inner.len() {
                    let spaces = |chars: &[char]| chars.iter().all(|char| is_space(*char));
                    if spaces(&inner[..start]) && spaces(&inner[end..]) {
                        peel(&inner[start..end], decimal, next, all);
                    }
                }
            }
        }
    }

    fn is_space(char: char) -> bool {
        [' ', '\u{A0}', '\u{202F}'].contains(&char)
    }

    fn is_currency(piece: &str) -> bool {
        ["$", "€", "£", "kr", "zł", "Fr.", "R$"].contains(&piece)
            || piece.len() == 3 && piece.chars().all(|char| char.is_ascii_uppercase())
    }

    fn is_digits(text: &str) -> bool {
        text.chars().all(|char| char.is_ascii_digit())
    }

    fn number(chars: &[char], decimal: Decimal) -> Option<String> {
        let (sign, other) = match decimal {
            Decimal::Point => ('.', ','),
            Decimal::Comma => (',', '.'),
        };
        let text: String = chars.iter().collect();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text.as_str(), None),
        };
        if let Some(exponent) = exponent {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !is_digits(digits) {
                return None;
            }
        }
        let (whole, fraction) = mantissa.split_once(sign).unwrap_or((mantissa, ""));
        if !is_digits(fraction) {
            return None;
        }
        let exponent = exponent.map(|exponent| format!("e{exponent}"));
        if is_digits(whole) {
            return (!whole.is_empty() || !fraction.is_empty())
                .then(|| format!("{whole}.{fraction}{}", exponent.unwrap_or_default()));
        }
        for separator in [other, ' ', '\u{A0}', '\u{202F}', '\'', '\u{2019}'] {
            let mut groups = whole.split(separator);
            let first = groups.next()?;
            let first_is_right = (1..=3).contains(&first.len()) && is_digits(first);
            let rest_is_right = groups.all(|group| group.len() == 3 && is_digits(group));
            if first_is_right && rest_is_right && exponent.is_none() {
                return Some(format!("{}.{fraction}", whole.replace(separator, "")));
            }
        }
        None
    }

    pub(super) fn evidence(value: &str) -> DecimalEvidence {
        let Some(Read { rest, .. }) =
            read(value, Decimal::Point).or_else(|| read(value, Decimal::Comma))
        else {
            return DecimalEvidence::None;
        };
        let proof = |sign| match sign {
            '.' => DecimalEvidence::Point,
            _ => DecimalEvidence::Comma,
        };
        let count = |sign| rest.matches(sign).count();
        let Some(at) = rest.rfind(['.', ',']) else {
            return DecimalEvidence::None;
        };
        let last = if rest[at..].starts_with('.') {
            '.'
        } else {
            ','
        };
        let other = if last == '.' { ',' } else { '.' };
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        match (count(last), count(other)) {
            (1, 0) => {
                let three_follow = after.len() == 3 && is_digits(after);
                let digits = before.chars().filter(char::is_ascii_digit).count();
                if three_follow && (1..=3).contains(&digits) && before != "0" {
                    DecimalEvidence::Undecided
                } else {
                    proof(last)
                }
            }
            (1, _) => proof(last),
            (_, 0) => proof(other),
            _ => panic!("{value} isn't a number"),
        }
    }
}

fn check_reference(value: &str) {
    for decimal in DECIMALS {
        let expect = match reference::read(value, decimal) {
            None => Err(NumberError::NotANumber),
            Some(read) => parse_amount_v1(read.in_version_1().as_bytes()),
        };
        assert_eq!(
            parse_amount(value.as_bytes(), decimal),
            expect,
            "{value:?} {decimal:?}"
        );
    }
    if let v1 @ (Ok(_) | Err(NumberError::OutOfRange(_))) = parse_amount_v1(value.as_bytes()) {
        assert_eq!(parse_amount(value.as_bytes(), Decimal::Point), v1);
    }
    assert_eq!(
        decimal_evidence(value.as_bytes()),
        reference::evidence(value),
        "{value:?}"
    );
}

#[test]
fn all_short_values_agree_with_the_reference() {
    let alphabet = "019.,'-+()$EHe \u{A0}\u{2212}";
    let mut values = vec![String::new()];
    for _ in 0..4 {
        values = values
            .iter()
            .flat_map(|value| alphabet.chars().map(move |char| format!("{value}{char}")))
            .collect();
        values.iter().for_each(|value| check_reference(value));
    }
}

fn any_value() -> impl Strategy<Value = String> {
    let alphabet = "0129.,'-+()$€CHFEe \u{A0}\u{202F}\u{2019}\u{2212}";
    let chars = vec(select(alphabet.chars().collect::<Vec<_>>()), 0..12)
        .prop_map(|chars| chars.into_iter().collect());
    let edges = || {
        let pieces = vec![
            "", "", "", "", "-", "+", "\u{2212}", "(", ")", "$", "€", "R$", "kr", "zł", "Fr.",
            "CHF", "EUR", " ", " ", "\u{A0}", "\u{202F}",
        ];
        vec(select(pieces), 0..5).prop_map(|pieces| pieces.concat())
    };
    let body = || {
        let pieces = vec![
            "0", "1", "12", "123", "456", "789", "000", "1", "123", "456", ".", ".", ",", ",", " ",
            "\u{A0}", "'", "\u{2019}", "e5", "E-2", "e",
        ];
        vec(select(pieces), 1..8).prop_map(|pieces| pieces.concat())
    };
    let grouped = (
        select(vec![",", ".", " ", "\u{A0}", "'"]),
        select(vec!["1", "12", "123", "0", "00"]),
        vec(select(vec!["234", "000", "999"]), 0..8),
        select(vec![
            "", ".", ",", ".5", ",5", ",50", ".123", ",123", ".50e3",
        ]),
    )
        .prop_map(|(separator, first, groups, end)| {
            let whole = std::iter::once(first).chain(groups).collect::<Vec<_>>();
            whole.join(separator) + end
        });
    let parenthesised = (edges(), edges(), body(), edges(), edges())
        .prop_map(|(a, b, c, d, e)| format!("{a}({b}{c}{d}){e}"));
    prop_oneof![
        chars,
        (edges(), body(), edges()).prop_map(|(a, b, c)| a + &b + &c),
        (edges(), grouped, edges()).prop_map(|(a, b, c)| a + &b + &c),
        parenthesised,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn values_agree_with_the_reference(value in any_value()) {
        check_reference(&value);
    }

    #[test]
    fn amounts_round_trip(mantissa in -999_999_999_999_i64..=999_999_999_999, scale in 0..=4_u8) {
        let amount = Amount::new(mantissa.into(), scale);
        let value = amount.to_string();
        prop_assert_eq!(parse_amount(value.as_bytes(), Decimal::Point), Ok(amount));
        let value = value.replace('.', ",");
        prop_assert_eq!(parse_amount(value.as_bytes(), Decimal::Comma), Ok(amount));
    }
}

#[test]
fn the_decimal_sign_in_json() {
    for (decimal, json) in [(Decimal::Point, "\".\""), (Decimal::Comma, "\",\"")] {
        assert_eq!(serde_json::to_string(&decimal).unwrap(), json);
        assert_eq!(serde_json::from_str::<Decimal>(json).unwrap(), decimal);
    }
}
