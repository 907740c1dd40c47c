use leptos::prelude::*;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Jobs,
    Users,
}

/// The two main sections of Batchline.
#[component]
pub fn Tabs(current: Tab) -> impl IntoView {
    let tab = |tab: Tab, href: &'static str, name: &'static str| {
        view! {
            <a href=href aria-current=(tab == current).then_some("page")>
                {name}
            </a>
        }
    };
    view! {
        <nav class="tabs" aria-label="Sections">
            {tab(Tab::Jobs, "/", "Jobs")}
            {tab(Tab::Users, "/users", "Users")}
        </nav>
    }
    .into_any()
}
