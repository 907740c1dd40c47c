//! `/accounts`: the users as admins see them, with their roles, and the links with which users set their passwords.

use axum::http::StatusCode;
use backend::{
    Backend, Viewer,
    accounts::{self, LINK_HOURS, Member, MemberPage, PasswordLink},
};
use domain::{NewUser, Role, User, format};
use leptos::prelude::*;

use super::{
    failure::failure,
    pager::{Pager, page_number},
    sign_in::title,
    users::CreateUserForm,
};
use crate::{
    AppError, Page, Query, Site,
    api::at_its_field,
    components::{ConfirmPost, Copy, FormError, Time},
};

pub async fn members(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    query: &Query,
    error: Option<AppError>,
) -> Page {
    let (page, invalid_page) = page_number(query);
    let found = match accounts::members(backend, viewer, page).await {
        Ok(found) => found,
        Err(error) => return failure(site, error.into()),
    };
    let MemberPage {
        page,
        members,
        total,
    } = found;
    let status = error
        .as_ref()
        .map_or(StatusCode::OK, |error| error.kind.status());
    let title = title("Users and roles", error.as_ref());
    let hint = match site.has_passwords {
        true => "You get a link with which the user can set a password. Pass it on.",
        false => "The user signs in with an account that has this email address.",
    };
    let has_provider = site.has_provider;
    site.page(status, &title, || {
        let href = |page| match page {
            1 => "/accounts".to_owned(),
            page => format!("/accounts?page={page}"),
        };
        let pager = (total > MemberPage::SIZE)
            .then(|| view! { <Pager page size=MemberPage::SIZE total noun="user" href /> });
        view! {
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href="/account">"Account"</a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">"Users and roles"</span>
            </nav>
            <div class="page-head">
                <h1>"Users and roles"</h1>
            </div>
            <div class="columns columns-form-first">
                <CreateUserForm
                    error
                    action="/accounts"
                    hint
                />
                <section aria-labelledby="users" id="members" data-part>
                    <h2 id="users">"Users " <span class="tally">{format::count(total)}</span></h2>
                    {invalid_page
                        .map(|sentence| view! { <p class="notice notice-bad" role="alert">{sentence}</p> })}
                    <ul class="cards" aria-label="Users">
                        {members.into_iter().map(|member| one_member(member, has_provider)).collect_view()}
                    </ul>
                    {pager}
                </section>
            </div>
        }
        .into_any()
    })
}

/// `has_provider` is whether users can sign in with an OpenID Connect provider.
fn one_member(member: Member, has_provider: bool) -> impl IntoView {
    let seen = member.last_seen_at.map(|at| {
        view! {
            " · Last seen "
            <Time at=format::machine_time(at) />
        }
    });
    let locked = member.locked_at.map_or("", |_| " · Locked");
    let password = match (member.has_password, member.link_expires_at) {
        _ if member.has_provider => "",
        (true, _) => "",
        (false, Some(_)) => " · Hasn't used the link yet",
        (false, None) if has_provider => " · Hasn't signed in yet",
        (false, None) => " · Can't sign in yet",
    };
    view! {
        <li class="card card-link">
            <a class="card-title" href=format!("/users/{}", member.user.id)>
                <bdi>{member.user.name}</bdi>
            </a>
            <span class="muted">{format!("{}{locked}", member.role.label())}</span>
            <span class="muted">{member.user.email} {password} {seen}</span>
        </li>
    }
    .into_any()
}

/// Creates a user and, if needed, shows the link with which they set a password. `origin` is that of the page.
pub async fn create_member(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    origin: &str,
    name: &str,
    email: &str,
) -> Page {
    let created = async {
        let new = NewUser::parse(name, email).map_err(AppError::invalid)?;
        if !site.has_passwords {
            let user = accounts::create_user(backend, viewer, &new).await?;
            return Ok((user, None));
        }
        let (user, link) = accounts::create_user_with_link(backend, viewer, &new).await?;
        Ok::<_, AppError>((user, Some(link)))
    };
    match created.await {
        Ok((user, Some(link))) => link_page(site, &user, &link, origin, StatusCode::CREATED),
        Ok((_, None)) => Page {
            status: StatusCode::CREATED,
            ..members(site, backend, viewer, &Query::default(), None).await
        },
        Err(error) => {
            let error = at_its_field(error, name, email);
            members(site, backend, viewer, &Query::default(), Some(error)).await
        }
    }
}

