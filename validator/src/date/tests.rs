use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const ORDERS: [Option<DateOrder>; 4] = [
    None,
    Some(DateOrder::Ymd),
    Some(DateOrder::Dmy),
    Some(DateOrder::Mdy),
];

#[test]
fn days_are_those_of_the_calendar() {
    for year in [0, 1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 2100, 9999] {
        let mut last = None;
        for month in 0..100 {
            for day in 0..100 {
                let exists = NaiveDate::from_ymd_opt(year, month, day).filter(|_| year != 0);
                let expect = exists.ok_or(DateError::OutOfRange);
                for value in [
                    format!("{year:04}-{month:02}-{day:02}"),
                    format!("{year:04}/{month:02}/{day:02}"),
                    format!("{year:04}{month:02}{day:02}"),
                ] {
                    let found = parse_date_v1(value.as_bytes());
                    assert_eq!(found.map(|day| day.date().unwrap()), expect, "{value}");
                    assert!(found.is_err() || last <= found.ok(), "{value}");
                    last = found.ok().or(last);
                    for order in ORDERS {
                        assert_eq!(parse_date(value.as_bytes(), order), found, "{value}");
                    }
                }
                let (dmy, mdy) = (Some(DateOrder::Dmy), Some(DateOrder::Mdy));
                for (value, order) in [
                    (format!("{year:04}.{month:02}.{day:02}"), None),
                    (format!("{day:02}.{month:02}.{year:04}"), None),
                    (format!("{day:02}.{month:02}.{year:04}"), mdy),
                    (format!("{day:02}/{month:02}/{year:04}"), dmy),
                    (format!("{day:02}-{month:02}-{year:04}"), dmy),
                    (format!("{month:02}/{day:02}/{year:04}"), mdy),
                    (format!("{month:02}-{day:02}-{year:04}"), mdy),
                ] {
                    let found = parse_date(value.as_bytes(), order);
                    let found = found.map(|day| day.date().unwrap());
                    assert_eq!(found, expect, "{value}");
                }
            }
        }
    }
}

#[test]
fn the_usual_form_allows_no_other_bytes() {
    for at in 0..10 {
        for byte in 0..=u8::MAX {
            let mut value = *b"2024-01-15";
            value[at] = byte;
            let expect = match byte {
                b'/' | b'.' => None,
                _ => Date::parse_ymd(&value).map(|(date, _)| date),
            };
            assert_eq!(Date::parse_usual(&value), expect, "{value:?}");
        }
    }
}

#[test]
fn the_usual_ordered_forms_allow_no_other_bytes() {
    let read = |ordered: Ordered| (ordered.separator, ordered.numbers, ordered.year);
    for text in [b"15.01.2024", b"15/01/2024", b"15-01-2024"] {
        for at in 0..10 {
            for byte in 0..=u8::MAX {
                let mut value = *text;
                value[at] = byte;
                let expect = Ordered::parse(&value)
                    .filter(|(_, rest)| rest.is_empty())
                    .map(|(ordered, _)| read(ordered));
                assert_eq!(Ordered::parse_usual(&value).map(read), expect, "{value:?}");
            }
        }
    }
}

#[track_caller]
fn check(value: &str, order: Option<DateOrder>, expect: Result<&str, DateError>) {
    let found = parse_date(value.as_bytes(), order).map(|day| day.date().unwrap().to_string());
    assert_eq!(found.as_deref(), expect.as_deref(), "{value} {order:?}");
}

