//! Changes one piece of a page into another by modifying only what differs. Focus, typed text and opened elements are
//! preserved.

use leptos::web_sys::{Element, HtmlInputElement, HtmlOptionElement, Node};
use wasm_bindgen::{JsCast, JsValue};

/// Makes `old` equal to `new`, an element of another document with the same name.
pub fn morph(old: &Element, new: &Element) -> Result<(), JsValue> {
    let (value, is_selected) = (old.get_attribute("value"), old.has_attribute("selected"));
    morph_attributes(old, new)?;
    morph_children(old, new)?;
    // Typed or chosen values stay, unless the value differs between the old and the new page.
    if let Some(input) = old.dyn_ref::<HtmlInputElement>()
        && value != new.get_attribute("value")
    {
        input.set_value(&new.get_attribute("value").unwrap_or_default());
    }
    if let Some(option) = old.dyn_ref::<HtmlOptionElement>()
        && is_selected != new.has_attribute("selected")
    {
        option.set_selected(new.has_attribute("selected"));
    }
    Ok(())
}

fn morph_attributes(old: &Element, new: &Element) -> Result<(), JsValue> {
    for name in names(old) {
        // Users decide what is open. An element with a tab index that isn't a link may have been given the focus.
        let is_kept = name == "open" || (name == "tabindex" && old.tag_name() != "A");
        if !new.has_attribute(&name) && !is_kept {
            old.remove_attribute(&name)?;
        }
    }
    for name in names(new) {
        let value = new.get_attribute(&name).unwrap_or_default();
        if name != "open" && old.get_attribute(&name).as_ref() != Some(&value) {
            old.set_attribute(&name, &value)?;
        }
    }
    Ok(())
}

fn names(element: &Element) -> Vec<String> {
    let names = element.get_attribute_names();
    names.iter().filter_map(|name| name.as_string()).collect()
}

fn morph_children(old: &Element, new: &Element) -> Result<(), JsValue> {
    let mut next_old = old.first_child();
    let mut next_new = new.first_child();
    while let Some(new_child) = next_new {
        // Read before the node may be moved.
        next_new = new_child.next_sibling();
        let Some(old_child) = next_old else {
            old.append_child(&new_child)?;
            continue;
        };
        let (old_element, new_element) = (
            old_child.dyn_ref::<Element>(),
            new_child.dyn_ref::<Element>(),
        );
        if let (Some(old_element), Some(new_element)) = (old_element, new_element)
            && !is_same(old_element, new_element)
        {
            // One of many, such as a row, that moved up, or a new one above the remaining ones.
            if let Some(moved) = later(&old_child, new_element) {
                old.insert_before(&moved, Some(&old_child))?;
                morph(&moved, new_element)?;
                next_old = Some(old_child);
                continue;
            }
            if later(&new_child, old_element).is_some() {
                old.insert_before(&new_child, Some(&old_child))?;
                next_old = Some(old_child);
                continue;
            }
        }
        next_old = old_child.next_sibling();
        match (old_element, new_element) {
            (Some(old_child), Some(new_child)) if is_same(old_child, new_child) => {
                morph(old_child, new_child)?;
            }
            (None, None) if old_child.node_type() == new_child.node_type() => {
                if old_child.node_value() != new_child.node_value() {
                    old_child.set_node_value(new_child.node_value().as_deref());
                }
            }
            _ => drop(old.replace_child(&new_child, &old_child)?),
        }
    }
    while let Some(rest) = next_old {
        next_old = rest.next_sibling();
        old.remove_child(&rest)?;
    }
    Ok(())
}

/// Returns the sibling after `node` with the id of `element`.
fn later(node: &Node, element: &Element) -> Option<Element> {
    let id = element.id();
    if id.is_empty() {
        return None;
    }
    let found = node.owner_document()?.get_element_by_id(&id)?;
    (found.parent_node() == node.parent_node()
        && found.compare_document_position(node) & Node::DOCUMENT_POSITION_PRECEDING != 0)
        .then_some(found)
}

/// Returns whether one element can be changed into the other. Elements with different ids can't.
fn is_same(old: &Element, new: &Element) -> bool {
    old.tag_name() == new.tag_name() && old.id() == new.id()
}
