use domain::{Email, User, UserName};
use leptos::{html, prelude::*};

use crate::{
    api::{DeleteUser, UpdateUser},
    components::{Confirm, FormError, TextField},
    format,
};

/// Name and email, and how to be rid of the user.
#[component]
pub fn Settings(
    user: RwSignal<User>,
    /// How many files would go with the user.
    jobs: Signal<u64>,
) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="settings">
            <h2 id="settings">"User"</h2>
            <Edit user />
            <Delete user_id=user.with_untracked(|user| user.id) jobs />
        </section>
    }
    .into_any()
}

#[component]
fn Edit(user: RwSignal<User>) -> impl IntoView {
    let update = ServerAction::<UpdateUser>::new();
    let error = Signal::derive(move || {
        update
            .value()
            .with(|result| result.as_ref()?.as_ref().err().cloned())
    });
    let details = NodeRef::<html::Details>::new();
    Effect::new(move |_| {
        if let Some(Ok(changed)) = update.value().get() {
            user.set(changed);
            if let Some(details) = details.get_untracked() {
                details.set_open(false);
            }
        }
    });
    // Open from the start where the form came back with an error.
    let open = error.with_untracked(|error| error.is_some());
    let user_id = user.with_untracked(|user| user.id);
    view! {
        <details class="disclosure" open=open node_ref=details>
            <summary>"Edit name and email"</summary>
            <ActionForm action=update>
                <FormError error />
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <TextField
                    id="user-name"
                    name="name"
                    label="Name"
                    autocomplete="off"
                    maxlength=UserName::MAX_CHARS
                    value=Signal::derive(move || user.with(|user| user.name.clone()))
                    error
                />
                <TextField
                    id="user-email"
                    name="email"
                    label="Email"
                    kind="email"
                    autocomplete="off"
                    maxlength=Email::MAX_CHARS
                    value=Signal::derive(move || user.with(|user| user.email.clone()))
                    error
                />
                <button class="button button-primary" disabled=update.pending()>
                    "Save"
                </button>
            </ActionForm>
        </details>
    }
    .into_any()
}

#[component]
fn Delete(user_id: i64, jobs: Signal<u64>) -> impl IntoView {
    let delete = ServerAction::<DeleteUser>::new();
    let error = Signal::derive(move || {
        delete
            .value()
            .with(|result| result.as_ref()?.as_ref().err().cloned())
    });
    let what_goes = move || match jobs.get() {
        0 => "This can't be undone.".to_owned(),
        jobs => format!(
            "This removes {} with all rows and results. It can't be undone.",
            format::counted(jobs, "file")
        ),
    };
    view! {
        <Confirm id="delete-user" button="Delete user…" question="Delete this user?" error>
            <p>{what_goes}</p>
            <ActionForm action=delete>
                <input type="hidden" name="user_id" value=user_id.to_string() />
                <button class="button button-danger" disabled=delete.pending()>
                    "Delete user"
                </button>
            </ActionForm>
        </Confirm>
    }
    .into_any()
}
