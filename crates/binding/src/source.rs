//! What a function's source says about it, for functions that travel by value.

use mp_source::{Analysis, Form, Kind};
use napi::{Error, Result};
use napi_derive::napi;

/// What a function's source says about it. Offsets are in UTF-16 units.
#[napi(object, use_nullable = true)]
pub struct FunctionAnalysis {
    /// Where its text begins, as `toString()` shows it.
    pub start: u32,
    /// Where its text ends.
    pub end: u32,
    /// The line of `start`, from zero.
    pub line: u32,
    /// The column of `start`, from zero.
    pub column: u32,
    /// How it is written.
    #[napi(ts_type = "'function' | 'arrow' | 'method' | 'getter' | 'setter' | 'class'")]
    pub form: String,
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
#[napi(object, use_nullable = true)]
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

/// What a script's source says about the function or class that V8 means by `place`, a UTF-16 offset;
/// null when there is none. Throws when the source cannot be parsed as what `kind` says.
#[napi]
pub fn analyze_function(
    source: String,
    #[napi(ts_arg_type = "'module' | 'script' | 'commonjs'")] kind: String,
    place: u32,
) -> Result<Option<FunctionAnalysis>> {
    let kind = match kind.as_str() {
        "module" => Kind::Module,
        "script" => Kind::Script,
        "commonjs" => Kind::CommonJs,
        other => {
            return Err(Error::from_reason(format!(
                "{other:?} is no kind of source"
            )));
        }
    };
    let analysis = mp_source::analyze(&source, kind, place).map_err(reason)?;
    Ok(analysis.map(FunctionAnalysis::from))
}

/// The private names, with `#`, that instances of a class have, from the class's own text.
#[napi]
pub fn private_fields_of(class_source: String) -> Result<Vec<String>> {
    mp_source::private_fields_of(&class_source).map_err(reason)
}

fn reason(error: mp_source::SourceError) -> Error {
    Error::from_reason(error.to_string())
}

impl From<Analysis> for FunctionAnalysis {
    fn from(analysis: Analysis) -> Self {
        Self {
            start: analysis.start,
            end: analysis.end,
            line: analysis.line,
            column: analysis.column,
            form: name_of(analysis.form).to_owned(),
            strict: analysis.strict,
            uses_this: analysis.uses_this,
            uses_arguments: analysis.uses_arguments,
            uses_super: analysis.uses_super,
            uses_new_target: analysis.uses_new_target,
            uses_private_names: analysis.uses_private_names,
            declares_private_fields: analysis.declares_private_fields,
            uses_direct_eval: analysis.uses_direct_eval,
            import_metas: analysis.import_metas,
            uses_dynamic_import: analysis.uses_dynamic_import,
            captures: analysis.captures.into_iter().map(Capture::from).collect(),
            globals: analysis.globals,
        }
    }
}

impl From<mp_source::Capture> for Capture {
    fn from(capture: mp_source::Capture) -> Self {
        Self {
            name: capture.name,
            constant: capture.constant,
            at_definition: capture.at_definition,
            imported_from: capture.imported_from,
            imported_name: capture.imported_name,
        }
    }
}

fn name_of(form: Form) -> &'static str {
    match form {
        Form::Function => "function",
        Form::Arrow => "arrow",
        Form::Method => "method",
        Form::Getter => "getter",
        Form::Setter => "setter",
        Form::Class => "class",
    }
}
