//! The house keeps its layers: a module imports from lower layers only, and each file says what it is.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer, as in the table of `src/lib.rs`.
const LAYERS: [&[&str]; 9] = [
    &["bounds", "code", "file", "hex", "limits", "memory", "name", "pointer", "rng", "sample"],
    &["codec", "corruption", "kernel", "page", "quality"],
    &["db", "index", "map", "media", "nn", "store"],
    &["dataset", "registry"],
    &["infer", "telemetry"],
    &["engine", "train"],
    &["job"],
    &["api"],
    &["cli"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first names behind every `crate::` of a source, comments and unit tests left out.
fn imports(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code: String =
        source.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if code[..at].ends_with('$') || code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(list) => found.extend(first_names(list)),
            None => found.push(name(rest)),
        }
    }
    found
}

fn name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first name of each member of a `{...}` list, nested lists passed over.
fn first_names(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut is_start) = (0, Vec::new(), true);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            c if is_start && !c.is_whitespace() => {
                names.push(name(&list[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

#[test]
fn a_module_imports_from_lower_layers_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    let mut seen = 0;
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let module = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let own = layer(module)
            .unwrap_or_else(|| panic!("{module} is on no layer: add it to LAYERS and src/lib.rs"));
        for import in imports(&fs::read_to_string(&path).unwrap()) {
            seen += 1;
            if import != module && layer(&import).is_some_and(|other| other >= own) {
                faults.push(format!("{} (layer {own}) imports crate::{import}", inside.display()));
            }
        }
    }
    assert!(seen > 100, "the imports are not found any more: {seen}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_in_its_first_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut silent = Vec::new();
    for path in sources(&root.join("src")).into_iter().chain(sources(&root.join("tests"))) {
        if !fs::read_to_string(&path).unwrap().starts_with("//! ") {
            silent.push(path.display().to_string());
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn unsafe_code_is_in_kernels_memory_and_main_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = |path: &Path| {
        ["kernel", "memory/pages.rs", "main.rs"].iter().any(|place| path.starts_with(root.join(place)))
    };
    for path in sources(&root).into_iter().filter(|p| !allowed(p)) {
        let source = fs::read_to_string(&path).unwrap();
        assert!(!source.contains("unsafe {") && !source.contains("unsafe fn"), "{}", path.display());
    }
}

#[test]
fn the_reader_of_imports_sees_lists_and_paths() {
    let source = "use crate::{a::b, c::{d, e}, f};\nlet x = crate::g::h();\n// crate::not\n$crate::no;";
    assert_eq!(imports(source), ["a", "c", "f", "g"]);
}
