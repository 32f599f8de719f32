//! Sources with a mark where V8 says a function is.

use mp_source::{Analysis, Kind, SourceError, analyze};

const MARK: char = '§';

/// A source without its mark, and where that was, in UTF-16 units.
pub fn unmarked(marked: &str) -> (String, u32) {
    let before = marked.split(MARK).next().unwrap();
    let place = before.encode_utf16().count();
    (marked.replacen(MARK, "", 1), u32::try_from(place).unwrap())
}

/// What is said about the function at the mark, as an error or nothing too.
pub fn asked(marked: &str, kind: Kind) -> Result<Option<Analysis>, SourceError> {
    let (source, place) = unmarked(marked);
    analyze(&source, kind, place)
}

/// What is said about the function at the mark of a source.
pub fn about(marked: &str, kind: Kind) -> Analysis {
    asked(marked, kind)
        .unwrap()
        .unwrap_or_else(|| panic!("nothing is found in {marked}"))
}

pub fn module(marked: &str) -> Analysis {
    about(marked, Kind::Module)
}

pub fn script(marked: &str) -> Analysis {
    about(marked, Kind::Script)
}

pub fn commonjs(marked: &str) -> Analysis {
    about(marked, Kind::CommonJs)
}

/// The text an analysis is about.
pub fn text(marked: &str, analysis: &Analysis) -> String {
    let units: Vec<u16> = unmarked(marked).0.encode_utf16().collect();
    String::from_utf16(&units[analysis.start as usize..analysis.end as usize]).unwrap()
}

/// The names of what is captured, with `!` behind those that may be assigned.
pub fn captures(analysis: &Analysis) -> Vec<String> {
    analysis
        .captures
        .iter()
        .map(|capture| {
            format!(
                "{}{}",
                capture.name,
                if capture.constant { "" } else { "!" }
            )
        })
        .collect()
}

/// The names of what a class needs while it is evaluated.
pub fn at_definition(analysis: &Analysis) -> Vec<&str> {
    let needed = analysis
        .captures
        .iter()
        .filter(|capture| capture.at_definition);
    needed.map(|capture| capture.name.as_str()).collect()
}
