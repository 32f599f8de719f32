//! What a function needs of its surroundings besides variables.

use mp_source::Analysis;

use crate::marked::{commonjs, module, script};

/// The four words a function may take from around it, those that it does.
fn words(analysis: &Analysis) -> String {
    [
        (analysis.uses_this, "this"),
        (analysis.uses_arguments, "arguments"),
        (analysis.uses_super, "super"),
        (analysis.uses_new_target, "new.target"),
    ]
    .iter()
    .filter_map(|&(used, word)| used.then_some(word))
    .collect::<Vec<_>>()
    .join(" ")
}

#[test]
fn arrows_take_the_words_around_them() {
    let every = "class A extends B { a() { f(§() => [this, arguments, super.a, new.target]) } }";
    assert_eq!(words(&script(every)), "this arguments super new.target");
    let nested = "function A() { f(§(a = () => this) => () => [arguments, new.target]) }";
    assert_eq!(words(&script(nested)), "this arguments new.target");
    let constructor = "class A extends B { constructor() { f(§() => super()) } }";
    assert_eq!(words(&script(constructor)), "super");
    let field = "class A extends B { a = §() => [this, super.b] }";
    assert_eq!(words(&script(field)), "this super");
}

#[test]
fn functions_have_words_of_their_own() {
    let own = "function a§() { return () => [this, arguments, new.target] }";
    assert_eq!(words(&script(own)), "");
    let inner = "f(§() => function () { return [this, arguments, new.target] })";
    assert_eq!(words(&script(inner)), "");
    let method = "f(§() => ({ a() { return [this, super.a] }, get b() { return super.c } }))";
    assert_eq!(words(&script(method)), "");
    let class = "f(§() => class extends B { a = this; static { super.b } c() { super.c } })";
    assert_eq!(words(&script(class)), "");
    let property = "({ __proto__: b, a() { f(§() => ({ c: super.c })) } })";
    assert_eq!(words(&script(property)), "super");
}

#[test]
fn methods_take_super_from_their_object() {
    assert_eq!(words(&script("({ a§() { return super.a } })")), "super");
    assert_eq!(
        words(&script("({ get a§() { return () => super.a } })")),
        "super"
    );
    assert_eq!(
        words(&script("class A { a§() { return [this, super.a] } }")),
        "super"
    );
    assert_eq!(
        words(&script("class A { static a§() { return super.a } }")),
        "super"
    );
    assert_eq!(
        words(&script("({ a§() { return { b() { super.b } } } })")),
        ""
    );
    assert_eq!(words(&module("({ [this.a]§() {} })")), "this");
}

#[test]
fn classes_take_words_where_they_are_evaluated() {
    let own = "§class A extends B { a = this.b; static c = this; d() { return super.d } }";
    assert_eq!(words(&script(own)), "");
    let constructor = "class A extends B { constructor§() { super(); this.a = new.target } }";
    assert_eq!(words(&script(constructor)), "");
    let heritage = "function a() { return §class extends this.B {} }";
    assert_eq!(words(&script(heritage)), "this");
    let key = "function a() { return §class { [arguments[0]]() {} static [new.target.b] = 1 } }";
    assert_eq!(words(&script(key)), "arguments new.target");
    let home = "({ a() { return §class { [super.b]() {} } } })";
    assert_eq!(words(&script(home)), "super");
}

#[test]
fn arguments_is_a_global_where_there_are_none() {
    for analysis in [script("f(§() => arguments)"), module("f(§() => arguments)")] {
        assert_eq!(words(&analysis), "");
        assert_eq!(analysis.globals, ["arguments"]);
    }
    let analysis = commonjs("f(§() => arguments)");
    assert_eq!(words(&analysis), "arguments");
    assert!(analysis.globals.is_empty());
}

#[test]
fn direct_eval_is_seen() {
    for source in [
        "f(§() => eval('a'))",
        "f(§() => function () { eval('a') })",
        "f(§() => (eval)('a'))",
        "function a() { eval('var b'); return §() => b }",
        "function a(c = eval('var b')) { return () => §() => b }",
        "f(() => { if (a) { eval('var b') } return §() => b })",
        "with (a) f(§() => b)",
        "f(§() => { with (a) b })",
    ] {
        assert!(script(source).uses_direct_eval, "{source}");
    }
    assert!(commonjs("eval('var b'); f(§() => b)").uses_direct_eval);
}

#[test]
fn what_is_no_direct_eval_is_not_seen() {
    for source in [
        "f(§() => eval?.('a'))",
        "f(§() => (0, eval)('a'))",
        "f(§() => globalThis.eval('a'))",
        "eval('a'); f(§() => 1)",
        "function a() { () => eval('b'); return §() => b }",
        "function a() { 'use strict'; eval('var b'); return §() => b }",
        "with (a) {} f(§() => b)",
    ] {
        assert!(!script(source).uses_direct_eval, "{source}");
    }
    assert!(!module("eval('a'); f(§() => 1)").uses_direct_eval);
    assert!(!commonjs("() => eval('a'); f(§() => 1)").uses_direct_eval);
}

#[test]
fn dynamic_imports_are_seen() {
    assert!(script("f(§() => import('a'))").uses_dynamic_import);
    assert!(script("f(§() => async () => { await import(a) })").uses_dynamic_import);
    assert!(!module("import('a'); f(§() => import.meta)").uses_dynamic_import);
}
