#!/bin/sh
# Real speech with real weights through the command: short clips, one by one and in batches, a recording of several minutes with timestamps, and
# the recording that ships with clio. Not run by ctest, since it takes minutes: by hand or in continuous integration, on any OpenCL implementation.
#   CLIO_WHISPER_BASE  the weights; default: the folder of scripts/fetch-whisper
#   CLIO_SPEECH        en/*.wav with en/manifest.json, and long-en.flac with long-en.txt; default ../shared/speech
#   CLIO_BUILD_DIR     the build; default build/
#   CLIO_REQUIRE       set: missing files are a failure instead of a skip
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
transcribe() { "$build/clio" transcribe -m "$base" -l en "$@"; }

[ -x "$build/clio" ] || { echo "FAILED: $build/clio is not built" >&2; exit 1; }
if [ ! -e "$base/model.safetensors" ]; then
    missing "the weights of Whisper base are not in $base: download them with scripts/fetch-whisper"
    exit 0
fi

# ---- jfk.wav: exact text, with and without timestamps, given and detected language ----

words='And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.'
for how in "-l en -nt" "-l en" "-l auto"; do
    # shellcheck disable=SC2086 # words
    "$build/clio" transcribe -m "$base" -q $how -otxt -of "$tmp/jfk" "$source/tests/golden/jfk.wav" >/dev/null || failed "jfk.wav $how"
    [ "$(cat "$tmp/jfk.txt")" = "$words" ] || failed "jfk.wav ($how) was transcribed as: $(cat "$tmp/jfk.txt")"
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
for how in "-b 1" "-b 16"; do # one by one, and batches of sixteen windows
    rm -f "$tmp"/*.txt
    # shellcheck disable=SC2086 # words
    transcribe $how -nt -otxt "$@" >/dev/null 2>"$tmp/stderr" || failed "the clips $how: $(tail -n 1 "$tmp/stderr")"
    echo "clips $how: $(tail -n 1 "$tmp/stderr")"
    "$wer" clips "$speech/en/manifest.json" "$tmp" 29 0.028 || failed "the word error rate of the clips $how is too high"
done

# ---- minutes of speech with timestamps: sequential, and batches of four windows ----

for how in "-b 1" "-b 4"; do
    # shellcheck disable=SC2086 # words
    transcribe $how -otxt -osrt -of "$tmp/long" "$speech/long-en.flac" >/dev/null 2>"$tmp/stderr" || failed "long-en.flac $how: $(tail -n 1 "$tmp/stderr")"
    echo "long-en.flac $how: $(tail -n 1 "$tmp/stderr")"
    "$wer" text "$speech/long-en.txt" "$tmp/long.txt" 0.05 || failed "the word error rate of long-en.flac $how is too high"
    # Timestamps are in order: no segment begins before the previous one, or ends before it begins.
    awk -F '[:, ]' '/-->/ {
        from = $1 * 3600 + $2 * 60 + $3 + $4 / 1000; to = $6 * 3600 + $7 * 60 + $8 + $9 / 1000; count++
        if (from < last || to <= from) { print "out of order: " $0; wrong = 1 }
        last = from
    } END { print count " segments, the last ends at " to " s"; exit wrong || count < 10 }' "$tmp/long.srt" || failed "the timestamps of long-en.flac $how"
done
exit $bad
