#!/bin/bash
# Every option of every command, from `clio --generate options`: --help and the man page document each spelling, the parser takes each
# spelling, a missing, superfluous or invalid value gives one sentence and exit code 2. A new option is covered without a line here. Then
# the words that are no options: those of whisper.cpp and stable-diffusion.cpp, glued and abbreviated ones. Then the completion scripts.
# Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
set -u
# shellcheck disable=SC2015 # ok and not_ok never fail
clio=$CLIO_BUILD_DIR/clio
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
cd "$tmp" || exit 1
export CLIO_CACHE_DIR=$tmp/cache COLUMNS=120
unset CLIO_DEVICE

passed=0 failed=0
ok() { passed=$((passed + 1)); }
not_ok() {
    failed=$((failed + 1))
    echo "not ok - $*"
}
# refuses NAME PART -- ARGUMENT...: exit code 2, one sentence with PART in it, nothing on standard output
refuses() {
    local name=$1 part=$2 status=0
    shift 3
    timeout 20 "$clio" "$@" >out 2>err </dev/null || status=$? # what is not refused begins its work
    said=$(<err)
    if [ $status -eq 2 ] && [ ! -s out ] && [[ $said = 'clio: '*"$part"* && $said != *$'\n'* ]]; then
        ok
    else
        not_ok "$name: clio $*: exit code $status, expected 2 and \"$part\": $said"
    fi
}
# takes NAME -- ARGUMENT...: --help behind an option is reached only when the option and its value were taken
takes() {
    local name=$1 status=0
    shift 2
    "$clio" "$@" --help >out 2>err </dev/null || status=$?
    if [ $status -eq 0 ] && [ ! -s err ] && [[ $(<out) = *'usage: clio'* ]]; then ok; else not_ok "$name: clio $* --help: $(cat err)"; fi
}

"$clio" --generate options >options.json || exit 1
# One line per option: command, names, argument, type, minimum, maximum, a number below and one above them, default, choices; "-" where there
# is none.
python3 - <<'PYTHON' >rows || exit 1
import json
for command in json.load(open("options.json")):
    for o in command["options"]:
        low, high = o["minimum"], o["maximum"]
        fields = [command["name"], " ".join(o["names"]), o["argument"], o["type"], low, high, None if low is None else low - 1,
                  None if high is None else high + 1, o["default"], " ".join(o["choices"] or [])]
        assert o["help"] and o["group"] and o["type"] in ("switch", "integer", "number", "text", "choice", "file", "folder", "model"), o
        assert (o["type"] == "switch") == (o["argument"] is None), o
        assert o["type"] != "choice" or len(o["choices"]) > 1, o
        assert len(set(o["names"])) == len(o["names"]) and all(n.startswith("-") for n in o["names"]), o
        print("\t".join("-" if f is None or f == "" else str(f) for f in fields))
    names = [n.lstrip("-") for o in command["options"] for n in o["names"]]
    assert len(set(names)) == len(names), ("two options of one spelling", command["name"], sorted(names))
PYTHON
[ "$(wc -l <rows)" -gt 100 ] || not_ok "only $(wc -l <rows) options"

# A value that the option takes.
good_value() { # type, minimum, maximum, choices
    case $1 in
    integer | number) if [ "$3" != - ]; then printf '%g' "$3"; elif [ "$2" != - ]; then printf '%g' "$2"; else echo 0; fi ;;
    choice) echo "${4%% *}" ;;
    *) echo value ;;
    esac
}

