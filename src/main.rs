//! The `commonroom` program.

fn main() {}
