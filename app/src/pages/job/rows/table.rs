use domain::{Amount, Field, Transaction, format};
use leptos::prelude::*;

/// On a narrow screen the style makes a card of each row, for which a browser may forget that it is
/// a table: hence the explicit roles.
#[component]
pub fn RowTable(
    rows: Vec<Transaction>,
    /// The number of the row that is looked for.
    sought: Option<u64>,
) -> impl IntoView {
    let most_decimals = rows.iter().filter_map(|row| row.amount).map(decimals).max();
    let most_decimals = most_decimals.unwrap_or(0);
    view! {
        <div class="table-frame">
            <table role="table" aria-labelledby="rows">
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
                            view! { <Row row most_decimals is_sought /> }
                        })
                        .collect_view()}
                </tbody>
            </table>
        </div>
    }
    .into_any()
}

#[component]
fn Row(row: Transaction, most_decimals: usize, is_sought: bool) -> impl IntoView {
    let sentences = |field: Field| {
        row.errors
            .iter()
            .filter(|error| error.field == field)
            .map(|error| view! { <p class="cell-error">{error.message.clone().into_owned()}</p> })
            .collect_view()
    };
    let amount = row.amount.map(|amount| {
        // The stylesheet sets so many digits' room after the amount that the points stand in line.
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
        // By its id, the browser tells one row from another when the page is brought up to date.
        <tr
            id=format!("row-{}", row.row_number)
            role="row"
            data-verdict=verdict
            aria-current=is_sought.then_some("true")
        >
            <td role="cell" class="number row-number" data-label="Row">
                {format::count(row.row_number)}
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
                <bdi>{row.transaction_id.clone()}</bdi>
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
                {row.description.map(|description| view! { <LongText text=description /> })}
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

/// A text of which only the beginning is shown until somebody asks for the whole.
#[component]
fn LongText(text: String) -> impl IntoView {
    const CHARS: usize = 160;
    match text.char_indices().nth(CHARS) {
        None => view! { <bdi>{text}</bdi> }.into_any(),
        Some((end, _)) => {
            let beginning = format!("{}…", &text[..end]);
            view! {
                <details class="long-text">
                    <summary dir="auto">{beginning}</summary>
                    <p dir="auto">{text}</p>
                </details>
            }
            .into_any()
        }
    }
}

/// The width of what follows the whole number, in digits: the point is as wide as one.
fn decimals(amount: Amount) -> usize {
    match amount.scale() {
        0 => 0,
        scale => usize::from(scale) + 1,
    }
}
