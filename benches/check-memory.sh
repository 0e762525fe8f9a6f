#!/bin/sh
# Looks for reads and writes out of bounds in the kernels: their tests under valgrind, which also tells uses of memory that
# was never written. Valgrind knows AVX2 but not AVX-512 and hides the latter from programs, so this covers the AVX2 and the
# portable forms; all forms are one generic source, and the AVX-512 form differs only in the vector type.
# (Stable Rust has no address sanitizer; on nightly: RUSTFLAGS=-Zsanitizer=address cargo test --lib kernel::)
set -eu
cd "$(dirname "$0")/.."
binary=$(cargo test --release --lib --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*limpid-[^"]*\)".*/\1/p' | tail -1)
exec valgrind --error-exitcode=1 --quiet --leak-check=no --partial-loads-ok=no "$binary" --test-threads=1 \
    kernel::shuffle kernel::tests::bounds kernel::scratch kernel::ring kernel::winograd "$@"
