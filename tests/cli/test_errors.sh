#!/bin/sh
# What a person can do wrong, and what a disk, a download or a device can, through the command: each case demands the exit code (1 failed,
# 2 wrong usage), one sentence that names the file or flag and a way out, and nothing on standard output; or, where the input is odd but
# good, that it works. Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR. A small network with random weights (make_whisper)
# serves where any model does; CLIO_WHISPER_BASE, where set, says whether real weights invent text; CLIO_GOLDEN has another model's
# tokenizer. What is missing is skipped aloud, under CLIO_REQUIRE a failure.
set -u
speech=$CLIO_SOURCE_DIR/tests/golden/jfk.wav
golden=${CLIO_GOLDEN:-$CLIO_SOURCE_DIR/../shared/golden}
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
export CLIO_CACHE_DIR="$tmp/cache"
is_old() { [ "$(cat "$1")" = old ] && [ "$(find . -name "$1*" | wc -l)" -eq 1 ]; } # and nothing lies beside it

"$CLIO_BUILD_DIR/tests/make_whisper" mini mini >/dev/null || exit 1
quick="transcribe -q -nf --max-tokens 4 -m"

# ---- two processes at once, on a cache that does not exist yet; the other cases use what they leave ----

# shellcheck disable=SC2086
{
    timeout 300 "$clio" $quick mini -l en "$speech" >one 2>err &
    timeout 300 "$clio" $quick mini -l en "$speech" >two 2>err2 && second=0 || second=$?
    wait $! && first=0 || first=$?
    cat err2 >>err
}
if [ "$first" -eq 0 ] && [ "$second" -eq 0 ] && [ ! -s err ] && [ -s one ] && cmp -s one two; then
    ok "two processes at once on an empty cache"
else
    not_ok "two processes at once on an empty cache" "exit codes $first and $second, or what they print differs"
fi

# ---- sound ----

printf 'These are words, and no sound at all.\n' >words.wav
printf '\211PNG\r\n\032\n\0\0\0\rIHDR' >image.png
printf '\0\0\0 ftypM4A \0\0\0\0' >song.m4a
: >empty.wav
mkdir folder
"$make" wav channels.wav samples=1000 channels=0
"$make" wav rate.wav samples=1000 rate=0
"$make" wav header.wav samples=0
"$make" wav promise.wav samples=16000 promise=4000000 fill=noise db=-20
"$make" wav nan.wav samples=16000 bits=32 fill=nan
"$make" wav infinite.wav samples=16000 bits=32 fill=inf
"$make" wav some.wav samples=16000 bits=32 fill=alternate insert="$speech"
"$make" wav three.wav samples=3 fill=noise db=-20
"$make" wav silence5.wav samples=80000
"$make" wav silence70.wav samples=1120000

