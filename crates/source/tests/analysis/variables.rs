//! Which variables a function uses, and what is known of them.

use mp_source::Capture;

use crate::marked::{captures, commonjs, module, script};

/// Asserts what is captured and what is global.
fn uses(marked: &str, captured: &[&str], globals: &[&str]) {
    let analysis = script(marked);
    assert_eq!(captures(&analysis), captured, "captured by {marked}");
    assert_eq!(analysis.globals, globals, "global in {marked}");
}

#[test]
fn variables_outside_are_captured() {
    uses("const a = 1; f(§() => a + b)", &["a"], &["b"]);
    uses("function a() {} f(§() => a)", &["a"], &[]);
    uses("class A {} f(§() => new A)", &["A"], &[]);
    uses(
        "function o(a, [b], { c: d, ...e }, ...g) { return §() => [a, b, c, d, e, g] }",
        &["a", "b", "d", "e", "g"],
        &["c"],
    );
    uses("try {} catch ({ a }) { f(§() => a) }", &["a"], &[]);
    uses("switch (0) { case 0: let a; f(§() => a) }", &["a"], &[]);
    uses("{ let a; { f(§() => () => { { a } }) } }", &["a"], &[]);
    uses("f(§() => later); const later = 1", &["later"], &[]);
    uses(
        "const a = 1; f(§() => ({ a, b: c.a, 'd': { e } }))",
        &["a"],
        &["c", "e"],
    );
    uses(
        "const a = 1; f(§() => typeof a + typeof undefined)",
        &["a"],
        &["undefined"],
    );
}

#[test]
fn variables_within_are_not() {
    uses(
        "f(§(a, [b], { c: d = a, ...e }, ...g) => [a, b, d, e, g])",
        &[],
        &[],
    );
    uses(
        "f(§() => { var a; let b; const c = 1; function d() {} class E {} return [a, b, c, d, E] })",
        &[],
        &[],
    );
    uses(
        "f(§() => { if (1) { var a } for (const b of a) b; try {} catch (c) { c } return a })",
        &[],
        &[],
    );
    uses("f(§() => { l: for (;;) { break l } })", &[], &[]);
    uses("b = function a§() { return a }", &[], &[]);
    uses("f(§() => class A { b() { return A } })", &[], &[]);
    uses("f(§() => function a() { a() })", &[], &[]);
    uses("f(§() => a.b.c)", &[], &["a"]);
}

#[test]
fn shadowed_variables_are_other_variables() {
    uses("let a; f(§a => a)", &[], &[]);
    uses("let a; f(§() => { { let a; a } return a })", &["a"], &[]);
    uses("let a; f(§() => { { let a; a } })", &[], &[]);
    uses("let a; { let a = 1; f(§() => a) } a = 2", &["a"], &[]);
    uses("let a; f(§() => { a; var a })", &[], &[]);
    uses("let a; f(§() => (a => a)(a))", &["a"], &[]);
    uses("let a; f(§() => { try {} catch (a) { a } })", &[], &[]);
}

#[test]
fn defaults_of_parameters_see_what_is_around() {
    uses("let a; f(§(b = a) => { var a; return b })", &["a"], &[]);
    uses(
        "let a; f(§(b = () => a) => { var a; return b })",
        &["a"],
        &[],
    );
    uses("let a; f(§(a, b = a) => b)", &[], &[]);
    uses("let a; f(§({ [a]: b }) => b)", &["a"], &[]);
}

#[test]
fn a_declared_function_captures_its_own_name() {
    uses("function a§() { return a() }", &["a"], &[]);
    uses("function a§() { return a() } a = 1", &["a!"], &[]);
    uses(
        "function a§() { return b() } function b() { return a() }",
        &["b"],
        &[],
    );
    uses("f(function a() { return §() => a })", &["a"], &[]);
}

#[test]
fn functions_in_blocks_are_hoisted_in_sloppy_code() {
    uses("{ function a() {} } f(§() => a)", &["a"], &[]);
    uses("f(§() => { { function a() {} } return a })", &[], &[]);
    let strict = script("'use strict'; { function a() {} } f(§() => a)");
    assert_eq!(
        (captures(&strict), strict.globals),
        (vec![], vec!["a".to_owned()])
    );
}

#[test]
fn assigned_variables_are_not_constant() {
    for source in [
        "let a = 1; a = 2; f(§() => a)",
        "let a = 1; f(§() => a); function g() { a++ }",
        "let a; f(§() => { a ||= 1 })",
        "let a; [a] = b; f(§() => a)",
        "let a; ({ c: a } = b); f(§() => a)",
        "let a; ({ a = 1 } = b); f(§() => a)",
        "let a; [...a] = b; f(§() => a)",
        "let a; for (a of b); f(§() => a)",
        "let a; for ([a] in b); f(§() => a)",
        "for (let a = 0; a < 3; a++) f(§() => a)",
        "try {} catch (a) { a = 1; f(§() => a) }",
        "function g(a) { a = 1; return §() => a }",
        "function a() {} a = 1; f(§() => a)",
    ] {
        assert_eq!(captures(&script(source)), ["a!"], "{source}");
    }
}