#[test]
fn forms_are_parsed_in_any_order() {
    for value in [
        "2024-01-15",
        "2024/01/15",
        "20240115",
        "2024.01.15",
        "15 Jan 2024",
        "15-Jan-2024",
        "Jan 15, 2024",
        "Jan 15 2024",
        "15 January 2024",
        "15-JANUARY-2024",
        "jan 15, 2024",
        "jANUARY 15 2024",
        "15.01.2024",
        "15.1.2024",
        "15.01.24",
        "15.1.24",
        // Times
        "2024-01-15T10:00",
        "2024-01-15t9:00",
        "2024-01-15 9:00:00",
        "2024-01-15  10:00",
        "2024-01-15, 10:00",
        "2024.01.15 10:00:00.123456789",
        "20240115T9:05",
        "15 Jan 2024 10:00",
        "15-Jan-2024T10:00Z",
        "Jan 15, 2024, 10:00 AM",
        "Jan 15 2024  12:59PM",
        "15.01.2024, 10:00",
        "15.01.2024T10:00+0100",
        "15.1.24 1:00",
        "2024-01-15T10:00+14:00",
        "2024-01-15T10:00-1400",
        "2024-01-15T10:00+0000",
        "2024-01-15 10:00 AM",
        "2024-01-15 1:00am",
        "2024-01-15 01:00 pM",
        "2024-01-15 12:00:00.5PM",
        "2024-01-15 10:00 UTC",
        "2024-01-15 10:00:00 GMT",
        "2024-01-15 10:00 AM UTC",
        "2024-01-15 10:00AM+0100",
        "2024-01-15 10:00AMZ",
        "2024-01-15T10:00+01:00 GMT",
        "2024-01-15T10:00Z UTC",
    ] {
        for order in ORDERS {
            check(value, order, Ok("2024-01-15"));
        }
    }
    for (month, [short, whole]) in (1..).zip([
        ["Jan", "January"],
        ["Feb", "February"],
        ["Mar", "March"],
        ["Apr", "April"],
        ["May", "May"],
        ["Jun", "June"],
        ["Jul", "July"],
        ["Aug", "August"],
        ["Sep", "September"],
        ["Oct", "October"],
        ["Nov", "November"],
        ["Dec", "December"],
    ]) {
        for name in [short, whole] {
            let expect = format!("2024-{month:02}-05");
            check(&format!("5 {name} 2024"), None, Ok(&expect));
            check(&format!("{name} 05, 2024"), None, Ok(&expect));
        }
    }
    for value in [
        "",
        "2024",
        "2024-01/15",
        "2024.01-15",
        "2024.0115",
        "202401.15",
        "2024.1.15",
        "2024-1-15",
        "12024.01.15",
        "2024 01 15",
        "15 01 2024",
        "15.01-2024",
        "15.01.202",
        "15.01.20245",
        "15.01.2",
        "15.01.",
        "15.01",
        "150.01.2024",
        "15..2024",
        ".01.2024",
        "15.001.2024",
        "15 Jan-2024",
        "15-Jan 2024",
        "15/Jan/2024",
        "15.Jan.2024",
        "15Jan2024",
        "15 Jan, 2024",
        "15. Jan 2024",
        "15th Jan 2024",
        "15 Jan. 2024",
        "15 Janu 2024",
        "15 Sept 2024",
        "15 Januar 2024",
        "15 Mai 2024",
        "15 Jan 24",
        "15-Jan-24",
        "15 Jan 20245",
        "150 Jan 2024",
        "15  Jan 2024",
        "Jan 15,2024",
        "Jan 15,  2024",
        "Jan-15-2024",
        "Jan 2024",
        "January",
        "Mon, 15 Jan 2024",
        "2024 Jan 15",
        "2024-Jan-15",
        "2024-01-15T",
        "2024-01-15, ",
        "2024-01-15,10:00",
        "2024-01-15,  10:00",
        "2024-01-15   10:00",
        "2024-01-15T 10:00",
        "2024-01-15 T10:00",
        "2024-01-15 10",
        "2024-01-15 10 AM",
        "2024-01-15 10:0",
        "2024-01-15 10:00:0",
        "2024-01-15 100:00",
        "2024-01-15 1000",
        "2024-01-15 10.00",
        "2024-01-15 10:00:00.1234567890",
        "2024-01-15 10:00:00,5",
        "2024-01-15 10:00.5",
        "2024-01-15 10:00  AM",
        "2024-01-15 10:00 A.M.",
        "2024-01-15 10:00 A",
        "2024-01-15 10:00 AMPM",
        "2024-01-15 10:00\u{202F}AM",
        "2024-01-15 10:00UTC",
        "2024-01-15 10:00  UTC",
        "2024-01-15 10:00 utc",
        "2024-01-15 10:00 CET",
        "2024-01-15 10:00 UTC GMT",
        "2024-01-15 10:00 UTC+01:00",
        "2024-01-15 10:00 Z",
        "2024-01-15 10:00 +0100",
        "2024-01-15 10:00+1:00",
        "2024-01-15 10:00+01",
        "2024-01-15 10:00+010",
        "2024-01-15 10:00+01000",
        "2024-01-15 10:00+0100 AM",
        "2024-01-15+0100",
        "2024-01-15 UTC",
        "2024-01-15Z",
        "15.01.2024Z",
    ] {
        for order in ORDERS {
            check(value, order, Err(DateError::NotADate));
        }
    }
    for value in [
        "2024.02.30",
        "0000.01.01",
        "30.02.2024",
        "1.13.2024",
        "0.1.2024",
        "01.15.2024",
        "01.01.0000",
        "99.99.99",
        "31 Apr 2024",
        "0 Jan 2024",
        "Feb 29, 2023",
        "Jan 1 0000",
        "2024-01-15 24:00",
        "2024-01-15 13:00 PM",
        "2024-01-15 0:30 AM",
        "2024-01-15 00:30PM",
        "2024-01-15 10:60 AM",
        "2024-01-15 10:00:60",
        "2024-01-15 10:00+1401",
        "2024-01-15 10:00+0060",
        "2024-01-15 10:00-15:00 UTC",
        "15.01.2024 24:00",
    ] {
        for order in ORDERS {
            check(value, order, Err(DateError::OutOfRange));
        }
    }
}

