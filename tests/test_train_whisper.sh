#!/bin/sh
# A Whisper model goes on learning: a small network with random weights (make_whisper) and two sounds with captions; it learns one of them by
# heart, a cut run goes on, and what was saved is what transcription reads. Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
clio=$CLIO_BUILD_DIR/clio
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

fail() {
    echo "test_train_whisper: $*" >&2
    [ -f log ] && cat log >&2
    exit 1
}

if [ -n "$CLIO_TEST_SMALL" ]; then
    echo "skipped: the smallest Whisper is too large for this device"
    exit 0
fi
"$CLIO_BUILD_DIR/tests/make_whisper" --dtype f32 mini model >/dev/null || fail "make_whisper"
mkdir data
for i in 0 1 2 3; do
    cp "$CLIO_SOURCE_DIR/tests/golden/jfk.wav" data/$i.wav
    echo "ask not" >data/$i.txt
done
# without a model to begin with, and with pictures, it says so
"$clio" train whisper --data data --out none --set batch=2 >log 2>&1 && fail "trained without init"
grep -q "init=DIR" log || fail "does not ask for init"
"$clio" train vae --data data --out none >log 2>&1 && fail "trained a vae on sounds"
grep -q "learns from pictures" log || fail "does not refuse sounds"

set -- --set init=model --set batch=2 --set learning_rate=0.01 --set validation=0
"$clio" train whisper --data data --out run "$@" --set steps=4 >log 2>&1 || fail "training"
"$clio" train whisper --data data --out run --resume --set steps=30 >log 2>&1 || fail "going on"
awk -F, 'NR == 2 { first = $2 } { last = $2 } END { exit !(NR == 31 && last < 0.3 * first) }' run/losses.csv || fail "the loss did not fall"
"$clio" transcribe -m run/last/whisper -l en -otxt -of heard "$CLIO_SOURCE_DIR/tests/golden/jfk.wav" >log 2>&1 || fail "transcribing"
grep -q "ask not" heard.txt || fail "heard: $(cat heard.txt)"
