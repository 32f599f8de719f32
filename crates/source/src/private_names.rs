//! The private names a class declares.

use oxc_ast::ast::{Class, ClassElement, PropertyKey};

/// All of them, with their `#`.
pub fn declared(class: &Class) -> Vec<String> {
    names(class, |_| true)
}

/// Those that its instances have: fields, methods and accessors that are not static.
pub fn of_instances(class: &Class) -> Vec<String> {
    names(class, |element| !element.r#static())
}

fn names(class: &Class, wanted: impl Fn(&ClassElement) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    for element in &class.body.body {
        if let Some(PropertyKey::PrivateIdentifier(key)) = element.property_key()
            && wanted(element)
        {
            let name = format!("#{}", key.name);
            // A getter and its setter are one name.
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
