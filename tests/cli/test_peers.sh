#!/bin/sh
# bench/peers and bench/figures: wrong arguments, the timing of a call, reports, the tables, and one row of a peer that clio bench --compare reads.
# The peer is NumPy with OpenBLAS, from the environment in $CLIO_PEERS; without it that part is skipped, and under CLIO_REQUIRE NumPy is installed.
# Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
set -u
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"
bench=$CLIO_SOURCE_DIR/bench
export PYTHONPATH="$bench:$tmp" PYTHONDONTWRITEBYTECODE=1
# The command as a module, for tests of its functions.
cat >peers_command.py <<'PYTHON'
import importlib.machinery, importlib.util, os
loader = importlib.machinery.SourceFileLoader("peers_of_bench", os.path.join(os.environ["CLIO_SOURCE_DIR"], "bench", "peers"))
peers = importlib.util.module_from_spec(importlib.util.spec_from_loader("peers_of_bench", loader))
loader.exec_module(peers)
PYTHON

# python NAME: what standard input asserts
python() {
    if python3 - >out 2>err; then ok "$1"; else not_ok "$1" "an assertion failed"; fi
}
# refuses NAME PROGRAM PART ARGUMENT...: one sentence and exit code 2
refuses() {
    name=$1 program=$2 part=$3
    shift 3
    [ "$program" = figures ] || set -- "$@" --filter nothing # what is not refused measures nothing
    "$bench/$program" "$@" </dev/null >out 2>err
    code=$?
    if [ $code -eq 2 ] && [ "$(wc -l <err)" -eq 1 ] && [ ! -s out ] && grep -qF -- "$part" err; then
        ok "$name"
    else
        not_ok "$name" "exit code $code, or not one sentence with \"$part\""
    fi
}

# ---- wrong arguments ----

mkdir one two

refuses "no such peer" peers 'peers: --only: there is no peer "foo"; choose among torch-f32, ' -m one --only openblas,foo
refuses "an empty name" peers 'there is no peer ""' -m one --only ''
refuses "no thread" peers "peers: --threads must be 1 or more, not 0" -m one --threads 0
refuses "threads that are no number" peers "invalid int value: 'x'" --threads x
refuses "no such option" peers "unrecognized arguments: --fast" --fast
refuses "no such model" peers "peers: -m: there is no folder nowhere" -m nowhere
refuses "two models of a kind" peers "not two of a kind" -m one -m two
refuses "no such sound file" peers "peers: --sound: there is no file nowhere.wav" -m one --sound nowhere.wav
refuses "no such report" peers "peers: --rows: there is no file nowhere.json" -m one --rows nowhere.json
refuses "no such program" peers "nowhere/clio cannot be run (No such file or directory); build clio, or name the program with --clio" -m one --clio nowhere/clio
refuses "no such row" peers 'no row of clio bench matches --filter, "nothing"' -m one --only none
refuses "figures without reports" figures "figures: there is no nowhere/clio.json" --reports nowhere
refuses "figures of old reports, with an option to measure" figures "--quick needs a new measurement" --reports . --quick

# ---- timing ----

python "quartiles and stability" <<'PYTHON'
from timing import is_stable, quartiles
assert quartiles([3.0]) == (3.0, 3.0, 3.0) and quartiles([4.0, 1.0, 2.0, 3.0]) == (1.75, 2.5, 3.25)  # NumPy's quantiles
assert is_stable([1.0] * 5) and not is_stable([1.0] * 4)
assert not is_stable([1.0, 1.0, 1.0, 1.1, 1.1]) and is_stable([1.0, 1.0, 1.0, 1.005, 1.005])
assert is_stable([1.0, 1.03] * 18) and not is_stable([1.0, 1.03] * 9)
PYTHON
python "samples of calls of every length" <<'PYTHON'
from timing import take_samples
def timed(durations, quick):
    """Samples of a call that takes these seconds in turn, the last again and again; and how often it was called."""
    now, calls = [0.0], []
    def call():
        now[0] += durations[min(len(calls), len(durations) - 1)]
        calls.append(now[0])
    return take_samples(call, quick, clock=lambda: now[0]), len(calls)
