#!/bin/sh
# Fine-tune Whisper: a small network with random weights (make_whisper) on recordings with one caption, which it memorizes; a run is resumed, and
# transcription reads the checkpoint; SpecAugment changes training and not evaluation, and is the same in a resumed run; gradient checkpointing
# takes less memory. Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
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
# errors: no pretrained model; a model of images
"$clio" train whisper --data data --out none --set batch_size=2 >log 2>&1 && fail "trained without pretrained"
grep -q "set pretrained to its folder" log || fail "does not ask for pretrained"
"$clio" train vae --data data --out none >log 2>&1 && fail "trained a vae on sounds"
grep -q "is trained on images" log || fail "does not refuse audio"

set -- --set pretrained=model --set batch_size=2 --set learning_rate=0.01 --set validation_split=0
"$clio" train whisper --data data --out run "$@" --set max_steps=4 >log 2>&1 || fail "training"
"$clio" train whisper --data data --out run --resume --set max_steps=30 >log 2>&1 || fail "resuming"
awk -F, 'NR == 2 { first = $3 } { last = $3 } END { exit !(NR == 31 && last < 0.3 * first) }' run/train.csv || fail "the loss did not fall"
"$clio" transcribe -m run/last/whisper -l en -otxt -of text "$CLIO_SOURCE_DIR/tests/golden/jfk.wav" >log 2>&1 || fail "transcribing"
grep -q "ask not" text.txt || fail "transcribed: $(cat text.txt)"

# ---- SpecAugment ----

run() { # OUT SETTING...
    out=$1
    shift
    "$clio" train whisper --data data --out "$out" --set pretrained=model --set batch_size=2 --set learning_rate=0.001 "$@" >log 2>&1 || fail "$out"
}
weights() { echo "$1/last/training.safetensors"; }
# All of train.csv but its last column, samples per second.
same_log() { [ "$(cut -d, -f1-5 "$1/train.csv")" = "$(cut -d, -f1-5 "$2/train.csv")" ]; }
same() { cmp -s "$(weights "$1")" "$(weights "$2")" && same_log "$1" "$2"; }
# What -v lists as copied between host and device, as "NAME CALLS", but for what is written and read with the model's weights.
transfers() { awk '/^(read|write|other) / { name = $1; for (i = 2; i < NF - 4; i++) name = name " " $i; print name, $(NF - 4) }' log | grep -v "model\|weights\|window" | sort; }
masks="--set num_time_masks=3 --set time_mask_length=200 --set num_frequency_masks=2 --set frequency_mask_length=20"
# shellcheck disable=SC2086 # words
{
    run plain --set validation_split=0 --set max_steps=4
    run off --set validation_split=0 --set max_steps=4 --set num_time_masks=0 --set num_frequency_masks=0 --set time_mask_length=200
    run on --set validation_split=0 --set max_steps=4 $masks
    run again --set validation_split=0 --set max_steps=4 $masks -v
    [ "$(transfers)" = "read gradient norm 4
read loss 4
write audio 8
write loss scale 2
write masks 4
write tokens 8" ] || fail "4 steps with masks copy: $(transfers)"
    run cut --set validation_split=0 --set max_steps=2 $masks
    "$clio" train --data data --out cut --resume --set max_steps=4 >log 2>&1 || fail "resuming with masks"
    same off plain || fail "without masks other bits"
    same again on || fail "the same masks give other bits"
    same cut on || fail "a resumed run has other masks"
    same_log on plain && fail "masks change nothing"
    most() { awk '/peak device memory/ { for (i = 1; i < NF; i++) if ($(i + 1) == "MiB") print $i }' log; }
    run kept --set validation_split=0 --set max_steps=2
    kept=$(most)
    run recomputed --set validation_split=0 --set max_steps=2 --set gradient_checkpointing=true
    same recomputed kept || fail "gradient checkpointing gives other bits"
    [ "$(most)" -lt "$kept" ] || fail "gradient checkpointing takes $(most) MiB and not less than $kept"
    # a step with learning rate 0, so that both are evaluated with the same weights
    run still --set validation_split=0.5 --set max_steps=1 --set learning_rate=0
    run masked --set validation_split=0.5 --set max_steps=1 --set learning_rate=0 $masks
    cmp -s still/eval.csv masked/eval.csv || fail "masks change the evaluation"
    same_log still masked && fail "masks change nothing in a single step"
    "$clio" train whisper --data data --out none --set pretrained=model --set num_time_masks=-1 >log 2>&1 && fail "took num_time_masks=-1"
    grep -q "the setting num_time_masks must be an integer from 0 to 100" log || fail "does not say what num_time_masks may be"
}
