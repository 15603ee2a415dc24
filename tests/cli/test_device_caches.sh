#!/bin/sh
# Devices, caches and signals through the command: a kernel that never ends, caches that others may write to, a self-test that ended a process,
# parameter files that no kernel can run. Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
set -u
speech=$CLIO_SOURCE_DIR/tests/golden/jfk.wav
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
export CLIO_CACHE_DIR="$tmp/cache" CLIO_TUNED_DIR="$tmp/tuned"
unset CLIO_DISABLE CLIO_CL_DIR
"$CLIO_BUILD_DIR/tests/make_whisper" mini mini >/dev/null || exit 1
quick="transcribe -nf --max-tokens 4 -l en -m mini"

# says NAME PART... -- ARGUMENT...: it works, and standard error has every part
says() {
    name=$1 why=
    shift
    : >parts
    while [ "$1" != -- ]; do
        printf '%s\n' "$1" >>parts
        shift
    done
    shift
    try "$@"
    [ $status -eq 0 ] || why="$why exit code $status;"
    while IFS= read -r part; do
        grep -qF -- "$part" err || why="$why \"$part\" is missing;"
    done <parts
    eval "$also" || why="$why not true: $also;"
    if [ -z "$why" ]; then ok "$name"; else not_ok "$name" "$why"; fi
    defaults
}

# ---- parameter files ----

# shellcheck disable=SC2086
{
    echo 'any attention.row.keys 12' >params
    by="env CLIO_PARAMS=params"
    fails "a row that crashed every run" 1 "params, line 1: attention.row.keys must be a multiple of 32 from 32 to 1024, not 12" \
        "unset CLIO_PARAMS" -- $quick "$speech"
    echo 'any attention.row.keys 0' >params
    by="env CLIO_PARAMS=params"
    fails "a row that never ended" 1 "params, line 1: attention.row.keys" "not 0" -- $quick "$speech"
}

# ---- which device, why, and what to install ----

shows() { # NAME EXPRESSION: the output of the last command has it
    if grep -qE -- "$2" out; then ok "$1"; else not_ok "$1" "standard output has no $2"; fi
}
env -u CLIO_DEVICE "$clio" devices >out 2>err
shows "a device is used, and says why" '^     used       (the only|of |no GPU|the first)'
CLIO_DEVICE=0 "$clio" devices >out 2>err
shows "CLIO_DEVICE is a reason" '^     used       CLIO_DEVICE "0" selects it$'
"$clio" devices -d 0 --json >out 2>err
shows "-d is a reason" '"reason": "-d \\"0\\" selects it"'
shows "hints in JSON" '^  "hints": \['
mkdir empty
by="env -u OCL_ICD_FILENAMES OCL_ICD_VENDORS=$tmp/empty" prints=yes
also='grep -q "^hint: OCL_ICD_VENDORS=$tmp/empty restricts which OpenCL drivers are loaded, and none of them has a device: unset it.$" out'
fails "no device" 1 "no OpenCL device can be used: the hints name what to install" -- devices
by="env -u OCL_ICD_FILENAMES OCL_ICD_VENDORS=$tmp/empty"
fails "no device for another command" 1 "clio devices names the packages" -- transcribe -m mini "$speech"

# ---- the cache ----

mkdir -m 0777 open
# shellcheck disable=SC2086
{
    also='[ "$(ls -A cache | wc -l)" -gt 3 ] && [ "$(stat -c %a cache)" = 700 ] && ! grep -q note: err'
    says "a cache is made for this user alone" -- $quick "$speech"
    cp out first
    chmod 0777 open
    by="env CLIO_CACHE_DIR=open"
    also='[ -z "$(ls -A open)" ] && cmp -s out first'
    says "a cache that others may write to is not used" "clio: note: the cache of compiled kernels and self-tests is not used" \
        "other users may write to the folder open (mode 0777): run chmod go-w on it" -- $quick "$speech"
    by="env CLIO_CACHE_DIR=open"
    also='[ ! -s err ]'
    says "which -q does not print" -- $quick -q "$speech"
    true &
    dead=$!
    wait $dead
    : >"cache/gemm-0.bin.tmp.$dead"
    : >"cache/notes.tmp.$dead"
    : >cache/gemm-0.bin.tmp.clio
    also='[ ! -e "cache/gemm-0.bin.tmp.$dead" ] && [ ! -e cache/gemm-0.bin.tmp.clio ] && [ -e "cache/notes.tmp.$dead" ]'
    works "what a killed run left is deleted" -- $quick -q "$speech"
}

