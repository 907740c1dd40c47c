use leptos::web_sys::js_sys::Array;
use wasm_bindgen::JsValue;
use web_sys::{Blob, BlobPropertyBag, Url};

/// A URL for data in the page's memory. It is valid while this value lives.
pub struct ObjectUrl(String);

impl ObjectUrl {
    pub fn new(blob: &Blob) -> Result<Self, JsValue> {
        Url::create_object_url_with_blob(blob).map(Self)
    }

    pub fn of_script(script: &str) -> Result<Self, JsValue> {
        // Browsers refuse modules of any other type.
        let options = BlobPropertyBag::new();
        options.set_type("text/javascript");
        let parts = Array::of1(&script.into());
        Self::new(&Blob::new_with_str_sequence_and_options(&parts, &options)?)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Drop for ObjectUrl {
    fn drop(&mut self) {
        // Fails only if it isn't a URL.
        let _ = Url::revoke_object_url(&self.0);
    }
}
