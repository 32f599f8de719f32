//! The analysis as a whole.

use oxc_allocator::Allocator;
use oxc_ast::AstKind;
use oxc_ast::ast::{Expression, Program, Statement};
use oxc_ast_visit::Visit;
use oxc_semantic::Scoping;
use oxc_syntax::reference::Reference;

use crate::error::SourceError;
use crate::evals::OwnEvals;
use crate::parse::{COMMONJS_PARAMETERS, Kind, parse, scoping};
use crate::path::path_to;
use crate::target::{Form, Node, Target, target_at};
use crate::uses::{Captured, Free, Uses, uses_of};
use crate::{bindings, offsets, private_names, stack};

/// What a function's source says about it. Offsets are in UTF-16 units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// Where its text begins, as JavaScript shows it.
    pub start: u32,
    /// Where its text ends.
    pub end: u32,
    /// The line of `start`, from zero.
    pub line: u32,
    /// The column of `start`, from zero.
    pub column: u32,
    /// How it is written.
    pub form: Form,
    /// Whether its code is strict.
    pub strict: bool,
    /// Whether it uses the `this` of its surroundings.
    pub uses_this: bool,
    /// Whether it uses the `arguments` of its surroundings.
    pub uses_arguments: bool,
    /// Whether it uses `super` of an object or class around it.
    pub uses_super: bool,
    /// Whether it uses the `new.target` of its surroundings.
    pub uses_new_target: bool,
    /// The private names, with `#`, it uses and does not declare.
    pub uses_private_names: Vec<String>,
    /// The private names, with `#`, that instances of this class have.
    pub declares_private_fields: Vec<String>,
    /// Whether names in it may mean what cannot be seen: by a direct `eval`, or `with`.
    pub uses_direct_eval: bool,
    /// Where each `import.meta` begins, counted from `start`.
    pub import_metas: Vec<u32>,
    /// Whether it has an `import()`.
    pub uses_dynamic_import: bool,
    /// The variables it uses that the source declares outside of it, in the order of their first use.
    pub captures: Vec<Capture>,
    /// The names it uses that the source declares nowhere, in the order of their first use.
    pub globals: Vec<String>,
}

/// A variable of a function's surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// Its name.
    pub name: String,
    /// Whether nothing in the source assigns to it after its declaration.
    pub constant: bool,
    /// Whether a class needs it while it is itself evaluated.
    pub at_definition: bool,
    /// The specifier of the import declaration that binds it.
    pub imported_from: Option<String>,
    /// The name of the export it is bound to; `*` for all of them.
    pub imported_name: Option<String>,
}

/// What there is to say about the function or class that V8 means by `place`; nothing when there is
/// none.
pub fn analyze(source: &str, kind: Kind, place: u32) -> Result<Option<Analysis>, SourceError> {
    let Some(byte) = offsets::to_byte(source, place) else {
        return Ok(None);
    };
    stack::with_enough(source, || {
        let allocator = Allocator::default();
        let program = parse(&allocator, source, kind)?;
        let scoping = scoping(&program);
        let path = path_to(&program, byte);
        Ok(target_at(&path, source, byte).map(|target| {
            Surroundings {
                program: &program,
                scoping,
                path,
                kind,
            }
            .analysis(&target)
        }))
    })
}

/// The private names that instances of a class have, from the class's own text.
pub fn private_fields_of(class: &str) -> Result<Vec<String>, SourceError> {
    let source = format!("({class}\n)");
    stack::with_enough(&source, || {
        let allocator = Allocator::default();
        // Only a module has `await` in a computed key.
        let program = parse(&allocator, &source, Kind::Script)
            .or_else(|error| parse(&allocator, &source, Kind::Module).map_err(|_| error))?;
        Ok(match program.body.first() {
            Some(Statement::ExpressionStatement(it)) => match &it.expression {
                Expression::ClassExpression(class) => private_names::of_instances(class),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        })
    })
}

/// What is around a function.
struct Surroundings<'a> {
    program: &'a Program<'a>,
    scoping: Scoping,
    path: Vec<AstKind<'a>>,
    kind: Kind,
}

