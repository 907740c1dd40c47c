//! Server functions of users and their quotas.

use domain::{NewUser, QuotaChange, User, UserChange, UserId};
use leptos::prelude::*;

use super::{PlainForm, caller, respond, say, shortened};
use crate::{AppError, ErrorKind};

/// Redirects to the page of the new user.
#[server(prefix = "/rpc", endpoint = "create-user", input = PlainForm)]
pub async fn create_user(name: String, email: String) -> Result<User, AppError> {
    respond(async {
        let user = NewUser::parse(&name, &email).map_err(AppError::invalid)?;
        let (backend, viewer) = caller();
        let user = backend::accounts::create_user(&backend, &viewer, &user).await?;
        say(format!("{} was created.", shortened(user.name.clone())));
        leptos_axum::redirect(&format!("/users/{}", user.id));
        Ok(user)
    })
    .await
    .map_err(|error| at_its_field(error, &name, &email))
}

#[server(prefix = "/rpc", endpoint = "update-user", input = PlainForm)]
pub async fn update_user(user_id: UserId, name: String, email: String) -> Result<User, AppError> {
    respond(async {
        let change = UserChange::parse(Some(&name), Some(&email)).map_err(AppError::invalid)?;
        let (backend, viewer) = caller();
        let user = backend::accounts::change_user(&backend, &viewer, user_id, &change).await?;
        say("Name and email were saved.".to_owned());
        Ok(user)
    })
    .await
    .map_err(|error| at_its_field(error, &name, &email))
}

/// Sets all quotas of a user, and how long their jobs are kept. Empty fields select the default for all users.
#[server(prefix = "/rpc", endpoint = "set-quotas", input = PlainForm)]
pub async fn set_quotas(
    user_id: UserId,
    jobs: String,
    bytes: String,
    active_jobs: String,
    retention_days: String,
) -> Result<(), AppError> {
    let typed = [&*jobs, &*bytes, &*active_jobs, &*retention_days];
    respond(async {
        let change = QuotaChange::parse(typed).map_err(AppError::invalid)?;
        let (backend, viewer) = caller();
        backend::quotas::set(&backend, &viewer, user_id, &change).await?;
        say("The quotas were saved.".to_owned());
        Ok(())
    })
    .await
    .map_err(|error: AppError| {
        let fields: Vec<_> = QuotaChange::FIELDS.into_iter().zip(typed).collect();
        error.with_typed(&fields)
    })
}

/// Redirects to the list of users.
#[server(prefix = "/rpc", endpoint = "delete-user", input = PlainForm)]
pub async fn delete_user(user_id: UserId) -> Result<(), AppError> {
    respond(async {
        let (backend, viewer) = caller();
        let user = backend::users::get(&backend, &viewer, user_id).await?;
        backend::deletion::delete_user(&backend, &viewer, user_id).await?;
        say(format!(
            "{} was deleted, with all files.",
            shortened(user.name)
        ));
        leptos_axum::redirect("/users");
        Ok(())
    })
    .await
}

/// Attaches a conflict to the email field, because no other conflict between users exists.
pub fn at_its_field(error: AppError, name: &str, email: &str) -> AppError {
    let error = match error.kind {
        ErrorKind::Conflict => error.at("email"),
        _ => error,
    };
    error.with_typed(&[("name", name), ("email", email)])
}
