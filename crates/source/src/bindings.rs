//! What the rest of a source says about a variable: whether it is ever assigned again, and whether an
//! import declaration binds it.

use oxc_ast::AstKind;
use oxc_ast::ast::{
    BindingPattern, Function, IdentifierReference, ImportDeclarationSpecifier, ImportPhase,
    Program, Statement,
};
use oxc_ast_visit::{Visit, walk};
use oxc_semantic::Scoping;
use oxc_span::{GetSpan, Span};
use oxc_syntax::scope::ScopeFlags;
use oxc_syntax::symbol::{SymbolFlags, SymbolId};

use crate::path::path_to;

/// Whether nothing assigns to a variable after its declaration, nor may, seen from `place`.
pub fn is_constant(program: &Program, scoping: &Scoping, symbol: SymbolId, place: u32) -> bool {
    let flags = scoping.symbol_flags(symbol);
    if flags.intersects(
        SymbolFlags::ConstVariable | SymbolFlags::Import | SymbolFlags::FunctionExpression,
    ) {
        return true;
    }
    let declaration = scoping.symbol_span(symbol).start;
    let path = path_to(program, declaration);
    if flags.contains(SymbolFlags::Class) && is_in_own_class(&path, scoping, symbol, place) {
        return true;
    }
    let visible_to_eval = scoping
        .scope_flags(scoping.symbol_scope_id(symbol))
        .contains_direct_eval();
    if scoping.symbol_is_mutated(symbol) || visible_to_eval {
        return false;
    }
    scoping.symbol_redeclarations(symbol).is_empty()
        && (!flags.contains(SymbolFlags::FunctionScopedVariable)
            || !is_assigned_by_itself(&path, declaration))
}

/// In a class its name is a variable of its own, which nothing assigns to.
fn is_in_own_class(path: &[AstKind], scoping: &Scoping, symbol: SymbolId, place: u32) -> bool {
    let span = scoping.symbol_span(symbol);
    path.iter().any(|kind| match kind {
        AstKind::Class(class) => {
            class.id.as_ref().is_some_and(|id| id.span == span) && contains(class.span, place)
        }
        _ => false,
    })
}

/// Whether a `var` or parameter is assigned without an assignment to be seen: by its own declaration
/// each time around a loop, or through `arguments`.
fn is_assigned_by_itself(path: &[AstKind], declaration: u32) -> bool {
    let mut initialized = false;
    let mut parameter = false;
    for (index, kind) in path.iter().enumerate().rev() {
        match kind {
            AstKind::VariableDeclarator(it) => initialized |= it.init.is_some(),
            AstKind::ForInStatement(it) if contains(it.left.span(), declaration) => return true,
            AstKind::ForOfStatement(it) if contains(it.left.span(), declaration) => return true,
            AstKind::ForStatement(it)
                if it
                    .init
                    .as_ref()
                    .is_some_and(|init| contains(init.span(), declaration)) => {}
            AstKind::ForStatement(_)
            | AstKind::ForInStatement(_)
            | AstKind::ForOfStatement(_)
            | AstKind::WhileStatement(_)
            | AstKind::DoWhileStatement(_)
                if initialized =>
            {
                return true;
            }
            AstKind::FormalParameter(it) => {
                parameter = matches!(it.pattern, BindingPattern::BindingIdentifier(_));
            }
            AstKind::Function(it) => {
                return parameter && !is_strict(path, index, it) && uses_arguments(it);
            }
            AstKind::ArrowFunctionExpression(_) | AstKind::StaticBlock(_) => return false,
            _ => {}
        }
    }
    false
}

/// Whether a function is known to be strict; one in a strict function, class or module is.
fn is_strict(path: &[AstKind], index: usize, function: &Function) -> bool {
    function.has_use_strict_directive()
        || path[..index].iter().any(|kind| match kind {
            AstKind::Program(it) => it.source_type.is_strict() || it.has_use_strict_directive(),
            AstKind::Function(it) => it.has_use_strict_directive(),
            AstKind::ArrowFunctionExpression(it) => it.has_use_strict_directive(),
            AstKind::Class(_) => true,
            _ => false,
        })
}

/// Whether a function's own `arguments` is used, which in sloppy code writes to its parameters.
fn uses_arguments(function: &Function) -> bool {
    let mut search = ArgumentsSearch::default();
    search.visit_formal_parameters(&function.params);
    if let Some(body) = &function.body {
        search.visit_function_body(body);
    }
    search.found
}

#[derive(Default)]
struct ArgumentsSearch {
    found: bool,
}

impl<'a> Visit<'a> for ArgumentsSearch {
    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        self.found |= it.name == "arguments";
    }

    fn visit_function(&mut self, _: &Function<'a>, _: ScopeFlags) {}

    fn visit_statement(&mut self, it: &Statement<'a>) {
        if !self.found {
            walk::walk_statement(self, it);
        }
    }
}

/// The specifier and the name of the export that an import declaration binds a variable to.
pub fn import_of(program: &Program, symbol: SymbolId) -> Option<(String, String)> {
    program.body.iter().find_map(|statement| {
        let Statement::ImportDeclaration(declaration) = statement else {
            return None;
        };
        let specifier = declaration
            .specifiers
            .iter()
            .flatten()
            .find(|specifier| specifier.local().symbol_id.get() == Some(symbol))?;
        // What the source phase binds is no export.
        if declaration.phase == Some(ImportPhase::Source) {
            return None;
        }
        let name = match specifier {
            ImportDeclarationSpecifier::ImportSpecifier(it) => it.imported.name().to_string(),
            ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => "default".to_owned(),
            ImportDeclarationSpecifier::ImportNamespaceSpecifier(_) => "*".to_owned(),
        };
        Some((declaration.source.value.to_string(), name))
    })
}

fn contains(span: Span, byte: u32) -> bool {
    span.start <= byte && byte < span.end
}
