#!/bin/sh
# scripts/check-layers refuses what goes past the one way to files, to the terminal and to JSON. Run by ctest, which sets CLIO_SOURCE_DIR.
set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
check=$CLIO_SOURCE_DIR/scripts/check-layers failed=0
mkdir -p "$tmp/include" "$tmp/host/core" "$tmp/audio" "$tmp/models" "$tmp/cli"
cd "$tmp" || exit 1
# refuses FILE LINE PART: the line in that file is an offence
refuses() {
    echo "$2" >"$1"
    if "$check" . >out 2>&1 || ! grep -qF "$1:1:" out || ! grep -qF "$3" out; then
        echo "not ok - $1: $2: not refused with \"$3\": $(cat out)"
        failed=$((failed + 1))
    fi
    rm "$1"
}
allows() {
    echo "$2" >"$1"
    "$check" . >out 2>&1 || { echo "not ok - $1: $2: refused: $(cat out)"; failed=$((failed + 1)); }
    rm "$1"
}
for line in 'f = fopen(path, "wb");' 'f = fopen(path, "a");' 'fd = open(path, O_RDWR | O_CREAT, 0666);' 'if (rename(a, b))' 'unlink(a);' \
    'rmdir(path);' 'symlink(to, link);' 'fd = mkstemp(name);'; do
    refuses host/core/x.c "$line" "file_out.h and file_tree.h"
    refuses cli/x.c "$line" "file_out.h and file_tree.h"
    allows host/core/file_out.c "$line"
    allows host/core/file_tree.c "$line"
done
allows host/core/x.c 'f = fopen(path, "rb");'
allows host/core/x.c 'TRY(type->open(ctx, l));'
# shellcheck disable=SC2016
for line in 'printf("%s", name);' 'fprintf(stderr, "%s", name);' 'fputs(name, stdout);' 'puts(name);' 'fwrite(a, 1, n, stdout);'; do
    refuses cli/x.c "$line" "cli/terminal.h"
    refuses host/core/x.c "$line" "the library prints nothing"
    allows cli/terminal.c "$line"
done
allows cli/x.c 'fprintf(out, "a");'
refuses host/core/x.c '    json_object_set_new(a, "b", c);' "an unchecked result"
refuses cli/x.c '    json_array_append_new(a, b);' "an unchecked result"
allows host/core/x.c '    if (json_object_set_new(a, "b", c))'
[ $failed -eq 0 ] && echo "all cases passed"
exit $failed
