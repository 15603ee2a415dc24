# shellcheck shell=sh disable=SC2034 # in, to, prints, also, by: of the cases
# cases.sh - what the shell tests of many cases share, which read this file with `.`: a temporary folder, which they are then in, and how a
# case is run and judged. ctest sets CLIO_BUILD_DIR.
clio=$CLIO_BUILD_DIR/clio make=$CLIO_BUILD_DIR/tests/make_broken
tmp=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
cd "$tmp" || exit 1
unset CLIO_PARAMS CLIO_MEMORY_LIMIT

# ---- how a case is run and judged ----

number=0 passed=0 failed=0 skipped=0
# For the next case: words before the command, its standard input and output, whether it may print although it fails, a condition that must
# hold after it.
defaults() { by='' in=/dev/null to=$tmp/out prints='' also=true; }
defaults
# A test may define these anew: what is done before each case; whether a command that failed has left no file behind.
prepare() { :; }
nothing_left() { :; }

ok() { number=$((number + 1)) passed=$((passed + 1)); echo "ok $number - $1"; }
not_ok() { # name, why
    number=$((number + 1)) failed=$((failed + 1))
    echo "not ok $number - $1: $2"
    sed 's/^/    stderr: /' err | head -n 30
}
skip() { # name, why
    if [ -n "${CLIO_REQUIRE:-}" ]; then
        : >err
        not_ok "$1" "$2, and CLIO_REQUIRE is set"
    else
        number=$((number + 1)) skipped=$((skipped + 1))
        echo "SKIPPED: $number - $1: $2"
    fi
}
try() {
    status=0
    : >out
    prepare
    # shellcheck disable=SC2086 # words
    $by timeout 120 "$clio" "$@" <"$in" >"$to" 2>err || status=$?
}
# fails NAME CODE PART... -- ARGUMENT...: one sentence, with every part in it
fails() {
    name=$1 want=$2 why=
    shift 2
    : >parts
    while [ "$1" != -- ]; do
        printf '%s\n' "$1" >>parts
        shift
    done
    shift
    try "$@"
    [ $status -eq "$want" ] || why="$why exit code $status, expected $want;"
    [ "$(wc -l <err)" -eq 1 ] || why="$why not one line on standard error;"
    case $(cat err) in "clio: "*) ;; *) why="$why it does not begin with clio:;" ;; esac
    while IFS= read -r part; do
        grep -qF -- "$part" err || why="$why \"$part\" is missing;"
    done <parts
    ! grep -qE 'params\.|clio_[a-z]' err || why="$why it names a parameter or function of the library;"
    [ -n "$prints" ] || [ ! -s out ] || why="$why it printed something;"
    nothing_left || why="$why it left a file behind;"
    eval "$also" || why="$why not true: $also;"
    if [ -z "$why" ]; then ok "$name"; else not_ok "$name" "$why"; fi
    defaults
}
# works NAME -- ARGUMENT...: without a word on standard error
works() {
    name=$1 why=
    shift 2
    try "$@"
    [ $status -eq 0 ] || why="$why exit code $status;"
    [ ! -s err ] || why="$why it complains;"
    eval "$also" || { why="$why not true: $also;"; sed 's/^/    stdout: /' out | head -n 30; }
    if [ -z "$why" ]; then ok "$name"; else not_ok "$name" "$why"; fi
    defaults
}
usage() { name=$1; shift; fails "$name" 2 "$@"; }
# The last line of a test.
finish() { echo "$passed passed, $failed failed, $skipped skipped"; [ $failed -eq 0 ]; }
