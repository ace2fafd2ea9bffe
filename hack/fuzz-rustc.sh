#!/bin/bash
# What cargo calls instead of rustc when fuzz targets are built (RUSTC_WRAPPER): our own code, and the one parser of a text format that
# we hand bytes to, get libFuzzer's marks (coverage, and operands of comparisons); everything else is compiled as always, which is
# several times faster to build and to run. No sanitizer, hence no unstable flag: there is no unsafe code in what is fuzzed but system
# calls, and memory is counted by the targets themselves.
rustc=$1
shift
# Not the build script of a package.
case ${CARGO_PKG_NAME:-}/${CARGO_CRATE_NAME:-} in
  tincan/tincan | tincan-fuzz/* | serde_json/serde_json)
    exec "$rustc" "$@" --cfg fuzzing -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
      -C llvm-args=-sanitizer-coverage-inline-8bit-counters -C llvm-args=-sanitizer-coverage-pc-table \
      -C llvm-args=-sanitizer-coverage-trace-compares
    ;;
  *) exec "$rustc" "$@" ;;
esac
