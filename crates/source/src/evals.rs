//! Direct calls of `eval`: what no analysis sees through.

use oxc_ast::ast::{ArrowFunctionExpression, CallExpression, Class, Function};
use oxc_ast_visit::{Visit, walk};
use oxc_syntax::scope::ScopeFlags;

/// Whether a call is one: `eval?.()` is none, `(eval)()` is.
pub fn is_direct(call: &CallExpression) -> bool {
    !call.optional && call.callee.is_specific_id("eval")
}

/// Looks for direct calls in a function, not in those within it: they are what may declare variables
/// of it.
#[derive(Default)]
pub struct OwnEvals {
    pub found: bool,
}

impl<'a> Visit<'a> for OwnEvals {
    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        self.found |= is_direct(it);
        walk::walk_call_expression(self, it);
    }

    fn visit_function(&mut self, _: &Function<'a>, _: ScopeFlags) {}

    fn visit_arrow_function_expression(&mut self, _: &ArrowFunctionExpression<'a>) {}

    // All code in a class is strict, where eval declares nothing outside.
    fn visit_class(&mut self, _: &Class<'a>) {}
}
