//! `/`: the users, and a form to create one.

use axum::http::StatusCode;
use backend::Backend;
use domain::{Email, User, UserName, format};
use leptos::{prelude::*, server_fn::ServerFn};

use super::failure::failure;
use crate::{
    AppError, Page, Query, Site,
    api::CreateUser,
    components::{FormError, TextField, Time},
};

pub async fn home(site: &Site, backend: &Backend, query: &Query) -> Page {
    let users = match backend::users::list(backend).await {
        Ok(users) => users,
        Err(error) => return failure(site, error.into()),
    };
    site.page(StatusCode::OK, "", || {
        view! {
            <div class="page-head">
                <h1>"Check every transaction before it counts"</h1>
                <p class="lead">
                    "Batchline takes CSV files of transactions, checks every row in the background, and gives each one back with its verdict."
                </p>
            </div>
            <div class="columns">
                <UserList users />
                <CreateUserForm error={query.posted::<CreateUser>()} />
            </div>
        }
    })
}

/// Newest first, as they come.
#[component]
fn UserList(users: Vec<User>) -> impl IntoView {
    let count = users.len() as u64;
    let list = if users.is_empty() {
        view! {
            <div class="empty">
                <h3>"No users yet"</h3>
                <p>
                    "Every file belongs to a user. Create the first one here, then open its page to upload a CSV file and watch it being checked."
                </p>
            </div>
        }
        .into_any()
    } else {
        view! {
            <ul class="cards" aria-label="Users">
                {users.into_iter().map(|user| view! { <UserItem user /> }).collect_view()}
            </ul>
        }
        .into_any()
    };
    view! {
        <section aria-labelledby="users" id="user-list" data-part>
            <h2 id="users">
                "Users " {(count > 0).then(|| view! { <span class="tally">{format::count(count)}</span> })}
            </h2>
            {list}
        </section>
    }
    .into_any()
}

#[component]
fn UserItem(user: User) -> impl IntoView {
    view! {
        <li class="card card-link">
            <a class="card-title" href=format!("/users/{}", user.id)>
                {user.name}
            </a>
            <span class="muted">{user.email}</span>
            <span class="muted card-aside">"Created " <Time at=format::machine_time(user.created_at) /></span>
        </li>
    }
    .into_any()
}

#[component]
fn CreateUserForm(error: Option<AppError>) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="new-user">
            <h2 id="new-user">"New user"</h2>
            <form method="post" action=CreateUser::PATH>
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
                <button class="button button-primary" data-under-way="Creating…">
                    "Create user"
                </button>
            </form>
        </section>
    }
    .into_any()
}
