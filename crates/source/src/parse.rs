//! Parsing a source as V8 compiled it.

use oxc_allocator::Allocator;
use oxc_ast::ast::Program;
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::{Scoping, SemanticBuilder};
use oxc_span::SourceType;

use crate::error::SourceError;

/// What a source was compiled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An ES module.
    Module,
    /// A script: global code.
    Script,
    /// The body of the function that Node puts around a CommonJS module.
    CommonJs,
}

/// The parameters of the function around a CommonJS module.
pub const COMMONJS_PARAMETERS: [&str; 5] =
    ["exports", "require", "module", "__filename", "__dirname"];

/// The program a source is.
pub fn parse<'a>(
    allocator: &'a Allocator,
    source: &'a str,
    kind: Kind,
) -> Result<Program<'a>, SourceError> {
    let source_type = match kind {
        Kind::Module => SourceType::mjs(),
        Kind::Script => SourceType::script(),
        Kind::CommonJs => SourceType::cjs(),
    };
    let options = ParseOptions {
        preserve_parens: false,
        allow_return_outside_function: kind == Kind::CommonJs,
        ..ParseOptions::default()
    };
    let parsed = Parser::new(allocator, source, source_type)
        .with_options(options)
        .parse();
    match parsed.diagnostics.errors().next() {
        Some(error) => Err(SourceError::Syntax(error.message.to_string())),
        None if parsed.panicked => Err(SourceError::Failed),
        None => Ok(parsed.program),
    }
}

/// The variables of a program and the references to them.
pub fn scoping<'a>(program: &'a Program<'a>) -> Scoping {
    SemanticBuilder::new()
        .build(program)
        .semantic
        .into_scoping()
}
