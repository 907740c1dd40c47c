//! Server functions of saved formats.

use domain::{
    Format, FormatName, HeaderKey, InvalidField, NewSavedFormat, SavedFormatChange, SavedFormatId,
    UserId, parse_json,
};
use leptos::prelude::*;
use serde_json::Value;

use super::{PlainForm, caller, respond, say, shortened};
use crate::AppError;

/// The maximum size of an imported format with its header, in bytes. No valid one is larger.
const MAX_IMPORT_BYTES: usize = 1 << 20;

/// Changes the name and the JSON of a saved format.
#[server(prefix = "/rpc", endpoint = "update-format", input = PlainForm)]
pub async fn update_format(
    user_id: UserId,
    format_id: SavedFormatId,
    name: String,
    format: String,
) -> Result<(), AppError> {
    respond(async {
        let parsed = Format::from_json(&format).map_err(InvalidField::from);
        let change = match (FormatName::parse(&name), parsed) {
            (Ok(name), Ok(format)) => SavedFormatChange {
                name: Some(name),
                header: None,
                format: Some(format),
            },
            (name, format) => {
                return Err(AppError::invalid(
                    [name.err(), format.err()].into_iter().flatten(),
                ));
            }
        };
        let (backend, viewer) = caller();
        let saved =
            backend::saved_formats::update(&backend, &viewer, user_id, format_id, &change).await?;
        say(format!(
            "The format \"{}\" was saved.",
            shortened(saved.name)
        ));
        leptos_axum::redirect(&formats_of(user_id));
        Ok(())
    })
    .await
    .map_err(|error: AppError| {
        let id = format_id.to_string();
        error.with_typed(&[("format_id", &id), ("name", &name)])
    })
}

/// Deletes a saved format.
#[server(prefix = "/rpc", endpoint = "delete-format", input = PlainForm)]
pub async fn delete_format(user_id: UserId, format_id: SavedFormatId) -> Result<(), AppError> {
    respond(async {
        let (backend, viewer) = caller();
        backend::saved_formats::delete(&backend, &viewer, user_id, format_id).await?;
        say("The saved format was deleted.".to_owned());
        leptos_axum::redirect(&formats_of(user_id));
        Ok(())
    })
    .await
}

/// Saves a format from exported JSON.
#[server(prefix = "/rpc", endpoint = "import-format", input = PlainForm)]
pub async fn import_format(user_id: UserId, json: String) -> Result<(), AppError> {
    respond(async {
        let new = parse(&json)?;
        let (backend, viewer) = caller();
        let saved = backend::saved_formats::create(&backend, &viewer, user_id, &new).await?;
        say(format!(
            "The format \"{}\" was saved.",
            shortened(saved.name)
        ));
        leptos_axum::redirect(&formats_of(user_id));
        Ok(())
    })
    .await
    .map_err(|error: AppError| error.with_typed(&[("json", &json)]))
}

fn formats_of(user_id: UserId) -> String {
    format!("/users/{user_id}#formats")
}

fn parse(json: &str) -> Result<NewSavedFormat, InvalidField> {
    let invalid = |message: &str| InvalidField::new("json", message);
    if json.len() > MAX_IMPORT_BYTES {
        return Err(invalid("The format has more than 1 MiB."));
    }
    let value = parse_json(json.as_bytes())
        .map_err(|error| invalid(&format!("This isn't the JSON of an export: {error}.")))?;
    let name = value.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| invalid("The export has no name: add \"name\": \"…\"."))?;
    let header = match value.get("header") {
        None | Some(Value::Null) => None,
        Some(names) => {
            let names: Vec<String> = serde_json::from_value(names.clone())
                .map_err(|_| invalid("\"header\" is a list of names, or null."))?;
            Some(HeaderKey::parse(&names)?)
        }
    };
    let format = value.get("format");
    let format = format.ok_or_else(|| invalid("The export has no format: add \"format\": {…}."))?;
    Ok(NewSavedFormat {
        name: FormatName::parse(name)?,
        header,
        format: Format::from_value(format)?,
    })
}