/// Creates a link for a user, and shows it.
pub async fn password_link(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    origin: &str,
    id: &str,
) -> Page {
    let Ok(user_id) = id.parse() else {
        return super::not_found(site);
    };
    let created = async {
        let link = accounts::create_link(backend, viewer, user_id).await?;
        let user = backend::users::get(backend, viewer, user_id).await?;
        Ok::<_, backend::Error>((user, link))
    };
    match created.await {
        Ok((user, link)) => link_page(site, &user, &link, origin, StatusCode::CREATED),
        Err(error) => failure(site, error.into()),
    }
}

/// Changes the role of a user. Returns the path of the user's page, or a page with the error.
pub async fn set_role(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    id: &str,
    role: &str,
) -> Result<String, Page> {
    let Ok(user_id) = id.parse() else {
        return Err(super::not_found(site));
    };
    let Ok(role) = role.parse::<Role>() else {
        let sentence = "Choose a role.";
        return Err(super::refused(
            site,
            StatusCode::UNPROCESSABLE_ENTITY,
            sentence,
        ));
    };
    let set = accounts::set_role(backend, viewer, user_id, role).await;
    changed(site, backend, viewer, id, set).await
}

/// Locks a user. Returns the path of the user's page, or a page with the error.
pub async fn lock_user(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    id: &str,
) -> Result<String, Page> {
    let Ok(user_id) = id.parse() else {
        return Err(super::not_found(site));
    };
    let locked = accounts::lock_user(backend, viewer, user_id).await;
    changed(site, backend, viewer, id, locked).await
}

/// Unlocks a user. Returns the path of the user's page, or a page with the error.
pub async fn unlock_user(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    id: &str,
) -> Result<String, Page> {
    let Ok(user_id) = id.parse() else {
        return Err(super::not_found(site));
    };
    let unlocked = accounts::unlock_user(backend, viewer, user_id).await;
    changed(site, backend, viewer, id, unlocked).await
}

/// Returns the path of the user's page after a change to how they sign in, or a page with the error.
async fn changed(
    site: &Site,
    backend: &Backend,
    viewer: &Viewer,
    id: &str,
    result: backend::Result<()>,
) -> Result<String, Page> {
    match result {
        Ok(()) => Ok(format!("/users/{id}")),
        Err(error @ backend::Error::Conflict(_)) => {
            let error = AppError::from(error);
            let query = Query::default().with_answers(&[], Some(error.message));
            let page = super::user(site, backend, viewer, id, &query).await;
            Err(Page {
                status: error.kind.status(),
                ..page
            })
        }
        Err(error) => Err(failure(site, error.into())),
    }
}

/// Returns the page that shows a link, once.
fn link_page(
    site: &Site,
    user: &User,
    link: &PasswordLink,
    origin: &str,
    status: StatusCode,
) -> Page {
    let address = format!("{origin}/set-password?link={}", link.secret.as_str());
    let (name, email) = (user.name.clone(), user.email.clone());
    let user_page = format!("/users/{}", user.id);
    let expires_at = format::machine_time(link.expires_at);
    site.page(status, "Link to set a password", || {
        view! {
            <nav class="crumbs" aria-label="Breadcrumb">
                <a href="/accounts">"Users and roles"</a>
                <span aria-hidden="true">"/"</span>
                <a href=user_page>
                    <bdi>{name.clone()}</bdi>
                </a>
                <span aria-hidden="true">"/"</span>
                <span aria-current="page">"Link to set a password"</span>
            </nav>
            <div class="page-head">
                <h1>"Link to set a password"</h1>
                <p class="muted">"For " <bdi>{name}</bdi> ", " {email}</p>
            </div>
            <section class="panel stack" aria-label="Link">
                <p>
                    "Copy the link now and pass it on: it won't be shown again. Anyone who has it can set the password."
                </p>
                <p>
                    <code class="secret" id="password-link">
                        {address.clone()}
                    </code>
                </p>
                <Copy text=address name="Copy link" />
                <p class="muted">
                    {format!("It works once, within {LINK_HOURS} hours: until ")} <Time at=expires_at /> "."
                </p>
            </section>
        }
        .into_any()
    })
}