# shellcheck disable=SC2086
{
    fails "missing file" 1 "nowhere.wav: no such file" "check the name" -- $quick mini nowhere.wav
    fails "a folder" 1 "folder is a folder" "use a sound file" -- $quick mini folder
    fails "empty file" 1 "empty.wav is empty" "record or copy it again" -- $quick mini empty.wav
    fails "text" 1 "words.wav is not a sound file" "supported: WAV" "ffmpeg" -- $quick mini words.wav
    fails "an image" 1 "image.png is not a sound file" "supported: WAV" "ffmpeg" -- $quick mini image.png
    fails "a container that is not read" 1 "song.m4a is MP4/M4A" "ffmpeg -i FILE sound.wav" -- $quick mini song.m4a
    fails "zero channels" 1 "channels.wav has no channels" "export it again" -- $quick mini channels.wav
    fails "sample rate zero" 1 "rate.wav has no valid sample rate" "export it again" -- $quick mini rate.wav
    fails "a header without sound" 1 "header.wav has no samples" "record or copy it again" -- $quick mini header.wav
    fails "a device" 1 "/dev/null is a device" "record it into a file" -- $quick mini /dev/null
    prints=1 also='grep -q "\"duration_s\": 1.0" out && grep -q "\"incomplete\": \"promise.wav ends" out' # what is there is transcribed
    fails "a header that promises more than there is" 1 "promise.wav ends after 1.0 s, but its header promises 125.0 s" "copy it again" \
        -- $quick mini --json promise.wav
    head -c 100000 "$speech" >cut.wav
    cp "$speech" a.wav
    prints=1 also='[ -s cut.wav.srt ] && [ -s a.wav.srt ]' # and the next file is transcribed
    fails "a recording whose end is missing" 1 "cut.wav ends after 3.1 s, but its header promises 11.0 s" -- $quick mini -osrt cut.wav a.wav
    rm -f cut.wav.srt a.wav.srt
    also='[ ! -s out ]'
    works "nothing but NaN, nothing but infinities, 3 samples, silence of 5 s and of 70 s" -- $quick mini nan.wav infinite.wav three.wav \
        silence5.wav silence70.wav
    also='grep -q "\"duration_s\": 1.0" out && ! grep -qi nan out'
    works "some samples are NaN" -- $quick mini --json some.wav
    in=$speech also='cmp -s out one'
    works "standard input" -- $quick mini -l en -
    fails "empty standard input" 1 "standard input is empty" "record or copy it again" -- $quick mini -
    closed_in() { "$@" <&-; }
    by=closed_in
    fails "closed standard input" 1 "standard input is closed" "redirect a sound file to it" -- $quick mini -
    cp "$speech" a.wav
    cp "$speech" b.wav
    { head -c 74 "$speech" && printf '\0\0\0\0' && tail -c +79 "$speech"; } >crash.wav # as a recorder that crashed leaves it
    also='cmp -s out one && grep -q "clio: note: crash.wav has no length in its header" err2'
    notes() { "$@" 2>err2; }
    by=notes
    works "a header without a length" -- transcribe -nf --max-tokens 4 -l en -m mini crash.wav
    prints=1 also='[ -s a.wav.txt ] && [ -s b.wav.txt ] && [ ! -e words.wav.txt ]'
    fails "one of several files is bad: the others are written" 1 "words.wav is not a sound file" -- $quick mini -otxt a.wav words.wav b.wav
}

# ---- models ----

