//! The modules of the pages that know no page: their own tests, in node.

use std::path::Path;
use std::process::Command;

#[test]
fn the_modules_without_a_page_pass_their_tests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let entries =
        folder.read_dir().expect("it is part of the source").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
    files.sort();
    assert!(files.len() >= 6, "{files:?}");
    let output = Command::new("node").arg("--test").args(&files).output().expect("nodejs is installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
