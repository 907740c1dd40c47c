//! Turns evidence into decisions or questions.

use serde_json::{Value, json};

use super::{
    CompletedFormat, Evidence,
    evidence::Proof,
    question::{Choice, Decision, Question, Sample, Source},
};
use crate::{
    DateOrder, Decimal, Encoding, Layout, date::parse_date, number::parse_amount, shown::shown,
    text_kind::TextKind,
};

/// The number of characters of a value that a question shows.
const MAX_CHARS: usize = 80;

/// Returns the layout with everything that the rows decide, and the reasons.
pub(crate) fn decide(
    layout: &Layout,
    evidence: &Evidence,
    text: &TextKind,
    completed: &CompletedFormat,
) -> Result<(Layout, Vec<Decision>), Vec<Question>> {
    let given = completed.format();
    let mut layout = layout.clone();
    let mut decisions = Vec::new();
    let mut questions = Vec::new();
    if given.encoding.is_none() && text.is_legacy() {
        questions.push(encoding_question(&evidence.unreadable, text));
    }
    if given.fields.is_none()
        && let Some(question) = fields_question(&layout, evidence)
    {
        questions.push(question);
    }
    match date_order(evidence, completed) {
        Ok(None) => {}
        Ok(Some((order, decision))) => {
            layout.set_date_order(order);
            decisions.push(decision);
        }
        Err(question) => questions.push(*question),
    }
    match decimal(evidence, completed) {
        Ok((decimal, decision)) => {
            layout.set_decimal(decimal);
            decisions.push(decision);
        }
        Err(question) => questions.push(*question),
    }
    match questions.is_empty() {
        true => {
            layout.asked();
            Ok((layout, decisions))
        }
        false => Err(questions),
    }
}

fn by_evidence(key: &str, value: Value, proof: &Proof) -> Decision {
    Decision {
        row: Some(proof.row),
        found: Some(text(proof)),
        ..Decision::new(key, value, Source::Evidence)
    }
}

fn text(proof: &Proof) -> String {
    let text = String::from_utf8_lossy(&proof.value);
    text.chars().take(MAX_CHARS).collect()
}

fn date_order(
    evidence: &Evidence,
    completed: &CompletedFormat,
) -> Result<Option<(DateOrder, Decision)>, Box<Question>> {
    let key = "date_order";
    let contradicted = match completed.saved_date_order() {
        Some(DateOrder::Dmy) => evidence.month_first.as_ref(),
        Some(DateOrder::Mdy) => evidence.day_first.as_ref(),
        Some(DateOrder::Ymd) | None => None,
    };
    if let Some(order) = completed.format().date_order
        && contradicted.is_none()
    {
        return Ok(Some((
            order,
            Decision::new(key, json!(order), Source::Given),
        )));
    }
    let decided =
        |order: DateOrder, proof| Ok(Some((order, by_evidence(key, json!(order), proof))));
    let (message, samples) = match (&evidence.day_first, &evidence.month_first) {
        (Some(proof), None) | (None, Some(proof)) if contradicted.is_some() => {
            let (saved, found) = match evidence.day_first {
                Some(_) => ("month", "day"),
                None => ("day", "month"),
            };
            (
                format!(
                    "Your saved format reads dates with the {saved} first, but {} in row {} has the {found} first. \
                     Choose how to read the dates.",
                    shown(&text(proof)),
                    proof.row
                ),
                std::iter::once(proof).chain(&evidence.ambiguous).collect(),
            )
        }
        (Some(proof), None) => return decided(DateOrder::Dmy, proof),
        (None, Some(proof)) => return decided(DateOrder::Mdy, proof),
        (None, None) if evidence.ambiguous.is_empty() => return Ok(None),
        (Some(day), Some(month)) => (
            format!(
                "The dates contradict each other: {} in row {} has the day first, {} in row {} has the month first. \
                 Choose how to read the dates.",
                shown(&text(day)),
                day.row,
                shown(&text(month)),
                month.row
            ),
            vec![day, month],
        ),
        (None, None) => (
            format!(
                "No date in the file shows whether the day or the month comes first, as in {}. Choose one.",
                shown(&text(&evidence.ambiguous[0]))
            ),
            evidence.ambiguous.iter().collect(),
        ),
    };
    let choice = |order: DateOrder, label: &str| {
        choice(json!(order), label, &samples, |value| {
            let date = parse_date(value, Some(order)).ok()?.date()?;
            Some(date.format("%-d %B %Y").to_string())
        })
    };
    Err(Box::new(Question {
        choices: vec![
            choice(DateOrder::Dmy, "Day first"),
            choice(DateOrder::Mdy, "Month first"),
        ],
        ..Question::new(key, message)
    }))
}

/// Returns a choice with the values that it reads from samples.
fn choice(
    value: Value,
    label: &str,
    samples: &[&Proof],
    read: impl Fn(&[u8]) -> Option<String>,
) -> Choice {
    let sample = |proof: &&Proof| Sample {
        row: Some(proof.row),
        value: text(proof),
        read_as: read(&proof.value),
    };
    Choice {
        value: value.as_str().unwrap_or_default().to_owned(),
        label: label.to_owned(),
        samples: samples.iter().map(sample).collect(),
    }
}