#[test]
fn the_order_decides() {
    use DateOrder::{Dmy, Mdy, Ymd};

    for value in [
        "03/04/2024",
        "3/4/2024",
        "03-04-2024",
        "3-4-24",
        "03/4/24",
        "03/04/2024 10:00",
        "3/4/24, 1:05 PM",
        "03-04-2024T10:00:00.5Z",
    ] {
        check(value, None, Err(DateError::NotADate));
        check(value, Some(Ymd), Err(DateError::NotADate));
        check(value, Some(Dmy), Ok("2024-04-03"));
        check(value, Some(Mdy), Ok("2024-03-04"));
    }
    check("15/01/2024", Some(Dmy), Ok("2024-01-15"));
    check("15/01/2024", Some(Mdy), Err(DateError::OutOfRange));
    check("01/15/2024", Some(Mdy), Ok("2024-01-15"));
    check("01/15/2024", Some(Dmy), Err(DateError::OutOfRange));
    check("40/50/2024", Some(Dmy), Err(DateError::OutOfRange));
    check("40/50/2024", None, Err(DateError::NotADate));
    check("03/04-2024", Some(Dmy), Err(DateError::NotADate));
    check("03/04/2024x", Some(Dmy), Err(DateError::NotADate));
    check("03/04/202", Some(Dmy), Err(DateError::NotADate));
    check("03.04.2024", Some(Mdy), Ok("2024-04-03"));
    check("03.04.2024", Some(Ymd), Ok("2024-04-03"));
    check("24-01-15", Some(Ymd), Err(DateError::NotADate));
    check("24-01-15", Some(Dmy), Ok("2015-01-24"));
    check("2024-04-03", Some(Mdy), Ok("2024-04-03"));
    for (year, expect) in [
        ("00", 2000),
        ("01", 2001),
        ("68", 2068),
        ("69", 1969),
        ("99", 1999),
    ] {
        let expect = format!("{expect}-02-01");
        check(&format!("1.2.{year}"), None, Ok(&expect));
        check(&format!("01/02/{year}"), Some(Dmy), Ok(&expect));
        check(&format!("2-1-{year}"), Some(Mdy), Ok(&expect));
    }
    // Version 1 supports none of these.
    for value in [
        "2024.01.15",
        "15.01.2024",
        "15/01/2024",
        "15 Jan 2024",
        "2024-01-15T9:00",
        "2024-01-15  10:00",
        "2024-01-15, 10:00",
        "2024-01-15 10:00 AM",
        "2024-01-15 10:00 UTC",
        "2024-01-15T10:00+0100",
    ] {
        assert_eq!(parse_date_v1(value.as_bytes()), Err(DateError::NotADate));
    }
}

