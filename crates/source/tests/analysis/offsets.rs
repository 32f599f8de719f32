//! Offsets are those of JavaScript, whatever the source is written in.

use crate::marked::{module, script, text};

#[test]
fn offsets_count_utf_16_units() {
    let marked = "/* ä😀語 */ const a = '😀'; f(§() => 'é😀' + a)";
    let analysis = script(marked);
    assert_eq!(text(marked, &analysis), "() => 'é😀' + a");
    assert_eq!(analysis.end - analysis.start, 15);
}

#[test]
fn a_place_within_a_character_is_none() {
    assert_eq!(
        mp_source::analyze("'😀'; () => 1", mp_source::Kind::Script, 2).unwrap(),
        None
    );
}

#[test]
fn lines_are_those_of_v8() {
    for (before, line, column) in [
        ("", 0, 0),
        ("a;", 0, 2),
        ("a\nb;", 1, 2),
        ("a\r\nb;", 1, 2),
        ("a\rb;", 1, 2),
        ("a\n\r;", 2, 1),
        ("'\u{2028}';", 1, 2),
        ("'\u{2029}\u{2028}';", 2, 2),
        ("'😀\u{b}ä';", 0, 7),
        ("'\u{2028}😀';", 1, 4),
    ] {
        let analysis = script(&format!("{before}§()=>1"));
        assert_eq!(
            (analysis.line, analysis.column),
            (line, column),
            "{before:?}"
        );
    }
    // The line is that of the text's beginning, not of the place.
    let analysis = script("function\na\n§() {}");
    assert_eq!((analysis.start, analysis.line, analysis.column), (0, 0, 0));
}

#[test]
fn each_import_meta_counts_from_the_start() {
    let marked = "/* 語 */ f(§() => ['😀', import.meta.url, () => import.meta])";
    let analysis = module(marked);
    let text: Vec<u16> = text(marked, &analysis).encode_utf16().collect();
    let found: Vec<String> = analysis
        .import_metas
        .iter()
        .map(|&at| String::from_utf16(&text[at as usize..at as usize + 11]).unwrap())
        .collect();
    assert_eq!(found, ["import.meta", "import.meta"]);
    assert!(module("import.meta; f(§() => 1)").import_metas.is_empty());
}

#[test]
fn names_may_be_in_any_script() {
    let analysis = module("const größe = 1, 変数 = 2; f(§() => größe + 変数 + \\u{67}röße)");
    let names: Vec<_> = analysis
        .captures
        .iter()
        .map(|capture| capture.name.as_str())
        .collect();
    assert_eq!(names, ["größe", "変数"]);
}