impl Surroundings<'_> {
    fn analysis(&self, target: &Target) -> Analysis {
        let source = self.program.source_text;
        let text =
            |start: u32, end: u32| source.get(start as usize..end as usize).unwrap_or_default();
        let before = text(0, target.span.start);
        let (line, column) = offsets::line_and_column(before);
        let start = offsets::units(before);
        let uses = uses_of(target, &self.scoping);
        let mut analysis = Analysis {
            start,
            end: start + offsets::units(text(target.span.start, target.span.end)),
            line,
            column,
            form: target.form,
            strict: target
                .scope()
                .is_some_and(|scope| self.scoping.scope_flags(scope).is_strict_mode()),
            uses_this: uses.this,
            uses_arguments: false,
            uses_super: uses.home,
            uses_new_target: uses.new_target,
            declares_private_fields: match target.node {
                Node::Class(class) if target.form == Form::Class => {
                    private_names::of_instances(class)
                }
                _ => Vec::new(),
            },
            uses_direct_eval: uses.opaque || self.is_opaque(target),
            import_metas: uses
                .import_metas
                .iter()
                .map(|&meta| offsets::units(text(target.span.start, meta)))
                .collect(),
            uses_dynamic_import: uses.dynamic_import,
            captures: uses
                .captured
                .iter()
                .map(|each| self.capture(each, target))
                .collect(),
            globals: Vec::new(),
            uses_private_names: Vec::new(),
        };
        self.add_free_names(&mut analysis, &uses, target);
        analysis.uses_private_names = uses.private_names;
        analysis
    }

    fn capture(&self, captured: &Captured, target: &Target) -> Capture {
        let symbol = captured.symbol;
        let (imported_from, imported_name) = bindings::import_of(self.program, symbol).unzip();
        Capture {
            name: self.scoping.symbol_name(symbol).to_owned(),
            constant: bindings::is_constant(self.program, &self.scoping, symbol, target.span.start),
            at_definition: captured.at_definition,
            imported_from,
            imported_name,
        }
    }

    /// Names that no declaration stands for: globals, the parameters of the function around a CommonJS
    /// module, and `arguments`, which only functions have.
    fn add_free_names(&self, analysis: &mut Analysis, uses: &Uses, target: &Target) {
        if uses.arguments {
            analysis.uses_arguments = self.kind == Kind::CommonJs
                || self.path[..target.depth]
                    .iter()
                    .any(|kind| matches!(kind, AstKind::Function(_)));
            if !analysis.uses_arguments {
                analysis.globals.push("arguments".to_owned());
            }
        }
        for free in &uses.free {
            if self.kind == Kind::CommonJs && COMMONJS_PARAMETERS.contains(&free.name) {
                analysis.captures.push(self.commonjs_parameter(free));
            } else {
                analysis.globals.push(free.name.to_owned());
            }
        }
    }

    fn commonjs_parameter(&self, free: &Free) -> Capture {
        let assigned = self
            .scoping
            .root_unresolved_references()
            .iter()
            .filter(|(name, _)| name.as_str() == free.name)
            .flat_map(|(_, references)| references)
            .map(|&reference| self.scoping.get_reference(reference))
            .any(Reference::is_write);
        Capture {
            name: free.name.to_owned(),
            constant: !assigned && !self.scoping.root_scope_flags().contains_direct_eval(),
            at_definition: free.at_definition,
            imported_from: None,
            imported_name: None,
        }
    }

    /// Whether something around a function gives names a meaning that cannot be seen: `with`, or a
    /// direct `eval` that may declare variables.
    fn is_opaque(&self, target: &Target) -> bool {
        self.path[..target.depth].iter().any(|kind| match kind {
            AstKind::WithStatement(_) => true,
            AstKind::Function(it) => self.may_declare(it.scope_id.get(), |search| {
                search.visit_formal_parameters(&it.params);
                if let Some(body) = &it.body {
                    search.visit_function_body(body);
                }
            }),
            AstKind::ArrowFunctionExpression(it) => self.may_declare(it.scope_id.get(), |search| {
                search.visit_formal_parameters(&it.params);
                search.visit_arrow_function_body(&it.body);
            }),
            AstKind::Program(it) if self.kind == Kind::CommonJs => self
                .may_declare(it.scope_id.get(), |search| {
                    search.visit_statements(&it.body)
                }),
            _ => false,
        })
    }

    fn may_declare(
        &self,
        scope: Option<oxc_syntax::scope::ScopeId>,
        look: impl FnOnce(&mut OwnEvals),
    ) -> bool {
        let suspicious = scope
            .map(|scope| self.scoping.scope_flags(scope))
            .is_some_and(|flags| flags.contains_direct_eval() && !flags.is_strict_mode());
        let mut search = OwnEvals::default();
        if suspicious {
            look(&mut search);
        }
        search.found
    }
}