near = lambda samples, seconds: all(abs(s - seconds) < 1e-6 * seconds for s in samples)
samples, calls = timed([0.5, 0.1, 0.2], False)           # two warm-ups, then until stable
assert near(samples, 0.2) and len(samples) == 5 and calls == 7
samples, calls = timed([0.5, 2 ** -10], False)           # 41 calls make a sample
assert samples == [2 ** -10] * 5 and calls == 2 + 5 * 41
samples, calls = timed([0.5, 2 ** -10], True)            # a quick run's are shorter
assert calls == 2 + 5 * 11
samples, calls = timed([9, 3, 2, 2], False)              # one warm-up, three samples although they take longer than a row may
assert samples == [3, 2, 2] and calls == 4
samples, calls = timed([9, 3], True)
assert samples == [3] and calls == 2
samples, calls = timed([0.1, 0.1] + [0.1, 0.2] * 500, False)  # never stable: until the time is over
assert 20 <= len(samples) <= 30
samples, calls = timed([0.03, 0.03] + [0.02, 0.02, 0.04, 0.04] * 500, False)
assert len(samples) == 64                                # at most
PYTHON
python "the fastest of several ways" <<'PYTHON'
import time
from timing import fastest_samples
import statistics
fast, slow = (lambda: time.sleep(0.001)), (lambda: time.sleep(0.05))
assert statistics.median(fastest_samples([slow, fast, slow], True)) < 0.03
PYTHON
python "whole processes" <<'PYTHON'
import os, sys
from timing import Process
run = lambda text: Process([sys.executable, "-c", text], dict(os.environ))
good = run("print('word')"); good(); assert good.memory > 1 << 20
for text, why in [("print('x'); raise SystemExit(3)", "failed"), ("print()", "printed nothing")]:
    try:
        run(text)()
    except RuntimeError as error:
        assert str(error).endswith(why), error
    else:
        raise AssertionError(text)
PYTHON

# ---- reports ----

python "rows" <<'PYTHON'
import reports
row = lambda group, name, shape: reports.Row({"group": group, "name": name, "shape": shape, "flops": 7, "storage": "f16"})
conv = row("operation", "conv2d", "2 x 64 x 32, 320 > 4, stride 2")
assert conv.numbers == [2, 64, 32, 320, 4, 2] and conv.key == ("operation", "conv2d", "2 x 64 x 32, 320 > 4, stride 2")
assert conv.matches("") and conv.matches("conv") and conv.matches("320") and conv.matches("operation") and not conv.matches("opera")
assert len(reports.rows_of({"rows": [conv.source, dict(conv.source, storage="f32")]})) == 1
made = reports.row_json(conv, "bf16", [3.0, 1.0, 2.0])
assert (made["seconds"], made["low"], made["high"], made["storage"], made["flops"], made["problem"]) == (2.0, 1.5, 2.5, "bf16", 7, None)
made = reports.row_json(conv, "bf16", [], problem="no memory")
assert made["seconds"] is None and made["samples"] == [] and made["problem"] == "no memory"
PYTHON
python "a peer's run: rows it has, rows it cannot do, rows that fail" <<'PYTHON'
import peer, reports
row = lambda name: {"group": "operation", "name": name, "shape": "2 x 2"}
def broken(row, work):
    raise MemoryError("3 GB\nare missing")