#[test]
fn evidence() {
    use OrderEvidence::{Ambiguous, Dmy, Mdy, None};

    for (value, expect) in [
        ("", None),
        ("-", None),
        ("1/", None),
        ("1/2", None),
        ("2024-01-15", None),
        ("2024/01/15", None),
        ("20240115", None),
        ("15.01.2024", None),
        ("1.2.24", None),
        ("15-Jan-2024", None),
        ("5-Jan-2024", None),
        ("Jan 15, 2024", None),
        ("15/01/2024", Dmy),
        ("15-01-2024", Dmy),
        ("15/1/24", Dmy),
        ("13-12-2024", Dmy),
        ("31/12/2024", Dmy),
        ("31/02/2024", Dmy),
        ("01/15/2024", Mdy),
        ("1/13/24", Mdy),
        ("12-31-2024", Mdy),
        ("03/04/2024", Ambiguous),
        ("3/4/24", Ambiguous),
        ("12/12/2024", Ambiguous),
        ("40/50/2024", Ambiguous),
        ("32/01/2024", Ambiguous),
        ("15/13/2024", Ambiguous),
        ("15/00/2024", Ambiguous),
        ("0/15/2024", Ambiguous),
        ("15/01/0000", Dmy),
        ("15/01/2024 10:00", Dmy),
        ("1/15/24, 9:05 AM", Mdy),
        ("15/01/2024T25:99Z", Dmy),
        ("15/01/2024 10", None),
        ("15/01/2024Z", None),
        ("15/01/2024 ", None),
        ("15/01-2024", None),
        ("15/01.2024", None),
        ("15/01/202", None),
        ("15/01/20245", None),
        ("15/001/2024", None),
        ("24-01-15", Dmy),
    ] {
        assert_eq!(order_evidence(value.as_bytes()), expect, "{value}");
    }
}

/// A slow, independent implementation of `docs/RULES.md`: every form is a template that is matched by backtracking.
mod reference {
    use std::collections::BTreeSet;

    use chrono::NaiveDate;

    use super::{DateError, DateOrder, OrderEvidence};

    const NAMED: [&str; 8] = [
        "D N YYYY",
        "DD N YYYY",
        "D-N-YYYY",
        "DD-N-YYYY",
        "N D, YYYY",
        "N DD, YYYY",
        "N D YYYY",
        "N DD YYYY",
    ];
    const OF_ANY_ORDER: [&str; 4] = ["YYYY-MM-DD", "YYYY/MM/DD", "YYYY.MM.DD", "YYYYMMDD"];
    const MONTHS: &str =
        "january february march april may june july august september october november december";

    /// The digits matched by each letter of a template.
    #[derive(Clone, Default)]
    struct Found(Vec<(char, u32)>);

    impl Found {
        fn number(&self, letter: char) -> Option<u32> {
            let digits = self.0.iter().filter(|(found, _)| *found == letter);
            digits.fold(None, |number, (_, digit)| {
                Some(10 * number.unwrap_or(0) + digit)
            })
        }

        fn year(&self) -> u32 {
            match (self.number('Y'), self.number('y')) {
                (Some(year), _) => year,
                (None, Some(year @ ..69)) => 2000 + year,
                (None, year) => 1900 + year.unwrap(),
            }
        }
    }

    fn template(template: &str, text: &str, found: &Found) -> Vec<(String, Found)> {
        let Some(letter) = template.chars().next() else {
            return vec![(text.to_owned(), found.clone())];
        };
        let template_rest = &template[letter.len_utf8()..];
        let mut all = vec![];
        if letter == 'N' {
            for (month, name) in (1..).zip(MONTHS.split(' ')) {
                for name in BTreeSet::from([name, &name[..3]]) {
                    if let Some(start) = text.get(..name.len())
                        && start.to_lowercase() == name
                    {
                        let mut found = found.clone();
                        found.0.push(('M', month));
                        all.extend(self::template(template_rest, &text[name.len()..], &found));
                    }
                }
            }
        } else if let Some(first) = text.chars().next() {
            let mut found = found.clone();
            let matches = match letter {
                // `A` or `P` in either case.
                'a' => {
                    found.0.push(('a', 1));
                    "aApP".contains(first)
                }
                'm' => "mM".contains(first),
                // The `M` of `GMT`. The letter otherwise matches a digit of the month.
                '*' => first == 'M',
                letter if "YyMDHISFOP12".contains(letter) => {
                    let digit = first.to_digit(10);
                    found.0.extend(digit.map(|digit| (letter, digit)));
                    digit.is_some()
                }
                letter => letter == first,
            };
            if matches {
                all.extend(self::template(
                    template_rest,
                    &text[first.len_utf8()..],
                    &found,
                ));
            }
        }
        all
    }

