#!/bin/sh
# Real speech with real weights through the command: short clips, alone and together, one recording of several minutes with times, and the recording that ships
# with clio. Not run by ctest, since it takes minutes: by hand or from continuous integration, with any OpenCL implementation.
#   CLIO_WHISPER_BASE  the weights; default: where scripts/fetch-whisper puts them
#   CLIO_SPEECH        en/*.wav with en/manifest.json, and long-en.flac with long-en.txt; default ../shared/speech
#   CLIO_BUILD_DIR     the build; default build/
#   CLIO_REQUIRE       set: what would be skipped is a failure
set -eu
source=${CLIO_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
build=${CLIO_BUILD_DIR:-$source/build}
speech=${CLIO_SPEECH:-$source/../shared/speech}
base=${CLIO_WHISPER_BASE:-${CLIO_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/clio/models}/whisper-base}
wer=$source/tests/support/wer.py
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

bad=0
failed() { echo "FAILED: $*" >&2; bad=1; }
missing() {
    [ -z "${CLIO_REQUIRE:-}" ] || { echo "FAILED: $*" >&2; exit 1; }
    echo "SKIPPED: $*"
}
hear() { "$build/clio" transcribe -m "$base" -l en "$@"; }

[ -x "$build/clio" ] || { echo "FAILED: $build/clio is not built" >&2; exit 1; }
if [ ! -e "$base/model.safetensors" ]; then
    missing "the weights of Whisper base are not in $base: scripts/fetch-whisper brings them"
    exit 0
fi

# ---- jfk.wav, as a user has it: exact, with and without times, named and detected language ----

words='And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.'
for how in "-l en -nt" "-l en" "-l auto"; do
    # shellcheck disable=SC2086 # words
    "$build/clio" transcribe -m "$base" -q $how -otxt -of "$tmp/jfk" "$source/tests/golden/jfk.wav" >/dev/null || failed "jfk.wav $how"
    [ "$(cat "$tmp/jfk.txt")" = "$words" ] || failed "jfk.wav ($how) was heard as: $(cat "$tmp/jfk.txt")"
done
echo "jfk.wav: $(cat "$tmp/jfk.txt")"

if [ ! -e "$speech/en/manifest.json" ]; then
    missing "no speech in $speech (set CLIO_SPEECH)"
    exit $bad
fi

# ---- short clips, all in one call ----

set --
for clip in "$speech"/en/*.wav; do
    set -- "$@" -of "$tmp/$(basename "$clip" .wav)" "$clip"
done
for how in "-b 1" "-b 16"; do # one by one, and windows of sixteen clips in step
    rm -f "$tmp"/*.txt
    # shellcheck disable=SC2086 # words
    hear $how -nt -otxt "$@" >/dev/null 2>"$tmp/said" || failed "the clips $how: $(tail -n 1 "$tmp/said")"
    echo "clips $how: $(tail -n 1 "$tmp/said")"
    "$wer" clips "$speech/en/manifest.json" "$tmp" 29 0.028 || failed "the clips $how are not heard well enough"
done

# ---- minutes of speech with times: window by window, and four windows in step ----

for how in "-b 1" "-b 4"; do
    # shellcheck disable=SC2086 # words
    hear $how -otxt -osrt -of "$tmp/long" "$speech/long-en.flac" >/dev/null 2>"$tmp/said" || failed "long-en.flac $how: $(tail -n 1 "$tmp/said")"
    echo "long-en.flac $how: $(tail -n 1 "$tmp/said")"
    "$wer" text "$speech/long-en.txt" "$tmp/long.txt" 0.05 || failed "long-en.flac $how is not heard well enough"
    # Times go forward: no segment begins before the one before it, or ends before it begins.
    awk -F '[:, ]' '/-->/ {
        from = $1 * 3600 + $2 * 60 + $3 + $4 / 1000; to = $6 * 3600 + $7 * 60 + $8 + $9 / 1000; count++
        if (from < last || to <= from) { print "out of order: " $0; wrong = 1 }
        last = from
    } END { print count " segments, the last ends at " to " s"; exit wrong || count < 10 }' "$tmp/long.srt" || failed "the times of long-en.flac $how"
done
exit $bad
