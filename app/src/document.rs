//! The HTML document around the pages.

use std::sync::OnceLock;

use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags};

use crate::App;

/// The HTML document that the server sends.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let loader = loader(&options);
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
                <AutoReload options />
                <script type="module">{loader}</script>
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

/// The script that makes the page live. Leptos's own has the browser load the WebAssembly before the page is painted.
fn loader(options: &LeptosOptions) -> &'static str {
    static LOADER: OnceLock<String> = OnceLock::new();
    LOADER.get_or_init(|| {
        // Lines such as `wasm: KkH0-pvZIzSmmKGqTwNLNw`.
        let hashes = match options.hash_files {
            true => std::fs::read_to_string(&*options.hash_file).unwrap_or_else(|error| {
                tracing::error!(%error, "the names of the site's files can't be read");
                String::new()
            }),
            false => String::new(),
        };
        let path = |kind: &str| {
            let hash = hashes
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(file, _)| file.trim() == kind)
                .map(|(_, hash)| format!(".{}", hash.trim()))
                .unwrap_or_default();
            let (folder, name) = (&options.site_pkg_dir, &options.output_name);
            format!("/{folder}/{name}{hash}.{kind}")
        };
        let function = include_str!("loader.js").trim_end();
        format!("{function}({:?}, {:?});", path("js"), path("wasm"))
    })
}
