/// The title of a document; of the first page for an empty text.
pub fn document_title(text: &str) -> String {
    match text {
        "" => "Batchline".to_owned(),
        text => format!("{text} · Batchline"),
    }
}
