//! Two-step sign-in: setting it up, entering a code while signing in, and removing it for others.

use axum::http::StatusCode;
use backend::accounts::{NewKey, RECOVERY_CODES, SecondFactor};
use domain::UserId;
use leptos::prelude::*;
use qrcode::{Color, QrCode};

use super::sign_in::title;
use crate::{
    AppError, Page, Site,
    components::{ConfirmPost, FormError, TextField},
};

/// The maximum length of a code. The longest are recovery codes: 24 characters in groups.
const MAX_CODE_CHARS: usize = 40;

/// A field for a code of the app, or a recovery code.
#[component]
pub fn CodeField<'a>(name: &'static str, error: Option<&'a AppError>) -> impl IntoView + use<> {
    view! {
        <TextField
            id="code"
            name
            label="Code from your app, or a recovery code"
            autocomplete="one-time-code"
            maxlength=MAX_CODE_CHARS
            error
        />
    }
    .into_any()
}

/// Returns the second page of signing in, which continues to the path `next`.
pub fn enter_code(site: &Site, status: StatusCode, next: &str, error: Option<AppError>) -> Page {
    let next = next.to_owned();
    let title = title("Enter your code", error.as_ref());
    site.page(status, &title, || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    <h1>"Enter your code"</h1>
                </div>
                <section class="panel" aria-label="Enter your code">
                    <form method="post" action="/sign-in/code">
                        <FormError error=error.clone() />
                        <input type="hidden" name="next" value=next />
                        <CodeField name="code" error=error.as_ref() />
                        <button class="button button-primary" data-under-way="Signing in…">
                            "Sign in"
                        </button>
                    </form>
                </section>
                <p class="muted">
                    "Lost your app and your recovery codes? Ask an admin to remove your second factor. "
                    <a href="/sign-in">"Start again"</a>
                </p>
            </div>
        }
        .into_any()
    })
}

/// The second factor, on the account page.
#[component]
pub fn TwoSteps(
    factor: SecondFactor,
    /// Whether users must have one.
    is_required: bool,
) -> impl IntoView {
    let SecondFactor {
        is_on,
        recovery_codes,
    } = factor;
    let state = match is_on {
        true => format!(
            "On: signing in needs your password and a code from your app. You have {recovery_codes} of {RECOVERY_CODES} recovery codes left."
        ),
        false => {
            "Off. With it, signing in needs your password and a code from an app on your phone."
                .to_owned()
        }
    };
    let turn_off = (is_on && !is_required).then(|| {
        view! {
            <ConfirmPost
                id="second-factor-off"
                button="Turn off…"
                question="Turn off two-step sign-in?"
                consequences="Your password alone will be enough to sign in. This signs you out everywhere else."
                action="/account/second-factor/off"
                submit=("Turn off", "Turning off…")
            />
        }
    });
    view! {
        <section class="panel" aria-labelledby="two-steps">
            <h2 id="two-steps">"Two-step sign-in"</h2>
            <p>{state}</p>
            <StartForm is_on />
            {turn_off}
        </section>
    }
    .into_any()
}

#[component]
fn StartForm(is_on: bool) -> impl IntoView {
    let button = match is_on {
        true => "Replace app and recovery codes",
        false => "Set up two-step sign-in",
    };
    view! {
        <form method="post" action="/account/second-factor">
            <button class="button" data-under-way="Preparing…">
                {button}
            </button>
        </form>
    }
    .into_any()
}

/// Returns the page that begins to set up a second factor.
pub fn second_factor(site: &Site, is_on: bool) -> Page {
    let is_required = site.requires_second_factor && !is_on;
    site.page(StatusCode::OK, "Two-step sign-in", || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    <h1>"Two-step sign-in"</h1>
                </div>
                <section class="panel stack" aria-label="Two-step sign-in">
                    {is_required
                        .then(|| {
                            view! {
                                <p class="notice">
                                    "Everybody here needs two-step sign-in. Set it up to continue."
                                </p>
                            }
                        })}
                    <p>
                        "Signing in then needs your password and a code from an app on your phone, such as Aegis, Google Authenticator or 1Password. Have the app ready."
                    </p>
                    <StartForm is_on />
                </section>
            </div>
        }
        .into_any()
    })
}

