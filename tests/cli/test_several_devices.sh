#!/bin/sh
# -d with several devices: the same results as one device, how many each did, and names that cannot be. PoCL shows its CPU as two devices.
# Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
# shellcheck disable=SC2016,SC2046,SC2086,SC2181 # what eval expands; words; the command is long
set -u
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
# shellcheck source=tests/support/mpi.sh
. "$CLIO_SOURCE_DIR/tests/support/mpi.sh"
export POCL_DEVICES="pthread pthread"
jfk=$CLIO_SOURCE_DIR/tests/golden/jfk.wav
small="-W 64 -H 64 --steps 2 -q"
v1=${CLIO_GOLDEN:-$CLIO_SOURCE_DIR/../shared/golden}/sd-v1-tiny
if [ "$("$clio" devices --json | grep -c '"index": [01],')" -ne 2 ]; then
    skip "several devices" "PoCL is not here"
    finish
fi
"$CLIO_BUILD_DIR/tests/make_whisper" mini whisper || exit 1

# ---- speech ----

for i in 1 2 3 4 5; do cp "$jfk" $i.wav; done
hear="transcribe -m whisper -q -l en --temperature-inc 0 --no-speech-thold 1 --max-tokens 6 --duration 2000"
"$clio" $hear -d 0 1.wav 2.wav 3.wav 4.wav 5.wav >one 2>err
also='cmp -s out one'
works "the texts of one device" -- $hear -d all 1.wav 2.wav 3.wav 4.wav 5.wav
also='cmp -s 1.txt 5.txt && [ -s 3.txt ]'
works "a file for each" -- $hear -d 1,0 -b 2 -otxt -of 1 -of 2 -of 3 -of 4 -of 5 1.wav 2.wav 3.wav 4.wav 5.wav
"$clio" transcribe -m whisper -l en --max-tokens 4 --duration 2000 -d all 1.wav 2.wav 3.wav 4.wav >out 2>err
if [ "$(grep -c '^device [01], .*: [0-3] file' err)" -eq 2 ]; then ok "how many each did"; else not_ok "how many each did" "$(grep '^device' err)"; fi
"$clio" $hear -d all 1.wav missing.wav 3.wav >out 2>err
if [ $? -eq 1 ] && grep -q "missing.wav" err && [ "$(wc -l <out)" -ge 2 ]; then
    ok "a missing file does not stop the others"
else
    not_ok "a missing file does not stop the others" "exit code, or texts are missing"
fi

# A device that is lost in the middle: nothing is missing, and a notice says so.
echo '{"like": "gpu", "behaviour": {"lost after launches": 400}}' >lost.json
cp "$CLIO_SOURCE_DIR/tests/simulate/devices/gpu.json" .
lose() { SIMULATE=$tmp/lost.json OPENCL_LAYERS=$CLIO_BUILD_DIR/tests/libsimulate.so "$clio" "$@" >out 2>err; }
lose $(echo "$hear" | sed 's/ -q / /') -d all 1.wav 2.wav 3.wav 4.wav 5.wav
code=$?
if [ $code -eq 0 ] && cmp -s out one && [ "$(grep -c "the other devices do its work" err)" -eq 1 ]; then
    ok "a lost device"
else
    not_ok "a lost device" "exit code $code, no notice, or other texts"
fi
lose $hear -d 0 1.wav 2.wav 3.wav 4.wav 5.wav
if [ $? -eq 1 ] && [ "$(wc -l <err)" -eq 1 ]; then ok "a lost device that was the only one"; else not_ok "a lost device that was the only one" "exit code, or not one sentence"; fi

# ---- images ----

if [ -d "$v1" ]; then
    "$clio" imagine -m "$v1" -p fox $small -b 3 -d 0 -o one.png
    also='cmp -s one.png two.png || [ "$("$clio" imagine --show two.png | grep -c "Seed: 42")" -eq 1 ]'
    works "a batch of images" -- imagine -m "$v1" -p fox $small -b 3 -d all -o two.png
    if python3 - one two <<'PYTHON' >err 2>&1
import sys, zlib
def chunks(name):
    data, at, pixels, texts = open(name, "rb").read(), 8, b"", []
    while at < len(data):
        size = int.from_bytes(data[at:at + 4], "big")
        kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
        pixels += body if kind == b"IDAT" else b""
        texts += [body] if kind in (b"tEXt", b"iTXt") and body.startswith(b"parameters") else []
        at += 12 + size
    return zlib.decompress(pixels), texts
