#!/bin/sh
# clio embed: JSON lines and .npy files that Python reads, texts from the command line, standard input and files in their order, options, and
# what can be wrong. The numbers are compared with transformers' in tests/models/test_embed_texts.c. Run by ctest, which sets CLIO_BUILD_DIR and
# CLIO_SOURCE_DIR.
set -u
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
plain=$CLIO_SOURCE_DIR/tests/golden/bert/plain sentence=$CLIO_SOURCE_DIR/tests/golden/bert/sentence

cat >check.py <<'PYTHON'
"""usage: check.py TEXTS.json: standard input has a line for each text, with an embedding of width 32; or check.py FILE.npy LINES: rows equal to them."""
import json, struct, sys
def npy(path):
    data = open(path, "rb").read()
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    size, = struct.unpack("<H", data[8:10])
    head = eval(data[10:10 + size])
    assert (10 + size) % 64 == 0 and data[9 + size:10 + size] == b"\n" and head["descr"] == "<f4" and not head["fortran_order"], head
    rows, columns = head["shape"]
    values = struct.unpack("<%df" % (rows * columns), data[10 + size:])
    return [list(values[i * columns:(i + 1) * columns]) for i in range(rows)]
lines = [json.loads(line) for line in open(sys.argv[2]).read().splitlines()]
if sys.argv[1].endswith(".npy"):
    rows = npy(sys.argv[1])
    assert len(rows) == len(lines), (len(rows), len(lines))
    for row, line in zip(rows, lines):
        assert row == [struct.unpack("<f", struct.pack("<f", x))[0] for x in line["embedding"]], line["text"]
else:
    assert [line["text"] for line in lines] == json.loads(sys.argv[1]), [line["text"] for line in lines]
    for line in lines:
        assert list(line) == ["text", "embedding"] and len(line["embedding"]) == int(sys.argv[3]), line
        assert len(sys.argv) < 5 or abs(sum(x * x for x in line["embedding"]) - 1) < 1e-5, line
PYTHON
check() { python3 check.py "$@" 2>checked || { cat checked; false; }; }

# ---- what works ----

also='check "[\"the cat\", \"a\", \"red fox runs\"]" out 32'
works "texts" -- embed -q -m "$plain" "the cat" a "red fox runs"
cp out three
also='check three.npy three'
works "npy" -- embed -q -m "$plain" -o three.npy "the cat" a "red fox runs"
printf 'the cat\na\r\nred fox runs' >lines
also='cmp -s out three' in=$tmp/lines
works "standard input" -- embed -q -m "$plain"
also='cmp -s out three' in=$tmp/lines
works "standard input as -" -- embed -q -m "$plain" -
also='cmp -s out three'
works "a file" -- embed -q -m "$plain" -f lines
printf 'the cat\n\na\n' >gaps
also='check "[\"the cat\", \"\", \"a\"]" out 32'
works "an empty line is a text" -- embed -q -m "$plain" -f gaps
also='[ ! -s out ]'
works "no lines" -- embed -q -m "$plain" -f /dev/null
also=': >empty; check none.npy empty'
works "no lines, npy" -- embed -q -m "$plain" -f /dev/null -o none.npy
also='check "[\"the cat\"]" out 32 1'
works "normalize" -- embed -q -m "$plain" --normalize "the cat"
also='check "[\"the cat\", \"a\"]" out 8 1'
works "modules" -- embed -q -m "$sentence" "the cat" a
try embed -q -m "$sentence" "the cat"
cp out first
also='sed "s/sat/the cat sat/" out | cmp -s - whole'
try embed -q -m "$plain" "the cat sat"
cp out whole
works "prompt" -- embed -q -m "$plain" --prompt "the cat " sat
also='! cmp -s out whole'
works "pooling" -- embed -q -m "$plain" --pooling cls "the cat sat"
also='check "[\"the cat\", \"a\", \"red fox runs\"]" out 32'
works "batch size" -- embed -q -m "$plain" -b 1 "the cat" a "red fox runs"
mkdir -p hub/models--sentence-transformers--tiny/snapshots/1
cp -r "$sentence"/. hub/models--sentence-transformers--tiny/snapshots/1
HF_HUB_CACHE=$tmp/hub
export HF_HUB_CACHE
also='cmp -s out first'
works "a name of sentence-transformers in the Hugging Face cache" -- embed -q -m tiny "the cat"

# ---- what can be wrong ----

usage "no model" "no model given" "-m DIR" -- embed "the cat"
usage "texts and a file" "not from both" -- embed -m "$plain" -f lines "the cat"
usage "another format" "-o x.txt" "must end in .npy" -- embed -m "$plain" -o x.txt "the cat"
fails "no such model" 1 "no model \"nowhere\"" "fetch-minilm" -- embed -q -m nowhere "the cat"
fails "no such file" 1 "missing.txt cannot be read" -- embed -q -m "$plain" -f missing.txt
fails "no such folder" 1 "folder nowhere does not exist" -- embed -q -m "$plain" -o nowhere/x.npy "the cat"
printf 'the cat\nca\377t\n' >latin
fails "not UTF-8" 1 "line 2 of latin is not UTF-8" -- embed -q -m "$plain" -f latin
printf 'the cat\0\n' >zero
fails "a zero byte" 1 "line 1 of zero is not UTF-8" -- embed -q -m "$plain" -f zero
usage "a text that is not UTF-8" "a text is not valid UTF-8" -- embed -q -m "$plain" "$(printf 'ca\377t')"
cp lines data.npy
fails "the input as output" 1 "it is the input data.npy" -- embed -q -m "$plain" -f data.npy -o data.npy
usage "pooling that the dense layer does not take" "--pooling is mean" -- embed -q -m "$sentence" --pooling mean "the cat"
mkdir t5
echo '{"model_type": "t5"}' >t5/config.json
fails "another type of model" 1 "a model of type t5" -- embed -q -m t5 "the cat"
echo '{"model_type": "whisper"}' >t5/config.json
usage "a Whisper model" "is a Whisper model" "clio transcribe" -- embed -q -m t5 "the cat"
finish
