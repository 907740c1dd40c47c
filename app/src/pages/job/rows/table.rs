use domain::{Amount, Field, JobId, Transaction, format};
use leptos::prelude::*;

/// On narrow screens the style sheet turns each row into a card. Browsers may then no longer treat it as a table, hence
/// the explicit roles.
#[component]
pub fn RowTable<'a>(
    job_id: JobId,
    rows: Vec<Transaction>,
    /// The search text, empty if there is none.
    query: &'a str,
    /// The number of the requested row.
    sought: Option<u64>,
) -> impl IntoView + use<> {
    let most_decimals = rows.iter().filter_map(|row| row.amount).map(decimals).max();
    let most_decimals = most_decimals.unwrap_or(0);
    view! {
        <div class="table-frame">
            <table role="table" aria-labelledby="rows" aria-keyshortcuts="j k">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col" class="number">
                            "Row"
                        </th>
                        <th role="columnheader" scope="col">
                            "ID"
                        </th>
                        <th role="columnheader" scope="col" class="number">
                            "Amount"
                        </th>
                        <th role="columnheader" scope="col">
                            "Date"
                        </th>
                        <th role="columnheader" scope="col">
                            "Description"
                        </th>
                        <th role="columnheader" scope="col">
                            "Verdict"
                        </th>
                    </tr>
                </thead>
                <tbody role="rowgroup">
                    {rows
                        .into_iter()
                        .map(|row| {
                            let is_sought = sought == Some(row.row_number);
                            view! { <Row job_id row query most_decimals is_sought /> }
                        })
                        .collect_view()}
                </tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn Row<'a>(
    job_id: JobId,
    row: Transaction,
    query: &'a str,
    most_decimals: usize,
    is_sought: bool,
) -> impl IntoView + use<> {
    let sentences = |field: Field| {
        row.errors
            .iter()
            .filter(|error| error.field == field)
            .map(|error| view! { <p class="cell-error">{error.message.clone().into_owned()}</p> })
            .collect_view()
    };
    let amount = row.amount.map(|amount| {
        // The style sheet adds space for this number of digits after the amount, so that decimal points align.
        let missing = most_decimals - decimals(amount);
        view! {
            <span class="amount" data-room=missing.to_string()>
                {format::decimal(&amount.to_string())}
            </span>
        }
    });
    let date = row.date.map(|date| {
        let date = date.to_string();
        view! { <time datetime=date.clone()>{date.clone()}</time> }
    });
    let (verdict, verdict_name) = match row.is_valid {
        _ if row.is_ignored => ("ignored", "Ignored"),
        true => ("valid", "Valid"),
        false => ("invalid", "Invalid"),
    };
    view! {
        // The id lets the browser identify the row when the page is updated.
        <tr
            id=format!("row-{}", row.row_number)
            role="row"
            data-verdict=verdict
            aria-current=is_sought.then_some("true")
        >
            <td role="cell" class="number row-number" data-label="Row">
                <a href=format!("/jobs/{job_id}/rows/{}", row.row_number) data-drawer>
                    {format::count(row.row_number)}
                </a>
                {row
                    .line
                    .map(|line| {
                        view! {
                            " "
                            <span class="line">{format!("line {}", format::count(line))}</span>
                        }
                    })}
            </td>
            <td role="cell" class="id" data-label="ID">
                <bdi>{row.transaction_id.as_deref().map(|id| marked(id, query))}</bdi>
                {sentences(Field::TransactionId)}
            </td>
            <td role="cell" class="number" data-label="Amount">
                {amount}
                {sentences(Field::Amount)}
            </td>
            <td role="cell" class="date" data-label="Date">
                {date}
                {sentences(Field::Date)}
            </td>
            <td role="cell" class="description" data-label="Description">
                {row.description.map(|description| view! { <LongText text=description query /> })}
            </td>
            <td role="cell" class="verdict" data-label="Verdict">
                <span class="badge" data-status=verdict>
                    {verdict_name}
                </span>
                {row
                    .is_suspicious
                    .then(|| {
                        view! {
                            " "
                            <span class="badge" data-status="suspicious">
                                "Suspicious"
                            </span>
                        }
                    })}
                {sentences(Field::Row)}
            </td>
        </tr>
    }
    .into_any()
}

/// A text that is truncated until the user expands it.
#[component]
fn LongText<'a>(text: String, query: &'a str) -> impl IntoView + use<> {
    const CHARS: usize = 160;
    match text.char_indices().nth(CHARS) {
        None => view! { <bdi>{marked(&text, query)}</bdi> }.into_any(),
        Some((end, _)) => {
            let beginning = format!("{}…", &text[..end]);
            view! {
                <details class="long-text">
                    <summary dir="auto">{marked(&beginning, query)}</summary>
                    <p dir="auto">{marked(&text, query)}</p>
                </details>
            }
            .into_any()
        }
    }
}

/// Returns the width of the part after the integer, in digits. The point is as wide as a digit.
fn decimals(amount: Amount) -> usize {
    match amount.scale() {
        0 => 0,
        scale => usize::from(scale) + 1,
    }
}

/// Returns the text with search matches marked.
fn marked(text: &str, query: &str) -> AnyView {
    let pieces = pieces(text, query).into_iter();
    let shown = pieces.map(|(piece, is_found)| match is_found {
        true => view! { <mark>{piece.to_owned()}</mark> }.into_any(),
        false => piece.to_owned().into_any(),
    });
    shown.collect_view().into_any()
}

/// Splits the text into pieces that do or don't match the query, ignoring case.
fn pieces<'t>(text: &'t str, query: &str) -> Vec<(&'t str, bool)> {
    let sought: Vec<char> = query.chars().flat_map(char::to_lowercase).collect();
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(character) = text[at..].chars().next() {
        match end_of(&text[at..], &sought) {
            Some(length) => {
                pieces.push((&text[from..at], false));
                pieces.push((&text[at..at + length], true));
                at += length;
                from = at;
            }
            None => at += character.len_utf8(),
        }
    }
    pieces.push((&text[from..], false));
    pieces.retain(|(piece, _)| !piece.is_empty());
    pieces
}

/// Returns the end, in bytes, of the sought characters if the text begins with them.
fn end_of(text: &str, sought: &[char]) -> Option<usize> {
    let mut rest = sought;
    if rest.is_empty() {
        return None;
    }
    for (at, character) in text.char_indices() {
        if rest.is_empty() {
            return Some(at);
        }
        for lower in character.to_lowercase() {
            rest = rest.strip_prefix(&[lower])?;
        }
    }
    rest.is_empty().then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn matches_are_found_ignoring_case() {
        let found = |text, query| {
            let pieces = pieces(text, query).into_iter();
            let shown = pieces.map(|(piece, is_found)| match is_found {
                true => format!("[{piece}]"),
                false => piece.to_owned(),
            });
            shown.collect::<String>()
        };
        assert_eq!(found("Café ZÜRICH café", "café"), "[Café] ZÜRICH [café]");
        assert_eq!(found("Café ZÜRICH", "zür"), "Café [ZÜR]ICH");
        assert_eq!(found("aaa", "aa"), "[aa]a");
        assert_eq!(found("abc", ""), "abc");
        assert_eq!(found("abc", "abcd"), "abc");
        assert_eq!(found("", "x"), "");
        assert_eq!(found("x", "x"), "[x]");
    }
}
