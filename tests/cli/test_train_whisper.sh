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

# ---- captions of uneven length: means are over the tokens of a step, and of an evaluation, however these are divided into batches ----

for split in train validation; do
    mkdir -p uneven/$split
    for i in 0 1 2 3; do
        cp "$CLIO_SOURCE_DIR/tests/golden/jfk.wav" uneven/$split/$i.wav
        echo "$split $i" >uneven/$split/$i.txt
    done
    echo "and so my fellow americans ask not what your country can do for you ask what you can do for your country" >uneven/$split/1.txt
done
tokens() { # OUT BATCH_SIZE COMMAND...
    out=$1 batch=$2
    shift 2
    "$@" "$clio" train whisper --data uneven --out "$out" --set pretrained=model --set max_steps=1 --set batch_size="$batch" \
        --set gradient_accumulation_steps=$((4 / batch)) >log 2>&1 || fail "$out"
}
near() { # FILE FILE COLUMN...: equal to 5 digits in the last row
    a=$1 b=$2
    shift 2
    for column; do
        { tail -n 1 "$a"; tail -n 1 "$b"; } | cut -d, -f"$column" | awk 'NR == 1 { a = $1 } { b = $1 } END { d = a - b; if (d < 0) d = -d; exit !(NR == 2 && a > 0 && d < 1e-5 * a) }' || fail "$a and $b differ in column $column"
    done
}
for size in 4 2 1; do
    tokens tokens$size $size
    near tokens4/train.csv tokens$size/train.csv 3 5 # loss, grad_norm
    near tokens4/eval.csv tokens$size/eval.csv 2
done
# by the command of its own, which has another loop
"$clio" eval -q -m tokens4 --data uneven --split validation >out 2>log || fail "evaluating tokens4: $(cat log)"
echo "1,$(awk '$1 == "loss" { print $2 }' out)" >loss.csv
near tokens4/eval.csv loss.csv 2
if ldd "$CLIO_BUILD_DIR"/libclio.so | grep -q libmpi; then
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    tokens processes 4 mpirun --oversubscribe -n 2
    near tokens4/train.csv processes/train.csv 3 5
    near tokens4/eval.csv processes/eval.csv 2
fi

# ---- a text with more tokens than the model takes is cut, and that is said ----

mkdir -p long/train
cp "$CLIO_SOURCE_DIR/tests/golden/jfk.wav" long/train/
awk 'BEGIN { for (i = 0; i < 600; i++) printf "country " }' >long/train/jfk.txt
"$clio" train whisper --data long --out long-run --set pretrained=model --set max_steps=1 --set batch_size=1 >log 2>&1 || fail "a long text"
grep -q "note: a text has [0-9]* tokens, and the model takes 44[0-9]: it is cut there, without an end token" log || fail "a cut text is not said: $(cat log)"

# ---- evaluation: loss and word error rate ----

"$clio" eval -m run --data data >out 2>log || fail "evaluating"
grep -q "^loss  *[0-9]" out && grep -q "^word_error_rate  *0 %" out && grep -q "^words  *8$" out && grep -q "^recordings  *4$" out || fail "evaluated: $(cat out)"
grep -q "nothing of it was held out" log || fail "does not say that the data was trained on"
echo "ask why not" >data/0.txt
"$clio" eval -q -m run --data data >out 2>log || fail "evaluating again"
grep -q "^word_error_rate  *11.1111 %" out || fail "one word of nine is missing: $(cat out)"

# ---- a checkpoint stays whole when it is copied and the model that it began with is moved; it says that its weights are f32 ----

sed -i 's/"torch_dtype": "float32"/"torch_dtype": "float16"/' model/config.json
run typed --set validation_split=0 --set max_steps=1
cp -r typed/last/ copied
mv model moved
[ -z "$(find copied -type l)" ] || fail "links: $(find copied -type l)"
grep -q '"torch_dtype": "float32"' copied/whisper/config.json || fail "$(grep dtype copied/whisper/config.json)"
"$clio" transcribe -m copied/whisper -l en -otxt -of text "$CLIO_SOURCE_DIR/tests/golden/jfk.wav" >log 2>&1 || fail "transcribing with a copy"

# ---- one whose weights differ from their checksum is not used ----

printf damaged | dd of=copied/whisper/model.safetensors bs=1 seek=60000 conv=notrunc 2>/dev/null
for use in "transcribe -m copied/whisper data/1.wav" "train whisper --data data --out none --set pretrained=copied/whisper --set batch_size=2 --set validation_split=0" "eval -m copied --data data"; do
    # shellcheck disable=SC2086 # words
    "$clio" $use >log 2>&1 && fail "used a damaged model: clio $use"
    grep -q "copied/whisper/model.safetensors is damaged: it differs from its checksum" log || fail "clio $use: $(cat log)"
done
