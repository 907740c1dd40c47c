use domain::{Email, User, UserName, format};
use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    Query,
    api::{DeleteUser, UpdateUser},
    components::{Confirm, FormError, TextField},
};

/// Name and email, and deleting the user.
#[component]
pub fn Settings<'a>(
    user: User,
    /// The number of files that would be deleted with the user.
    job_count: u64,
    query: &'a Query,
) -> impl IntoView + use<> {
    let user_id = user.id.to_string();
    let error = query.posted::<UpdateUser>();
    let what_goes = match job_count {
        0 => "This can't be undone.".to_owned(),
        jobs => format!(
            "This deletes {} with all rows and results. It can't be undone.",
            format::counted(jobs, "file")
        ),
    };
    view! {
        <section class="panel" aria-labelledby="settings">
            <h2 id="settings">"User"</h2>
            // Open if the form has an error.
            <details class="disclosure" open=error.is_some()>
                <summary>"Edit name and email"</summary>
                <form method="post" action=UpdateUser::PATH>
                    <FormError error=error.clone() />
                    <input type="hidden" name="user_id" value=user_id.clone() />
                    <TextField
                        id="user-name"
                        name="name"
                        label="Name"
                        autocomplete="off"
                        maxlength=UserName::MAX_CHARS
                        value=user.name
                        error=error.as_ref()
                    />
                    <TextField
                        id="user-email"
                        name="email"
                        label="Email"
                        kind="email"
                        autocomplete="off"
                        maxlength=Email::MAX_CHARS
                        value=user.email
                        error=error.as_ref()
                    />
                    <button class="button button-primary" data-under-way="Saving…">
                        "Save"
                    </button>
                </form>
            </details>
            <Confirm
                id="delete-user"
                button="Delete user…"
                question="Delete this user?"
                error={query.posted::<DeleteUser>()}
            >
                <p id="what-goes" data-part>
                    {what_goes}
                </p>
                <form method="post" action=DeleteUser::PATH>
                    <input type="hidden" name="user_id" value=user_id />
                    <button class="button button-danger" data-under-way="Deleting…">
                        "Delete user"
                    </button>
                </form>
            </Confirm>
        </section>
    }
    .into_any()
}
