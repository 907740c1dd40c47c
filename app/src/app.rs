//! What stands on every page, and which page stands at which path.

use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    ParamSegment, SsrMode, StaticSegment,
    components::{FlatRoutes, Route, Router},
};

use crate::{
    components::{Logo, Shortcuts},
    pages::{HomePage, JobPage, NotFound, UserPage},
};

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|text: String| match text.as_str() {
            "" => "Batchline".to_owned(),
            text => format!("{text} · Batchline"),
        } />
        <a class="skip" href="#main">
            "Skip to the content"
        </a>
        <Router>
            <header class="site-header">
                <a class="wordmark" href="/" aria-keyshortcuts="h">
                    <Logo />
                    "Batchline"
                </a>
                <nav aria-label="Site">
                    <Shortcuts />
                    // Not a page of this router.
                    <a href="/api/docs" rel="external">
                        "API"
                    </a>
                </nav>
            </header>
            <main id="main">
                <FlatRoutes fallback=NotFound>
                    <Route path=StaticSegment("") view=HomePage ssr=SsrMode::Async />
                    <Route
                        path=(StaticSegment("users"), ParamSegment("id"))
                        view=UserPage
                        ssr=SsrMode::Async
                    />
                    <Route
                        path=(StaticSegment("jobs"), ParamSegment("id"))
                        view=JobPage
                        ssr=SsrMode::Async
                    />
                </FlatRoutes>
            </main>
        </Router>
    }
}