/// Returns the page that shows a new key, and asks for its first code.
pub fn new_second_factor(
    site: &Site,
    status: StatusCode,
    key: NewKey,
    error: Option<AppError>,
) -> Page {
    let NewKey { secret, address } = key;
    let groups: Vec<&str> = (0..secret.len())
        .step_by(4)
        .map(|start| &secret[start..secret.len().min(start + 4)])
        .collect();
    let typed = groups.join(" ");
    let code = qr_code(&address);
    let title = title("Set up two-step sign-in", error.as_ref());
    site.page(status, &title, || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    // Narrow screens would break it at a hyphen.
                    <h1>"Set up " <span class="unbroken">"two-step"</span> " " <span class="unbroken">"sign-in"</span></h1>
                </div>
                <section class="panel stack" aria-label="Set up two-step sign-in">
                    <p>"Scan this with your app, or type the key below it."</p>
                    {code}
                    <p>
                        <code class="secret" id="second-factor-key">
                            {typed}
                        </code>
                    </p>
                    <form method="post" action="/account/second-factor/code">
                        <FormError error=error.clone() />
                        <TextField
                            id="code"
                            name="code"
                            label="The code that your app shows now"
                            autocomplete="one-time-code"
                            maxlength=MAX_CODE_CHARS
                            error=error.as_ref()
                        />
                        <p class="hint">"It is on as soon as the code is right. This signs you out everywhere else."</p>
                        <button class="button button-primary" data-under-way="Checking…">
                            "Turn on"
                        </button>
                    </form>
                </section>
                <p>
                    <a href="/account">"Cancel"</a>
                </p>
            </div>
        }
        .into_any()
    })
}

/// Returns the QR code of an address as an image, or nothing if it is too long for one.
fn qr_code(address: &str) -> Option<impl IntoView + use<>> {
    /// The width of the margin, in modules (ISO/IEC 18004).
    const MARGIN: usize = 4;
    let code = QrCode::new(address).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (row, modules) in code.to_colors().chunks(width).enumerate() {
        let mut column = 0;
        for run in modules.chunk_by(|a, b| a == b) {
            if run[0] == Color::Dark {
                let (x, y, length) = (column + MARGIN, row + MARGIN, run.len());
                path += &format!("M{x} {y}h{length}v1h-{length}z");
            }
            column += run.len();
        }
    }
    let size = width + 2 * MARGIN;
    // Its colours are attributes: the content security policy forbids styles.
    Some(view! {
        <svg
            class="qr"
            role="img"
            aria-label="QR code of the key"
            viewBox=format!("0 0 {size} {size}")
            shape-rendering="crispEdges"
        >
            <rect width=size.to_string() height=size.to_string() fill="#fff" />
            <path d=path fill="#000" />
        </svg>
    })
}

/// Returns the page that shows recovery codes, once.
pub fn recovery_codes(site: &Site, codes: Vec<String>) -> Page {
    site.page(StatusCode::CREATED, "Recovery codes", || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    <h1>"Recovery codes"</h1>
                </div>
                <section class="panel stack" aria-label="Recovery codes">
                    <p class="notice" role="status">
                        "Two-step sign-in is on."
                    </p>
                    <p>
                        "If you lose your app, each of these codes signs you in once, in place of a code from the app. Keep them where you keep passwords: they won't be shown again."
                    </p>
                    <ul class="recovery-codes" aria-label="Codes">
                        {codes
                            .into_iter()
                            .map(|code| {
                                view! {
                                    <li>
                                        <code class="secret">{code}</code>
                                    </li>
                                }
                            })
                            .collect_view()}
                    </ul>
                    <p>
                        <a class="button button-primary" href="/">
                            "Continue"
                        </a>
                    </p>
                </section>
            </div>
        }
        .into_any()
    })
}

/// Removes the second factor of a user who has lost it, on the user's page. For admins.
#[component]
pub fn RemoveSecondFactor(user_id: UserId) -> impl IntoView {
    view! {
        <section class="panel" aria-labelledby="second-factor">
            <h2 id="second-factor">"Two-step sign-in"</h2>
            <p class="muted">"On: signing in needs a code from the user's app."</p>
            <ConfirmPost
                id="remove-second-factor"
                button="Remove second factor…"
                question="Remove the second factor?"
                consequences="For a user who has lost their app and their recovery codes. Make sure that it is really them who asks. The user is signed out everywhere, and their password alone will be enough to sign in."
                action=format!("/users/{user_id}/remove-second-factor")
                submit=("Remove second factor", "Removing…")
            />
        </section>
    }
    .into_any()
}
