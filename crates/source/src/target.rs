//! The function or class that V8 means by a place.

use oxc_ast::AstKind;
use oxc_ast::ast::{
    ArrowFunctionExpression, Class, Function, MethodDefinition, MethodDefinitionKind,
    ObjectProperty, PropertyKey, PropertyKind,
};
use oxc_span::{GetSpan, Span};
use oxc_syntax::scope::ScopeId;

/// How a function is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With the word `function`.
    Function,
    /// With `=>`.
    Arrow,
    /// In an object or a class, as a method.
    Method,
    /// After `get`.
    Getter,
    /// After `set`.
    Setter,
    /// As a class.
    Class,
}

/// A function's or class's node.
#[derive(Debug, Clone, Copy)]
pub enum Node<'a> {
    Function(&'a Function<'a>),
    Arrow(&'a ArrowFunctionExpression<'a>),
    Class(&'a Class<'a>),
}

/// A function or class, with the text that JavaScript shows of it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub node: Node<'a>,
    pub form: Form,
    /// Where its text lies, in bytes.
    pub span: Span,
    /// The key of a method, when it is computed.
    pub computed_key: Option<&'a PropertyKey<'a>>,
    /// How many nodes of the path are around it.
    pub depth: usize,
}

impl Target<'_> {
    pub fn scope(&self) -> Option<ScopeId> {
        match self.node {
            Node::Function(it) => it.scope_id.get(),
            Node::Arrow(it) => it.scope_id.get(),
            Node::Class(it) => it.scope_id.get(),
        }
    }
}

/// What V8 means by a place: functions begin for it at the parenthesis before their parameters, arrow
/// functions at their first word, and classes where their constructor does or, when they have none,
/// at the word `class`.
pub fn target_at<'a>(path: &[AstKind<'a>], source: &str, place: u32) -> Option<Target<'a>> {
    path.iter()
        .enumerate()
        .rev()
        .find_map(|(depth, kind)| match *kind {
            AstKind::Function(it) if it.params.span.start == place => {
                function(path, source, depth, it)
            }
            AstKind::ArrowFunctionExpression(it) if it.span.start == place => Some(Target {
                node: Node::Arrow(it),
                form: Form::Arrow,
                span: it.span,
                computed_key: None,
                depth,
            }),
            AstKind::Class(it) if class_span(it, source).start == place => {
                Some(class(source, depth, it))
            }
            _ => None,
        })
}

fn function<'a>(
    path: &[AstKind<'a>],
    source: &str,
    depth: usize,
    it: &'a Function<'a>,
) -> Option<Target<'a>> {
    let parent = depth.checked_sub(1).and_then(|above| path.get(above));
    match parent.copied() {
        Some(AstKind::MethodDefinition(method)) if method.value.span == it.span => {
            if method.kind == MethodDefinitionKind::Constructor {
                return path[..depth]
                    .iter()
                    .enumerate()
                    .rev()
                    .find_map(|(depth, kind)| {
                        if let AstKind::Class(it) = *kind {
                            Some(class(source, depth, it))
                        } else {
                            None
                        }
                    });
            }
            Some(Target {
                node: Node::Function(it),
                form: match method.kind {
                    MethodDefinitionKind::Get => Form::Getter,
                    MethodDefinitionKind::Set => Form::Setter,
                    _ => Form::Method,
                },
                span: Span::new(method_start(method, source), it.span.end),
                computed_key: method.computed.then_some(&method.key),
                depth: depth - 1,
            })
        }
        Some(AstKind::ObjectProperty(property)) if is_method(property, it) => Some(Target {
            node: Node::Function(it),
            form: match property.kind {
                PropertyKind::Get => Form::Getter,
                PropertyKind::Set => Form::Setter,
                PropertyKind::Init => Form::Method,
            },
            span: Span::new(property.span.start, it.span.end),
            computed_key: property.computed.then_some(&property.key),
            depth: depth - 1,
        }),
        _ => Some(Target {
            node: Node::Function(it),
            form: Form::Function,
            span: it.span,
            computed_key: None,
            depth,
        }),
    }
}

fn is_method(property: &ObjectProperty, function: &Function) -> bool {
    (property.method || property.kind != PropertyKind::Init)
        && property.value.span() == function.span
}

fn class<'a>(source: &str, depth: usize, it: &'a Class<'a>) -> Target<'a> {
    Target {
        node: Node::Class(it),
        form: Form::Class,
        span: class_span(it, source),
        computed_key: None,
        depth,
    }
}

/// A class's text, which begins after its decorators.
fn class_span(it: &Class, source: &str) -> Span {
    let start = match it.decorators.last() {
        Some(decorator) if decorator.span.end > it.span.start => {
            after_trivia(source, decorator.span.end)
        }
        _ => it.span.start,
    };
    Span::new(start, it.span.end)
}

/// Where a method's text begins: after its decorators and the word `static`.
fn method_start(method: &MethodDefinition, source: &str) -> u32 {
    let start = match method.decorators.last() {
        Some(decorator) => after_trivia(source, decorator.span.end),
        None => method.span.start,
    };
    if method.r#static {
        after_trivia(source, start + "static".len() as u32)
    } else {
        start
    }
}

/// The first byte from `from` on that is neither space nor comment.
fn after_trivia(source: &str, from: u32) -> u32 {
    let start = source.get(from as usize..).unwrap_or_default();
    let mut rest = start;
    loop {
        rest = rest.trim_start_matches(|character: char| {
            character.is_whitespace() || character == '\u{FEFF}'
        });
        let end = if rest.starts_with("//") {
            rest.find(['\n', '\r', '\u{2028}', '\u{2029}'])
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2)
        } else {
            break;
        };
        rest = end.and_then(|end| rest.get(end..)).unwrap_or_default();
    }
    from + (start.len() - rest.len()) as u32
}
