use backend::{Backend, JobPage};
use domain::{Email, NewUser, SavedFormat, User, UserChange, UserId, UserName};
use leptos::prelude::*;

use super::respond;
use crate::{AppError, ErrorKind};

/// What the page of a user shows.
pub struct Dashboard {
    pub user: User,
    pub jobs: JobPage,
    pub formats: Vec<SavedFormat>,
}

pub async fn dashboard(
    backend: &Backend,
    user_id: UserId,
    page: u64,
) -> Result<Dashboard, AppError> {
    Ok(Dashboard {
        user: backend::users::get(backend, user_id).await?,
        jobs: backend::queries::job_page(backend, user_id, page).await?,
        formats: backend::saved_formats::list(backend, user_id).await?,
    })
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
pub async fn update_user(user_id: UserId, name: String, email: String) -> Result<User, AppError> {
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
pub async fn delete_user(user_id: UserId) -> Result<(), AppError> {
    respond(async {
        backend::deletion::delete_user(&expect_context::<Backend>(), user_id).await?;
        leptos_axum::redirect("/");
        Ok(())
    })
    .await
}

/// Both fields, or what is wrong with each of them.
fn parse(name: &str, email: &str) -> Result<(UserName, Email), AppError> {
    match (UserName::parse(name), Email::parse(email)) {
        (Ok(name), Ok(email)) => Ok((name, email)),
        (name, email) => Err(AppError::invalid(
            [name.err(), email.err()].into_iter().flatten(),
        )),
    }
}

/// The only conflict among users is about their email address.
fn at_its_field(error: AppError, name: &str, email: &str) -> AppError {
    let error = match error.kind {
        ErrorKind::Conflict => error.at("email"),
        _ => error,
    };
    error.with_typed(&[("name", name), ("email", email)])
}
