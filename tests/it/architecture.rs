//! The floors: a module imports from lower floors only, never from its own or a higher one.

use std::path::Path;

use walkdir::WalkDir;

/// Modules by floor, the lowest first; `src/lib.rs` says what each may do.
const FLOORS: &[&[&str]] = &[
    &["limits", "name", "rng", "sample"],
    &["codec", "corruption", "kernel", "quality"],
    &["nn"],
    &["dataset", "registry"],
    &["infer"],
    &["engine", "train"],
    &["job"],
    &["api"],
    &["cli"],
];

fn floor(module: &str) -> usize {
    let found = FLOORS.iter().position(|modules| modules.contains(&module));
    found.unwrap_or_else(|| panic!("module {module} stands on no floor: add it to the table"))
}

/// The code of a file without comments and unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules that stand behind `crate::` in `code`, in single paths and in lists.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` is the macro's own crate, `pub(crate)` has no colons.
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(list) => {
                let (mut depth, mut start) = (0, 0);
                for (index, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' | ',' if depth == 0 => {
                            found.push(word(&list[start..index]));
                            start = index + 1;
                            if c == '}' {
                                break;
                            }
                        }
                        '}' => depth -= 1,
                        _ => {}
                    }
                }
            }
        }
    }
    found.retain(|module| !module.is_empty());
    found
}

#[test]
fn modules_import_from_lower_floors_only() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for entry in WalkDir::new(&source).into_iter().filter_map(Result::ok) {
        let path = entry.path();
        let inside = path.strip_prefix(&source).unwrap();
        let first = inside.iter().next().and_then(|part| part.to_str()).unwrap_or_default();
        let module = first.trim_end_matches(".rs");
        let is_code = path.extension().is_some_and(|ending| ending == "rs");
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if !is_code || is_test || ["lib", "main"].contains(&module) {
            continue;
        }
        for import in imports(&code(&std::fs::read_to_string(path).unwrap())) {
            if import != module && floor(&import) >= floor(module) {
                wrong.push(format!("{} imports {import}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the table of floors:\n{}", wrong.join("\n"));
}

#[test]
fn imports_are_found_in_lists_and_paths() {
    let code = "use crate::{codec::{self, Format}, name, sample::Shape};\nlet x = crate::engine::Done {};";
    assert_eq!(imports(code), ["codec", "name", "sample", "engine"]);
}