# A folder like mini, in which the file $1 is what standard input says.
changed() { rm -rf model; cp -R mini model; cat >"model/$1"; }
# shellcheck disable=SC2086
{
    broken() { # defect, part...
        defect=$1
        shift
        rm -rf model
        cp -R mini model
        "$make" tensors "$defect" mini/model.safetensors model/model.safetensors || exit 1
        fails "safetensors: $defect" 1 "model" "$@" -- $quick model "$speech"
    }
    victim=model.decoder.layers.0.fc1.weight
    broken truncated "model/model.safetensors is cut short" "download it again"
    broken cut-header "model/model.safetensors is cut short: its header has" "download it again"
    broken oversized "model/model.safetensors is not a safetensors file" "download it again"
    broken json "model/model.safetensors: the header is not valid JSON" "download it again"
    broken overlap "model/model.safetensors: tensors" "$victim overlap" "download it again"
    broken dtype "model/model.safetensors: tensor $victim is stored as I16" "convert the checkpoint"
    broken missing "model/model.safetensors: tensor $victim is missing" "download it again"
    broken shape "model/model.safetensors: tensor $victim has shape [32, 128], expected [128, 32]" "its config.json does not belong to it"
    broken nan "model: the logits are not finite" "download them again"
    printf 'PK\3\4 and so on' | changed model.safetensors
    fails "safetensors: a PyTorch file that is cut off" 1 "model/model.safetensors is cut short or damaged" "download it again" -- $quick model "$speech"
    for file in config tokenizer generation_config; do
        head -c 100 mini/$file.json | changed $file.json
        fails "$file.json is cut off" 1 "model/$file.json is not valid JSON" "download it again" -- $quick model "$speech"
        echo '[1, 2]' | changed $file.json
        fails "$file.json is a list" 1 "model/$file.json does not contain a JSON object" "download it again" -- $quick model "$speech"
    done
    : | changed config.json
    fails "config.json is empty" 1 "model/config.json is empty" "download or copy it again" -- $quick model "$speech"
    sed 's/"whisper"/"bert"/' mini/config.json | changed config.json
    fails "config.json of another kind of model" 1 "model/config.json describes a model of type bert" "needs a Whisper checkpoint" \
        -- $quick model "$speech"
    sed 's/"suppress_tokens": *\[/&9999999, /' mini/generation_config.json | changed generation_config.json
    fails "a suppressed token that does not exist" 1 "model/generation_config.json: suppress_tokens" "belongs to another model" \
        -- $quick model "$speech"
    for file in config.json tokenizer.json model.safetensors; do
        : | changed $file
        rm model/$file
        fails "$file is missing" 1 "model" "$file" -- $quick model "$speech"
    done
    if [ -e "$golden/sd-v1-tiny/tokenizer/vocab.json" ]; then
        changed vocab.json <"$golden/sd-v1-tiny/tokenizer/vocab.json"
        rm model/tokenizer.json
        cp "$golden/sd-v1-tiny/tokenizer/merges.txt" model
        fails "tokenizer of CLIP" 1 "model/vocab.json belongs to another model" "use the tokenizer of the weights" \
            -- $quick model "$speech"
    else
        skip "tokenizer of CLIP" "there is no $golden/sd-v1-tiny (CLIO_GOLDEN)"
    fi
    if [ -e "${CLIO_WHISPER_BASE:-}/tokenizer.json" ]; then
        changed tokenizer.json <"$CLIO_WHISPER_BASE/tokenizer.json"
        fails "tokenizer of another Whisper" 1 "model/tokenizer.json belongs to another model" "use the tokenizer" -- $quick model "$speech"
    else
        skip "tokenizer of another Whisper" "CLIO_WHISPER_BASE names no folder with Whisper base"
    fi
    by="env CLIO_MODELS=$tmp/none HF_HOME=$tmp/none HF_HUB_CACHE=$tmp/none"
    if [ -e /usr/share/clio/models/whisper-base ] || [ -e /usr/local/share/clio/models/whisper-base ]; then
        defaults
        skip "no model" "Whisper base is installed for all users"
    else
        usage "no model" "no model given" "scripts/fetch-whisper" "-m DIR" -- transcribe -q "$speech"
    fi
    fails "-m of a missing folder" 1 "\"./none\"" "check the name" -- $quick ./none "$speech"
    fails "-m of a file" 1 "$speech is not a folder" "give the folder of a Whisper checkpoint" -- $quick "$speech" "$speech"
    printf 'lmgg\0\0\0\0' >ggml-base.bin
    printf 'GGUF\003\0\0\0' >base.gguf
    printf 'PK\003\004\024\0\0\0' >base.pt
    mkdir converted adapter downloaded
    : >converted/model.bin
    echo '{}' >converted/config.json
    echo '[]' >converted/vocabulary.json
    echo '{"peft_type": "LORA"}' >adapter/adapter_config.json
    cp base.pt downloaded
    for file in ggml-base.bin:GGML base.gguf:GGUF base.pt:PyTorch; do
        fails "-m of a ${file#*:} file" 1 "${file%:*} is a ${file#*:} file" "use the Hugging Face folder" -- $quick "./${file%:*}" "$speech"
    done
    fails "-m of a folder of CTranslate2" 1 "converted is a CTranslate2 folder" "use the Hugging Face folder" -- $quick ./converted "$speech"
    fails "-m of a LoRA's folder" 1 "adapter is a LoRA, not a model" "merge_and_unload" -- $quick ./adapter "$speech"
    fails "-m of a folder with a PyTorch file" 1 "downloaded/base.pt is a PyTorch file" "use the Hugging Face folder" -- $quick ./downloaded "$speech"
    cp -RL mini half
    mv half/model.safetensors half/model.fp16.safetensors
    : >half/model.bin
    works "-m of a folder with a variant only" -- $quick half -l en "$speech"
    fails "-m of another folder" 1 "folder/config.json: no such file" "name the folder of a whole model" -- $quick folder "$speech"
}

