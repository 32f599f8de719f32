//! Private names, and what a class needs when.

use mp_source::private_fields_of;

use crate::marked::{at_definition, captures, module, script};

#[test]
fn private_names_of_outer_classes_are_used() {
    let analysis = script("class A { #a; #b; static c = §(o) => [o.#a, #b in o, o?.#a] }");
    assert_eq!(analysis.uses_private_names, ["#a", "#b"]);
    let method = script("class A { #a; m§() { return this.#a } }");
    assert_eq!(method.uses_private_names, ["#a"]);
    let inner = script("class A { #a; m() { return §class { #b; #a; n(o) { o.#a; o.#b } } } }");
    assert!(inner.uses_private_names.is_empty());
    let both = script("class A { #a; m() { return §class { #b; n(o) { o.#a; o.#b } } } }");
    assert_eq!(both.uses_private_names, ["#a"]);
    // What a class extends is outside of it.
    let heritage = script("class A { #a; m(o) { return §class extends o.#a { #a } } }");
    assert_eq!(heritage.uses_private_names, ["#a"]);
}

#[test]
fn private_fields_are_those_of_instances() {
    let class =
        "class A { a; #b = 1; #c() {} get #d() { return 1 } set #d(e) {} static #f; static #g() {}
        accessor #h; m() { class B { #i } } }";
    let expected = ["#b", "#c", "#d", "#h"];
    assert_eq!(
        script(&format!("§{class}")).declares_private_fields,
        expected
    );
    assert_eq!(private_fields_of(class).unwrap(), expected);
    assert!(
        script("class A { #a; m§() {} }")
            .declares_private_fields
            .is_empty()
    );
}

#[test]
fn private_fields_are_found_in_a_class_on_its_own() {
    assert_eq!(private_fields_of("class { #a }").unwrap(), ["#a"]);
    assert_eq!(
        private_fields_of("class extends B { #a; c() { o.#outer } }").unwrap(),
        ["#a"]
    );
    assert_eq!(
        private_fields_of("class { #a; [await b]() {} }").unwrap(),
        ["#a"]
    );
    assert_eq!(private_fields_of("class { #a } // end").unwrap(), ["#a"]);
    assert!(private_fields_of("function () {}").unwrap().is_empty());
    assert!(private_fields_of("1) + (2").unwrap().is_empty());
    assert!(private_fields_of("class {").is_err());
    assert!(private_fields_of("").is_err());
}

#[test]
fn a_class_needs_some_variables_when_it_is_evaluated() {
    let analysis = module(
        "let heritage, key, field, block, decorator, inner, later, instance, accessor, both;
        @decorator §class A extends heritage {
            [key]() { return later }
            static a = field
            static { () => block }
            static b = class extends inner {}
            static accessor d = accessor
            c = instance
            constructor() { super(both) }
            static e = both
        }",
    );
    // The decorator is before the class's text.
    assert_eq!(
        at_definition(&analysis),
        [
            "decorator",
            "heritage",
            "key",
            "field",
            "block",
            "inner",
            "accessor",
            "both"
        ],
    );
    let later: Vec<_> = captures(&analysis);
    assert!(later.contains(&"later".to_owned()) && later.contains(&"instance".to_owned()));
}

#[test]
fn functions_need_nothing_when_they_are_defined() {
    let analysis = module("let a, b; f(§(c = a) => class extends b { static d = a })");
    assert_eq!(captures(&analysis), ["a", "b"]);
    assert!(at_definition(&analysis).is_empty() || at_definition(&analysis) == ["b"]);
}

#[test]
fn a_computed_key_belongs_to_a_method() {
    let analysis = module("const a = 1, b = 2; f({ [a]§() { return b } })");
    assert_eq!(captures(&analysis), ["a", "b"]);
    assert_eq!(at_definition(&analysis), ["a"]);
}

#[test]
fn a_class_knows_its_own_name() {
    assert!(script("§class A { a() { return A } }").captures.is_empty());
    assert!(script("b = §class A { static a = A }").captures.is_empty());
    assert!(
        script("§class A { a() { return A } } A = 1")
            .captures
            .is_empty()
    );
    // In the class nobody can assign to it, whatever happens to the name outside.
    assert_eq!(
        captures(&script("class A { a§() { return A } } A = 1")),
        ["A"]
    );
    assert_eq!(captures(&script("class A { } A = 1; f(§() => A)")), ["A!"]);
}
