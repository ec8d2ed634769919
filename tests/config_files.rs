//! The files in `config/` are true: they parse, and the annotated one says what is built in, leaving nothing out.

use commonroom::config::Config;
use std::fs;
use std::path::{Path, PathBuf};
use toml::Table;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

#[test]
fn every_file_parses() {
    let files: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        Config::load(&file, &[]).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn commonroom_toml_lists_every_option_with_its_default() {
    let text = fs::read_to_string(folder().join("commonroom.toml")).unwrap();
    let documented: Table = toml::from_str(&text).unwrap();
    assert_eq!(documented, Table::try_from(Config::default()).unwrap());
}

#[test]
fn every_option_of_commonroom_toml_is_explained() {
    let text = fs::read_to_string(folder().join("commonroom.toml")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for pair in lines.windows(2) {
        if pair[1].contains(" = ") && !pair[1].starts_with('#') {
            assert!(pair[0].starts_with("# ") && pair[0].ends_with('.'), "no sentence above: {}", pair[1]);
        }
    }
}
