//! The document around the pages, and which page stands at which path.

use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags, Title, provide_meta_context};
use leptos_router::{
    ParamSegment, SsrMode, StaticSegment,
    components::{FlatRoutes, Route, Router},
};

use crate::{
    components::{Logo, Shortcuts},
    pages::{HomePage, JobPage, NotFound, UserPage},
};

/// The HTML document that the server sends.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta
                    name="description"
                    content="Hand in CSV files of transactions, watch every row being validated, and get each back with its verdict."
                />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <HashedStylesheet id="style" options=options.clone() />
                <AutoReload options=options.clone() />
                // After the page is painted: links and forms work before.
                <HydrationScripts options defer=true />
                // What only JavaScript could do is not there without it.
                <noscript>
                    <style>".scripted { display: none; }"</style>
                </noscript>
                <MetaTags />
            </head>
            <body>
                <App />
            </body>
        </html>
    }
}

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
