//! The `limpid` binary: hands its arguments to [`limpid::cli`] and turns the result into an exit code.

fn main() {}
