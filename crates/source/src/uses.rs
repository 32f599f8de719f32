//! What a function's text uses.

use oxc_ast::ast::{
    AccessorProperty, CallExpression, Class, ClassElement, Function, IdentifierReference,
    ImportExpression, ImportMeta, NewTarget, ObjectProperty, PrivateIdentifier, PropertyKey,
    PropertyKind, StaticBlock, Super, ThisExpression, WithStatement,
};
use oxc_ast_visit::{Visit, walk};
use oxc_semantic::Scoping;
use oxc_syntax::scope::{ScopeFlags, ScopeId};
use oxc_syntax::symbol::SymbolId;

use crate::target::{Form, Node, Target};
use crate::{evals, private_names};

/// A variable declared outside.
pub struct Captured {
    pub symbol: SymbolId,
    pub at_definition: bool,
}

/// A name declared nowhere.
pub struct Free<'a> {
    pub name: &'a str,
    pub at_definition: bool,
}

/// What is used, in the order of its first use.
#[derive(Default)]
pub struct Uses<'a> {
    pub captured: Vec<Captured>,
    pub free: Vec<Free<'a>>,
    pub this: bool,
    pub arguments: bool,
    pub arguments_at_definition: bool,
    /// `super`.
    pub home: bool,
    pub new_target: bool,
    pub private_names: Vec<String>,
    /// Direct eval or `with`, so that names mean what cannot be seen.
    pub opaque: bool,
    /// Where each `import.meta` begins, in bytes of the source.
    pub import_metas: Vec<u32>,
    pub dynamic_import: bool,
}

/// Collects what a function's or class's own text uses.
pub fn uses_of<'a>(target: &Target<'a>, scoping: &'a Scoping) -> Uses<'a> {
    let mut collector = Collector {
        scoping,
        scope: target.scope(),
        own_name: match target.node {
            Node::Class(it) => it.id.as_ref().and_then(|id| id.symbol_id.get()),
            _ => None,
        },
        own_this: 0,
        own_home: 0,
        at_definition: false,
        private_scopes: Vec::new(),
        uses: Uses::default(),
    };
    if let Some(key) = target.computed_key {
        collector.defining(|collector| collector.visit_property_key(key));
    }
    match target.node {
        Node::Class(it) => collector.class(it, true),
        Node::Arrow(it) => walk::walk_arrow_function_expression(&mut collector, it),
        Node::Function(it) => {
            // A method's `super` is of the object around it, and part of what is asked for.
            if target.form == Form::Function {
                collector.own_home = 1;
            }
            collector.visit_function(it, ScopeFlags::Function);
        }
    }
    collector.uses
}

struct Collector<'a> {
    scoping: &'a Scoping,
    scope: Option<ScopeId>,
    /// A class's name, which in the class is a variable of its own.
    own_name: Option<SymbolId>,
    /// How many functions around the present place, within the text, have a `this` of their own.
    own_this: usize,
    /// How many of them, or of the objects and classes, have a `super` of their own.
    own_home: usize,
    /// Whether the present place is evaluated with the class, not when its functions run.
    at_definition: bool,
    /// The private names of the classes around the present place, within the text.
    private_scopes: Vec<Vec<String>>,
    uses: Uses<'a>,
}

impl<'a> Collector<'a> {
    fn defining(&mut self, visit: impl FnOnce(&mut Self)) {
        let around = std::mem::replace(&mut self.at_definition, true);
        visit(self);
        self.at_definition = around;
    }

    /// What in a class has `this` and `super` of its own.
    fn member(&mut self, visit: impl FnOnce(&mut Self)) {
        self.own_this += 1;
        self.own_home += 1;
        visit(self);
        self.own_this -= 1;
        self.own_home -= 1;
    }

    /// A class; `target` when it is the one that is asked about. A class within is evaluated when the
    /// code around it is.
    fn class(&mut self, class: &Class<'a>, target: bool) {
        let around = self.at_definition;
        self.at_definition |= target;
        self.visit_decorators(&class.decorators);
        // What a class extends does not see its private names.
        if let Some(heritage) = &class.heritage {
            self.visit_class_heritage(heritage);
        }
        self.private_scopes.push(private_names::declared(class));
        for element in &class.body.body {
            self.element(element, around);
        }
        self.private_scopes.pop();
        self.at_definition = around;
    }