last='' newline=$'\n'
while IFS=$'\t' read -r command names argument type minimum maximum below above initial choices; do
    if [ "$command" != "$last" ]; then
        "$clio" "$command" --help >help || not_ok "clio $command --help"
        "$clio" --generate man "$command" >page || not_ok "the man page of $command"
        left=$(grep -oE -- '^  -[^ ].*' help)
        MANWIDTH=200 man -l page 2>/dev/null >page.txt || sed 's/\\f.//g; s/\\-/-/g' page >page.txt
        entries=$(grep -oE -- '^ +-[^ ].*' page.txt)
        last=$command
    fi
    value=$(good_value "$type" "$minimum" "$maximum" "$choices")
    for name in $names; do
        what="$command $name"
        plain=${name//[^-a-zA-Z0-9_]/.}
        [[ $newline$left$newline =~ $newline\ \ ([^$newline]*,\ )?${plain}[,\ $newline] ]] && ok || not_ok "$what is not in --help"
        [[ $newline$entries$newline =~ $newline\ +([^$newline]*,\ )?${plain}[,\ $newline] ]] && ok || not_ok "$what is not in the man page"
        if [ "$name" = --help ] || [ "$name" = -h ]; then
            continue
        elif [ "$argument" = - ]; then
            takes "$what" -- "$command" "$name"
            refuses "$what" "$name takes no value" -- "$command" "$name=1"
            continue
        fi
        takes "$what" -- "$command" "$name" "$value"
        takes "$what" -- "$command" "$name=$value"
        refuses "$what" "$name needs a value: $argument" -- "$command" "$name"
        refuses "$what" "$name needs a value ($argument), but --json follows" -- "$command" "$name" --json
        case $type in
        integer | number | choice) refuses "$what" "$name must be" -- "$command" "$name" "no such value" ;;
        esac
        case $type in
        integer | number)
            [ "$below" = - ] || refuses "$what" "$name must be" -- "$command" "$name" "$below"
            [ "$above" = - ] || refuses "$what" "$name must be" -- "$command" "$name" "$above"
            refuses "$what" "$name must be" -- "$command" "$name" nan
            ;;
        esac
        [ "$type" != integer ] || refuses "$what" "$name must be a whole number" -- "$command" "$name" 1.5
        if [ "$type" = choice ]; then
            for choice in $choices; do takes "$what" -- "$command" "$name" "$choice"; done
        fi
    done
    # The entry of help and man page has range and default, which the parser and the library have as well.
    entry=$(grep -A 12 -E -- "^  (.*, )?${names##* }(,| |\$)" help | sed -n '1p; 2,$ { /^  -\|^$/q; p }' | tr -s ' \n' ' ')
    for part in ${initial:+"$initial"} $choices; do
        [ "$part" = - ] || case $entry in *"$part"*) ok ;; *) not_ok "$command $names: \"$part\" is not in: $entry" ;; esac
    done
done <rows

# ---- no options ----

# What users of whisper.cpp type (with a value where theirs has one).
while read -r words; do
    # shellcheck disable=SC2086 # words
    set -- $words
    for command in transcribe caption imagine train sample eval devices tune bench; do
        [ "$command $1" != "imagine -fa" ] || continue # an option of stable-diffusion.cpp that imagine takes
        refuses "$1 in $command" "$1 is an option of whisper.cpp (" -- "$command" "$@" file.wav
    done
done <<'END'
-di
-dl
-vm x
-ml 40
-bo 5
-bs 5
-fa
-ls
-dtw base
-et 2.4
-ng
--no-flash-attn
END
# Spellings of openai-whisper and diffusers, with underscores or dashes.
refuses "openai-whisper" "-of names the result" -- transcribe --output_dir x
refuses "openai-whisper" "-osrt" -- transcribe --output_format srt
refuses "openai-whisper" "is an option of whisper.cpp (beam search)" -- transcribe --beam_size 5
refuses "openai-whisper" "--prompt sets it" -- transcribe --initial-prompt=x
refuses "openai-whisper" "did you mean --no-speech-threshold?" -- transcribe --no_speech_threshold 1
refuses "diffusers" "--steps sets it" -- imagine --num_inference_steps 20
refuses "diffusers" "is an option of diffusers (classifier-free guidance scale) that clio imagine does not have: --cfg-scale" -- imagine --guidance-scale 7
refuses "diffusers" "did you mean --negative-prompt?" -- imagine --negative_prompt x
refuses "a slip" "did you mean --sampling-method?" -- imagine --samping-metod x
refuses "a part" "did you mean --temperature?" -- transcribe --temp 0
for word in -di -ml -bo -sow -on -tdrz --grammar --carry-initial-prompt; do
    refuses "a way out of $word" "does not have: " -- transcribe $word
    ! grep -q 'null' err || not_ok "$word: $(cat err)"
done
# The last of two values counts; what follows -- is no option; a value may be glued with = only.
refuses "the last one counts" "--steps must be" -- imagine --steps 5 --steps 0
takes "the last one counts" -- imagine --steps 5 --steps 6
refuses "behind --" "standard input can be read only once" -- transcribe -- - -
refuses "a limit" "--steps must be a whole number from 1 to" -- imagine --steps 1.5
refuses "a limit" "-W must be" -- imagine -W -8
refuses "not a number" "--cfg-scale must be" -- imagine --cfg-scale nan
refuses "not a number" "-s must be a whole number from 0 to 18446744073709551615, or -1 for a random one" -- imagine -s -2

