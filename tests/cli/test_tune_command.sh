#!/bin/sh
# clio tune as a user types it: what it refuses, what it lists, a run of a moment that leaves a file behind. Whether it searches well is for
# test_tune. Run by ctest, which sets CLIO_BUILD_DIR.
set -eu
clio=$CLIO_BUILD_DIR/clio
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
export CLIO_TUNED_DIR="$tmp/tuned"
unset CLIO_PARAMS

fail() { echo "FAILED: $*" >&2; cat "$tmp/out" "$tmp/said" >&2; exit 1; }
# Run clio tune; its status must be $1.
tune() {
    want=$1 status=0
    shift
    "$clio" tune "$@" >"$tmp/out" 2>"$tmp/said" || status=$?
    [ $status -eq "$want" ] || fail "clio tune $* exited with $status, expected $want"
}
says() { grep -q -- "$1" "$tmp/said" || fail "expected a sentence with \"$1\""; }
prints() { grep -q -- "$1" "$tmp/out" || fail "expected \"$1\" on standard output"; }

tune 2 --for speed
says '--for must be whisper or all, not "speed"'
tune 2 talk.wav
says "unexpected argument talk.wav"
tune 2 --time-limit 0
says "time-limit must be a number from 0.01 to 100000"
tune 2 --time-limit never
says "must be a number"
tune 2 -o -
says "name a file"
tune 1 -o "$tmp/no/such/folder"
says "does not exist"
tune 1 -o "$tmp"
says "is a folder"
echo "my notes" >"$tmp/notes.txt"
tune 1 --time-limit 0.01 -o "$tmp/notes.txt"
says "notes.txt is not a file of tuned parameters, and would be overwritten: move it elsewhere, or name another file"
{ [ "$(cat "$tmp/notes.txt")" = "my notes" ] && [ ! -e "$tmp/notes.txt.state" ]; } || fail "notes.txt was changed"
tune 0 --help
prints "--time-limit MINUTES"

tune 0 --list
prints "^logits.local"
prints "^Not tuned yet; clio tune would write $tmp/tuned/"
[ ! -e "$tmp/tuned" ] || fail "--list wrote something"
tune 0 --list --json
prints '"key": "logits.local"'

# A moment: the file is there, whole, and used; more time was needed, and that is said.
tune 0 --time-limit 0.01
says "run clio tune again"
says "^wrote $tmp/tuned/.*\.params$"
prints "^logits.local"
file=$(echo "$tmp"/tuned/*.params)
[ -s "$file" ] || fail "there is no file"
[ -s "$file.state" ] || fail "the state was not kept"
tune 0 --list
prints "^In use: $file"
echo "any logits.local 32" >>"$file"
tune 0 --list
grep -q "^logits.local  *[0-9][0-9]*  *32 " "$tmp/out" || fail "a row of the file is not used"
echo "any logits.local" >>"$file"
tune 0 --list
prints "^Not in use: $file, line "
tune 0 --time-limit 0.01 -q -o "$tmp/mine"
{ [ -s "$tmp/mine" ] && [ ! -s "$tmp/said" ]; } || fail "-q -o"
echo "what clio tune refuses, lists and leaves behind is right"