# ---- the command line ----

# shellcheck disable=SC2086
{
    usage "unknown language" "\"klingon\"" "use a code" -- $quick mini -l klingon "$speech"
    usage "unknown language, before the device is opened" "\"klingon\"" "use a code" -- $quick mini -d no-such-device -l klingon "$speech"
    usage "unknown language of a caption" "\"klingon\"" "use a code" -- caption -q -m mini -l klingon "$speech"
    works "a language with a country" -- $quick mini -l en-US "$speech"
    usage "an offset beyond the end" "-ot is 12 s, but the length of $speech is 11.0 s" "choose a smaller offset" -- $quick mini -ot 12000 "$speech"
    prints=1 also='[ -s b.wav.txt ] && [ ! -e three.wav.txt ]'
    fails "an offset beyond the end of one file" 1 "-ot is 10.5 s, but the length of three.wav is 0.0 s" -- $quick mini -otxt -ot 10.5s three.wav b.wav
    rm -f b.wav.txt
    usage "an offset in seconds without a unit" "-ot must be a whole number of milliseconds, or seconds such as 10.5s" "not \"10.5\"" -- $quick mini -ot 10.5 "$speech"
    usage "unknown device" "\"no-such-device\"" "clio devices lists" -- $quick mini -d no-such-device "$speech"
    usage "an offset that is too large" "-ot must be a whole number of milliseconds, or seconds such as 10.5s, from 0 to 1000000000000, not" -- $quick mini -ot 1e300s "$speech"
    by="env CLIO_DEVICE=999"
    usage "device of the environment out of range" "CLIO_DEVICE is 999: there is no such device" -- $quick mini "$speech"
    usage "device out of range" "-d is 999" "no such device" -- $quick mini -d 999 "$speech"
    by="env CLIO_DEVICE=no-such-device"
    usage "CLIO_DEVICE unknown" "no device matches \"no-such-device\" of CLIO_DEVICE" "clio devices lists" -- $quick mini "$speech"
    usage "unknown option" "unknown option --frobnicate" "clio transcribe --help" -- $quick mini --frobnicate "$speech"
    usage "abbreviated option" "unknown option --see" "did you mean --seed?" -- $quick mini --see 0 "$speech"
    usage "unknown command" "unknown command \"frobnicate\"" "clio --help" -- frobnicate
    usage "a file instead of a command" "\"a.wav\" is not a command" "clio transcribe a.wav" -- a.wav
    usage "help on an unknown command" "unknown command \"frobnicate\"" "clio --help" -- help frobnicate
    usage "unknown weight type" "--type must be f32, f16 or q8_0, not \"q3\"" -- $quick mini --type q3 "$speech"
    usage "no number" "--seed must be a whole number from 0 to 18446744073709551615, not \"abc\"" "clio transcribe --help" -- $quick mini --seed abc "$speech"
    usage "no whole number" "--max-tokens must be a whole number from 0 to 448, not \"1.5\"" -- $quick mini --max-tokens 1.5 "$speech"
    usage "number out of range" "-tp must be a number from 0 to 1, not \"7\"" -- $quick mini -tp 7 "$speech"
    usage "missing value at the end" "--seed needs a value: N" "clio transcribe --help" -- $quick mini "$speech" --seed
    usage "missing value before an option" "-of needs a value (NAME), but -osrt follows, which is an option" -- $quick mini -of -osrt "$speech"
    usage "no sound file" "no audio file given" "clio transcribe FILE" -- $quick mini
    usage "standard input twice" "standard input can be read only once" "clio transcribe --help" -- $quick mini - -
    usage "two tasks" "--translate and --task transcribe contradict each other" -- $quick mini -tr --task transcribe "$speech"
    works "one task, twice" -- $quick mini -nt -tr --task translate a.wav
    usage "a prompt that is no UTF-8" "--prompt is not valid UTF-8" -- $quick mini --prompt "$(printf 'a \377 b')" "$speech"
    usage "a prefix that is no UTF-8" "--prefix is not valid UTF-8" -- caption -q -m mini --prefix "$(printf '\303')" "$speech"
    usage "two results of one name" "two results would be written to" -- $quick mini -osrt a.wav a.wav
    by="env CLIO_MEMORY_LIMIT=lots"
    usage "CLIO_MEMORY_LIMIT is no size" "CLIO_MEMORY_LIMIT=lots" "1500M" -- $quick mini "$speech"
    by="env CLIO_MEMORY_LIMIT=500K"
    fails "device memory too small" 1 "needs 0." "of 0.49 MiB" "use a smaller model" -- $quick mini "$speech"
    echo "cpu one" >params
    by="env CLIO_PARAMS=params"
    fails "CLIO_PARAMS is broken" 1 "params, line 1" "correct the line, or unset CLIO_PARAMS" -- $quick mini "$speech"
    by="env CLIO_PARAMS=none"
    fails "CLIO_PARAMS is missing" 1 "CLIO_PARAMS is none" "unset CLIO_PARAMS" -- $quick mini "$speech"
}
try
if [ $status -eq 2 ] && grep -q "usage: clio COMMAND" err && [ ! -s out ]; then ok "no command"; else not_ok "no command" "no usage"; fi

