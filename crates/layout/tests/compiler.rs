//! Everything is where gcc puts it: random declarations, as C programs that say where their members are.

use std::fmt::Write;
use std::fs;
use std::io;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use mp_layout::{FUNDAMENTALS, Field, Kind, Type};
use proptest::prelude::*;

/// A declaration, and the byte order it is declared for.
#[derive(Clone, Debug)]
struct Declaration {
    of: Type,
    big_endian: bool,
}

fn fundamental() -> impl Strategy<Value = Type> {
    (0..FUNDAMENTALS.len()).prop_map(|index| Type::Fundamental(FUNDAMENTALS[index]))
}

/// A bit field, or a member of any type.
fn field(of: impl Strategy<Value = Type>) -> impl Strategy<Value = Field> {
    (of, proptest::option::of(0u32..=u32::MAX)).prop_map(|(of, seed)| {
        let maximum = match &of {
            Type::Fundamental(fundamental) => fundamental.maximum_bits(),
            Type::Array(..) | Type::Record { .. } => None,
        };
        let bits = seed.zip(maximum).map(|(seed, maximum)| 1 + seed % maximum);
        Field { of, bits }
    })
}

fn record(of: impl Strategy<Value = Type>) -> impl Strategy<Value = Type> {
    let kind = prop_oneof![3 => Just(Kind::Structure), 1 => Just(Kind::Union)];
    let pack = prop_oneof![
        3 => Just(None),
        2 => (0u32..5).prop_map(|power| Some(1 << power)),
    ];
    let fields = proptest::collection::vec(field(of), 1..9);
    (kind, pack, fields).prop_map(|(kind, pack, fields)| Type::Record { kind, pack, fields })
}

fn declaration() -> impl Strategy<Value = Declaration> {
    let nested = fundamental().prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            (inner.clone(), 1u64..5).prop_map(|(of, length)| Type::Array(Box::new(of), length)),
            record(inner),
        ]
    });
    // Mostly flat: bit fields of all types beside one another are where it can go wrong.
    let members = prop_oneof![4 => fundamental(), 1 => nested];
    (record(members), any::<bool>()).prop_map(|(of, big_endian)| Declaration { of, big_endian })
}

/// Writes C declarations; structures inside others are written before them.
#[derive(Default)]
struct Source {
    declarations: String,
    count: usize,
}

impl Source {
    /// What stands before and after the name of something of a type.
    fn around(&mut self, of: &Type, big_endian: bool) -> (String, String) {
        match of {
            Type::Fundamental(fundamental) => (fundamental.c_name.to_owned(), String::new()),
            Type::Array(of, length) => {
                let (before, after) = self.around(of, big_endian);
                (before, format!("[{length}]{after}"))
            }
            Type::Record { kind, pack, fields } => {
                let members: Vec<String> = fields
                    .iter()
                    .enumerate()
                    .map(|(index, Field { of, bits })| {
                        let (before, after) = self.around(of, big_endian);
                        let bits = bits.map_or(String::new(), |bits| format!(" : {bits}"));
                        format!("{before} m{index}{after}{bits}; ")
                    })
                    .collect();
                let word = match kind {
                    Kind::Structure => "struct",
                    Kind::Union => "union",
                };
                let order = if big_endian { "big" } else { "little" };
                let name = format!("{word} r{}", self.count);
                self.count += 1;
                let push = pack.map_or(String::new(), |pack| {
                    format!("#pragma pack(push, {pack})\n")
                });
                let pop = if pack.is_some() {
                    "#pragma pack(pop)\n"
                } else {
                    ""
                };
                writeln!(
                    self.declarations,
                    "{push}{name} {{ {}}} __attribute__((scalar_storage_order(\"{order}-endian\")));\n{pop}",
                    members.concat(),
                )
                .unwrap();
                (name, String::new())
            }
        }
    }
}