calls = []
example = peer.Peer("X", "x", [], [], {"x": ("X", "f32")}, {"good": lambda row, work: lambda: calls.append(row.name), "cannot": lambda row, work: None, "broken": broken})
done = []
peer.time_rows(example, [reports.Row(row(name)) for name in ("good", "other", "cannot", "broken")], peer.Work("x", "f32", 1, True), done)
assert [r["name"] for r in done] == ["good", "broken"] and calls and done[0]["samples"] and done[0]["problem"] is None
assert done[1]["problem"] == "3 GB are missing" and done[1]["seconds"] is None
PYTHON
python "every peer is complete, and its rows are those of clio bench" <<'PYTHON'
import os
from peers_command import peers
root = os.environ["CLIO_SOURCE_DIR"]
sources = "".join(open(os.path.join(root, path)).read() for path in ("host/bench/operations.c", "host/bench/convs.c", "models/pipelines/bench_networks.c", "models/pipelines/bench_training.c"))
every = peers.peers()
assert len(every) == 10
for variant, (module, peer) in every.items():
    for name in peer.makers:
        assert name == "transcribe" or '"%s"' % name in sources, (variant, name)
assert list(peers.choose("torch,openblas")) == ["torch-f32", "torch-bf16", "openblas"] and list(peers.choose("torch-bf16")) == ["torch-bf16"]
assert peers.choose("none") == {} and list(peers.choose(None)) == list(every)
PYTHON
python "what is derived from a model is made once for each state of it" <<'PYTHON'
import os
os.environ["CLIO_PEERS"] = os.path.abspath("cache")
from environment import derived, environment
made = []
def write(path):
    made.append(path)
    open(path, "w").close()
open("one/weights", "w").close()
assert derived("one", "x", write) == derived("one", "x", write) and len(made) == 1
os.utime("one/weights", (1, 1))
assert derived("one", "x", write) == made[1] != made[0] and len(made) == 2
os.environ["OPENBLAS_CORETYPE"] = "Haswell"
assert environment(3)["OMP_NUM_THREADS"] == environment(3)["POCL_MAX_PTHREAD_COUNT"] == "3" and "OPENBLAS_CORETYPE" not in environment(3)
PYTHON

# ---- figures ----

mkdir reports
python3 - <<'PYTHON'
import json, os
row = lambda group, name, shape, seconds: {"group": group, "name": name, "shape": shape, "seconds": seconds, "low": seconds, "high": seconds, "samples": [seconds]}
def write(name, device, rows, **more):
    report = {"format": "clio bench 1", "program": "x", "version": "1", "date": "2026-01-02T00:00:00Z", "quick": False, "parameters": {"threads": "2"}, "device": {"name": device, "platform": "P", "driver": "9"}, "rows": rows}
    json.dump(dict(report, **more), open(os.path.join("reports", name + ".json"), "w"))
work = lambda unet, a, b: [row("network", "UNet", "64 x 64 latent", unet), row("operation", "matmul", "8 x 8 x 8", a), row("operation", "matmul", "9 x 9 x 9", b), row("operation", "softmax", "1 x 1", None)]
write("clio", "cpu", work(3, 1, 1) + [row("operation", "matmul", "8 x 8 x 8", 99)], whisper="whisper-base")
write("torch-f32", "PyTorch float32", work(6, 2, 2), other_programs=0.5)
write("torch-bf16", "PyTorch bfloat16", work(2.5, 4, 1))
write("openvino-f32", "OpenVINO float32", work(2, 1, 1)[:1])
PYTHON
if "$bench/figures" --reports reports --print >out 2>err &&
    grep -qF '| Stable Diffusion 1.5, 512x512, one UNet evaluation | 3 s | 6 s | 2.5 s | 1.20 | 1.50 | OpenVINO float32 2 |' out &&
    grep -qF '| operation | PyTorch bfloat16 | PyTorch float32 |' out && grep -qF '| matmul | 0.50 (1.00; 2) | 0.50 (0.50; 2) |' out &&
    grep -q '2 threads; clio on P, driver 9; medians, 2026-01-02; other programs took up to 50 % of the processors.$' out; then
    ok "the tables"
else
    not_ok "the tables" "$(cat out)"