for end in ("", "_2", "_3"):
    assert chunks(sys.argv[1] + end + ".png") == chunks(sys.argv[2] + end + ".png"), end
PYTHON
    then ok "the same pixels and parameters"; else not_ok "the same pixels and parameters" "they differ"; fi
    works "an interpolation" -- imagine -m "$v1" -p fox --interpolate owl --frames 3 $small -d all -o x.png
    usage "previews" "--preview needs one device, and -d all names several" -- imagine -m "$v1" -p fox $small -d all --preview 1 -o x.png
else
    skip "images" "$v1 is not here"
fi

# ---- processes ----

if has_mpi "$clio"; then
    mkdir ranks && cp ./[1-5].wav ranks
    (cd ranks && mpi 120 2 "$clio" transcribe -m ../whisper -q -l en --temperature-inc 0 --no-speech-thold 1 --max-tokens 6 \
        --duration 2000 -otxt 1.wav 2.wav 3.wav 4.wav 5.wav) >out 2>err
    if [ $? -eq 0 ] && [ "$(cat ranks/*.txt | sort | uniq -c | awk '{print $1}')" -eq 5 ]; then ok "processes share a list"; else not_ok "processes share a list" "exit code, or results are missing"; fi
    mpi 120 2 env CLIO_DEVICE=nosuch "$clio" transcribe -m whisper -q 1.wav 2.wav >out 2>err
    if [ $? -ne 0 ] && grep -q nosuch err; then ok "processes use the device of the variable"; else not_ok "processes use the device of the variable" "exit code"; fi
    mpi 120 2 "$clio" transcribe -m whisper -q - 2.wav <1.wav >out 2>err
    if [ $? -ne 0 ] && grep -q "standard input cannot be shared" err; then ok "standard input"; else not_ok "standard input" "exit code"; fi
    if [ -d "$v1" ]; then
        mpi 120 2 "$clio" imagine -m "$v1" -p fox $small -b 3 -o three.png >out 2>err
        if [ $? -eq 0 ] && [ -s three.png ] && [ -s three_2.png ] && [ -s three_3.png ]; then ok "and a batch"; else not_ok "and a batch" "exit code, or images are missing"; fi
        mpi 120 2 "$clio" imagine -m "$v1" -p fox $small -s -1 -b 2 -o x.png >out 2>err
        if [ $? -ne 0 ] && grep -q "would choose another seed" err; then ok "a random seed"; else not_ok "a random seed" "exit code"; fi
    fi
else
    skip "processes share a list" "this clio was built without MPI"
fi

# ---- bench ----

also='[ -s r-0.json ] && [ -s r-1.json ] && [ ! -e r.json ] && [ "$(grep -c "^launch" out)" -eq 4 ]'
works "a report for each device" -- bench -q --quick --filter launch -d all -o r.json
works "which can be compared" -- bench --compare r-0.json r-1.json
usage "a comparison on devices" "--compare uses no device" -- bench --compare r-0.json r-1.json -d all

# ---- names ----

usage "twice" "-d 0,0 names device 0" "twice: give each device once" -- bench -q --filter launch -d 0,0
usage "an empty name" "-d 0,,1 has an empty name" -- bench -q --filter launch -d 0,,1
usage "twice, with one file" "twice: give each device once" -- $hear -d 0,0 1.wav
usage "all among others" "-d all,0: all stands alone" -- bench -q --filter launch -d all,0
usage "several reports on standard output" "-o - prints one report" -- bench -q --filter launch -d all -o -
usage "a comparison on a device" "--compare uses no device" -- bench --compare r-0.json r-1.json -d 0
by="env CLIO_DEVICE=all" also='[ "$(grep -c "^launch" out)" -eq 4 ]'
works "all by the variable" -- bench -q --quick --filter launch
usage "no such device" "7" -- bench -q --filter launch -d 0,7
usage "a command with one device" "-d 0,1 names several devices, and tune uses one" -- tune -d 0,1
usage "another one" "-d all names several devices, and sample uses one" -- sample -d all -m whisper -o x.png
finish