fn decimal(
    evidence: &Evidence,
    completed: &CompletedFormat,
) -> Result<(Decimal, Decision), Box<Question>> {
    let key = "decimal";
    let contradicted = match completed.saved_decimal() {
        Some(Decimal::Point) => evidence.comma.as_ref(),
        Some(Decimal::Comma) => evidence.point.as_ref(),
        None => None,
    };
    if let Some(decimal) = completed.format().decimal
        && contradicted.is_none()
    {
        return Ok((decimal, Decision::new(key, json!(decimal), Source::Given)));
    }
    let decided = |decimal: Decimal, proof| Ok((decimal, by_evidence(key, json!(decimal), proof)));
    let (message, samples) = match (&evidence.point, &evidence.comma) {
        (Some(proof), None) | (None, Some(proof)) if contradicted.is_some() => {
            let (saved, found) = match evidence.point {
                Some(_) => ("comma", "point"),
                None => ("point", "comma"),
            };
            (
                format!(
                    "Your saved format reads amounts with a decimal {saved}, but {} in row {} has a decimal {found}. \
                     Choose how to read the amounts.",
                    shown(&text(proof)),
                    proof.row
                ),
                std::iter::once(proof).chain(&evidence.undecided).collect(),
            )
        }
        (Some(proof), None) => return decided(Decimal::Point, proof),
        (None, Some(proof)) => return decided(Decimal::Comma, proof),
        (None, None) if evidence.undecided.is_empty() => {
            let decision = Decision::new(key, json!(Decimal::Point), Source::OnlyChoice);
            return Ok((Decimal::Point, decision));
        }
        (Some(point), Some(comma)) => (
            format!(
                "The amounts contradict each other: {} in row {} has a decimal point, {} in row {} has a decimal comma. \
                 Choose how to read the amounts.",
                shown(&text(point)),
                point.row,
                shown(&text(comma)),
                comma.row
            ),
            vec![point, comma],
        ),
        (None, None) => (
            format!(
                "No amount in the file shows whether {} has a decimal sign or a thousands separator. Choose the decimal \
                 sign.",
                shown(&text(&evidence.undecided[0]))
            ),
            evidence.undecided.iter().collect(),
        ),
    };
    let choice = |decimal: Decimal, label: &str| {
        choice(json!(decimal), label, &samples, |value| {
            Some(parse_amount(value, decimal).ok()?.to_string())
        })
    };
    Err(Box::new(Question {
        choices: vec![
            choice(Decimal::Point, "Decimal point: 1,234.56"),
            choice(Decimal::Comma, "Decimal comma: 1.234,56"),
        ],
        ..Question::new(key, message)
    }))
}

/// Asks if no row has as many fields as the header and all rows have the same number of fields.
fn fields_question(layout: &Layout, evidence: &Evidence) -> Option<Question> {
    let fields = evidence.other_fields.flatten()?;
    if evidence.has_whole_row {
        return None;
    }
    let columns = layout.names().len();
    let message = format!(
        "The header has {columns} columns, and every row has {fields} fields. Choose whether short rows are to be \
         filled up, or name the columns by their numbers and say how many records come before the first row."
    );
    let mut choices = Vec::new();
    if fields < columns && layout.has_fields_in_use(fields) {
        choices.push(Choice {
            value: "pad".to_owned(),
            label: "Fill short rows with empty fields".to_owned(),
            samples: Vec::new(),
        });
    }
    Some(Question {
        choices,
        header: layout.names().to_vec(),
        ..Question::new("fields", message)
    })
}

/// Encodings that are offered in addition to the suggested one.
const ENCODINGS: [(&str, &str); 14] = [
    ("windows-1252", "Western European"),
    ("windows-1250", "Central European"),
    ("windows-1251", "Cyrillic"),
    ("windows-1253", "Greek"),
    ("windows-1254", "Turkish"),
    ("windows-1257", "Baltic"),
    ("iso-8859-2", "Central European, ISO"),
    ("koi8-r", "Cyrillic, KOI8-R"),
    ("gb18030", "Simplified Chinese"),
    ("big5", "Traditional Chinese"),
    ("shift_jis", "Japanese"),
    ("euc-jp", "Japanese, EUC"),
    ("euc-kr", "Korean"),
    ("macintosh", "Western European, old Macintosh"),
];

pub(crate) fn encoding_question(samples: &[Proof], text: &TextKind) -> Question {
    // GB18030 is a superset of GBK.
    let suggestion = match text.suggestion() {
        gbk if gbk == "gbk" => "gb18030".to_owned(),
        other => other,
    };
    let mut choices: Vec<(String, String)> = ENCODINGS
        .iter()
        .map(|(label, name)| ((*label).to_owned(), format!("{name} ({label})")))
        .collect();
    match choices.iter().position(|(label, _)| *label == suggestion) {
        Some(at) => choices[..=at].rotate_right(1),
        None => choices.insert(0, (suggestion.clone(), suggestion.clone())),
    }
    let from_text = [Proof {
        row: 0,
        value: text
            .sample()
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(&b" | "[..]),
    }];
    let samples = match samples {
        [] => &from_text[..],
        samples => samples,
    };
    let choices = choices
        .into_iter()
        .filter_map(|(value, label)| {
            let Some(Encoding::Legacy(encoding)) = Encoding::from_label(&value) else {
                return None;
            };
            let sample = |proof: &Proof| {
                let read_as = encoding
                    .decode_without_bom_handling_and_without_replacement(&proof.value)
                    .map(|text| text.chars().take(MAX_CHARS).collect());
                Sample {
                    row: (proof.row > 0).then_some(proof.row),
                    value: self::text(proof),
                    read_as,
                }
            };
            let samples = samples.iter().map(sample).collect();
            Some(Choice {
                value,
                label,
                samples,
            })
        })
        .collect();
    Question {
        choices,
        suggestion: Some(json!(suggestion)),
        ..Question::new(
            "encoding",
            "The file isn't UTF-8. Choose the encoding under which the values below read right."
                .to_owned(),
        )
    }
}