# Texts of which the model takes a part: said once for all files, and what is long enough is taken whole.
long=$(yes word | head -n 3000 | tr '\n' ' ')
# shellcheck disable=SC2086
for how in "-b 1" "-b 2"; do
    "$clio" transcribe -m mini -nf --max-tokens 4 -l en $how --prompt "$long" a.wav b.wav >out 2>err
    if [ "$(grep -c '^clio: note: --prompt has [0-9]* tokens, of which the model takes the last [0-9]*$' err)" -eq 1 ]; then
        ok "a prompt that is too long, $how"
    else
        not_ok "a prompt that is too long, $how" "no note, or more than one"
    fi
done
"$clio" caption -m mini --max-tokens 4 --prefix "$long" a.wav >out 2>err
if grep -q '^clio: note: --prefix has [0-9]* tokens, of which the model takes the first [0-9]*$' err; then ok "a prefix that is too long"; else not_ok "a prefix that is too long" "no note"; fi
"$clio" transcribe -m mini -nf --max-tokens 4 -l en --prompt "a b" a.wav >out 2>err
if ! grep -q 'of which the model takes' err; then ok "a prompt that is short enough"; else not_ok "a prompt that is short enough" "a note"; fi

# ---- where results go ----

echo old >old.txt
echo old >file
# shellcheck disable=SC2086
{
    fails "output folder missing" 1 "nowhere/x.txt" "folder nowhere does not exist" "create it" -- $quick mini -otxt -of nowhere/x "$speech"
    fails "output folder is a file" 1 "file/x.txt" "file is not a folder" "-of" -- $quick mini -otxt -of file/x "$speech"
    mkdir x.txt
    fails "output is a folder" 1 "x.txt: it is a folder" "-of" -- $quick mini -otxt -of x "$speech"
    to=/dev/full
    fails "standard output is full" 1 "standard output: No space left on device" "free some space" -- $quick mini "$speech"
    to=/dev/full
    fails "standard output is full, JSON" 1 "standard output: No space left on device" "free some space" -- $quick mini --json "$speech"
    to=/dev/full
    fails "standard output is full, help" 1 "standard output: No space left on device" "free some space" -- --version
    closed_out() { "$@" >&-; }
    by=closed_out
    fails "standard output is closed" 1 "standard output: Bad file descriptor" "redirect it to a file" -- $quick mini "$speech"
    also='is_old old.txt'
    fails "the old file survives bad input" 1 "words.wav" -- $quick mini -otxt -of old words.wav
    is_replaced() { [ "$(cat old.txt)" != old ] && [ -s old.txt ] && echo old >old.txt; }
    also=is_replaced
    works "and good input replaces it" -- $quick mini -otxt -of old "$speech"

    # a result that would be written over an input, by whatever name, before anything is read
    cp "$speech" talk.txt && cp "$speech" other.txt && ln -s talk.txt link.txt && ln talk.txt hard.txt && mkdir sub
    same_input() { cmp -s "$speech" talk.txt && cmp -s "$speech" other.txt; }
    also=same_input
    fails "a result over the input" 1 "cannot write talk.txt: it is the input talk.txt" "-of" -- $quick mini -otxt -of talk talk.txt
    also=same_input
    fails "a result over the input of another name" 1 "cannot write sub/../talk.txt: it is the input" "-of" -- $quick mini -otxt -of sub/../talk talk.txt
    also='same_input && [ -L link.txt ]'
    fails "a result over the input, through a link" 1 "cannot write link.txt: it is the input talk.txt" -- $quick mini -otxt -of link talk.txt
    also=same_input
    fails "a result over the input, by a hard link" 1 "cannot write hard.txt: it is the input talk.txt" -- $quick mini -otxt -of hard talk.txt
    also=same_input
    fails "a result over another input" 1 "cannot write talk.txt: it is the input talk.txt" -- $quick mini -otxt -of talk -of x other.txt talk.txt
    also=same_input in=talk.txt
    fails "a result over standard input" 1 "cannot write talk.txt: it is the input from standard input" -- $quick mini -otxt -of talk -
    also='cmp -s mini/config.json config.before'
    cp mini/config.json config.before
    fails "a result over the model" 1 "cannot write mini/config.json: it is the input mini/config.json" -- $quick mini -oj -of mini/config "$speech"
    usage "two results of one file" "two results would be written to sub/../fresh.txt" -- $quick mini -otxt -of fresh -of sub/../fresh a.wav b.wav
    usage "two results of one existing file" "two results would be written to link.txt" -- $quick mini -otxt -of talk -of link a.wav b.wav
    also='[ "$(ls -A sub)" = "" ]'
    usage "a folder in place of a name" "-of sub/ has no file name" "-of sub/talk" -- $quick mini -osrt -of sub/ "$speech"
    usage "this folder in place of a name" "-of . has no file name" "-of ./talk" -- $quick mini -otxt -of . "$speech"
    rm talk.txt other.txt link.txt hard.txt config.before
    mkfifo pipe.txt
    timeout 60 cat pipe.txt >piped &
    also='[ -p pipe.txt ] && wait && [ -s piped ]'
    works "a result into a pipe" -- $quick mini -otxt -of pipe "$speech"
}

