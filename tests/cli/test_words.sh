#!/bin/sh
# The words that a person reads are the field's: looks for the first column of tests/words.txt in README.md, docs/, clio.h, the help texts
# and the man pages. A line that holds a sentence of tests/words-allowed.txt is passed over. Run by ctest, which sets CLIO_BUILD_DIR and
# CLIO_SOURCE_DIR.
set -u
clio=$CLIO_BUILD_DIR/clio
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$CLIO_SOURCE_DIR" || exit 1

"$clio" --help >"$tmp/clio --help" || exit 1
commands=$(sed -n 's/^  \([a-z]*\)  .*/\1/p' "$tmp/clio --help")
[ "$(echo "$commands" | wc -l)" -ge 8 ] || { echo "test_words: clio --help lists too few commands"; exit 1; }
for command in $commands; do
    "$clio" "$command" --help >"$tmp/clio $command --help" || exit 1
done
"$clio" train --list >"$tmp/clio train --list" || exit 1
# shellcheck disable=SC2013 # the first word of each line
for model in $(awk '/^ *[a-z]/ {print $1}' "$tmp/clio train --list"); do
    "$clio" train --list "$model" >"$tmp/clio train --list $model" 2>/dev/null || rm -f "$tmp/clio train --list $model"
done
for page in "$CLIO_BUILD_DIR"/man/*.1; do
    cp "$page" "$tmp/" 2>/dev/null || { echo "test_words: there are no man pages in $CLIO_BUILD_DIR/man"; exit 1; }
done

allowed=$(mktemp -p "$tmp" allowed.XXXXXX)
grep -v '^#' tests/words-allowed.txt | grep -v '^$' >"$allowed"
tab=$(printf '\t')
hits=0 rows=0
while IFS="$tab" read -r expression instead; do
    case $expression in '' | '#'*) continue ;; esac
    rows=$((rows + 1))
    found=$(grep -niHE -- "$expression" README.md docs/*.md include/clio.h "$tmp/clio"* "$tmp"/*.1 | grep -vFf "$allowed" | sed "s|^$tmp/||")
    [ -n "$found" ] || continue
    hits=$((hits + $(echo "$found" | wc -l)))
    printf '%s\n' "$found" | cut -c1-200 | sed "s|\$|   <- $expression: $instead|"
done <tests/words.txt
if [ "$rows" -lt 30 ]; then echo "test_words: only $rows rows of tests/words.txt were read"; exit 1; fi
echo "test_words: $rows expressions, $hits hits"
[ "$hits" -eq 0 ]
