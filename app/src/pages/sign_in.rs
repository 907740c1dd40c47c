//! `/sign-in` and `/set-password`, for users who aren't signed in.

use axum::http::StatusCode;
use backend::{Backend, accounts};
use domain::{Email, NewPassword};
use leptos::prelude::*;
use url::form_urlencoded;

use super::failure::refused;
use crate::{
    AppError, Page, Site,
    components::{FormError, PasswordField, TextField, error_title},
};

/// The content of the sign-in page.
#[derive(Default)]
pub struct SignIn<'a> {
    /// The path to which signing in leads.
    pub next: &'a str,
    /// What happened before.
    pub notice: Option<&'static str>,
    /// The name of the OpenID Connect provider, if users can sign in with one.
    pub provider: Option<&'a str>,
    /// Whether the user may still be signed in at the provider and can sign out there.
    pub signs_out_at_provider: bool,
    /// Why signing in failed, with the typed values.
    pub error: Option<AppError>,
}

pub fn sign_in(site: &Site, status: StatusCode, shown: SignIn<'_>) -> Page {
    let SignIn {
        next,
        notice,
        provider,
        signs_out_at_provider,
        error,
    } = shown;
    let next = next.to_owned();
    let provider = provider.map(str::to_owned);
    let has_passwords = site.has_passwords;
    let button = match has_passwords {
        true => "button",
        false => "button button-primary",
    };
    let sign_out = provider.clone().filter(|_| signs_out_at_provider);
    let title = title("Sign in", error.as_ref());
    site.page(status, &title, || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    <h1>"Sign in"</h1>
                </div>
                {notice.map(|notice| view! { <p class="notice" role="status">{notice}</p> })}
                {sign_out
                    .map(|provider| {
                        view! {
                            <p>
                                <a href="/sign-in/openid/sign-out">{format!("Sign out of {provider}, too")}</a>
                            </p>
                        }
                    })}
                <section class="panel stack" aria-label="Sign in">
                    {error.clone().map(|error| view! { <FormError error=Some(error) /> })}
                    {provider
                        .map(|provider| {
                            // A link, because the content security policy forbids forms that lead to another site.
                            let begin = match next.as_str() {
                                "" | "/" => "/sign-in/openid".to_owned(),
                                next => {
                                    let mut query = form_urlencoded::Serializer::new(String::new());
                                    query.append_pair("next", next);
                                    format!("/sign-in/openid?{}", query.finish())
                                }
                            };
                            view! {
                                <p>
                                    <a class=button href=begin>
                                        {format!("Sign in with {provider}")}
                                    </a>
                                </p>
                            }
                        })}
                    {has_passwords
                        .then(|| {
                            view! {
                                <form method="post" action="/sign-in">
                                    <input type="hidden" name="next" value=next.clone() />
                                    <TextField
                                        id="email"
                                        name="email"
                                        label="Email"
                                        kind="email"
                                        autocomplete="username"
                                        maxlength=Email::MAX_CHARS
                                        error=error.as_ref()
                                    />
                                    <PasswordField
                                        id="password"
                                        name="password"
                                        label="Password"
                                        autocomplete="current-password"
                                        error=error.as_ref()
                                    />
                                    <button class="button button-primary" data-under-way="Signing in…">
                                        "Sign in"
                                    </button>
                                </form>
                            }
                        })}
                </section>
                {has_passwords
                    .then(|| {
                        view! {
                            <p class="muted">
                                "Forgotten your password, or no account yet? Ask an admin for a link to set one."
                            </p>
                        }
                    })}
            </div>
        }
        .into_any()
    })
}

/// Returns the page for the link with `secret`. `error` is the error of its form.
pub async fn set_password(
    site: &Site,
    backend: &Backend,
    secret: &str,
    error: Option<AppError>,
) -> Page {
    let email = match accounts::link_owner(backend, secret).await {
        Ok(email) => email,
        Err(backend::Error::NotFound(_)) => {
            let sentence = "This link has expired, or was used before. Ask an admin for a new one.";
            return refused(site, StatusCode::NOT_FOUND, sentence);
        }
        Err(error) => return super::failure::failure(site, error.into()),
    };
    let status = error
        .as_ref()
        .map_or(StatusCode::OK, |error| error.kind.status());
    let secret = secret.to_owned();
    let title = title("Set a password", error.as_ref());
    site.page(status, &title, || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    <h1>"Set a password"</h1>
                    <p class="muted">"For " {email.clone()}</p>
                </div>
                <section class="panel" aria-label="Set a password">
                    <form method="post" action="/set-password">
                        <FormError error=error.clone() />
                        <input type="hidden" name="link" value=secret />
                        // Tells password managers for which address to remember the password.
                        <input type="hidden" name="email" autocomplete="username" value=email />
                        <NewPasswordField error=error.as_ref() />
                        <button class="button button-primary" data-under-way="Saving…">
                            "Set password"
                        </button>
                    </form>
                </section>
            </div>
        }
        .into_any()
    })
}

#[component]
pub fn NewPasswordField<'a>(error: Option<&'a AppError>) -> impl IntoView + use<> {
    view! {
        <PasswordField
            id="new-password"
            name="new_password"
            label="New password"
            autocomplete="new-password"
            hint=format!(
                "At least {} characters. Several unrelated words make a good one.",
                NewPassword::MIN_CHARS,
            )
            error
        />
    }
    .into_any()
}

/// Returns the title of a page. It first says that its form has an error.
pub fn title(title: &str, error: Option<&AppError>) -> String {
    match error {
        Some(_) => error_title(title),
        None => title.to_owned(),
    }
}