#[test]
fn variables_assigned_by_their_declaration_are_not_constant() {
    for source in [
        "var a = 1; var a = 2; f(§() => a)",
        "for (var a of b) f(§() => a)",
        "for (var [a] in b) f(§() => a)",
        "while (b) { var a = b(); f(§() => a) }",
        "do { var { a } = b(); f(§() => a) } while (b)",
        "for (;;) { if (b) { var a = 1 } f(§() => a) }",
        "function a() {} var a = 1; f(§() => a)",
    ] {
        assert_eq!(captures(&script(source)), ["a!"], "{source}");
    }
    for source in [
        "while (b) { const a = b(); f(§() => a) }",
        "while (b) { let a = b(); f(§() => a) }",
        "for (const a of b) f(§() => a)",
        "for (let a of b) f(§() => a)",
        "for (var a = 0; ;) f(§() => a)",
        "while (b) { (() => { var a = 1; f(§() => a) })() }",
        "var a; f(§() => a)",
        "while (b) { var a; f(§() => a) }",
    ] {
        assert_eq!(captures(&script(source)), ["a"], "{source}");
    }
}

#[test]
fn eval_and_arguments_may_assign() {
    assert_eq!(
        captures(&script("let a = 1; () => eval('a = 2'); f(§() => a)")),
        ["a!"]
    );
    assert_eq!(
        captures(&script("{ let a; f(§() => a) } eval('a = 2')")),
        ["a"]
    );
    assert_eq!(
        captures(&script("const a = 1; () => eval('a = 2'); f(§() => a)")),
        ["a"]
    );
    assert_eq!(
        captures(&script(
            "function g(a) { arguments[0] = 1; return §() => a }"
        )),
        ["a!"]
    );
    let inner = "function g(a) { return [§() => a, function () { arguments }] }";
    assert_eq!(captures(&script(inner)), ["a"]);
    assert_eq!(
        captures(&module("function g(a) { arguments; return §() => a }")),
        ["a"]
    );
}

#[test]
fn imports_say_where_they_are_from() {
    let analysis = module(
        "import a, { b, c as d, default as e, 'x y' as g } from './s.js'
        import * as h from 'node:fs'
        f(§() => [a, b, d, e, g, h, i]); const i = 1",
    );
    let imports: Vec<_> = analysis
        .captures
        .iter()
        .map(|capture| {
            assert!(capture.constant);
            (
                capture.name.as_str(),
                capture.imported_from.as_deref().unwrap_or("-"),
                capture.imported_name.as_deref().unwrap_or("-"),
            )
        })
        .collect();
    assert_eq!(
        imports,
        [
            ("a", "./s.js", "default"),
            ("b", "./s.js", "b"),
            ("d", "./s.js", "c"),
            ("e", "./s.js", "default"),
            ("g", "./s.js", "x y"),
            ("h", "node:fs", "*"),
            ("i", "-", "-"),
        ],
    );
}

#[test]
fn what_the_source_phase_binds_is_no_export() {
    let analysis =
        module("import source a from 'a'; import defer * as b from 'b'; f(§() => [a, b])");
    let from: Vec<_> = analysis
        .captures
        .iter()
        .map(|capture| capture.imported_name.as_deref())
        .collect();
    assert_eq!(from, [None, Some("*")]);
}

#[test]
fn the_variables_of_a_commonjs_module_are_captured() {
    let analysis = commonjs("f(§() => [require, module, exports, __filename, __dirname, process])");
    assert_eq!(
        captures(&analysis),
        ["require", "module", "exports", "__filename", "__dirname"]
    );
    assert_eq!(analysis.globals, ["process"]);
    let assigned = commonjs("exports = module.exports = 1; f(§() => [exports, module])");
    assert_eq!(captures(&assigned), ["exports!", "module"]);
    let shadowed = commonjs("{ const require = 1; f(§() => require) }");
    assert_eq!(captures(&shadowed), ["require"]);
    assert_eq!(script("f(§() => require)").globals, ["require"]);
    commonjs("if (a) return; const await = 1; f(§() => new.target)");
}

#[test]
fn each_variable_is_named_once_in_the_order_of_first_use() {
    let analysis = module("let a, b; f(§() => [x, b, a, b, y, x])");
    assert_eq!(captures(&analysis), ["b", "a"]);
    assert_eq!(analysis.globals, ["x", "y"]);
    let expected = Capture {
        name: "b".to_owned(),
        constant: true,
        at_definition: false,
        imported_from: None,
        imported_name: None,
    };
    assert_eq!(analysis.captures[0], expected);
}

#[test]
fn a_bundle_on_one_line_is_read() {
    let bundle = "(()=>{\"use strict\";var e={1:(e,t,r)=>{r.d(t,{a:()=>o});const o=n=>n?§s=>s+i+o(n-1):e;\
        let i=0;i++}},t={};function r(n){var o=t[n];if(void 0!==o)return o.exports;var s=t[n]={exports:{}};\
        return e[n](s,s.exports,r),s.exports}r(1)})();";
    assert_eq!(captures(&script(bundle)), ["i!", "o", "n"]);
}
