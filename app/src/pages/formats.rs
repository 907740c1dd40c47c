//! `/formats`: the supported formats, with examples.

use axum::http::StatusCode;
use leptos::prelude::*;

use crate::{Page, Site};

/// The names of sample files, and what they show.
const SAMPLES: [(&str, &str); 5] = [
    (
        "sample.csv",
        "The plain file: commas, a decimal point, the year first",
    ),
    (
        "sample-german.csv",
        "Semicolons, a decimal comma, the day first, lines before the header",
    ),
    (
        "sample-us.csv",
        "Thousands separators, the month first, parentheses for negative amounts",
    ),
    (
        "sample-debit-credit.csv",
        "Two columns for money out and money in, no ID",
    ),
    (
        "sample-tabs.tsv",
        "Tabs, names of months, amounts with a currency",
    ),
];

pub fn formats(site: &Site) -> Page {
    let start = match site.lists_users() {
        true => "Users",
        false => "Your files",
    };
    site.page(StatusCode::OK, "Supported formats", || {
        view! {
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href="/">{start}</a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">"Supported formats"</span>
            </nav>
            <div class="page-head">
                <h1>"Supported formats"</h1>
                <p class="lead">
                    "Batchline proves from the whole file how to read it, or asks. It never guesses."
                </p>
            </div>
            <div class="prose">
                <Files />
                <Columns />
                <Values />
                <Samples />
            </div>
        }
    })
}

#[component]
fn Files() -> impl IntoView {
    view! {
        <section aria-labelledby="files">
            <h2 id="files">"Files"</h2>
            <p>
                "CSV and text with any delimiter, also compressed with gzip or as the only file of a zip archive; Excel workbooks (.xlsx, .xlsb, .xls) and OpenDocument spreadsheets (.ods). A workbook with several sheets asks which one."
            </p>
            <p>
                "The text may be UTF-8, UTF-16, or an older encoding such as windows-1252. For an older encoding the page asks which one it is, and shows some of your values under each."
            </p>
        </section>
    }
}

#[component]
fn Columns() -> impl IntoView {
    view! {
        <section aria-labelledby="columns">
            <h2 id="columns">"Columns"</h2>
            <p>
                "A row needs an amount and a date. An ID and a description are optional. Columns named "
                <code>"transaction_id"</code> ", " <code>"amount"</code> ", " <code>"date"</code>
                " or " <code>"timestamp"</code> " and " <code>"description"</code>
                " are found automatically, in upper or lower case, even if other lines come before the header. For other names the page asks, with suggestions in nine languages."
            </p>
            <ul>
                <li>"Money out and money in may be in two columns."</li>
                <li>"The direction may be in a separate column, such as D and C."</li>
                <li>"An ID may combine two columns, be repeated, or be missing."</li>
                <li>"In a file without a header, columns are chosen by their numbers."</li>
            </ul>
        </section>
    }
}

#[component]
fn Values() -> impl IntoView {
    let listed = |values: &[&'static str]| {
        values
            .iter()
            .enumerate()
            .map(|(at, value)| {
                let comma = if at == 0 { "" } else { ", " };
                view! {
                    {comma}
                    <code>{*value}</code>
                }
            })
            .collect_view()
    };
    view! {
        <section aria-labelledby="dates">
            <h2 id="dates">"Dates"</h2>
            <p>
                "Always: "
                {listed(&[
                    "2024-01-31",
                    "2024/01/31",
                    "2024.01.31",
                    "20240131",
                    "31.01.2024",
                    "31 Jan 2024",
                    "Jan 31, 2024",
                ])} ", each optionally followed by a time."
            </p>
            <p>
                <code>"13/04/2024"</code> " proves that the day comes first, "
                <code>"04/13/2024"</code>
                " that the month does. One such date anywhere in the file decides for all. If there is none, or if two contradict each other, the page asks."
            </p>
        </section>
        <section aria-labelledby="amounts">
            <h2 id="amounts">"Amounts"</h2>
            <p>
                {listed(&[
                    "1,234.50",
                    "1.234,50",
                    "1 234,50",
                    "CHF 1'234.50",
                    "(1,234.50)",
                    "1234.50-",
                    "- $1,234.50",
                ])} "."
            </p>
            <p>
                <code>"1.234"</code>
                " may be slightly more than one or more than a thousand. A single amount that can be read in only one way, such as "
                <code>"12,5"</code> ", decides for the whole file. Otherwise the page asks."
            </p>
        </section>
    }
}

#[component]
fn Samples() -> impl IntoView {
    let sample = |(name, what): (&'static str, &'static str)| {
        view! {
            <li>
                <a href=format!("/{name}") download>
                    {name}
                </a>
                ": "
                {what}
                "."
            </li>
        }
    };
    view! {
        <section aria-labelledby="samples">
            <h2 id="samples">"Samples"</h2>
            <ul>{SAMPLES.map(sample).collect_view()}</ul>
        </section>
    }
}