/// The program: a line for each declaration with size, alignment, and where each member is. A bit field
/// shows that by its bits, which are all set in a record that is otherwise empty.
fn program(declarations: &[Declaration]) -> String {
    let mut source = Source::default();
    let mut body = String::new();
    for Declaration { of, big_endian } in declarations {
        let (name, _) = source.around(of, *big_endian);
        let Type::Record { fields, .. } = of else {
            unreachable!()
        };
        writeln!(
            body,
            "printf(\"%zu %zu\", sizeof({name}), _Alignof({name}));"
        )
        .unwrap();
        for (index, Field { bits, .. }) in fields.iter().enumerate() {
            if bits.is_some() {
                writeln!(body, "{{ union {{ {name} r; unsigned char b[sizeof({name})]; }} u; memset(&u, 0, sizeof u); u.r.m{index} = -1; show(u.b, sizeof u.b, {}); }}", u8::from(*big_endian)).unwrap();
            } else {
                writeln!(body, "printf(\" %zu\", offsetof({name}, m{index}));").unwrap();
            }
        }
        body.push_str("puts(\"\");\n");
    }
    format!(
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n#include <sys/types.h>\n#include <wchar.h>\n\
         static void show(const unsigned char *b, size_t n, int big) {{ long first = -1, last = -1, bits = 0; for (size_t i = 0; i < 8 * n; i++) if (b[i / 8] >> (big ? 7 - i % 8 : i % 8) & 1) {{ if (first < 0) first = i; last = i; bits++; }} printf(\" %ld+%ld%s\", first, bits, last - first + 1 == bits ? \"\" : \"!\"); }}\n\
         {}\nint main(void) {{\n{body}return 0;\n}}\n",
        source.declarations,
    )
}

/// The same lines, from the layouts.
fn expected(declarations: &[Declaration]) -> String {
    let mut lines = String::new();
    for Declaration { of, .. } in declarations {
        let layout = of.layout().unwrap().unwrap();
        let Type::Record { fields, .. } = of else {
            unreachable!()
        };
        write!(lines, "{} {}", layout.size, layout.alignment).unwrap();
        for (place, Field { bits, .. }) in layout.places.iter().zip(fields) {
            match bits {
                Some(bits) => {
                    let first = 8 * place.offset + u64::from(place.first_bit);
                    write!(lines, " {first}+{bits}").unwrap();
                }
                None => write!(lines, " {}", place.offset).unwrap(),
            }
        }
        lines.push('\n');
    }
    lines
}

/// What a C program prints.
fn compiled(source: &str) -> io::Result<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("mp-layout-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let file = folder.join("layout.c");
    fs::write(&file, source)?;
    let program = folder.join("layout");
    let gcc = Command::new("gcc")
        .args(["-w", "-O0", "-o"])
        .arg(&program)
        .arg(&file)
        .output()?;
    let printed = if gcc.status.success() {
        let output = Command::new(&program).output()?;
        String::from_utf8_lossy(&output.stdout).into_owned()
    } else {
        format!("gcc: {}", String::from_utf8_lossy(&gcc.stderr))
    };
    fs::remove_dir_all(&folder)?;
    Ok(printed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn as_gcc(declarations in proptest::collection::vec(declaration(), 60)) {
        let source = program(&declarations);
        let printed = compiled(&source).unwrap();
        let expected = expected(&declarations);
        for ((ours, gcc), declaration) in expected.lines().zip(printed.lines()).zip(&declarations) {
            prop_assert_eq!(ours, gcc, "{:#?}", declaration);
        }
        prop_assert_eq!(expected, printed);
    }
}

#[test]
fn fundamentals_as_gcc() {
    let mut body = String::new();
    let mut expected = String::new();
    for fundamental in &FUNDAMENTALS {
        let name = fundamental.c_name;
        writeln!(
            body,
            "printf(\"{name} %zu %zu\\n\", sizeof({name}), _Alignof({name}));"
        )
        .unwrap();
        writeln!(
            expected,
            "{name} {} {}",
            fundamental.size, fundamental.alignment
        )
        .unwrap();
    }
    let source = format!(
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <sys/types.h>\n#include <wchar.h>\nint main(void) {{\n{body}return 0;\n}}\n"
    );
    assert_eq!(compiled(&source).unwrap(), expected);
}
