use leptos::prelude::*;

/// Lines of a batch, the last one with a check mark. The favicon is the same drawing.
#[component]
pub fn Logo() -> impl IntoView {
    view! {
        <svg class="logo" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
            <rect class="logo-ground" width="32" height="32" rx="8" />
            <g class="logo-lines" fill="none" stroke-width="3" stroke-linecap="round">
                <path d="M8 9.5h16" />
                <path d="M8 16h10" />
            </g>
            <path
                class="logo-check"
                d="M8 22.5h3.5l3 3L24 16"
                fill="none"
                stroke-width="3"
                stroke-linecap="round"
                stroke-linejoin="round"
            />
        </svg>
    }
}