# ---- a self-test that ended a process ----

results=$(echo cache/selftests-*.txt)
mark=${results%.txt}.trial.$dead.0
grep '^gemm.panel' "$results" | head -n 1 >line
if [ -s line ]; then
    sed 's/ ok$/ died/' line >"$mark"
    sed -i '/^gemm.panel/d' "$results"
    # shellcheck disable=SC2086
    {
        also='[ ! -e "$mark" ] && grep -q "^gemm.panel .* died$" "$results"'
        says "the self-test that ended a process is not repeated" "clio: note: kernels of the family gemm.panel are off" \
            "a process ended during their self-test; delete " "$results to test them again" -- $quick "$speech"
        "$clio" devices >out 2>err
        if grep -q 'off: .*gemm.panel .*(a process ended during this self-test)' out; then ok "clio devices shows it"; else not_ok "clio devices shows it" "$(cat out)"; fi
        rm "$results"
        works "deleting the file repeats the self-tests" -- $quick -q "$speech"
    }
else
    skip "the self-test that ended a process is not repeated" "this device does not use gemm.panel"
fi

# ---- signals ----

# The first kernel of the spectrogram runs for ever: nothing but the end of the process stops it.
mkdir cl
cp "$CLIO_SOURCE_DIR"/cl/*.cl "$CLIO_SOURCE_DIR"/cl/*.clh cl/
awk '/void mel_log\(/ { inside = 1 } { print } inside && /^{/ { print "    volatile int forever = 1; while (forever) ;"; inside = 0 }' \
    "$CLIO_SOURCE_DIR/cl/mel.cl" >cl/mel.cl
grep -q 'while (forever)' cl/mel.cl || { : >err; not_ok "signals" "mel.cl has no kernel mel_log any more"; }
# ends NAME FIRST SECOND STATUS: the first signal leaves it running, since it is within that kernel; the second one ends it at once. The old
# result stays whole. timeout(1) passes signals on (once: --foreground), and undoes that the shell has commands in the background ignore SIGINT.
ends() {
    for delay in 1 3 9; do # on a busy machine it takes longer to get there
        echo old >result.txt
        # shellcheck disable=SC2086
        CLIO_CL_DIR=cl timeout --foreground -s KILL 60 "$clio" $quick -q -otxt -of result "$speech" >out 2>err &
        child=$!
        sleep $delay
        kill -"$2" $child
        sleep 1
        alive=no
        kill -0 $child 2>/dev/null && alive=yes
        start=$(date +%s)
        kill -"$3" $child 2>/dev/null
        wait $child 2>/dev/null
        status=$?
        [ $alive = no ] || break
    done
    why=
    [ $alive = yes ] || why="the first signal ended it;"
    [ $status -eq "$4" ] || why="$why exit status $status, expected $4;"
    [ $(($(date +%s) - start)) -le 10 ] || why="$why it took $(($(date +%s) - start)) seconds;"
    [ "$(cat result.txt)" = old ] || why="$why the old result is gone;"
    [ ! -s out ] || why="$why it printed something;"
    if [ -z "$why" ]; then ok "$1"; else not_ok "$1" "$why"; fi
}
if [ -n "${CLIO_TEST_SMALL:-}" ]; then
    skip "the second signal" "loops end by themselves on this device"
else
    ends "the second SIGTERM ends a kernel that does not end" TERM TERM 143
    ends "so does a SIGINT after a SIGTERM" TERM INT 130
    ends "and a SIGTERM after a SIGINT" INT TERM 143
fi
finish
