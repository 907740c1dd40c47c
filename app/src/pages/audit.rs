//! `/audit`: who did what, and when. For admins.

use axum::http::StatusCode;
use backend::{
    Backend, Viewer,
    audit::{self, AuditFilter, AuditPage},
    users,
};
use domain::{AuditEvent, AuditKind, Outcome, UserId, format};
use leptos::prelude::*;
use url::form_urlencoded;

use super::{
    failure::failure,
    pager::{Pager, page_number},
};
use crate::{Page, Query, Site, components::Time};

pub async fn audit(site: &Site, backend: &Backend, viewer: &Viewer, query: &Query) -> Page {
    let (page, invalid_page) = page_number(query);
    let user = query.get("user").trim().to_owned();
    let kind = query.get("kind").parse::<AuditKind>().ok();
    let found = async {
        let user_id = match user.as_str() {
            "" => None,
            user => Some(match user.parse::<UserId>() {
                Ok(user_id) => Some(user_id),
                Err(_) => users::of_email(backend, viewer, user).await?,
            }),
        };
        // An unknown user has no events.
        let filter = AuditFilter {
            user_id: user_id.map(|user_id| user_id.unwrap_or(UserId::from(0))),
            kind,
        };
        Ok::<_, backend::Error>((filter, audit::page(backend, viewer, filter, page).await?))
    };
    let (filter, found) = match found.await {
        Ok(found) => found,
        Err(error) => return failure(site, error.into()),
    };
    let AuditPage {
        page,
        events,
        total,
    } = found;
    site.page(StatusCode::OK, "Audit", || {
        let kept = (user.clone(), kind);
        let href = move |page: u64| {
            let (user, kind) = &kept;
            let page = (page != 1).then(|| page.to_string());
            address("/audit", "user", user, *kind, page.as_deref())
        };
        let filtered_by = filter.user_id.map(|id| id.to_string()).unwrap_or_default();
        let export = address("/api/audit.ndjson", "user_id", &filtered_by, kind, None);
        let pager = (total > AuditPage::SIZE)
            .then(|| view! { <Pager page size=AuditPage::SIZE total noun="event" href /> });
        let list = match events.is_empty() {
            true => view! {
                <div class="empty">
                    <p>"No events match this filter."</p>
                </div>
            }
            .into_any(),
            false => view! { <Events events /> }.into_any(),
        };
        view! {
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href="/account">"Account"</a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">"Audit"</span>
            </nav>
            <div class="page-head">
                <h1>"Audit"</h1>
                <p class="muted">"Who did what, and when. Times are UTC."</p>
            </div>
            <Filter user kind />
            <section
                class="stack"
                aria-labelledby="events"
                id="event-list"
                data-part
                data-announce=format::counted(total, "event")
            >
                <h2 id="events">"Events " <span class="tally">{format::count(total)}</span></h2>
                {invalid_page
                    .map(|sentence| view! { <p class="notice notice-bad" role="alert">{sentence}</p> })}
                {list}
                {pager}
                <p>
                    <a href=export download>
                        "Export these events as NDJSON"
                    </a>
                </p>
            </section>
        }
        .into_any()
    })
}

/// Returns an address with a filter in its query.
fn address(
    path: &str,
    user_name: &str,
    user: &str,
    kind: Option<AuditKind>,
    page: Option<&str>,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !user.is_empty() {
        query.append_pair(user_name, user);
    }
    if let Some(kind) = kind {
        query.append_pair("kind", kind.as_str());
    }
    if let Some(page) = page {
        query.append_pair("page", page);
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[component]
fn Filter(user: String, kind: Option<AuditKind>) -> impl IntoView {
    let kinds = AuditKind::ALL
        .iter()
        .map(|choice| {
            view! {
                <option value=choice.as_str() selected=kind == Some(*choice)>
                    {choice.label()}
                </option>
            }
        })
        .collect_view();
    view! {
        <search>
            <form method="get" action="/audit" class="filter-form">
                <div class="field">
                    <label for="user">"User"</label>
                    <input id="user" name="user" value=user dir="auto" maxlength="254" placeholder="Email or number" />
                </div>
                <div class="field">
                    <label for="kind">"Event"</label>
                    <select id="kind" name="kind" data-at-once>
                        <option value="">"All"</option>
                        {kinds}
                    </select>
                </div>
                <button class="button">"Filter"</button>
            </form>
        </search>
    }
    .into_any()
}

#[component]
fn Events(events: Vec<AuditEvent>) -> impl IntoView {
    view! {
        <div class="table-frame audit" tabindex="0" role="region" aria-label="Table of events">
            <table>
                <thead>
                    <tr>
                        <th scope="col">"Time"</th>
                        <th scope="col">"Who"</th>
                        <th scope="col">"What"</th>
                        <th scope="col">"About"</th>
                        <th scope="col">"From"</th>
                    </tr>
                </thead>
                <tbody>{events.into_iter().map(one_event).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn one_event(event: AuditEvent) -> impl IntoView {
    let who = match event.actor_id {
        Some(id) => view! { <a href=format!("/audit?user={id}")>{event.actor}</a> }.into_any(),
        None => event.actor.into_any(),
    };
    let means = event.means_id.map(|id| format!("{} {id}", event.means));
    let refused = (event.outcome == Outcome::Refused)
        .then(|| view! { <span class="badge" data-tone="invalid">"Refused"</span> });
    let job = event
        .job_id
        .map(|id| view! { <a href=format!("/jobs/{id}")>{format!("job {id}")}</a> });
    let user = event
        .user_id
        .filter(|id| event.actor_id != Some(*id))
        .map(|id| view! { <a href=format!("/users/{id}")>{format!("user {id}")}</a> });
    view! {
        <tr>
            <td>
                <Time at=format::machine_time(event.at) />
            </td>
            <td>
                {who} {means.map(|means| view! { <span class="muted hint">" " {means}</span> })}
            </td>
            <td>{event.kind.label()} " " {refused}</td>
            <td>
                {user} " " {job} " " {event.detail.map(|detail| view! { <bdi>{detail}</bdi> })}
            </td>
            <td>{event.address}</td>
        </tr>
    }
    .into_any()
}
