//! Reads the rows that a question shows again whenever an answer changes.

use std::cell::Cell;

use leptos::{
    ev,
    prelude::{document, window_event_listener},
    web_sys::{Element, FormData, HtmlFormElement, UrlSearchParams},
};
use wasm_bindgen::JsCast;

use crate::islands::{CheckModule, read_shown};

thread_local! {
    static HAS_CHANGED: Cell<bool> = const { Cell::new(false) };
}

const FORM: &str = "form[data-wasm]";

pub fn listen() {
    let _ = window_event_listener(ev::change, |event| {
        let changed: Option<Element> = event.target().and_then(|it| it.dyn_into().ok());
        if let Some(form) = changed.and_then(|it| it.closest(FORM).ok().flatten()) {
            HAS_CHANGED.set(true);
            begin(form);
        }
    });
}

/// Called when the form was updated from the server and kept its answers.
pub fn refresh() {
    if HAS_CHANGED.get()
        && let Ok(Some(form)) = document().query_selector(FORM)
    {
        begin(form);
    }
}

fn begin(form: Element) {
    leptos::task::spawn_local(async move {
        // `None` if the form shows no rows.
        let _ = read_anew(form.unchecked_into()).await;
    });
}

async fn read_anew(form: HtmlFormElement) -> Option<()> {
    let module = CheckModule {
        script: form.get_attribute("data-script")?,
        wasm: form.get_attribute("data-wasm")?,
    };
    let preview = form.query_selector("[data-question]").ok()??;
    let question = preview.get_attribute("data-question")?;
    let answers = answers(&form)?;
    let reads = read_shown(&module, &question, &answers).await;
    // Another choice may have been made and read by now.
    if self::answers(&form)? == answers {
        // What was read with other answers must not stay if the module can't be loaded.
        let (sentence, table) = reads.map_or_else(Default::default, |it| (it.sentence, it.table));
        let part = |name| preview.query_selector(name).ok().flatten();
        part(".reads")?.set_text_content(Some(&sentence));
        part("table")?.set_inner_html(&table);
    }
    Some(())
}

fn answers(form: &HtmlFormElement) -> Option<String> {
    let fields = FormData::new_with_form(form).ok()?;
    let fields = UrlSearchParams::new_with_str_sequence_sequence(&fields).ok()?;
    fields.to_string().as_string()
}
