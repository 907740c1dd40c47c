//! Completes the description of the API with what holds for all of it: how errors look, which there are, which bodies are
//! required, and a name for each operation that no other has.

use backend::accounts::Auth;
use utoipa::openapi::{
    Components, Content, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
    SecurityRequirement,
    path::Operation,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

const PROBLEM: &str = "application/problem+json";

/// What any request may be answered with, besides what its operation says.
const ALWAYS: [(&str, &str); 6] = [
    ("400", "the request is malformed, as without a Host"),
    (
        "401",
        "with AUTH=password: the request has no valid API token and no session",
    ),
    (
        "403",
        "with AUTH=password: the role or the token's scope doesn't allow it; or a change that comes from a page of \
         another origin",
    ),
    ("421", "the request is for a host that is not served"),
    ("500", "something went wrong on our side"),
    (
        "503",
        "a service behind this one doesn't answer, or too much is asked for at the same time",
    ),
];

/// What a request that changes something may be answered with.
const ON_CHANGES: [(&str, &str); 1] = [("429", "too many changes came from this address")];

/// What a request with a body may be answered with.
const ON_BODIES: [(&str, &str); 3] = [
    ("408", "the body stopped coming"),
    ("413", "the body is too large"),
    ("415", "the body has another media type"),
];

const WRONG_VALUE: (&str, &str) = (
    "422",
    "a value that can't be accepted, or an unknown name; the errors name it",
);

pub fn complete(description: &mut OpenApi, auth: Auth) {
    describe_security(description, auth);
    for item in description.paths.paths.values_mut() {
        for (operation, is_change) in [
            (&mut item.get, false),
            (&mut item.post, true),
            (&mut item.patch, true),
            (&mut item.put, true),
            (&mut item.delete, true),
        ] {
            if let Some(operation) = operation {
                complete_operation(operation, is_change);
            }
        }
    }
}

/// By a token or a session. Where nobody has to sign in, by neither too.
fn describe_security(description: &mut OpenApi, auth: Auth) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("bl_…")
        .description(Some(
            "With AUTH=password: an API token, created on the page \"Account\". One with the scope \"Read only\" changes \
             nothing. What belongs to another user is answered by 404.",
        ))
        .build();
    let session = ApiKeyValue::with_description(
        "session",
        "With AUTH=password: the cookie that the page /sign-in sets. Its name begins with __Host- on any host but a \
         loopback one.",
    );
    let components = description.components.get_or_insert_with(Components::new);
    components.add_security_scheme("token", SecurityScheme::Http(token));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)));
    let mut ways = vec![
        SecurityRequirement::new("token", Vec::<String>::new()),
        SecurityRequirement::new("session", Vec::<String>::new()),
    ];
    if let Auth::Open = auth {
        ways.insert(0, SecurityRequirement::default());
    }
    description.security = Some(ways);
}

fn complete_operation(operation: &mut Operation, is_change: bool) {
    // The names of functions repeat themselves; with the tag before them they don't.
    let tag = operation.tags.iter().flatten().next();
    if let (Some(tag), Some(name)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{name}"));
    }
    let has_body = match &mut operation.request_body {
        Some(RefOr::T(body)) => {
            // `Option<T>` is one of `null` and `T`.
            let is_optional = body.content.values().any(|content| match content {
                RefOr::T(content) => matches!(content.schema, Some(RefOr::T(Schema::OneOf(_)))),
                RefOr::Ref(_) => false,
            });
            body.required = Some(match is_optional {
                true => Required::False,
                false => Required::True,
            });
            true
        }
        Some(RefOr::Ref(_)) => true,
        None => false,
    };
    let responses = &mut operation.responses.responses;
    let on_changes = ON_CHANGES.iter().filter(|_| is_change);
    let on_bodies = ON_BODIES.iter().filter(|_| has_body);
    for (status, what) in ALWAYS
        .iter()
        .chain(on_changes)
        .chain(on_bodies)
        .chain([&WRONG_VALUE])
    {
        responses
            .entry((*status).to_owned())
            .or_insert_with(|| problem(what).into());
    }
    for (status, response) in responses.iter_mut() {
        let RefOr::T(response) = response else {
            continue;
        };
        if response.description.is_empty() {
            response.description = what(status).to_owned();
        }
        if status.starts_with(['4', '5'])
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert(PROBLEM.to_owned(), content);
        }
    }
}

fn problem(what: &str) -> Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .description(what)
        .content(PROBLEM, Content::new(Some(schema)))
        .build()
}

fn what(status: &str) -> &'static str {
    match status {
        "200" => "what was asked for",
        "201" => "it is created",
        "202" => "it has taken effect",
        "204" => "it is done",
        "404" => "there is none of this id",
        _ => WRONG_VALUE.1,
    }
}
