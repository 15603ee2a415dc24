#!/bin/sh
# What reaches the terminal, and JSON: escape sequences in notes of images, names of files and models, C1 controls and those of the direction
# of text, names that are not UTF-8. Then models of the wrong kind. Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
set -u
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
export CLIO_CACHE_DIR="$tmp/cache"

# No ESC, no other control but line ends, no C1, U+2028 to U+202E, U+2066 to U+2069; valid UTF-8.
cat >is_clean.py <<'PYTHON'
import sys, unicodedata
text = open(sys.argv[1], "rb").read().decode("utf-8")
bad = [hex(ord(c)) for c in text if c != "\n" and (unicodedata.category(c) == "Cc" or 0x2028 <= ord(c) <= 0x202e or 0x2066 <= ord(c) <= 0x2069)]
assert not bad, bad
PYTHON
is_clean() { python3 is_clean.py "$1"; }

python3 - <<'PYTHON'
import struct, zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
note = "red \x1b[31m, C1 \x9b31m, turned \u202eabc\u2066, DEL \x7f, bell \x07\nsecond line \x1b]0;title\x07"
open("note.png", "wb").write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) +
    chunk(b"iTXt", b"parameters\0\0\0\0\0" + note.encode()) + chunk(b"IDAT", zlib.compress(b"\0\1\2\3")) + chunk(b"IEND", b""))
PYTHON

# shellcheck disable=SC2016 # what eval expands
{
    also='is_clean out && grep -q "^parameters: red .\[31m, C1 .*31m, turned .*abc" out && grep -q "^second line .\]0;title" out'
    works "notes of an image" -- imagine --show note.png
    also='is_clean out && python3 -c "
import json
note = json.load(open(\"out\"))[\"parameters\"]
assert note.startswith(\"red \\x1b[31m, C1 \\x9b31m, turned \\u202eabc\\u2066, DEL \\x7f\"), ascii(note)"'
    works "notes of an image as JSON" -- imagine --show note.png --json
    name=$(printf 'a\033[31m\302\233\342\200\256.wav')
    also='is_clean err'
    fails "a file's name" 1 "no such file" -- imagine --show "$name"
    also='is_clean err'
    usage "an option" "unknown option" -- transcribe "--$name"
    also='is_clean err'
    fails "a model's name" 1 "no model" -- transcribe -q -m "$name" x.wav
    mkdir odd
    printf '{"model_type": "od\\u001b[31md", "architectures": ["x"]}' >odd/config.json
    also='is_clean err'
    fails "a model's type" 1 "odd" -- sample -q -m odd -o x.png
    name=$(printf 'm\351le.wav')
    also='is_clean err'
    fails "a name that is not UTF-8" 1 "no such file" -- imagine --show "$name"
}

# ---- models of the wrong kind ----

mkdir speech images vae named named/whisper-tiny
echo '{"model_type": "whisper"}' | tee speech/config.json >named/whisper-tiny/config.json
echo '{"_class_name": "StableDiffusionPipeline"}' >images/model_index.json
echo '{"model_type": "vae"}' >vae/config.json
fails "Whisper for imagine" 1 "speech is a Whisper model, which clio imagine does not take" "clio transcribe -m speech" -- \
    imagine -q -m speech -p x -o x.png
fails "Whisper for sample" 1 "clio transcribe -m speech" -- sample -q -m speech -o x.png
fails "Stable Diffusion for transcribe" 1 "images is a Stable Diffusion model" "clio imagine -m images" -- transcribe -q -m images x.wav
fails "Stable Diffusion for sample" 1 "clio imagine -m images" -- sample -q -m images -o x.png
fails "a trained model for imagine" 1 "vae is a model that clio train wrote" "clio sample -m vae" -- imagine -q -m vae -p x -o x.png
fails "a trained model for caption" 1 "clio sample -m vae" -- caption -q -m vae x.wav
mkdir -p trained/whisper
cp speech/config.json trained
fails "a Whisper model that clio train wrote" 1 "clio transcribe -m trained/whisper" -- sample -q -m trained -o x.png
ln -s loop loop
fails "a model that cannot be looked at" 1 "the model loop cannot be read: " -- imagine -q -m loop -p x -o x.png
fails "a model that cannot be looked at" 1 "the model loop cannot be read: " -- transcribe -q -m loop x.wav
CLIO_MODELS=$PWD/named
export CLIO_MODELS
fails "a name" 1 "whisper-tiny is a Whisper model" "clio transcribe -m" -- imagine -q -m whisper-tiny -p x -o x.png

finish
