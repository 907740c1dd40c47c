use domain::format;
use leptos::prelude::*;

use crate::Notice;

/// Shows the result of a form, visible on whichever page it led to.
#[component]
pub fn NoticePlace(notice: Option<Notice>) -> impl IntoView {
    let said = notice.map(
        |Notice {
             done,
             refused,
             more,
         }| {
            let more = (more > 0).then(|| {
                view! { <li>{format!("And {} more.", format::count(more as u64))}</li> }
            });
            let refused = (!refused.is_empty()).then(|| {
                view! {
                    <ul>
                        {refused
                            .into_iter()
                            .map(|sentence| view! { <li dir="auto">{sentence}</li> })
                            .collect_view()} {more}
                    </ul>
                }
            });
            view! {
                <div class="notice">
                    <p dir="auto">{done}</p>
                    {refused}
                    <button type="button" class="link-button scripted" data-dismiss>
                        "Dismiss"
                    </button>
                </div>
            }
        },
    );
    view! {
        <div id="notice" role="status">
            {said}
        </div>
    }
    .into_any()
}
