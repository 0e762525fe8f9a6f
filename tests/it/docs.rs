//! Reference pages: `docs/` holds what `limpid docs` prints, and the long help of training names every corruption.

use std::path::Path;

use crate::support::process::limpid;

fn printed(args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = limpid(folder.path()).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_pages_are_what_the_program_prints() {
    for page in ["settings", "training", "metrics"] {
        let now = printed(&["docs", page]);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{page}.md"));
        if std::env::var_os("LIMPID_UPDATE").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let is_fresh = std::fs::read_to_string(&path).unwrap() == now;
        assert!(is_fresh, "docs/{page}.md is stale: run `limpid docs {page} > docs/{page}.md`");
    }
}

#[test]
fn the_long_help_of_training_names_every_corruption() {
    let help = printed(&["train", "--help"]);
    let page = printed(&["docs", "training"]);
    let kinds: Vec<_> = limpid::corruption::kinds().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.len(), 18);
    for kind in kinds {
        assert!(help.contains(&format!("\n            {kind} ")), "{kind} is not in\n{help}");
        assert!(page.contains(&format!("\n### `{kind}`\n")), "{kind} is not in the page");
    }
    assert!(help.contains("docs/training.md"));
}
