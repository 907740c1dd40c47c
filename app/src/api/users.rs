use domain::{Job, User};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::AppError;
#[cfg(feature = "ssr")]
use {
    super::respond,
    crate::ErrorKind,
    backend::Backend,
    domain::{Email, NewUser, UserChange, UserName},
};

/// What the page of a user shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    pub user: User,
    /// Newest first.
    pub jobs: Vec<Job>,
    /// Larger files are refused.
    pub max_upload_bytes: u64,
}

#[server(prefix = "/rpc", endpoint = "list-users")]
pub async fn list_users() -> Result<Vec<User>, AppError> {
    respond(async { Ok(backend::users::list(&expect_context::<Backend>()).await?) }).await
}

#[server(prefix = "/rpc", endpoint = "get-dashboard")]
pub async fn get_dashboard(user_id: i64) -> Result<Dashboard, AppError> {
    respond(async {
        let backend = expect_context::<Backend>();
        Ok(Dashboard {
            user: backend::users::get(&backend, user_id).await?,
            jobs: backend::jobs::list(&backend, user_id).await?,
            max_upload_bytes: backend.max_upload_bytes(),
        })
    })
    .await
}

/// Leads to the new user's page.
#[server(prefix = "/rpc", endpoint = "create-user")]
pub async fn create_user(name: String, email: String) -> Result<User, AppError> {
    respond(async {
        let (name, email) = parse(&name, &email)?;
        let user = NewUser { name, email };
        let user = backend::users::create(&expect_context::<Backend>(), &user).await?;
        leptos_axum::redirect(&format!("/users/{}", user.id));
        Ok(user)
    })
    .await
    .map_err(|error| at_its_field(error, &name, &email))
}

#[server(prefix = "/rpc", endpoint = "update-user")]
pub async fn update_user(user_id: i64, name: String, email: String) -> Result<User, AppError> {
    respond(async {
        let (name, email) = parse(&name, &email)?;
        let change = UserChange {
            name: Some(name),
            email: Some(email),
        };
        Ok(backend::users::update(&expect_context::<Backend>(), user_id, &change).await?)
    })
    .await
    .map_err(|error| at_its_field(error, &name, &email))
}

/// Leads to the list of users.
#[server(prefix = "/rpc", endpoint = "delete-user")]
pub async fn delete_user(user_id: i64) -> Result<(), AppError> {
    respond(async {
        backend::users::delete(&expect_context::<Backend>(), user_id).await?;
        leptos_axum::redirect("/");
        Ok(())
    })
    .await
}

/// Both fields, or what is wrong with each of them.
#[cfg(feature = "ssr")]
fn parse(name: &str, email: &str) -> Result<(UserName, Email), AppError> {
    match (UserName::parse(name), Email::parse(email)) {
        (Ok(name), Ok(email)) => Ok((name, email)),
        (name, email) => Err(AppError::invalid(
            [name.err(), email.err()].into_iter().flatten(),
        )),
    }
}

/// The only conflict among users is about their email address.
#[cfg(feature = "ssr")]
fn at_its_field(error: AppError, name: &str, email: &str) -> AppError {
    let error = match error.kind {
        ErrorKind::Conflict => error.at("email"),
        _ => error,
    };
    error.with_typed(&[("name", name), ("email", email)])
}
