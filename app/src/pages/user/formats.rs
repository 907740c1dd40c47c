use domain::{FormatName, SavedFormat, UserId, format};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    AppError, Query,
    api::{DeleteFormat, ImportFormat, UpdateFormat},
    components::{Confirm, FormError},
};

/// The saved formats of a user, and actions on them.
#[component]
pub fn SavedFormats<'a>(
    user_id: UserId,
    formats: Vec<SavedFormat>,
    query: &'a Query,
) -> impl IntoView + use<> {
    let edit_error = query.posted::<UpdateFormat>();
    let list = match formats.is_empty() {
        true => view! {
            <p class="muted">
                "None yet. When a file is completed after you said how to read it, that is saved here and applied to \
                every file with the same header."
            </p>
        }
        .into_any(),
        false => formats
            .iter()
            .map(|saved| one(user_id, saved, edit_error.as_ref()))
            .collect_view()
            .into_any(),
    };
    view! {
        <section class="panel" aria-labelledby="formats">
            <h2 id="formats">"Saved formats"</h2>
            <FormError error={query.posted::<DeleteFormat>()} />
            {list}
            <Import user_id error={query.posted::<ImportFormat>()} />
        </section>
    }
    .into_any()
}

fn one(user_id: UserId, saved: &SavedFormat, error: Option<&AppError>) -> impl IntoView + use<> {
    let id = saved.id.to_string();
    let error = error.filter(|error| error.typed("format_id").as_ref() == Some(&id));
    let header = match &saved.header {
        Some(names) => format!("Header: {}", shortened(&names.join(", "))),
        None => "Applied where you choose it".to_owned(),
    };
    let format = saved.format.to_value();
    let keys: Vec<String> = format.as_object().map_or_else(Vec::new, |keys| {
        keys.keys().map(|key| key.replace('_', " ")).collect()
    });
    let sets = match keys.is_empty() {
        true => "Sets nothing".to_owned(),
        false => format!("Sets {}", keys.join(", ")),
    };
    let json = serde_json::to_string_pretty(&format).unwrap_or_default();
    let typed_name = error.and_then(|error| error.typed("name"));
    let name = typed_name.unwrap_or_else(|| saved.name.clone());
    let sentence = error.map(|error| error.message.clone());
    let is_wrong = sentence.is_some();
    let error_id = sentence.is_some().then(|| format!("format-{id}-error"));
    let part = |name: &str| format!("format-{id}{name}");
    let export = format!("/api/users/{user_id}/formats/{id}");
    let deleted = id.clone();
    let what_stays = format!(
        "Results that were read with \"{}\" stay as they are.",
        saved.name
    );
    view! {
        <article class="saved-format" aria-labelledby=part("")>
            <h3 id=part("")>{saved.name.clone()}</h3>
            <p class="muted">{header}</p>
            <p class="muted">{sets}</p>
            // Open if the form has an error.
            <details class="disclosure" open=is_wrong>
                <summary aria-label=format!("Edit {}", saved.name)>"Edit"</summary>
                <form method="post" action=UpdateFormat::PATH>
                    <input type="hidden" name="user_id" value=user_id.to_string() />
                    <input type="hidden" name="format_id" value=id.clone() />
                    <div class="field">
                        <label for=part("-name")>"Name"</label>
                        <input
                            id=part("-name")
                            name="name"
                            value=name
                            required
                            maxlength=FormatName::MAX_CHARS.to_string()
                            autocomplete="off"
                        />
                    </div>
                    <div class="field">
                        <label for=part("-json")>"Format (JSON)"</label>
                        <textarea
                            id=part("-json")
                            name="format"
                            rows="8"
                            spellcheck="false"
                            aria-invalid=is_wrong.then_some("true")
                            aria-describedby=error_id.clone()
                        >
                            {json}
                        </textarea>
                        <p class="field-error" id=error_id role="alert">
                            {sentence}
                        </p>
                    </div>
                    <button class="button button-primary" data-under-way="Saving…">
                        "Save"
                    </button>
                </form>
            </details>
            <div class="controls">
                <a
                    class="button"
                    href=export
                    download=format!("{}.json", saved.name)
                    aria-label=format!("Export {}", saved.name)
                >
                    "Export"
                </a>
                <Confirm
                    id=part("-delete")
                    button="Delete…"
                    label=format!("Delete {}", saved.name)
                    question="Delete this saved format?"
                    error={None}
                >
                    <p>
                        {what_stays}
                        " New files won't use it."
                    </p>
                    <form method="post" action=DeleteFormat::PATH>
                        <input type="hidden" name="user_id" value=user_id.to_string() />
                        <input type="hidden" name="format_id" value=deleted />
                        <button class="button button-danger" data-under-way="Deleting…">
                            "Delete saved format"
                        </button>
                    </form>
                </Confirm>
            </div>
        </article>
    }
}

#[component]
fn Import(user_id: UserId, error: Option<AppError>) -> impl IntoView {
    let typed = error.as_ref().and_then(|error| error.typed("json"));
    let sentence = error.map(|error| error.message);
    let is_wrong = sentence.is_some();
    view! {
        <details class="disclosure" open=is_wrong>
            <summary>"Import a format"</summary>
            <form method="post" action=ImportFormat::PATH>
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <div class="field">
                    <label for="import-json">"JSON of an export"</label>
                    <textarea
                        id="import-json"
                        name="json"
                        rows="6"
                        required
                        spellcheck="false"
                        aria-invalid=is_wrong.then_some("true")
                        aria-describedby="import-json-error"
                    >
                        {typed}
                    </textarea>
                    <p class="field-error" id="import-json-error" role="alert">
                        {sentence}
                    </p>
                </div>
                <button class="button" data-under-way="Importing…">
                    "Import"
                </button>
            </form>
        </details>
    }
}

fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 120;
    format::shortened(text, MAX_CHARS).unwrap_or_else(|| text.to_owned())
}
