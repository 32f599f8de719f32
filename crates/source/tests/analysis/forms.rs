//! Which function is meant by a place, what its text is, and how it is written.

use mp_source::{Form, Kind};

use crate::marked::{about, asked, module, script, text};

/// Asserts what the text and the form at the mark are.
fn is(marked: &str, expected: &str, form: Form) {
    let analysis = script(marked);
    assert_eq!(
        (text(marked, &analysis).as_str(), analysis.form),
        (expected, form),
        "{marked}"
    );
}

#[test]
fn functions() {
    is(
        "function a /* b */ §(c) {} d()",
        "function a /* b */ (c) {}",
        Form::Function,
    );
    is("a = function§() {}", "function() {}", Form::Function);
    is("(function a§() {})", "function a() {}", Form::Function);
    is(
        "async function* a§() {}",
        "async function* a() {}",
        Form::Function,
    );
    is("({ a: function§() {} })", "function() {}", Form::Function);
}

#[test]
fn arrows() {
    is("a = §b => b", "b => b", Form::Arrow);
    is("a = (§(b) => b)", "(b) => b", Form::Arrow);
    is("a = §async b => b", "async b => b", Form::Arrow);
    is("a = §async (b) => { b }", "async (b) => { b }", Form::Arrow);
    is("a = (b = §(c) => c) => b", "(c) => c", Form::Arrow);
    is("a => b => §c => d", "c => d", Form::Arrow);
}

#[test]
fn methods() {
    is("({ a§() {} })", "a() {}", Form::Method);
    is("({ async *a§() {} })", "async *a() {}", Form::Method);
    is("({ ['a' + 1]§() {} })", "['a' + 1]() {}", Form::Method);
    is(
        "({ get a§() { return 1 } })",
        "get a() { return 1 }",
        Form::Getter,
    );
    is("({ set a§(b) {} })", "set a(b) {}", Form::Setter);
    is("class A { a§() {} }", "a() {}", Form::Method);
    is("class A { static a§() {} }", "a() {}", Form::Method);
    is(
        "class A { static /* a */ // b\n async *c§() {} }",
        "async *c() {}",
        Form::Method,
    );
    is(
        "class A { static static§() {} }",
        "static() {}",
        Form::Method,
    );
    is("class A { static§() {} }", "static() {}", Form::Method);
    is("class A { static ['a']§() {} }", "['a']() {}", Form::Method);
    is("class A { #a§() {} }", "#a() {}", Form::Method);
    is(
        "class A { static get a§() { return 1 } }",
        "get a() { return 1 }",
        Form::Getter,
    );
    is(
        "class A { static set a§(b) {} }",
        "set a(b) {}",
        Form::Setter,
    );
    is("class A { @b static c§() {} }", "c() {}", Form::Method);
    is("class A { @b c§() {} }", "c() {}", Form::Method);
}

#[test]
fn classes() {
    is("a = §class {}", "class {}", Form::Class);
    is(
        "§class A extends B { c = 1 }",
        "class A extends B { c = 1 }",
        Form::Class,
    );
    is(
        "class A { b = 1; constructor§(c) {} }",
        "class A { b = 1; constructor(c) {} }",
        Form::Class,
    );
    is(
        "a = class { 'constructor'§() {} }",
        "class { 'constructor'() {} }",
        Form::Class,
    );
    is(
        "a = §class { constructor() {} }",
        "class { constructor() {} }",
        Form::Class,
    );
    is(
        "class A extends class { constructor§() {} } {}",
        "class { constructor() {} }",
        Form::Class,
    );
    is("class A { b = §() => 1 }", "() => 1", Form::Arrow);
    is(
        "class A { static b = function§() {} }",
        "function() {}",
        Form::Function,
    );
    is("@a @b() §class A {}", "class A {}", Form::Class);
}

#[test]
fn default_exports() {
    for expected in ["class {}", "() => 1", "async () => { await 1 }"] {
        let marked = format!("export default §{expected}");
        assert_eq!(text(&marked, &module(&marked)), expected);
    }
    let marked = "#!/usr/bin/env node\nexport default function§() {}";
    assert_eq!(text(marked, &module(marked)), "function() {}");
}

#[test]
fn nothing_is_there() {
    for marked in [
        "§",
        "a§",
        "§function a() {}",
        "function §a() {}",
        "a(§b)",
        "({ a: 1§ })",
        "a",
    ] {
        assert_eq!(asked(marked, Kind::Script).unwrap(), None, "{marked}");
    }
    let beyond = mp_source::analyze("() => 1", Kind::Script, u32::MAX);
    assert_eq!(beyond.unwrap(), None);
}

#[test]
fn code_is_strict_or_not() {
    assert!(!script("function a§() {}").strict);
    assert!(script("function a§() { 'use strict' }").strict);
    assert!(script("'use strict'; function a§() {}").strict);
    assert!(script("function a() { 'use strict'; return §() => 1 }").strict);
    assert!(script("class A { a§() {} }").strict);
    assert!(script("§class A {}").strict);
    assert!(module("function a§() {}").strict);
    assert!(!about("function a§() {}", Kind::CommonJs).strict);
    assert!(about("'use strict'\nfunction a§() {}", Kind::CommonJs).strict);
}

#[test]
fn what_does_not_parse_is_an_error() {
    let message = asked("let §= (", Kind::Script).unwrap_err().to_string();
    assert_eq!(
        message,
        "the source cannot be parsed: Expected `)` but found `EOF`"
    );
    for (source, kind) in [
        ("return §() => 1", Kind::Module),
        ("return §() => 1", Kind::Script),
        ("await 0; §() => 1", Kind::CommonJs),
    ] {
        assert!(asked(source, kind).is_err(), "{source} as {kind:?}");
    }
}

#[test]
fn modern_syntax_parses() {
    for source in [
        "using a = b; await 0; f(§() => a)",
        "await using a = b; f(§() => a)",
        "import a from 'a' with { type: 'json' }; f(§() => a)",
        "class A { accessor b = §() => 1; static { } @c d() {} }",
        "f(§async () => { for await (const a of b) {} })",
        "a ??= b?.[c] ** 1_000n; f(§() => /(?<a>.)/v)",
        "export * as 'a b' from 'a'; f(§() => 1)",
        "try { } catch { f(§() => 1) }",
    ] {
        module(source);
    }
    script("a = 1 <!-- a comment\nf(§() => 1)");
    script("(function anonymous(a\n) {\nreturn §() => a\n})");
}