    fn slots(all: &[Vec<String>], text: &str, found: &Found) -> Vec<Found> {
        let [first, rest @ ..] = all else {
            return if text.is_empty() {
                vec![found.clone()]
            } else {
                vec![]
            };
        };
        first
            .iter()
            .flat_map(|option| template(option, text, found))
            .flat_map(|(text, found)| slots(rest, &text, &found))
            .collect()
    }

    /// Returns the digits for each letter if the value is one of these dates, with or without a time.
    fn find(dates: Vec<String>, value: &str) -> Option<Found> {
        let options = |options: &[&str]| -> Vec<String> {
            options.iter().map(|&option| option.to_owned()).collect()
        };
        let mut seconds = options(&["", ":SS"]);
        seconds.extend((1..=9).map(|digits| format!(":SS.{}", "F".repeat(digits))));
        let offsets = options(&["", "Z", "z", "+OO:PP", "-OO:PP", "+OOPP", "-OOPP"]);
        let with_time = [
            dates.clone(),
            options(&["T", "t", " ", "  ", ", "]),
            options(&["H:II", "HH:II"]),
            seconds,
            options(&["", "am", " am"]),
            offsets,
            options(&["", " UTC", " G*T"]),
        ];
        let mut all = slots(&[dates], value, &Found::default());
        all.extend(slots(&with_time, value, &Found::default()));
        assert!(all.len() <= 1, "{value}");
        all.pop()
    }

    /// Returns the forms with the year last, with letters for the two numbers.
    fn ordered(separators: &str, first: &str, second: &str) -> Vec<String> {
        let mut all = vec![];
        for separator in separators.chars() {
            for first in [first, &first.repeat(2)] {
                for second in [second, &second.repeat(2)] {
                    for year in ["YYYY", "yy"] {
                        all.push(format!("{first}{separator}{second}{separator}{year}"));
                    }
                }
            }
        }
        all
    }

    pub(super) fn read(value: &str, order: Option<DateOrder>) -> Result<NaiveDate, DateError> {
        let mut dates: Vec<String> = NAMED
            .into_iter()
            .chain(OF_ANY_ORDER)
            .map(str::to_owned)
            .collect();
        dates.extend(ordered(".", "D", "M"));
        match order {
            None | Some(DateOrder::Ymd) => {}
            Some(DateOrder::Dmy) => dates.extend(ordered("/-", "D", "M")),
            Some(DateOrder::Mdy) => dates.extend(ordered("/-", "M", "D")),
        }
        let found = find(dates, value).ok_or(DateError::NotADate)?;
        let number = |letter| found.number(letter).unwrap_or(0);
        let time_exists = number('I') < 60
            && number('S') < 60
            && number('P') < 60
            && number('O') * 60 + number('P') <= 14 * 60
            && match number('a') {
                0 => number('H') < 24,
                _ => (1..=12).contains(&number('H')),
            };
        NaiveDate::from_ymd_opt(found.year() as i32, number('M'), number('D'))
            .filter(|_| found.year() != 0 && time_exists)
            .ok_or(DateError::OutOfRange)
    }

    pub(super) fn evidence(value: &str) -> OrderEvidence {
        let Some(found) = find(ordered("/-", "1", "2"), value) else {
            return OrderEvidence::None;
        };
        let (first, second) = (found.number('1').unwrap(), found.number('2').unwrap());
        let is_month = |number| (1..=12).contains(&number);
        let is_day_only = |number| (13..=31).contains(&number);
        if is_day_only(first) && is_month(second) {
            OrderEvidence::Dmy
        } else if is_month(first) && is_day_only(second) {
            OrderEvidence::Mdy
        } else {
            OrderEvidence::Ambiguous
        }
    }
}