fi
also='grep -q "^network: B is 1.20 times as fast as A (geometric mean of 1 rows)" out'
works "reports with a row that was not measured" -- bench --compare reports/clio.json reports/torch-bf16.json
python3 - <<'PYTHON'
import json, peers_clio
rows = [dict(row, seconds=2, low=2, high=2, samples=[2]) for row in peers_clio.sources("folder/talk.wav")]
report = {"format": "clio bench 1", "device": {"name": "x"}, "rows": rows}
json.dump(report, open("files.json", "w"))
PYTHON
also='grep -q "^transcribe talk.wav, with timestamps " out && grep -q "^transcribe talk.wav, batched, without timestamps " out && grep -q "^pipeline: B is 1.00 times" out'
works "whole sound files" -- bench --compare files.json files.json
python "the section of a page" <<'PYTHON'
from figures_table import BEGIN, END, replace_section
assert replace_section("a\n%s\nold\n%s\nb" % (BEGIN, END), "new") == "a\n%s\nnew\n%s\nb" % (BEGIN, END)
for page in ("no marks", BEGIN + BEGIN + END):
    try:
        replace_section(page, "new")
    except ValueError:
        continue
    raise AssertionError(page)
PYTHON
python "the table of SPEED.md is that of figures.json" <<'PYTHON'
import os, figures_table, reports
bench = os.path.join(os.environ["CLIO_SOURCE_DIR"], "bench")
page = open(os.path.join(bench, "SPEED.md"), encoding="utf-8").read()
assert figures_table.replace_section(page, figures_table.table(reports.read(os.path.join(bench, "figures.json")))) == page
PYTHON

# ---- one row of a real peer ----

has_numpy='import sys, environment; sys.exit(0 if environment.is_ready(["numpy"]) else 1)'
[ -z "${CLIO_REQUIRE:-}" ] || python3 -c 'import environment; environment.prepare(["numpy"], ["numpy"])'
if python3 -c "$has_numpy" 2>err; then
    "$bench/peers" --only openblas --quick --filter "77 x 640 x 768" -m one -o made >out 2>err
    code=$?
    if [ $code -eq 0 ] && grep -qxF "clio bench --compare made/clio.json made/openblas.json -o page.html" out; then ok "OpenBLAS at one row"; else not_ok "OpenBLAS at one row" "exit code $code"; fi
    # shellcheck disable=SC2034 # read by works
    also='grep -q "^B  made/openblas.json: OpenBLAS float32, .*; NumPy with OpenBLAS" out && grep -q "^matmul 77 x 640 x 768 .* [mu]s .* [mu]s .*x" out && grep -q "^operation: B is .* (geometric mean of 1 rows)" out'
    works "its report beside clio's" -- bench --compare made/clio.json made/openblas.json -o page.html
    "$bench/peers" --only openblas --quick --rows made/clio.json --filter nothing -m one -o made >out 2>err
    if grep -q "^peers: openblas is left out: it does none of these rows" err && [ ! -e made/openblas.json ]; then ok "none of the rows"; else not_ok "none of the rows" "another sentence, or an old report is left"; fi
    python "a peer that cannot be installed is left out" <<'PYTHON'
import contextlib, io, os, peer
from peers_command import peers
said = io.StringIO()
with contextlib.redirect_stderr(said):
    assert not peers.installed("x", peer.Peer("X", "x", ["no_such_module"], [["--no-index", "no-such-package"]], {}, {}))
    assert not peers.installed("y", peer.Peer("Y", "y", ["numpy"], [], {}, {}, {"no-such-library": "libnone-dev"}))
    assert not peers.installed("z", peer.Peer("Z", "z", ["no_such_module"], [], {}, {}))
    assert peers.installed("numpy", peer.Peer("N", "numpy", ["numpy"], [], {}, {}))
lines = said.getvalue().splitlines()
assert lines[0].startswith("peers: x is left out: -m pip install failed: ERROR: ") and "no-such-package" in lines[0], lines
assert lines[1:] == ["peers: y is left out: it needs libnone-dev (apt-get install)", "peers: z is left out: Python cannot import no_such_module"], lines
PYTHON
else
    skip "OpenBLAS at one row" "there is no NumPy in \$CLIO_PEERS (bench/peers --only openblas installs it)"
fi
finish
