//! `/users`: the users, and a form to create one.

use axum::http::StatusCode;
use backend::{Backend, Viewer, users::FoundUsers};
use domain::{Email, PageRequest, User, UserName, format, page_count};
use leptos::{prelude::*, server_fn::ServerFn};
use url::form_urlencoded;

use super::{
    failure::failure,
    pager::{Pager, page_number},
    tabs::{Tab, Tabs},
};
use crate::{
    AppError, Page, Query, Site,
    api::CreateUser,
    components::{Age, FormError, TextField},
};

pub async fn users(site: &Site, backend: &Backend, viewer: &Viewer, query: &Query) -> Page {
    let (page, invalid_page) = page_number(query);
    // Names can't contain NUL, so nothing can match it.
    let search = query.get("q").trim().replace('\0', "\u{fffd}");
    let users = match backend::users::search(backend, viewer, page, &search).await {
        Ok(users) => users,
        Err(error) => return failure(site, error.into()),
    };
    // If signing in is required, a new user gets a link to set a password.
    let action = match viewer.account() {
        Some(_) => "/accounts",
        None => CreateUser::PATH,
    };
    site.page(StatusCode::OK, &query.title("Users"), || {
        view! {
            <div class="page-head">
                <h1>"Users"</h1>
                <p class="lead">"Files belong to users. Open a user to upload a file."</p>
            </div>
            <Tabs current=Tab::Users />
            // The form comes first. Otherwise it would be below all users on a phone.
            <div class="columns columns-form-first">
                <CreateUserForm error={query.posted::<CreateUser>()} action />
                <UserList users search invalid_page />
            </div>
        }
    })
}

/// Newest first, in the order of `users`.
#[component]
fn UserList(
    users: FoundUsers,
    /// What their names or email addresses contain.
    search: String,
    /// What is wrong with the page's number in the URL.
    invalid_page: Option<&'static str>,
) -> impl IntoView {
    let FoundUsers { page, users, total } = users;
    let list = match (users.is_empty(), search.is_empty()) {
        (true, true) => view! {
            <div class="empty">
                <h3>"No users yet"</h3>
                <p>"Files belong to users. Create a user to upload your first file."</p>
            </div>
        }
        .into_any(),
        (true, false) => view! {
            <div class="empty">
                <p>"No user matches this search."</p>
                <p>
                    <a href="/users">"Show all users"</a>
                </p>
            </div>
        }
        .into_any(),
        (false, _) => view! {
            <ul class="cards" aria-label="Users">
                {users.into_iter().map(|user| view! { <UserItem user /> }).collect_view()}
            </ul>
        }
        .into_any(),
    };
    let has_search = total > FoundUsers::SIZE || !search.is_empty();
    let announcement = match page_count(total, FoundUsers::SIZE) {
        1 => format::counted(total, "user"),
        pages => format!("{}, page {page} of {pages}", format::counted(total, "user")),
    };
    let kept = search.clone();
    let href = move |page: u64| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !kept.is_empty() {
            query.append_pair("q", &kept);
        }
        if page != 1 {
            query.append_pair("page", &page.to_string());
        }
        match query.finish() {
            query if query.is_empty() => "/users#users".to_owned(),
            query => format!("/users?{query}#users"),
        }
    };
    let pager = (total > FoundUsers::SIZE)
        .then(|| view! { <Pager page size=FoundUsers::SIZE total noun="user" href /> });
    view! {
        <section aria-labelledby="users" id="user-list" data-part data-announce=announcement>
            <h2 id="users">
                "All users " {(total > 0).then(|| view! { <span class="tally">{format::count(total)}</span> })}
            </h2>
            {invalid_page
                .map(|sentence| {
                    view! {
                        <p class="notice notice-bad" role="alert">
                            {sentence}
                        </p>
                    }
                })}
            {has_search.then(|| view! { <Search search /> })}
            {list}
            {pager}
        </section>
    }
    .into_any()
}

#[component]
fn Search(search: String) -> impl IntoView {
    view! {
        <search>
            <form method="get" action="/users#users" class="search">
                <label class="visually-hidden" for="q">
                    "Search users"
                </label>
                <input
                    id="q"
                    type="search"
                    name="q"
                    aria-keyshortcuts="/"
                    value=search
                    dir="auto"
                    maxlength=PageRequest::MAX_QUERY_CHARS.to_string()
                    placeholder="Name or email"
                />
                <button class="button">"Search"</button>
            </form>
        </search>
    }
    .into_any()
}

#[component]
fn UserItem(user: User) -> impl IntoView {
    let seconds = (chrono::Utc::now() - user.created_at).num_seconds();
    let at = format::machine_time(user.created_at);
    view! {
        <li class="card card-link">
            <a class="card-title" href=format!("/users/{}", user.id)>
                <bdi>{user.name}</bdi>
            </a>
            <span class="muted">{user.email}</span>
            <span class="muted card-aside">"Created " <Age at seconds /></span>
        </li>
    }
    .into_any()
}

#[component]
pub fn CreateUserForm(
    error: Option<AppError>,
    action: &'static str,
    /// What happens next.
    #[prop(optional)]
    hint: Option<&'static str>,
) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="new-user">
            <h2 id="new-user">"New user"</h2>
            <form method="post" action=action>
                <FormError error=error.clone() />
                <TextField
                    id="new-user-name"
                    name="name"
                    label="Name"
                    autocomplete="name"
                    maxlength=UserName::MAX_CHARS
                    error=error.as_ref()
                />
                <TextField
                    id="new-user-email"
                    name="email"
                    label="Email"
                    kind="email"
                    autocomplete="email"
                    maxlength=Email::MAX_CHARS
                    error=error.as_ref()
                />
                {hint.map(|hint| view! { <p class="hint">{hint}</p> })}
                <button class="button button-primary" data-under-way="Creating…">
                    "Create user"
                </button>
            </form>
        </section>
    }
    .into_any()
}
