//! `/`: the users, and a form to create one.

use domain::{Email, User, UserName};
use leptos::prelude::*;
use leptos_meta::Title;

use super::failure::Failure;
use crate::{
    api::{CreateUser, list_users},
    components::{FormError, TextField, Time},
    format,
};

#[component]
pub fn HomePage() -> impl IntoView {
    let users = Resource::new(|| (), |()| list_users());
    view! {
        <Title text="" />
        <div class="page-head">
            <h1>"Check every transaction before it counts"</h1>
            <p class="lead">
                "Batchline takes CSV files of transactions, checks every row in the background, and gives each one back with its verdict."
            </p>
        </div>
        <div class="columns">
            <Suspense fallback=|| {
                view! { <p class="loading">"Loading users…"</p> }
            }>
                {move || Suspend::new(async move {
                    users
                        .await
                        .map(|users| view! { <UserList users /> })
                        .map_err(|error| view! { <Failure error /> })
                        .map_or_else(|failure| failure.into_any(), |list| list.into_any())
                })}
            </Suspense>
            <CreateUserForm />
        </div>
    }
    .into_any()
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
        <section aria-labelledby="users">
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
            <span class="muted card-aside">"Created " <Time at=user.created_at /></span>
        </li>
    }
    .into_any()
}

#[component]
fn CreateUserForm() -> impl IntoView {
    let create = ServerAction::<CreateUser>::new();
    let error = Signal::derive(move || {
        create
            .value()
            .with(|result| result.as_ref()?.as_ref().err().cloned())
    });
    view! {
        <section class="panel" aria-labelledby="new-user">
            <h2 id="new-user">"New user"</h2>
            <ActionForm action=create>
                <FormError error />
                <TextField
                    id="new-user-name"
                    name="name"
                    label="Name"
                    autocomplete="name"
                    maxlength=UserName::MAX_CHARS
                    error
                />
                <TextField
                    id="new-user-email"
                    name="email"
                    label="Email"
                    kind="email"
                    autocomplete="email"
                    maxlength=Email::MAX_CHARS
                    error
                />
                <button class="button button-primary" disabled=create.pending()>
                    "Create user"
                </button>
            </ActionForm>
        </section>
    }
    .into_any()
}