# Stopped while it reads a pipe that goes on: `cat` returns when most was read. timeout(1) passes the signal on (once: --foreground), and undoes that the shell
# has commands in the background ignore it.
mkfifo pipe
# shellcheck disable=SC2086
timeout --foreground 120 "$clio" $quick mini -otxt -of old - <pipe >out 2>err &
exec 9>pipe
cat "$speech" >&9
kill -INT $!
wait $! && status=0 || status=$?
exec 9>&-
if [ $status -eq 130 ] && [ "$(cat err)" = "clio: interrupted" ] && [ ! -s out ] && is_old old.txt; then
    ok "the old file survives Ctrl-C"
else
    not_ok "the old file survives Ctrl-C" "exit code $status, expected 130 and an untouched file"
fi

# A full and a read-only file system, mounted where only the command sees them.
mkdir disk
mounted() { # options, command...
    # shellcheck disable=SC2016,SC2086
    $namespace sh -c 'mount -t tmpfs -o "$1" none disk || exit 99; shift
                      [ ! -w disk ] || echo old >disk/old.txt
                      "$@"; code=$?; cat disk/old.txt >after 2>/dev/null; ls disk >>after; exit $code' sh "$@"
}
namespace=
for way in "unshare -rm" "unshare -m"; do
    # shellcheck disable=SC2086
    [ -n "$namespace" ] || ! $way mount -t tmpfs none disk 2>/dev/null || namespace=$way
