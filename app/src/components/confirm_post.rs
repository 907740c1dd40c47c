use leptos::prelude::*;

use super::Confirm;
use crate::AppError;

/// A button that asks a question before it posts a plain form without fields.
#[component]
pub fn ConfirmPost(
    /// The id of the dialog, unique on the page.
    id: &'static str,
    button: &'static str,
    question: &'static str,
    consequences: &'static str,
    /// The path to which the form posts.
    #[prop(into)]
    action: String,
    /// The text of the button that posts the form, and while that is under way.
    submit: (&'static str, &'static str),
) -> impl IntoView {
    let (submit, under_way) = submit;
    view! {
        <Confirm id button question error={None::<AppError>}>
            <p>{consequences}</p>
            <form method="post" action=action>
                <button class="button button-danger" data-under-way=under_way>
                    {submit}
                </button>
            </form>
        </Confirm>
    }
    .into_any()
}
