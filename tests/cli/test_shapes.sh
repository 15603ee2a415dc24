#!/bin/sh
# Every shape of Whisper loads and runs: folders with random weights (make_whisper) through the command. What such a network says means
# nothing; that it answers with tokens and finite numbers does, and that one network answers the same however it is stored.
# Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR. CLIO_WHISPER_BASE, where set, gives the tokenizer; otherwise one is made up.
# CLIO_TEST_SMALL leaves all but a few small runs out. A size that disk or memory has no room for is skipped, under CLIO_REQUIRE a failure.
set -eu
clio=$CLIO_BUILD_DIR/clio make=$CLIO_BUILD_DIR/tests/make_whisper sound=$CLIO_SOURCE_DIR/tests/golden/jfk.wav
tmp=$(mktemp -d "$CLIO_BUILD_DIR/shapes.XXXXXX") # beside the build: /tmp is memory on many systems
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

fail() { echo "FAILED: $*" >&2; exit 1; }
# Run clio; its status must be $1, and its last words stay in $tmp/said.
clio() {
    want=$1 status=0
    shift
    "$clio" "$@" >"$tmp/printed" 2>"$tmp/said" || status=$?
    [ $status -eq "$want" ] || { cat "$tmp/said" >&2; fail "clio $* exited with $status, expected $want"; }
}
says() { grep -q -- "$1" "$tmp/said" || { cat "$tmp/said" >&2; fail "expected a sentence with \"$1\""; }; }
# Hear some seconds with the model in $tmp/model; the full report is then $tmp/report.json. Numbers that are not finite would be null in it.
hear() {
    rm -f "$tmp/report.json"
    clio 0 transcribe -m "$tmp/model" -q -nf --max-tokens 8 --duration 3000 -ojf -of "$tmp/report" "$@" "$sound"
    report=$tmp/report.json
    [ -s "$report" ] || fail "no report was written"
    grep -q '"avg_logprob": -[0-9]' "$report" || { cat "$report" >&2; fail "the report has no segment"; }
    [ "$(grep -c '"p": [0-9]' "$report")" -ge 1 ] || { cat "$report" >&2; fail "the report has no tokens"; }
    ! grep -q ": null" "$report" || { cat "$report" >&2; fail "the report has numbers that are not finite"; }
    tail -n 1 "$report" | grep -q '^}$' || fail "the report was cut off"
}
language() { sed -n '/"result"/,/}/s/.*"language": "\(.*\)".*/\1/p' "$tmp/report.json"; }

# ---- a small network, stored in every way ----

first=
[ -n "${CLIO_TEST_SMALL:-}" ] || set -- "--dtype bf16" "--dtype f32"
for how in "--dtype f16" "$@" "--shards 3"; do
    rm -rf "$tmp/model"
    # shellcheck disable=SC2086 # words
    "$make" $how mini "$tmp/model"
    answers=
    for mode in -nt "-l en" --translate; do
        [ -z "${CLIO_TEST_SMALL:-}" ] || [ "$mode" = -nt ] || continue
        # shellcheck disable=SC2086
        hear $mode
        answers=$answers$(sed '/"systeminfo"/d' "$tmp/report.json")
    done
    [ -n "$first" ] || first=$answers
    [ "$answers" = "$first" ] || { echo "$first"; echo "$answers"; fail "mini answers differently when written with $how"; }
done
[ -e "$tmp/model/model-00003-of-00003.safetensors" ] || fail "there are no shards"
clio 2 transcribe -m "$tmp/model" -q -l yue "$sound"
says "does not support the language"
if [ -n "${CLIO_TEST_SMALL:-}" ]; then
    echo "small shapes only: load and run"
    exit 0
fi
# A prefix that the folder asks for is what the answer begins with, and no part of it.
sed 's/^{/{ "caption_prefix": "th th th",/' "$tmp/model/generation_config.json" >"$tmp/changed"
mv "$tmp/changed" "$tmp/model/generation_config.json"
clio 0 caption -m "$tmp/model" -q --max-tokens 4 "$sound"
mv "$tmp/printed" "$tmp/by-folder"
clio 0 caption -m "$tmp/model" -q --max-tokens 4 --prefix "th th th" "$sound"
cmp "$tmp/printed" "$tmp/by-folder" || fail "the folder's prefix and the same one by --prefix answer differently"
clio 0 caption -m "$tmp/model" -q --max-tokens 4 --prefix "42" "$sound"
! cmp -s "$tmp/printed" "$tmp/by-folder" || fail "--prefix does not replace the folder's"
rm -rf "$tmp/model"

# ---- published sizes ----

# make_model SHAPE, MB on disk, MB of memory: false when there is no room
make_model() {
    disk=$(($(df -Pk "$tmp" | awk 'NR == 2 {print $4}') / 1024))
    memory=$(($(awk '/^MemAvailable/ {print $2}' /proc/meminfo) / 1024))
    if [ "$disk" -lt $(($2 + 500)) ] || [ "$memory" -lt "$3" ]; then
        [ -z "${CLIO_REQUIRE:-}" ] || fail "$1 needs $2 MB of disk and $3 MB of memory; there are $disk and $memory"
        echo "SKIPPED: shape $1 needs $2 MB of disk and $3 MB of memory; there are $disk and $memory"
        return 1
    fi
    # shellcheck disable=SC2086 # no third word where the tokenizer is made up
    "$make" "$1" "$tmp/model" ${CLIO_WHISPER_BASE:+"$CLIO_WHISPER_BASE"} || fail "make_whisper"
}

if make_model tiny.en 80 600; then
    hear -nt
    [ "$(language)" = en ] || fail "tiny.en hears $(language)"
    hear
    clio 2 transcribe -m "$tmp/model" -q -l de "$sound"
    says "is English-only"
    clio 2 transcribe -m "$tmp/model" -q --translate "$sound"
    says "cannot translate"
    rm -rf "$tmp/model"
fi
if make_model small 490 1700; then
    hear -nt
    [ -n "$(language)" ] || fail "small names no language"
    rm -rf "$tmp/model"
fi
if make_model large-v3-turbo 1620 5500; then
    hear -nt -l yue
    [ "$(language)" = yue ] || fail "large-v3-turbo hears $(language), not yue"
    rm -rf "$tmp/model"
fi
echo "all shapes load and run"