done
# shellcheck disable=SC2086
if [ -n "$namespace" ]; then
    only_old_is_left() { [ "$(cat after)" = "$(printf 'old\nold.txt')" ]; }
    by="mounted size=4k" prints=1 also=only_old_is_left
    fails "output disk full: the old file survives" 1 "disk/old.txt cannot be written: the disk is full" "free some space" \
        -- $quick mini -otxt -of disk/old "$speech"
    by="mounted ro"
    fails "output folder read-only" 1 "disk/x.txt" "read-only" "-of" -- $quick mini -otxt -of disk/x "$speech"
elif [ "$(id -u)" -ne 0 ]; then
    skip "output disk full" "no file system can be mounted here"
    chmod 555 disk
    fails "output folder read-only" 1 "disk/x.txt" "read-only" "-of" -- $quick mini -otxt -of disk/x "$speech"
else
    skip "output disk full" "no file system can be mounted here"
    skip "output folder read-only" "no file system can be mounted here, and root may write to every folder"
fi

# ---- the cache of kernels ----

# shellcheck disable=SC2086
{
    also='cmp -s out one'
    works "cache folder cannot be made" -- $quick mini -l en --cache-dir file/cache "$speech"
    set -- cache/embed-*.bin cache/norm-*.bin # used by every run; some others only by the first-use checks
    entry=$1 other=$2
    head -c 200 "$entry" >cut.bin
    cp cut.bin "$entry"
    size=$(wc -c <"$other")
    { head -c $((size - 8)) "$other" && printf '????????'; } >changed.bin
    cp changed.bin "$other"
    is_mended() { cmp -s out one && ! cmp -s cut.bin "$entry" && ! cmp -s changed.bin "$other"; }
    also=is_mended
    works "corrupt cache entries are made again" -- $quick mini -l en "$speech"
}

# ---- real weights: no text where nobody speaks ----

if [ -e "${CLIO_WHISPER_BASE:-}/model.safetensors" ]; then
    "$make" wav noise60.wav samples=160000 fill=noise db=-60
    "$make" wav noise45.wav samples=160000 fill=noise db=-45
    "$make" wav rumble.wav samples=32000 fill=rumble db=-40 # over which the model finds "Thank you." likely
    "$make" wav middle.wav samples=1120000 fill=noise db=-60 insert="$speech" at=31
    also='[ ! -s out ]'
    works "real weights invent nothing: 3 samples, silence, noise, rumble" -- transcribe -q -m "$CLIO_WHISPER_BASE" three.wav \
        silence5.wav silence70.wav noise60.wav noise45.wav rumble.wav
    # All that is said, and nothing else.
    is_speech() {
        tr 'A-Z\n' 'a-z ' <out | tr -d ',.:;!?-' | tr -s ' ' >said
        [ "$(cat said)" = "and so my fellow americans ask not what your country can do for you ask what you can do for your country " ]
    }
    also=is_speech
    works "real weights hear the speech between 30 s of noise on either side" -- transcribe -q -m "$CLIO_WHISPER_BASE" -nt middle.wav
    by="env CLIO_MEMORY_LIMIT=50M"
    fails "device memory too small for real weights" 1 "beside the" "of 50 MiB" "use a smaller model" -- transcribe -q \
        -m "$CLIO_WHISPER_BASE" "$speech"
else
    skip "real weights invent nothing" "CLIO_WHISPER_BASE names no folder with Whisper base"
    skip "real weights hear the speech between noise" "CLIO_WHISPER_BASE names no folder with Whisper base"
    skip "device memory too small for real weights" "CLIO_WHISPER_BASE names no folder with Whisper base"
fi

finish
