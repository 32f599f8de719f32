//! No source panics or overflows the stack.

use mp_source::{Kind, SourceError, analyze, private_fields_of};
use proptest::prelude::*;

/// How often each thing is nested: more than any stack takes by itself.
const DEPTH: usize = 6_000;

fn nested(open: &str, within: &str, close: &str) -> String {
    format!("{}{within}{}", open.repeat(DEPTH), close.repeat(DEPTH))
}

fn is_read(source: &str, kind: Kind) {
    let place = source.find("()=>1").unwrap() as u32;
    let units = source[..place as usize].encode_utf16().count() as u32;
    assert!(
        analyze(source, kind, units).unwrap().is_some(),
        "{}",
        &source[..20]
    );
}

#[test]
fn deep_expressions_are_read() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("!", ""),
        ("- ", ""),
        ("a=>", ""),
        ("a=", ""),
        ("a?b:", ""),
        ("a?", ":b"),
        ("f(", ")"),
        ("`${", "}`"),
        ("({a(){return ", "}})"),
        ("(class{a=", "})"),
        ("(class extends ", "{})"),
        ("(function(){return ", "})"),
        ("(a=", ")=>a"),
        ("([a=", "])=>a"),
    ] {
        // What may not stand right after an operator stands in parentheses.
        let within = if matches!(open, "!" | "- " | "(class extends ") {
            "(()=>1)"
        } else {
            "()=>1"
        };
        is_read(
            &format!("a = {}", nested(open, within, close)),
            Kind::Script,
        );
    }
}

#[test]
fn deep_statements_are_read() {
    for (open, close) in [
        ("{", "}"),
        ("if(a)", ""),
        ("if(a);else ", ""),
        ("for(;;)", ""),
        ("while(a)", ""),
        ("try{", "}finally{}"),
        ("function a(){", "}"),
        ("class A{static{", "}}"),
        ("switch(a){case 0:", "}"),
    ] {
        is_read(
            &nested(open, ";()=>1;", close).replacen(";()", "()", 1),
            Kind::Module,
        );
    }
}

#[test]
fn long_chains_are_read() {
    for more in [
        "+a", ".a", "[0]", "()", "``", "?.a", "||a", "??a", ",a", " in a", "<a",
    ] {
        is_read(&format!("(()=>1){}", more.repeat(DEPTH)), Kind::Script);
    }
}

#[test]
fn what_is_never_closed_is_an_error() {
    for open in [
        "(", "[", "`${", "async(", "@(", "f(", "new ", "{", "class{a=",
    ] {
        assert!(
            analyze(&open.repeat(DEPTH), Kind::Module, 0).is_err(),
            "{open}"
        );
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let source = "(".repeat(8 << 20);
    assert!(matches!(
        analyze(&source, Kind::Script, 0),
        Err(SourceError::TooLarge)
    ));
}

/// Pieces of JavaScript, so that some of what they make parses.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "=>",
        "=",
        "a",
        "b",
        "#a",
        "class ",
        "extends ",
        "function ",
        "async ",
        "await ",
        "static ",
        "get ",
        "set ",
        "constructor",
        ";",
        ",",
        ":",
        "?",
        ".",
        "...",
        "`",
        "${",
        "'",
        "/",
        "*",
        "this",
        "super",
        "new ",
        "new.target",
        "import.meta",
        "import(",
        "import ",
        "export ",
        "default ",
        "from ",
        "let ",
        "var ",
        "const ",
        "for(",
        "of ",
        "in ",
        "eval(",
        "with(",
        "\n",
        "\u{2028}",
        "😀",
        "é",
        "@",
        "yield ",
        "1",
        "()=>1",
        "a=>a",
        "{}",
        "(){}",
        "class{}",
        "function a(){}",
        "class A{#a;b(){}}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![Kind::Module, Kind::Script, Kind::CommonJs])
}

/// Asks about every place; a panic is a failure that says so.
fn ask(source: &str, kind: Kind, place: u32) -> Result<(), TestCaseError> {
    for answer in [
        analyze(source, kind, place).map(drop),
        private_fields_of(source).map(drop),
    ] {
        prop_assert!(!matches!(
            answer,
            Err(SourceError::Failed | SourceError::NoThread(_))
        ));
    }
    if let Ok(Some(analysis)) = analyze(source, kind, place) {
        let length = source.encode_utf16().count() as u32;
        prop_assert!(analysis.start <= place && place < analysis.end && analysis.end <= length);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_at_any_place(source in any::<String>(), kind in kinds(), place in any::<u32>()) {
        ask(&source, kind, place)?;
        ask(&source, kind, place % 64)?;
    }

    #[test]
    fn any_pieces_at_any_place(source in pieces(), kind in kinds(), place in 0..200_u32) {
        ask(&source, kind, place)?;
    }

    #[test]
    fn the_text_of_a_function_is_found_again(before in "[^\\r\\n\u{2028}\u{2029}]{0,20}", kind in kinds()) {
        let source = format!("//{before}\nf(() => '{}')", "😀");
        let place = source.split("() =>").next().unwrap().encode_utf16().count();
        // The text before may hold what looks like the function.
        prop_assume!(!before.contains("() =>"));
        let analysis = analyze(&source, kind, place as u32).unwrap().unwrap();
        prop_assert_eq!((analysis.end - analysis.start, analysis.line, analysis.column), (10, 1, 2));
    }
}
