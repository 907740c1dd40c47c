//! `/confirm`: asks signed-in users who they are, before a sensitive change, and carries the fields of its form meanwhile.

use axum::http::StatusCode;
use backend::accounts::{CONFIRMED_MINUTES, ConfirmationWays};
use leptos::prelude::*;

use super::{second_factor::CodeField, sign_in::title};
use crate::{
    AppError, Page, Site,
    components::{FormError, PasswordField},
};

/// The form whose change goes on afterwards, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingForm {
    /// The path to which it is posted.
    pub action: String,
    /// The path of the page that it is on.
    pub page: String,
    /// The names and values of its fields.
    pub fields: Vec<(String, String)>,
}

impl PendingForm {
    /// The field with the password.
    pub const PASSWORD: &str = "confirm_password";
    /// The field with the code of the second factor.
    pub const CODE: &str = "confirm_code";
    /// The field with the path of the form's page.
    pub const PAGE: &str = "confirm_page";
    /// The fields that the page adds to those of the form.
    pub const OWN: [&str; 3] = [Self::PASSWORD, Self::CODE, Self::PAGE];

    /// Returns what the form does, in the words of its button.
    fn change(&self) -> Option<&'static str> {
        let last = self.action.rsplit('/').next().unwrap_or_default();
        Some(match last {
            "tokens" => "Create token",
            "end" => "End session",
            "end-other-sessions" => "End all other sessions",
            "second-factor" | "code" => "Set up two-step sign-in",
            "off" => "Turn off two-step sign-in",
            "accounts" | "create-user" => "Create user",
            "password-link" => "Create password link",
            "forget-provider" => "Forget provider",
            "end-access" => "Sign out and revoke tokens",
            "lock" => "Lock user",
            "unlock" => "Unlock user",
            "role" => "Save role",
            "remove-second-factor" => "Remove second factor",
            "update-user" => "Save user",
            "delete-user" => "Delete user",
            _ => return None,
        })
    }
}

/// A link to the provider, where users can confirm who they are.
pub struct ProviderLink {
    /// The provider's name for users.
    pub label: String,
    pub path: String,
}

/// How the user confirms who they are.
pub struct Confirmation {
    pub ways: ConfirmationWays,
    /// The OpenID Connect provider, if users can sign in with one.
    pub provider: Option<ProviderLink>,
    pub error: Option<AppError>,
}

/// Asks who the user is.
pub fn confirm(
    site: &Site,
    status: StatusCode,
    form: PendingForm,
    confirmation: Confirmation,
) -> Page {
    let Confirmation {
        ways,
        provider,
        error,
    } = confirmation;
    let email = site.account_email();
    let has_password = ways.has_password && site.has_passwords;
    let provider = provider.filter(|_| ways.has_provider);
    let has_no_way = !has_password && provider.is_none();
    let back = form.page.clone();
    let change = form.change();
    let title = title("Confirm it's you", error.as_ref());
    site.page(status, &title, || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    <h1>"Confirm it's you"</h1>
                    <p class="muted">{email.clone()} {change.map(|change| format!(" · {change}"))}</p>
                </div>
                <section class="panel stack" aria-label="Confirm it's you">
                    <p>
                        {format!(
                            "You signed in more than {CONFIRMED_MINUTES} minutes ago, and this change affects how somebody signs in. It is made as soon as you confirm that it's you.",
                        )}
                    </p>
                    {error.clone().map(|error| view! { <FormError error=Some(error) /> })}
                    {provider
                        .map(|provider| {
                            // A link, because the content security policy forbids forms that lead to another site.
                            view! {
                                <p>
                                    <a class="button" href=provider.path>
                                        {format!("Confirm with {}", provider.label)}
                                    </a>
                                </p>
                            }
                        })}
                    {has_password
                        .then(|| {
                            view! {
                                <form method="post" action=form.action.clone()>
                                    {hidden_fields(&form)}
                                    <input type="hidden" autocomplete="username" value=email />
                                    <PasswordField
                                        id="confirm-password"
                                        name=PendingForm::PASSWORD
                                        label="Password"
                                        autocomplete="current-password"
                                        error=error.as_ref()
                                    />
                                    {ways
                                        .has_second_factor
                                        .then(|| view! { <CodeField name=PendingForm::CODE error=error.as_ref() /> })}
                                    <button class="button button-primary" data-under-way="Confirming…">
                                        "Confirm"
                                    </button>
                                </form>
                            }
                        })}
                    {has_no_way.then(|| view! { <p>"Sign out and sign in again. Then make the change again."</p> })}
                </section>
                <p>
                    <a href=back>"Cancel"</a>
                </p>
            </div>
        }
        .into_any()
    })
}

/// Lets a user who has come back from the provider send the form.
pub fn confirmed(site: &Site, form: PendingForm) -> Page {
    let back = form.page.clone();
    let change = form.change().unwrap_or("Continue with the change");
    site.page(StatusCode::OK, "It's you", || {
        view! {
            <div class="narrow">
                <div class="page-head">
                    <h1>"It's you"</h1>
                </div>
                <section class="panel stack" aria-label="Continue">
                    <p>"You have confirmed who you are. Nothing was changed yet."</p>
                    <form method="post" action=form.action.clone()>
                        {hidden_fields(&form)}
                        <button class="button button-primary" data-under-way="Continuing…">
                            {change}
                        </button>
                    </form>
                </section>
                <p>
                    <a href=back>"Cancel"</a>
                </p>
            </div>
        }
        .into_any()
    })
}

fn hidden_fields(form: &PendingForm) -> impl IntoView + use<> {
    let fields = form.fields.clone().into_iter();
    let page = (PendingForm::PAGE.to_owned(), form.page.clone());
    fields
        .chain([page])
        .map(|(name, value)| view! { <input type="hidden" name=name value=value /> })
        .collect_view()
}
