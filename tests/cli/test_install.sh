#!/bin/sh
# What is installed suffices to build and run a program: once by pkg-config, once by find_package. Run by ctest, which sets CLIO_BUILD_DIR,
# CLIO_SOURCE_DIR, CC, and CFLAGS where the library needs them (sanitizers).
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
example=$CLIO_SOURCE_DIR/tests/example

fail() { echo "FAILED: $*" >&2; exit 1; }
# Started without arguments, the example asks the library for its version, prints its usage and exits with 2.
runs() {
    status=0
    "$1" 2>"$tmp/usage" || status=$?
    [ $status -eq 2 ] || { cat "$tmp/usage" >&2; fail "$1 exited with $status, expected 2"; }
    grep -q '^usage: example .*(clio [0-9]' "$tmp/usage" || { cat "$tmp/usage" >&2; fail "$1 printed no usage"; }
}

cmake --install "$CLIO_BUILD_DIR" --prefix "$tmp/prefix" >/dev/null
pc=$(find "$tmp/prefix" -name clio.pc)
[ -n "$pc" ] || fail "clio.pc was not installed"
library=$(dirname "$(dirname "$pc")")
[ -e "$library/libclio.so.0" ] || fail "libclio.so.0 was not installed"

export PKG_CONFIG_PATH="$library/pkgconfig"
# shellcheck disable=SC2046,SC2086 # flags are words
"${CC:-cc}" ${CFLAGS:-} -std=c11 -Wall -Wextra -Werror "$example/example.c" $(pkg-config --cflags --libs clio) -o "$tmp/by-pkg-config"
LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" runs "$tmp/by-pkg-config"

cmake -S "$example" -B "$tmp/build" -DCMAKE_PREFIX_PATH="$tmp/prefix" >/dev/null
cmake --build "$tmp/build" >/dev/null
runs "$tmp/build/example"

"$tmp/prefix/bin/clio" --help >"$tmp/help" || fail "the installed clio --help does not run"
grep -q transcribe "$tmp/help" || fail "the installed clio --help does not tell of transcribe"
[ -e "$tmp/prefix/share/man/man1/clio.1" ] || fail "the man page was not installed"
echo "installed, built twice, run"
