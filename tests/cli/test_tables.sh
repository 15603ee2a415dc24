#!/bin/sh
# Help, man page, completions and parser come from one row of the option tables, and all forms of clio train --list from the library's
# settings: in a copy of cli/ a row is changed and clio_train_setting is replaced, the command is built again against the built library, and
# everything must have changed. Run by ctest, which sets CLIO_BUILD_DIR, CLIO_SOURCE_DIR, CC, and CFLAGS where the library needs them.
set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
cd "$tmp" || exit 1
export COLUMNS=120
passed=0 failed=0
check() { # name, command...
    name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not ok - $name: $*"
    fi
}
has() { grep -qF -- "$2" "$1"; }
lacks() { ! has "$1" "$2"; }

cp -r "$CLIO_SOURCE_DIR/cli" cli
row=cli/imagine_options.c
sed -i 's/number of sampling steps/number of denoising iterations/; s/"--eta"/"--ddim-noise"/' $row
# Range of --steps: the row's own numbers.
awk '/\.names = "--steps"/ { within = 1 } within && /\.high = 1000/ { sub(/1000/, "77"); within = 0 } { print }' $row >changed && mv changed $row
sed -i 's/set->frames = 16/set->frames = 19/' $row
cmp -s $row "$CLIO_SOURCE_DIR/$row" && { echo "FAILED: the table was not changed"; exit 1; }
cat >cli/setting.c <<'C'
#include <clio.h>
#include <stdio.h>
/* These take the place of the library's. */
clio_status clio_train_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out)
{
    (void)ctx;
    *out = (clio_setting){0};
    if (!n && model) {
        *out = (clio_setting){"test_number", "a setting of the test", CLIO_SETTING_INTEGER, 3, 9, NULL, "3 to 9", "7"};
    } else if (n == 1 && model) {
        *out = (clio_setting){"test_choice", "a choice of the test", CLIO_SETTING_CHOICE, 0, 0, "red|green", "red|green", "red"};
    }
    return CLIO_OK;
}

clio_status clio_train_run_setting(clio_context *ctx, const char *model, size_t n, clio_setting *out)
{
    (void)ctx, (void)model, (void)n;
    *out = (clio_setting){0};
    return CLIO_OK;
}
C
# shellcheck disable=SC2046,SC2086 # flags are words
${CC:-cc} ${CFLAGS:-} -std=c11 -O0 -D_POSIX_C_SOURCE=200809L -fvisibility=hidden -I"$CLIO_SOURCE_DIR/include" -I"$CLIO_SOURCE_DIR" cli/*.c "$CLIO_BUILD_DIR/page.c" -o clio \
    $(pkg-config --cflags --libs jansson) -L"$CLIO_BUILD_DIR" -lclio -Wl,-rpath,"$CLIO_BUILD_DIR" -lm || exit 1

# What the row says, in the unchanged command and in the changed one.
for which in "$CLIO_BUILD_DIR/clio" ./clio; do
    dir=new
    [ "$which" = ./clio ] || dir=old
    mkdir $dir
    "$which" imagine --help >$dir/help
    "$which" --generate man imagine >$dir/man
    for form in bash zsh fish options; do "$which" --generate $form >$dir/$form; done
    "$which" train --list vae >$dir/list
    "$which" train --list vae --json >$dir/json
done
for form in help man zsh fish options; do
    check "help text, $form" has new/$form "number of denoising iterations"
    check "help text, $form" lacks new/$form "number of sampling steps"
    check "help text before, $form" has old/$form "number of sampling steps"
done
for form in help zsh fish; do
    check "range and default, $form" has new/$form "(1 to 77; default 20)"
    check "default of the command, $form" has new/$form "default 19)"
done
check "range, man" has new/man "(1 to 77;"
check "range, JSON" has new/options '"maximum": 77.0'
for form in help bash zsh options; do
    check "name, $form" has new/$form "--ddim-noise"
    check "name, $form" lacks new/$form "--eta"
done
check "name, man" has new/man '\-\-ddim\-noise'
check "name, fish" has new/fish "-l ddim-noise"
./clio imagine --steps 78 2>err
check "range, parser" has err "--steps must be a whole number from 1 to 77, not \"78\""
./clio imagine --eta 0 2>err
check "name, parser" has err "unknown option --eta"
check "name, parser" sh -c './clio imagine --ddim-noise 0.5 --help >/dev/null'

# ---- training settings ----

check "setting, list" has new/list "a setting of the test (3 to 9; default 7)"
check "setting, list" has new/list "a choice of the test (red|green; default red)"
check "setting, list" lacks new/list learning_rate
for form in bash zsh fish; do check "setting, $form" has new/$form "test_number="; done
check "setting, JSON" python3 - <<'PYTHON'
import json
new, old = json.load(open("new/json")), json.load(open("old/json"))
assert new["models"] == old["models"] and [m["name"] for m in new["models"]] == ["vae"], new["models"]
assert new["settings"] == [
    {"name": "test_number", "type": "integer", "minimum": 3, "maximum": 9, "choices": None, "default": 7, "help": "a setting of the test",
     "models": ["vae"]},
    {"name": "test_choice", "type": "choice", "minimum": None, "maximum": None, "choices": ["red", "green"], "default": "red",
     "help": "a choice of the test", "models": ["vae"]}], new["settings"]
# What the unchanged command prints: each setting in both forms, and every default within its range.
text = " ".join(open("old/list").read().split())
for s in old["settings"]:
    assert s["name"] + " " + " ".join(s["help"].split()) in text, s
    d, t = s["default"], s["type"]
    assert t in ("integer", "number", "boolean", "choice", "text"), s
    assert d is None or t not in ("integer", "number") or s["minimum"] <= d <= s["maximum"], s
    assert t != "choice" or d is None or d in s["choices"], s
    assert t != "boolean" or d in (None, True, False), s
names = [s["name"] for s in old["settings"]]
assert len(set(names)) == len(names) and "learning_rate" in names, names
PYTHON
"$CLIO_BUILD_DIR/clio" train --list --json >all
check "all models, JSON" python3 - <<'PYTHON'
import json
every = json.load(open("all"))
models = [m["name"] for m in every["models"]]
assert len(models) > 5 and all(m["help"] for m in every["models"])
assert [s["models"] for s in every["settings"] if s["name"] == "epochs"] == [models]
for m in models: # each has its settings once
    names = [s["name"] for s in every["settings"] if m in s["models"]]
    assert len(set(names)) == len(names), (m, names)
PYTHON
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
