//! Completes the OpenAPI description with everything that applies to all operations: the format and kinds of errors,
//! which bodies are required, and a unique id for each operation.

use backend::accounts::Auth;
use serde_json::{Value, json};
use utoipa::openapi::{
    Components, Content, ContentBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder,
    Schema, SecurityRequirement,
    example::ExampleBuilder,
    path::Operation,
    security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::problem::{Problem, ProblemKind};

const PROBLEM: &str = "application/problem+json";

/// The responses that any request may receive, in addition to those of its operation.
const ALWAYS: [(&str, &str); 6] = [
    (
        "400",
        "the request is malformed: for example, it has no Host header, or its body ends early",
    ),
    (
        "401",
        "with AUTH=password: the request has no valid API token and no session",
    ),
    (
        "403",
        "a change from a page of another origin, or one that exceeds a quota; with AUTH=password: the role or the \
         token's scope doesn't allow it",
    ),
    ("421", "the request is for a host that is not served"),
    ("500", "something went wrong on our side"),
    (
        "503",
        "a service that Batchline depends on doesn't respond, or too many requests are in progress",
    ),
];

/// The responses that a request with a change may receive.
const ON_CHANGES: [(&str, &str); 1] = [("429", "too many changes came from this address")];

/// The responses that a request with a body may receive.
const ON_BODIES: [(&str, &str); 3] = [
    ("408", "the body stopped arriving"),
    ("413", "the body is too large"),
    ("415", "the media type of the body isn't supported"),
];

const WRONG_VALUE: (&str, &str) = (
    "422",
    "a value that can't be accepted, or an unknown name; the errors name it",
);

const NOT_FOUND: (&str, &str) = (
    "404",
    "nothing with this id exists, or it belongs to another user",
);

/// Returns the complete description as served.
pub fn complete(mut description: OpenApi, auth: Auth) -> Value {
    describe_security(&mut description, auth);
    describe_problems(&mut description);
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
    let mut description = serde_json::to_value(description).expect("it has no keys but texts");
    // utoipa doesn't support `contains`.
    let header = &mut description["components"]["schemas"]["HeaderKey"];
    header["contains"] = json!({"type": "string", "pattern": "\\S"});
    header["minContains"] = json!(2);
    // Nor does it support an example beside a reference. Swagger UI shows the example first and would otherwise invent
    // one.
    for form in ["UploadForm", "CheckForm"] {
        let fields = &mut description["components"]["schemas"][form]["properties"];
        fields["format"]["example"] = json!({});
    }
    let fields = &mut description["components"]["schemas"]["UploadForm"]["properties"];
    fields["format_name"]["example"] = json!("");
    description
}

/// Allows a token or a session and, if sign-in is disabled, neither.
fn describe_security(description: &mut OpenApi, auth: Auth) {
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("bl_…")
        .description(Some(
            "If sign-in is required: an API token, created on the page \"Account\". A token with the scope \"Read only\" \
             can't change anything. The data of other users is answered with 404.",
        ))
        .build();
    let session = ApiKeyValue::with_description(
        "session",
        "If sign-in is required: the cookie that the page /sign-in sets. Its name begins with __Host- except on \
         loopback hosts.",
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
    // Function names repeat. A prefix with the tag makes them unique.
    let tag = operation.tags.iter().flatten().next();
    if let (Some(tag), Some(name)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{name}"));
    }
    let has_body = match &mut operation.request_body {
        Some(RefOr::T(body)) => {
            body.required = Some(Required::True);
            for content in body.content.values_mut() {
                let RefOr::T(content) = content else {
                    continue;
                };
                // `Option<T>` becomes one of `null` and `T`, but it means that the body is optional.
                if let Some(RefOr::T(Schema::OneOf(one_of))) = &content.schema {
                    content.schema = one_of
                        .items
                        .iter()
                        .find(|item| matches!(item, RefOr::Ref(_)))
                        .cloned();
                    body.required = Some(Required::False);
                }
            }
            true
        }
        Some(RefOr::Ref(_)) => true,
        None => false,
    };
    let responses = &mut operation.responses.responses;
    for (status, response) in responses.iter_mut() {
        let is_error = status.starts_with(['4', '5']);
        let RefOr::T(described) = response else {
            continue;
        };
        match described.description.is_empty() {
            true if is_error => *response = general(status),
            true => described.description = what(status).to_owned(),
            false if is_error => {
                described.content = [(PROBLEM.to_owned(), problem(status).into())]
                    .into_iter()
                    .collect()
            }
            false => {}
        }
    }
    let on_changes = ON_CHANGES.iter().filter(|_| is_change);
    let on_bodies = ON_BODIES.iter().filter(|_| has_body);
    for (status, _) in ALWAYS
        .iter()
        .chain(on_changes)
        .chain(on_bodies)
        .chain([&WRONG_VALUE])
    {
        responses
            .entry((*status).to_owned())
            .or_insert_with(|| general(status));
    }
}

/// Returns a reference to a response that several operations share, under `components`.
fn general(status: &str) -> RefOr<Response> {
    Ref::new(format!("#/components/responses/{status}")).into()
}

/// Adds the shared responses, each with an example of every kind of problem with its status.
fn describe_problems(description: &mut OpenApi) {
    let components = description.components.get_or_insert_with(Components::new);
    let statuses = ALWAYS
        .iter()
        .chain(&ON_CHANGES)
        .chain(&ON_BODIES)
        .chain([&WRONG_VALUE, &NOT_FOUND]);
    for (status, what) in statuses {
        let response = ResponseBuilder::new()
            .description(*what)
            .content(PROBLEM, problem(status))
            .build();
        components
            .responses
            .insert((*status).to_owned(), response.into());
    }
}

/// Returns a problem with this status, with an example of each kind that an operation may return.
fn problem(status: &str) -> Content {
    let kinds = ProblemKind::ALL
        .iter()
        .filter(|kind| kind.status().as_str() == status && **kind != ProblemKind::NoSuchAddress);
    let examples = kinds.map(|kind| {
        let example = ExampleBuilder::new()
            .summary(kind.title())
            .value(serde_json::to_value(Problem::new(*kind, kind.help())).ok())
            .build();
        (kind.code(), example)
    });
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build()
}

fn what(status: &str) -> &'static str {
    match status {
        "200" => "success",
        "201" => "created",
        "202" => "the command has taken effect",
        _ => "done",
    }
}
