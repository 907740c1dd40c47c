//! Updates parts of a page: elements with an id and `data-part`. The server renders the whole page, and this code
//! updates the parts from it and passes new props to each island.
//!
//! Links and search forms that lead to the same page with another query are handled in this way, too.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    time::Duration,
};

use futures::{FutureExt, select};
use gloo_timers::future::sleep;
use leptos::{
    ev,
    prelude::{document, window, window_event_listener, window_event_listener_untyped},
    web_sys::{
        Document, Element, FormData, HtmlAnchorElement, HtmlElement, HtmlFormElement,
        HtmlSelectElement, MouseEvent, Response, SubmitEvent, UrlSearchParams,
    },
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DomParser, FocusOptions, Headers, RequestInit, SupportedType, Url};

use super::{ages, forms::SENT, keys, morph::morph, preview, selection, session};
use crate::{
    AppError, PARTS_HEADER,
    request::{self, query_of},
};

type OnRefresh = (&'static str, Box<dyn Fn(&str)>);

/// The maximum time for a response. A connection can be lost without either end noticing.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The same for a form. The server has a limit of its own, after which it says so.
const FORM_PATIENCE: Duration = Duration::from_secs(70);
/// The delays before a failed refresh is tried again, each twice as long as the one before.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(64);

thread_local! {
    static ISLANDS: RefCell<Vec<OnRefresh>> = const { RefCell::new(Vec::new()) };
    /// Incremented with each fetch, to discard outdated responses.
    static FETCH: Cell<u32> = const { Cell::new(0) };
    static IS_FETCHING: Cell<bool> = const { Cell::new(false) };
    /// Whether something changed since the current fetch began.
    static IS_STALE: Cell<bool> = const { Cell::new(false) };
    /// The path and query that are shown or being fetched.
    static SHOWN: RefCell<String> = const { RefCell::new(String::new()) };
    /// Forms that change what the page shows, with their fields. They are sent one after the other, because the later
    /// one counts if both change the same job.
    static POSTS: RefCell<VecDeque<(HtmlFormElement, String)>> = const { RefCell::new(VecDeque::new()) };
}

/// Calls `take` with the new props of the island, as JSON.
pub fn on_refresh(island: &'static str, take: impl Fn(&str) + 'static) {
    ISLANDS.with_borrow_mut(|islands| islands.push((island, Box::new(take))));
}

/// Updates the page. Calls during a fetch cause at most one more fetch. If it fails, the page stays unchanged until it
/// succeeds, because no other message may follow.
pub fn refresh() {
    if IS_FETCHING.get() {
        IS_STALE.set(true);
        return;
    }
    leptos::task::spawn_local(async {
        let before = news();
        let mut delay = FIRST_RETRY;
        while load().await.is_err() {
            let failed = FETCH.get();
            sleep(delay).await;
            if FETCH.get() != failed {
                // Something else has fetched the page since.
                return;
            }
            delay = (delay * 2).min(LAST_RETRY);
        }
        announce_news(&before);
    });
}

/// Returns whether `url` is another page than the current one, ignoring the hash.
pub fn is_other_page(url: &str) -> bool {
    path_and_query(url) != here()
}

pub fn listen() {
    SHOWN.set(here());
    let _ = window_event_listener(ev::click, |event| {
        let clicked = event.target().and_then(|at| at.dyn_into::<Element>().ok());
        if let Some(clicked) = clicked {
            if clicked.has_attribute("data-dismiss") {
                say(NOTICE, "");
            }
            // The second click of a double click may hit what the first one put in the place of its button.
            let is_command = || clicked.closest(&format!("form[{IN_PLACE}] button"));
            if event.detail() > 1 && matches!(is_command(), Ok(Some(_))) {
                event.prevent_default();
            }
        }
        let Some(url) = followed(&event) else { return };
        if is_within(&url) {
            event.prevent_default();
            go(&url);
        } else if is_other_page(&url.href()) && is_offline() {
            event.prevent_default();
            show_unreachable();
        }
    });
    let _ = window_event_listener(ev::submit, |event| {
        if post_in_place(&event) {
            event.prevent_default();
        } else if let Some(url) = searched(&event).filter(is_within) {
            event.prevent_default();
            go(&url);
        } else if !event.default_prevented() && is_offline() {
            // The browser would replace the page with its own error page.
            event.prevent_default();
            show_unreachable();
        }
    });
    // A choice that needs no confirmation takes effect at once.
    let _ = window_event_listener(ev::change, |event| {
        let chosen = event
            .target()
            .and_then(|it| it.dyn_into::<HtmlSelectElement>().ok());
        if let Some(form) = chosen
            .filter(|it| it.has_attribute("data-at-once"))
            .and_then(|it| it.form())
        {
            // Fails only for a form that isn't in the document.
            let _ = form.request_submit();
        }
    });
    let _ = window_event_listener_untyped("online", |_| say(TROUBLE, ""));
    let _ = window_event_listener_untyped("popstate", |_| {
        // If only the hash changed, the browser handles it.
        if SHOWN.with_borrow(|shown| *shown != here()) {
            show(false);
        }
    });
    // A hidden page may have missed what other tabs changed.
    let _ = window_event_listener_untyped("visibilitychange", |_| {
        if !document().hidden() {
            refresh();
        }
    });
    // So may a page in the browser's history.
    let _ = window_event_listener(ev::pageshow, |event| {
        if event.persisted() {
            refresh();
        }
    });
}

fn is_offline() -> bool {
    !window().navigator().on_line()
}

/// Returns the target of a click that the browser would follow in this tab.
fn followed(event: &MouseEvent) -> Option<Url> {
    let has_modifier = event.ctrl_key() || event.meta_key() || event.shift_key() || event.alt_key();
    if event.default_prevented() || event.button() != 0 || has_modifier {
        return None;
    }
    let clicked: Element = event.target()?.dyn_into().ok()?;
    let link = clicked
        .closest("a[href]:not([download], [target])")
        .ok()??;
    let link: HtmlAnchorElement = link.dyn_into().ok()?;
    Url::new(&link.href()).ok()
}

/// Returns the target of a form whose fields form a query.
fn searched(event: &SubmitEvent) -> Option<Url> {
    let form: HtmlFormElement = event.target()?.dyn_into().ok()?;
    if event.default_prevented() || form.method() != "get" {
        return None;
    }
    let fields = FormData::new_with_form(&form).ok()?;
    let query = UrlSearchParams::new_with_str_sequence_sequence(&fields).ok()?;
    let url = Url::new(&form.action()).ok()?;
    url.set_search(&String::from(query.to_string()));
    Some(url)
}

/// Marks a form that changes what its page shows.
pub const IN_PLACE: &str = "data-in-place";

/// Posts a form that changes what its page shows, including the pressed button. Returns whether it is such a form.
fn post_in_place(event: &SubmitEvent) -> bool {
    let form = event.target().and_then(|form| form.dyn_into().ok());
    let form: Option<HtmlFormElement> = form;
    // A button may have its own action.
    let has_own = |button: HtmlElement| button.has_attribute("formaction");
    let form = form.filter(|form| {
        let is_usual = !event.submitter().is_some_and(has_own);
        form.has_attribute(IN_PLACE) && is_usual && !event.default_prevented()
    });
    let Some(asked) = form.zip(query_of(event)) else {
        return false;
    };
    // Enter in a field presses the first button, which exists only for this purpose.
    let is_by_enter = event.submitter().is_some_and(|button| button.hidden());
    let is_first = POSTS.with_borrow_mut(|posts| {
        if !is_by_enter && posts.back() != Some(&asked) {
            posts.push_back(asked);
            return posts.len() == 1;
        }
        false
    });
    if is_first {
        leptos::task::spawn_local(async {
            while let Some((form, body)) = POSTS.with_borrow(|posts| posts.front().cloned()) {
                say(TROUBLE, "");
                match post(&form, &body).await {
                    // The selection was made for this command.
                    Ok(true) if body.contains("command=") => selection::clear(&form, &body),
                    Ok(_) => {}
                    Err(_) => show_unreachable(),
                }
                POSTS.with_borrow_mut(|posts| posts.pop_front());
            }
        });
    }
    true
}

/// Posts a form and shows the page that it redirects to, with its notice. Returns whether the form was accepted.
/// Otherwise, the reason is shown.
async fn post(form: &HtmlFormElement, body: &str) -> Result<bool, JsValue> {
    let fields = UrlSearchParams::new_with_str(body)?;
    let action = form.action();
    let posted = async {
        let response = request::send(&action, &fields, "text/html").await?;
        let fetched = document_of(&response).await?;
        Ok((response, fetched))
    };
    let (response, fetched) = within(FORM_PATIENCE, posted).await?;
    if !response.redirected() {
        // Too large, too many items, or too many requests.
        let sentence = fetched.query_selector(".failure p:not(.eyebrow)")?;
        let sentence = sentence.and_then(|sentence| sentence.text_content());
        say(TROUBLE, &sentence.ok_or(JsValue::NULL)?);
        return Ok(false);
    }
    let (url, here) = (Url::new(&response.url())?, window().location());
    if here.pathname() != Ok(url.pathname()) {
        here.set_href(&response.url())?;
        return Ok(true);
    }
    // The user may have moved on to another list.
    if !is_other_page(&response.url()) {
        apply(&fetched)?;
    }
    if let (Some(shown), Some(notice)) = (
        document().get_element_by_id(NOTICE),
        fetched.get_element_by_id(NOTICE),
    ) {
        morph(&shown, &notice)?;
    }
    // A fetch that began earlier may have missed the change.
    refresh();
    Ok(true)
}

/// Waits for work, but no longer than this.
pub async fn within<T>(
    longest: Duration,
    work: impl Future<Output = Result<T, JsValue>>,
) -> Result<T, JsValue> {
    select! {
        done = Box::pin(work).fuse() => done,
        () = sleep(longest).fuse() => Err(JsValue::NULL),
    }
}

/// Returns whether `url` is this page with another query.
fn is_within(url: &Url) -> bool {
    let location = window().location();
    location.origin() == Ok(url.origin())
        && location.pathname() == Ok(url.pathname())
        && is_other_page(&url.href())
}

fn go(url: &Url) {
    let pushed = window()
        .history()
        .and_then(|history| history.push_state_with_url(&JsValue::NULL, "", Some(&url.href())));
    match pushed {
        Ok(()) => show(true),
        Err(_) => drop(window().location().set_href(&url.href())),
    }
}

/// Shows the page at the current address. `is_new` distinguishes going there from going back.
fn show(is_new: bool) {
    let before = SHOWN.replace(here());
    leptos::task::spawn_local(async move {
        set_busy(true);
        say(ANNOUNCEMENT, "");
        say(TROUBLE, "");
        say(NOTICE, "");
        match load().await {
            Ok(true) => {
                if is_new {
                    scroll();
                }
                say(ANNOUNCEMENT, &announced());
            }
            // Something else is shown by now.
            Ok(false) => {}
            Err(Unshown::Unreachable) => {
                SHOWN.set(before);
                if is_new {
                    // Returns to the address of the page that is still shown.
                    let _ = window().history().and_then(|history| history.back());
                }
                show_unreachable();
            }
            // Shows the server's response instead.
            Err(Unshown::Other) => drop(window().location().reload()),
        }
    });
}

/// Returns the announcements of the changed parts of the page.
fn announced() -> String {
    let Ok(parts) = document().query_selector_all("[data-announce]") else {
        return String::new();
    };
    let sentences: Vec<String> = (0..parts.length())
        .filter_map(|at| parts.get(at)?.dyn_into::<Element>().ok())
        .filter_map(|part| part.get_attribute("data-announce"))
        .collect();
    sentences.join(" ")
}

/// Returns the news of each element that has any, by its id.
fn news() -> HashMap<String, String> {
    let Ok(many) = document().query_selector_all("[data-news]") else {
        return HashMap::new();
    };
    (0..many.length())
        .filter_map(|at| many.get(at)?.dyn_into::<Element>().ok())
        .filter_map(|one| Some((one.id(), one.get_attribute("data-news")?)))
        .collect()
}

/// Announces the news that changed.
fn announce_news(before: &HashMap<String, String>) {
    let sentences: Vec<String> = news()
        .into_iter()
        .filter(|(id, sentence)| before.get(id).is_some_and(|before| before != sentence))
        .map(|(_, sentence)| sentence)
        .collect();
    if !sentences.is_empty() {
        say(ANNOUNCEMENT, &sentences.join(" "));
    }
}

/// Shows that the server can't be reached.
pub fn show_unreachable() {
    say(TROUBLE, &AppError::unreachable().message);
}

/// The ids of the elements that show what has changed, and why something couldn't be done.
const ANNOUNCEMENT: &str = "announcement";
const TROUBLE: &str = "trouble";
/// The notice of a form. It stays until the user navigates.
const NOTICE: &str = "notice";

fn say(place: &str, sentence: &str) {
    if let Some(place) = document().get_element_by_id(place) {
        place.set_text_content(Some(sentence));
    }
}

/// The reason why a page couldn't be shown.
enum Unshown {
    Unreachable,
    Other,
}

impl From<JsValue> for Unshown {
    fn from(_: JsValue) -> Self {
        Self::Other
    }
}

/// Fetches the page at the current address. Returns whether it is still wanted.
async fn load() -> Result<bool, Unshown> {
    loop {
        let number = FETCH.get() + 1;
        FETCH.set(number);
        IS_FETCHING.set(true);
        IS_STALE.set(false);
        let fetched = fetch().await;
        if FETCH.get() != number {
            return Ok(false);
        }
        IS_FETCHING.set(false);
        set_busy(false);
        let fetched = fetched?;
        SHOWN.set(here());
        apply(&fetched)?;
        if !IS_STALE.get() {
            return Ok(true);
        }
    }
}

async fn fetch() -> Result<Document, Unshown> {
    let here = here();
    let fetched = async {
        let response = response_of(&here).await?;
        Ok((response.status(), document_of(&response).await?))
    };
    let fetched = within(PATIENCE, fetched).await;
    let (status, fetched) = fetched.map_err(|_| Unshown::Unreachable)?;
    match status {
        // Either the user was signed out, or the session has a new secret that this request didn't know yet.
        401 => session::ask(),
        // The page was deleted, and the server's page says so. A pending form on this page, which may have deleted it,
        // will navigate elsewhere.
        404 if has_parts()? => {
            let sent = document().query_selector(&format!("form[{SENT}]"))?;
            if sent.is_none() {
                let _ = window().location().reload();
            }
        }
        _ => {}
    }
    Ok(fetched)
}

/// Returns the document at an address of this site.
pub async fn fetch_document(address: &str) -> Result<Document, JsValue> {
    document_of(&response_of(address).await?).await
}

/// Fetches a page to update parts of this one. The notice of a form is left for the page that the form leads to.
async fn response_of(address: &str) -> Result<Response, JsValue> {
    let headers = Headers::new()?;
    headers.set(PARTS_HEADER, "1")?;
    let options = RequestInit::new();
    options.set_headers(&headers);
    let response = window().fetch_with_str_and_init(address, &options);
    response.await?.dyn_into()
}

/// Announces a change to screen readers.
pub fn announce(sentence: &str) {
    say(ANNOUNCEMENT, sentence);
}

async fn document_of(response: &Response) -> Result<Document, JsValue> {
    let html = response.text()?.await?.as_string().unwrap_or_default();
    DomParser::new()?.parse_from_string(&html, SupportedType::TextHtml)
}

/// Returns whether the page has changeable parts beyond those of every page.
fn has_parts() -> Result<bool, JsValue> {
    Ok(document().query_selector("main [data-part]")?.is_some())
}

fn apply(fetched: &Document) -> Result<(), JsValue> {
    let parts = document().query_selector_all("[data-part]")?;
    let found: Vec<(Element, Element)> = (0..parts.length())
        .filter_map(|at| {
            let part: Element = parts.get(at)?.dyn_into().ok()?;
            let fetched = fetched.get_element_by_id(&part.id())?;
            Some((part, fetched))
        })
        .collect();
    let is_in_main = |part: &Element| part.closest("main").is_ok_and(|main| main.is_some());
    if !found.iter().any(|(part, _)| is_in_main(part)) && has_parts()? {
        // The page is gone or can't be shown now. Keeping the current content is better than nothing.
        return Err(JsValue::NULL);
    }
    let focused = document().active_element();
    for (part, fetched) in found {
        morph(&part, &fetched)?;
    }
    // Moving an element makes it lose the focus.
    if let Some(focused) = focused.filter(|it| it.is_connected())
        && document().active_element().as_ref() != Some(&focused)
        && let Some(focused) = focused.dyn_ref::<HtmlElement>()
    {
        let options = FocusOptions::new();
        options.set_prevent_scroll(true);
        // Can't fail for an element that had the focus.
        let _ = focused.focus_with_options(&options);
    }
    ages::refresh();
    keys::refresh();
    preview::refresh();
    selection::refresh();
    ISLANDS.with_borrow(|islands| {
        for (name, take) in islands {
            let island = fetched.query_selector(&format!("[data-component^='{name}_']"))?;
            if let Some(props) = island.and_then(|island| island.get_attribute("data-props")) {
                take(&props);
            }
        }
        Ok(())
    })
}

/// Scrolls to the target of a followed link, a row or the element named by the hash, unless it is in view.
fn scroll() {
    let hash = window().location().hash().unwrap_or_default();
    let named = || document().get_element_by_id(hash.strip_prefix('#')?);
    let row = document().query_selector("tr[aria-current]").ok().flatten();
    let height = window()
        .inner_height()
        .ok()
        .and_then(|height| height.as_f64());
    let is_in_view = |target: &Element| {
        let top = target.get_bounding_client_rect().top();
        height.is_some_and(|height| (0.0..height / 2.0).contains(&top))
    };
    if let Some(row) = row {
        row.scroll_into_view();
    } else if let Some(target) = named().filter(|target| !is_in_view(target)) {
        target.scroll_into_view();
    }
}

/// Tells the style sheet and assistive technology that the page is about to change.
fn set_busy(is_busy: bool) {
    if let Some(main) = document().get_element_by_id("main") {
        let _ = match is_busy {
            true => main.set_attribute("aria-busy", "true"),
            false => main.remove_attribute("aria-busy"),
        };
    }
}

/// Returns the path and query of the current page.
pub fn here() -> String {
    window()
        .location()
        .href()
        .map_or_else(|_| String::new(), |href| path_and_query(&href))
}

fn path_and_query(url: &str) -> String {
    Url::new(url).map_or_else(
        |_| String::new(),
        |url| format!("{}{}", url.pathname(), url.search()),
    )
}
