#!/bin/sh
# The public header by itself: it compiles as C99, C11 and C++, its examples compile, the library exports its functions and no others, and
# arguments.awk understands all of it and refuses what it does not. Run by ctest, which sets CLIO_SOURCE_DIR, CLIO_BUILD_DIR and CC.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
header=$CLIO_SOURCE_DIR/include/clio.h
awk=$(command -v awk || command -v mawk || command -v gawk)

fail() { echo "FAILED: $*" >&2; exit 1; }
compiles() { "$@" -Wall -Wextra -Wpedantic -Werror -I "$CLIO_SOURCE_DIR/include" || fail "$1 $2 does not compile $3"; }

# ---- a header of C and of C++ ----

printf '#include <clio.h>\nint main(void) { return clio_version() == 0; }\n' >"$tmp/alone.c"
cp "$tmp/alone.c" "$tmp/alone.cpp"
for standard in c99 c11; do compiles "${CC:-cc}" -std=$standard -fsyntax-only "$tmp/alone.c"; done
if command -v c++ >/dev/null; then compiles c++ -std=c++11 -fsyntax-only "$tmp/alone.cpp"; fi

# ---- the examples: indented blocks after an empty line of a comment ----

"$awk" '
    BEGIN { print "#include <clio.h>\n#include <stdio.h>\n#include <stdlib.h>" }
    function end() { if (lines) printf "void example_%d(%s);\nvoid example_%d(%s)\n{\n%s}\n", ++count, arguments, count, arguments, lines; lines = "" }
    /^ \*$/ { end(); ready = 1; next }
    /^ \*     / && (ready || lines) { sub(/^ \*     /, ""); if (!lines) arguments = "clio_context *ctx"; if (/clio_create/) arguments = "void"; lines = lines $0 "\n"; ready = 0; next }
    { end(); ready = 0 }
    END { printf "/* %d examples */\n", count }' "$header" >"$tmp/examples.c"
grep -q '^/\* 4 examples' "$tmp/examples.c" || fail "clio.h should have 4 examples: $(tail -n 1 "$tmp/examples.c")"
compiles "${CC:-cc}" -std=c11 -fsyntax-only "$tmp/examples.c"

# ---- what is exported is what is declared ----

sed -n 's/^CLIO_API [^(]*[ *]\(clio_[a-z0-9_]*\)(.*/\1/p' "$header" | sort >"$tmp/declared"
[ "$(grep -c '^CLIO_API ' "$header")" -eq "$(wc -l <"$tmp/declared")" ] || fail "a line of clio.h with CLIO_API declares no function"
nm -D --defined-only "$CLIO_BUILD_DIR/libclio.so" | awk '{ print $3 }' | sort >"$tmp/exported"
diff "$tmp/declared" "$tmp/exported" >"$tmp/differences" ||
    { cat "$tmp/differences" >&2; fail "declared in clio.h (<) and exported by libclio.so (>) differ"; }

# ---- a new function is tested without anyone thinking of it, or understood by nobody and refused ----

# The header with one more declaration; its comment is the first argument.
add() {
    sed "/^#ifdef __cplusplus\$/,/^#endif\$/!b; /^}/i /* $1 */\n$2" "$header" >"$tmp/more.h"
    grep -qF "$2" "$tmp/more.h" || fail "the declaration was not added"
    "$awk" -f "$CLIO_SOURCE_DIR/tests/api/arguments.awk" "$CLIO_SOURCE_DIR/tests/api/arguments.h" "$tmp/more.h" >"$tmp/more.c" 2>"$tmp/said"
}
refuses() { if add "$1" "$2"; then fail "arguments.awk takes: $2"; fi; grep -q "$3" "$tmp/said" || { cat "$tmp/said" >&2; fail "arguments.awk says nothing of $3"; }; }
add 'New. count: 1 to 5.' 'CLIO_API clio_status clio_new(clio_context *ctx, const char *path, int count, clio_image **out);' ||
    { cat "$tmp/said" >&2; fail "arguments.awk refuses a new function"; }
for call in 'refuse(clio_new(p_ctx, p_path, p_count, p_out), NULL, "clio_new", "ctx")' 'p_path = "";' 'p_count = 1 - 1;' 'p_count = 5 + 1;' \
    'p_out = NULL;'; do
    grep -qF "$call" "$tmp/more.c" || fail "the new function is not called with $call"
done
refuses 'New.' 'CLIO_API clio_status clio_new(clio_context *ctx, int count);' 'count has no range'
refuses 'New.' 'CLIO_API clio_status clio_new(clio_context *ctx, long count);' 'not understood: long'
refuses 'New.' 'CLIO_API clio_status clio_new(clio_context *ctx, const clio_other *other);' 'not understood: const clio_other'
refuses 'New.' 'CLIO_API clio_status clio_new(clio_context *ctx, int (*f)(void));' 'not understood'
refuses 'New.' 'CLIO_API int clio_new(const clio_context *ctx);' 'does not say what it does when ctx is NULL'
refuses 'New.' 'CLIO_API_2 int clio_new(void);' 'not understood'
echo "clio.h: $(wc -l <"$tmp/declared") functions, declared and exported"