for word in --scheduler --control-net --upscale-model --vae-tile-size; do
    refuses "$word in imagine" "$word is an option of stable-diffusion.cpp (" -- imagine "$word" x
done
refuses "the way out" "-d cpu uses a CPU" -- transcribe -ng file.wav
refuses "the way out" "out_preview.png" -- imagine --preview-path x
for command in transcribe caption imagine train sample eval devices tune bench; do
    for word in -qv -dcpu -vq -d0 --devic --jso --quie -json2 --frobnicate -5; do
        refuses "$word in $command" "unknown option $word" -- "$command" "$word"
    done
    refuses "an abbreviation in $command" "did you mean --device?" -- "$command" --devic
done
# One dash and two are the same for a word, not for a letter.
takes "one dash" -- transcribe -output-srt --otxt -language de
refuses "two dashes and a letter" "unknown option --m" -- transcribe --m x
# What whisper.cpp and stable-diffusion.cpp spell alike is taken.
takes "spellings of whisper.cpp" -- transcribe -m x -f y -l de -tr -otxt -ovtt -osrt -olrc -ocsv -oj -ojf -of z -np -nt -ot 0 -mc 0 -tp 0 \
    -tpi 0.2 -nf -lpt -1 -nth 0.6 -dev 0 --prompt text
takes "spellings of stable-diffusion.cpp" -- imagine -m x -p text -n text --cfg-scale 7 --steps 20 -W 512 -H 512 -s 42 -b 1 \
    --sampling-method euler_a -o x.png -i y.png --strength 0.5 --rng cuda --clip-skip 2 --vae-tiling --taesd x --tae x --vae x --mask x \
    --preview-interval 2 --prediction v --type f16 -v -M img_gen -t 4 --lora-model-dir x --embd-dir x --diffusion-fa --fa

# ---- completion ----

"$clio" --generate bash >bash.sh && "$clio" --generate zsh >_clio && "$clio" --generate fish >clio.fish || not_ok "completion scripts"
bash -n bash.sh && ok || not_ok "bash cannot read its completion"
# shellcheck disable=SC1091
. ./bash.sh
# completes EXPECTED WORD...: EXPECTED is among the completions of the last word
completes() {
    local expected=$1
    shift
    COMP_WORDS=(clio "$@") COMP_CWORD=$#
    _clio 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -- "$expected" && ok || not_ok "bash does not complete clio $* to $expected: ${COMPREPLY[*]}"
}
complete -p clio >/dev/null && ok || not_ok "bash has no completion for clio"
completes transcribe tr
completes train help tr
completes --language transcribe --la
completes auto transcribe -l au
completes translate transcribe --task tr
completes translate transcribe --task = tr
completes cuda imagine --rng c
completes gpu tune -d g
completes dcgan train dc
completes learning_rate= train vae --set learning_r
: >sound.wav
completes sound.wav transcribe so
completes sound.wav transcribe -of so
while IFS=$'\t' read -r command names _; do
    for name in $names; do completes "$name" "$command" "$name"; done
done <rows
if command -v zsh >/dev/null; then
    zsh -n _clio && ok || not_ok "zsh cannot read its completion"
else
    echo "SKIPPED: there is no zsh"
fi
if command -v fish >/dev/null; then
    fish -n clio.fish && ok || not_ok "fish cannot read its completion"
    fish --no-config -c 'source clio.fish; complete -C "clio imagine --rng c"' | grep -q '^cuda' && ok || not_ok "fish does not complete --rng c"
else
    echo "SKIPPED: there is no fish"
fi

# ---- the man pages are well-formed, and no line of help is too long ----

for command in '' transcribe caption imagine train sample eval devices tune bench; do
    # shellcheck disable=SC2086 # none for clio(1)
    "$clio" --generate man $command >page
    if command -v man >/dev/null; then
        [ -z "$(MANWIDTH=80 man --warnings -l page 2>&1 >/dev/null)" ] && ok || not_ok "man warns of the page of clio $command"
    fi
    if command -v mandoc >/dev/null; then
        mandoc -T lint page | grep -vE 'missing date|outdated mandoc' >lint && not_ok "mandoc: $(head -n 3 lint)" || ok
    fi
    for columns in 60 80 120; do
        # shellcheck disable=SC2086
        COLUMNS=$columns "$clio" help $command >help
        awk -v width=$columns '/^  clio|^  ffmpeg/ { next } length($0) > width || / $/ { print; bad = 1 } END { exit bad }' help >long && ok ||
            not_ok "clio help $command at $columns columns: $(head -n 1 long)"
    done
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