/// How a user signs in, on the user's page. For admins.
#[component]
pub fn SignInSettings(
    member: Member,
    /// Whether users can sign in with passwords.
    has_passwords: bool,
    /// Whether users can sign in with an OpenID Connect provider.
    has_provider: bool,
    error: Option<AppError>,
) -> impl IntoView {
    let user_id = member.user.id;
    let state = match (member.has_password, member.link_expires_at) {
        _ if member.locked_at.is_some() => None,
        (true, None) => Some("Has a password.".into_any()),
        (true, Some(until)) => Some(
            view! {
                "Has a password. A link to set another one is valid until "
                <Time at=format::machine_time(until) />
                "."
            }
            .into_any(),
        ),
        (false, Some(until)) => Some(
            view! {
                "Can't sign in yet. The link to set a password is valid until "
                <Time at=format::machine_time(until) />
                "."
            }
            .into_any(),
        ),
        (false, None) if member.has_provider => None,
        (false, None) if has_provider => Some("Hasn't signed in yet.".into_any()),
        (false, None) => Some("Can't sign in yet. Create a link to set a password.".into_any()),
    };
    let provider = member.has_provider.then(|| {
        view! {
            <form method="post" action=format!("/users/{user_id}/forget-provider")>
                <p class="muted">
                    "Signs in with the OpenID Connect provider. If you forget the user's account there, the user is signed out everywhere, their API tokens are revoked, and the next account with this email address becomes the user's."
                </p>
                <button class="button" data-under-way="Forgetting…">
                    "Forget provider"
                </button>
            </form>
        }
    });
    let password_link = (has_passwords && member.locked_at.is_none()).then(|| {
        view! {
            <form method="post" action=format!("/users/{user_id}/password-link")>
                <button class="button" data-under-way="Creating…">
                    "Create password link"
                </button>
            </form>
        }
    });
    let lock = match member.locked_at {
        Some(since) => view! {
            <form method="post" action=format!("/users/{user_id}/unlock")>
                <p>"Locked since " <Time at=format::machine_time(since) /> ". The user can't sign in."</p>
                <button class="button" data-under-way="Unlocking…">
                    "Unlock user"
                </button>
            </form>
        }
        .into_any(),
        None => view! {
            <ConfirmPost
                id="lock"
                button="Lock user…"
                question="Lock this user?"
                consequences="This signs the user out everywhere, revokes their API tokens, and keeps them from signing in until you unlock them. Their jobs go on, and their files and results are kept."
                action=format!("/users/{user_id}/lock")
                submit=("Lock user", "Locking…")
            />
        }
        .into_any(),
    };
    let roles = Role::ALL
        .iter()
        .map(|role| {
            view! {
                <option value=role.as_str() selected=*role == member.role>
                    {role.label()}
                </option>
            }
        })
        .collect_view();
    view! {
        <section class="panel" aria-labelledby="sign-in">
            <h2 id="sign-in">"Sign-in"</h2>
            <FormError error />
            {state.map(|state| view! { <p class="muted">{state}</p> })}
            {password_link}
            {provider}
            <form method="post" action=format!("/users/{user_id}/role")>
                <div class="field">
                    <label for="role">"Role"</label>
                    <select id="role" name="role" aria-describedby="role-hint">
                        {roles}
                    </select>
                    <p class="hint" id="role-hint">"A new role signs the user out and revokes their API tokens."</p>
                </div>
                <button class="button" data-under-way="Saving…">
                    "Save role"
                </button>
            </form>
            <ConfirmPost
                id="end-access"
                button="Sign out everywhere…"
                question="Sign out everywhere?"
                consequences="This ends all of the user's sessions and revokes all of their API tokens, and a link with which they could set a password stops working. It doesn't keep the user from signing in again."
                action=format!("/users/{user_id}/end-access")
                submit=("Sign out and revoke tokens", "Signing out…")
            />
            {lock}
            <p>
                <a href=format!("/audit?user={user_id}")>"What this user did"</a>
            </p>
        </section>
    }
    .into_any()
}
