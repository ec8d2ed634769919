//! The fuzz targets under libFuzzer: the same functions, guided by coverage. See `run`.
#![no_main]
#![expect(clippy::disallowed_methods, reason = "targets need an instant to begin with")]

#[path = "../targets/mod.rs"]
mod targets;

use std::sync::LazyLock;
use std::{env, fs, path};

/// The target is named by an environment variable, so that one build serves all.
static TARGET: LazyLock<&targets::Target> = LazyLock::new(|| {
    let target = targets::find(&env::var("FUZZ_TARGET").expect("FUZZ_TARGET names the target"));
    if let Some(corpus) = env::var_os("FUZZ_CORPUS") {
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(path::Path::new(&corpus).join(format!("seed-{number}")), seed).expect("the corpus is writable");
        }
    }
    target
});

libfuzzer_sys::fuzz_target!(init: {
    LazyLock::force(&TARGET);
}, |input: &[u8]| {
    (TARGET.run)(input);
});