fn any_date() -> impl Strategy<Value = String> {
    let date = prop_oneof![
        (0..32_u32, 0..32_u32, 0..10_000_u32, 0..4_usize, 0..8_usize).prop_map(
            |(first, second, year, separator, form)| {
                let separator = ["-", "/", ".", ""][separator];
                let short = year % 100;
                match form {
                    0 => format!("{first}{separator}{second}{separator}{year:04}"),
                    1 => format!("{first:02}{separator}{second:02}{separator}{year:04}"),
                    2 => format!("{first:02}{separator}{second}{separator}{short:02}"),
                    3 => format!("{first}{separator}{second:02}{separator}{short:02}"),
                    4 => format!("{year:04}{separator}{second:02}{separator}{first:02}"),
                    5 => format!("{year}{separator}{second}{separator}{first}"),
                    6 => format!("{first:02}/{second:02}/{year:04}"),
                    _ => format!("{first:02}.{second:02}.{year:04}"),
                }
            }
        ),
        (
            select(vec![
                "Jan", "february", "MAR", "april", "May", "sep", "Sept", "December"
            ]),
            0..33_u32,
            select(vec!["2024", "1999", "0000", "24"]),
            0..6_usize
        )
            .prop_map(|(month, day, year, form)| match form {
                0 => format!("{day} {month} {year}"),
                1 => format!("{day:02}-{month}-{year}"),
                2 => format!("{month} {day}, {year}"),
                3 => format!("{month} {day:02} {year}"),
                4 => format!("{day} {month}-{year}"),
                _ => format!("{month} {day},{year}"),
            }),
    ];
    let time = (
        select(vec!["T", "t", " ", "  ", ", ", " ", "-", ""]),
        select(vec![
            "10:00", "9:05", "00:00", "23:59", "12:30", "13:00", "24:00", "9:5", "10", "1:60",
        ]),
        select(vec![
            "",
            "",
            ":00",
            ":59",
            ":60",
            ":5",
            ":30.5",
            ":30.123456789",
            ".5",
        ]),
        select(vec!["", "", "", "AM", " PM", "am", " Pm", "  AM", "m"]),
        select(vec![
            "", "", "", "Z", "z", "+01:00", "-0100", "+1401", "+14:00", "-0060", "+1",
        ]),
        select(vec!["", "", "", " UTC", " GMT", "UTC", " utc", " "]),
    )
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].concat());
    let changes = vec(
        (
            any::<prop::sample::Index>(),
            select(" 0159-/.:,TtZ+AMJan".chars().collect::<Vec<_>>()),
            0..3_u8,
        ),
        0..3,
    );
    (
        date,
        prop_oneof![Just(String::new()), time],
        any::<bool>(),
        changes,
    )
        .prop_map(|(date, time, is_changed, changes)| {
            let mut value: Vec<char> = (date + &time).chars().collect();
            for (at, char, kind) in changes.into_iter().filter(|_| is_changed) {
                let at = at.index(value.len().max(1));
                match kind {
                    0 => value.insert(at, char),
                    1 if at < value.len() => value[at] = char,
                    _ if at < value.len() => drop(value.remove(at)),
                    _ => {}
                }
            }
            value.into_iter().collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn dates_agree_with_the_reference(value in any_date()) {
        let bytes = value.as_bytes();
        for order in ORDERS {
            let found = parse_date(bytes, order).map(|day| day.date().unwrap());
            prop_assert_eq!(found, reference::read(&value, order), "{} {:?}", value, order);
        }
        prop_assert_eq!(order_evidence(bytes), reference::evidence(&value), "{}", value);
        if let v1 @ (Ok(_) | Err(DateError::OutOfRange)) = parse_date_v1(bytes) {
            for order in ORDERS {
                prop_assert_eq!(parse_date(bytes, order), v1, "{}", value);
            }
        }
    }
}

#[test]
fn the_order_in_json() {
    for (order, json) in [
        (DateOrder::Ymd, "\"ymd\""),
        (DateOrder::Dmy, "\"dmy\""),
        (DateOrder::Mdy, "\"mdy\""),
    ] {
        assert_eq!(serde_json::to_string(&order).unwrap(), json);
        assert_eq!(serde_json::from_str::<DateOrder>(json).unwrap(), order);
    }
}
