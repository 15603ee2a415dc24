#!/bin/sh
# Every size of Whisper loads and runs: folders with random weights (make_whisper), transcribed by the command. The texts mean nothing; the test
# checks that there are tokens and finite numbers, and that the result does not depend on how the weights are stored.
# Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR. CLIO_WHISPER_BASE, if set, has the tokenizer; else one is generated. CLIO_TEST_SMALL
# runs only a few small cases. Sizes that do not fit on disk or in memory are skipped, which CLIO_REQUIRE makes a failure.
set -eu
clio=$CLIO_BUILD_DIR/clio make=$CLIO_BUILD_DIR/tests/make_whisper sound=$CLIO_SOURCE_DIR/tests/golden/jfk.wav
tmp=$(mktemp -d "$CLIO_BUILD_DIR/shapes.XXXXXX") # in the build folder: /tmp is often in memory
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

fail() { echo "FAILED: $*" >&2; exit 1; }
# Run clio; its exit status must be $1. Its standard error is kept in $tmp/stderr.
clio() {
    want=$1 status=0
    shift
    "$clio" "$@" >"$tmp/printed" 2>"$tmp/stderr" || status=$?
    [ $status -eq "$want" ] || { cat "$tmp/stderr" >&2; fail "clio $* exited with $status, expected $want"; }
}
expect_message() { grep -q -- "$1" "$tmp/stderr" || { cat "$tmp/stderr" >&2; fail "expected a message with \"$1\""; }; }
# Transcribe some seconds with the model in $tmp/model; the full report is $tmp/report.json, in which numbers that are not finite are null.
transcribe() {
    rm -f "$tmp/report.json"
    clio 0 transcribe -m "$tmp/model" -q -nf --max-tokens 8 --duration 3000 -ojf -of "$tmp/report" "$@" "$sound"
    report=$tmp/report.json
    [ -s "$report" ] || fail "no report was written"
    grep -q '"avg_logprob": -[0-9]' "$report" || { cat "$report" >&2; fail "the report has no segment"; }
    [ "$(grep -c '"p": [0-9]' "$report")" -ge 1 ] || { cat "$report" >&2; fail "the report has no tokens"; }
    ! grep -q ": null" "$report" || { cat "$report" >&2; fail "the report has numbers that are not finite"; }
    tail -n 1 "$report" | grep -q '^}$' || fail "the report is truncated"
}
language() { sed -n '/"result"/,/}/s/.*"language": "\(.*\)".*/\1/p' "$tmp/report.json"; }

# ---- a small network in every storage format ----

first=
[ -n "${CLIO_TEST_SMALL:-}" ] || set -- "--dtype bf16" "--dtype f32"
for how in "--dtype f16" "$@" "--shards 3"; do
    rm -rf "$tmp/model"
    # shellcheck disable=SC2086 # words
    "$make" $how mini "$tmp/model"
    results=
    for mode in -nt "-l en" --translate; do
        [ -z "${CLIO_TEST_SMALL:-}" ] || [ "$mode" = -nt ] || continue
        # shellcheck disable=SC2086
        transcribe $mode
        results=$results$(sed '/"systeminfo"/d' "$tmp/report.json")
    done
    [ -n "$first" ] || first=$results
    [ "$results" = "$first" ] || { echo "$first"; echo "$results"; fail "the result of mini differs with $how"; }
done
[ -e "$tmp/model/model-00003-of-00003.safetensors" ] || fail "there are no shards"
clio 2 transcribe -m "$tmp/model" -q -l yue "$sound"
expect_message "does not support the language"
if [ -n "${CLIO_TEST_SMALL:-}" ]; then
    echo "small shapes only: load and run"
    exit 0
fi
clio 0 caption -m "$tmp/model" --max-tokens 4 "$sound"
expect_message "has no caption_prefix, so it may be a Whisper model for speech"
# caption_prefix of the folder: the decoder prefix, not part of the caption.
sed 's/^{/{ "caption_prefix": "th th th",/' "$tmp/model/generation_config.json" >"$tmp/changed"
mv "$tmp/changed" "$tmp/model/generation_config.json"
clio 0 caption -m "$tmp/model" -q --max-tokens 4 "$sound"
mv "$tmp/printed" "$tmp/by-folder"
clio 0 caption -m "$tmp/model" -q --max-tokens 4 --prefix "th th th" "$sound"
cmp "$tmp/printed" "$tmp/by-folder" || fail "caption_prefix and the same --prefix give different captions"
clio 0 caption -m "$tmp/model" -q --max-tokens 4 --prefix "42" "$sound"
! cmp -s "$tmp/printed" "$tmp/by-folder" || fail "--prefix does not replace caption_prefix"
rm -rf "$tmp/model"

# ---- published sizes ----

# make_model SHAPE, MB on disk, MB of memory: false if it does not fit
make_model() {
    disk=$(($(df -Pk "$tmp" | awk 'NR == 2 {print $4}') / 1024))
    memory=$(($(awk '/^MemAvailable/ {print $2}' /proc/meminfo) / 1024))
    if [ "$disk" -lt $(($2 + 500)) ] || [ "$memory" -lt "$3" ]; then
        [ -z "${CLIO_REQUIRE:-}" ] || fail "$1 needs $2 MB of disk and $3 MB of memory; there are $disk and $memory"
        echo "SKIPPED: shape $1 needs $2 MB of disk and $3 MB of memory; there are $disk and $memory"
        return 1
    fi
    # shellcheck disable=SC2086 # no third word if the tokenizer is generated
    "$make" "$1" "$tmp/model" ${CLIO_WHISPER_BASE:+"$CLIO_WHISPER_BASE"} || fail "make_whisper"
}

if make_model tiny.en 80 600; then
    transcribe -nt
    [ "$(language)" = en ] || fail "tiny.en has the language $(language)"
    transcribe
    clio 2 transcribe -m "$tmp/model" -q -l de "$sound"
    expect_message "is English-only"
    clio 2 transcribe -m "$tmp/model" -q --translate "$sound"
    expect_message "--translate is set"
    rm -rf "$tmp/model"
fi
if make_model small 490 1700; then
    transcribe -nt
    [ -n "$(language)" ] || fail "small detects no language"
    rm -rf "$tmp/model"
fi
if make_model large-v3-turbo 1620 5500; then
    transcribe -nt -l yue
    [ "$(language)" = yue ] || fail "large-v3-turbo has the language $(language), not yue"
    rm -rf "$tmp/model"
fi
echo "all shapes load and run"