    fn element(&mut self, element: &ClassElement<'a>, around: bool) {
        match element {
            ClassElement::StaticBlock(it) => self.static_block(it),
            ClassElement::MethodDefinition(it) => {
                self.visit_decorators(&it.decorators);
                self.key(&it.key);
                self.later(around, |this| {
                    this.own_home += 1;
                    this.visit_function(&it.value, ScopeFlags::Function);
                    this.own_home -= 1;
                });
            }
            ClassElement::PropertyDefinition(it) => {
                self.visit_decorators(&it.decorators);
                self.key(&it.key);
                if let Some(value) = &it.value {
                    let when = around || (it.r#static && self.at_definition);
                    self.later(when, |this| {
                        this.member(|this| this.visit_expression(value));
                    });
                }
            }
            ClassElement::AccessorProperty(it) => self.accessor(it, around),
            ClassElement::TSIndexSignature(_) => {}
        }
    }

    fn accessor(&mut self, it: &AccessorProperty<'a>, around: bool) {
        self.visit_decorators(&it.decorators);
        self.key(&it.key);
        if let Some(value) = &it.value {
            let when = around || (it.r#static && self.at_definition);
            self.later(when, |this| {
                this.member(|this| this.visit_expression(value))
            });
        }
    }

    fn static_block(&mut self, it: &StaticBlock<'a>) {
        self.member(|this| walk::walk_static_block(this, it));
    }

    fn later(&mut self, at_definition: bool, visit: impl FnOnce(&mut Self)) {
        let around = std::mem::replace(&mut self.at_definition, at_definition);
        visit(self);
        self.at_definition = around;
    }

    /// A key's expression, if it is one; the private name of an element is not used by declaring it.
    fn key(&mut self, key: &PropertyKey<'a>) {
        if !matches!(key, PropertyKey::PrivateIdentifier(_)) {
            self.visit_property_key(key);
        }
    }

    fn is_within(&self, symbol: SymbolId) -> bool {
        if self.own_name == Some(symbol) {
            return true;
        }
        let declared = self.scoping.symbol_scope_id(symbol);
        self.scope.is_some_and(|scope| {
            self.scoping
                .scope_ancestors(declared)
                .any(|each| each == scope)
        })
    }

    fn capture(&mut self, symbol: SymbolId) {
        if let Some(known) = self
            .uses
            .captured
            .iter_mut()
            .find(|known| known.symbol == symbol)
        {
            known.at_definition |= self.at_definition;
        } else if !self.is_within(symbol) {
            self.uses.captured.push(Captured {
                symbol,
                at_definition: self.at_definition,
            });
        }
    }

    fn free(&mut self, name: &'a str) {
        if name == "arguments" {
            if self.own_this == 0 {
                self.uses.arguments = true;
                self.uses.arguments_at_definition |= self.at_definition;
            }
        } else if let Some(known) = self.uses.free.iter_mut().find(|known| known.name == name) {
            known.at_definition |= self.at_definition;
        } else {
            self.uses.free.push(Free {
                name,
                at_definition: self.at_definition,
            });
        }
    }
}

impl<'a> Visit<'a> for Collector<'a> {
    fn visit_function(&mut self, it: &Function<'a>, flags: ScopeFlags) {
        self.own_this += 1;
        walk::walk_function(self, it, flags);
        self.own_this -= 1;
    }

    fn visit_class(&mut self, it: &Class<'a>) {
        self.class(it, false);
    }

    fn visit_object_property(&mut self, it: &ObjectProperty<'a>) {
        self.visit_property_key(&it.key);
        let has_home = it.method || it.kind != PropertyKind::Init;
        self.own_home += usize::from(has_home);
        self.visit_expression(&it.value);
        self.own_home -= usize::from(has_home);
    }

    fn visit_identifier_reference(&mut self, it: &IdentifierReference<'a>) {
        let symbol = it
            .reference_id
            .get()
            .and_then(|reference| self.scoping.get_reference(reference).symbol_id());
        match symbol {
            Some(symbol) => self.capture(symbol),
            None => self.free(it.name.as_str()),
        }
    }

    fn visit_this_expression(&mut self, _: &ThisExpression) {
        self.uses.this |= self.own_this == 0;
    }

    fn visit_new_target(&mut self, _: &NewTarget) {
        self.uses.new_target |= self.own_this == 0;
    }

    fn visit_super(&mut self, _: &Super) {
        self.uses.home |= self.own_home == 0;
    }

    fn visit_private_identifier(&mut self, it: &PrivateIdentifier<'a>) {
        let name = format!("#{}", it.name);
        let declared = self
            .private_scopes
            .iter()
            .any(|scope| scope.contains(&name));
        if !declared && !self.uses.private_names.contains(&name) {
            self.uses.private_names.push(name);
        }
    }

    fn visit_call_expression(&mut self, it: &CallExpression<'a>) {
        self.uses.opaque |= evals::is_direct(it);
        walk::walk_call_expression(self, it);
    }

    fn visit_with_statement(&mut self, it: &WithStatement<'a>) {
        self.uses.opaque = true;
        walk::walk_with_statement(self, it);
    }

    fn visit_import_meta(&mut self, it: &ImportMeta) {
        self.uses.import_metas.push(it.span.start);
    }

    fn visit_import_expression(&mut self, it: &ImportExpression<'a>) {
        self.uses.dynamic_import = true;
        walk::walk_import_expression(self, it);
    }
}
