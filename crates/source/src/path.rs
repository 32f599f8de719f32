//! The way from a program down to a place in it.

use oxc_ast::AstKind;
use oxc_ast::ast::{Expression, Program, Statement};
use oxc_ast_visit::{Visit, walk};
use oxc_span::{GetSpan, Span};

/// All nodes around a byte, from the program inwards.
pub fn path_to<'a>(program: &'a Program<'a>, byte: u32) -> Vec<AstKind<'a>> {
    let mut path = Path {
        byte,
        nodes: Vec::new(),
    };
    path.visit_program(program);
    path.nodes
}

struct Path<'a> {
    byte: u32,
    nodes: Vec<AstKind<'a>>,
}

impl Path<'_> {
    fn is_in(&self, span: Span) -> bool {
        span.start <= self.byte && self.byte < span.end
    }
}

impl<'a> Visit<'a> for Path<'a> {
    fn enter_node(&mut self, kind: AstKind<'a>) {
        if self.is_in(kind.span()) {
            self.nodes.push(kind);
        }
    }

    fn visit_statement(&mut self, it: &Statement<'a>) {
        if self.is_in(it.span()) {
            walk::walk_statement(self, it);
        }
    }

    fn visit_expression(&mut self, it: &Expression<'a>) {
        if self.is_in(it.span()) {
            walk::walk_expression(self, it);
        }
    }
}
