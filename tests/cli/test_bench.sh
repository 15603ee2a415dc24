#!/bin/sh
# clio bench: what a report holds, an interrupted one, and the comparison of reports: ratios, what counts as slower, damaged files, the page.
# Run by ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
set -u
# shellcheck source=tests/support/cases.sh
. "$CLIO_SOURCE_DIR/tests/support/cases.sh"

# ---- a report ----

also='grep -q "^launch, in a row  *[0-9.]* us" out && [ "$(grep -c "^launch" out)" -eq 2 ]'
works "some rows" -- bench -q --quick --filter launch -o launch.json
also='grep -q "\"format\": \"clio bench 1\"" out'
works "as JSON" -- bench -q --quick --filter "1500 x 512 x 512" --json
python3 - out >err 2>&1 <<'PYTHON' && ok "fields of a report" || not_ok "fields of a report" "missing or wrong"
import json, sys
report = json.load(open(sys.argv[1]))
assert report["complete"] is True and report["quick"] is True and report["device"]["name"] and report["parameters"] and report["date"]
(row,) = report["rows"]
assert (row["group"], row["name"], row["shape"]) == ("operation", "matmul", "1500 x 512 x 512")
assert 0 < row["low"] <= row["seconds"] <= row["high"] and len(row["samples"]) >= 3 and min(row["samples"]) > 0
assert row["flops"] == 2 * 1500 * 512 * 512 and row["bytes"] > 4 * 1500 * 1024 and 0 <= row["error"] < 1e-2 and row["problem"] is None
PYTHON
# It takes so long that each round has the least number of samples.
works "a slow row" -- bench -q --quick --filter "4096 x 4096" -o slow.json
if python3 -c 'import json; (row,) = json.load(open("slow.json"))["rows"]; assert len(row["samples"]) >= 6' 2>err; then ok "samples of two rounds"; else not_ok "samples of two rounds" "too few"; fi
works "a convolution" -- bench -q --quick --filter "2 x 8 x 8, 1280" -o conv.json
if python3 -c 'import json; (row,) = json.load(open("conv.json"))["rows"]; assert 0 <= row["error"] < 1e-2' 2>err; then ok "compared with plain C"; else not_ok "compared with plain C" "no error"; fi
works "a training step" -- bench -q --quick --filter vae -o vae.json
grep -q '"item": "images"' vae.json && ok "images of a step" || { : >err; not_ok "images of a step" "none"; }
also='[ "$(grep -c "^Whisper [a-z]*coder, " out)" -eq 2 ] && ! grep -q UNet out'
works "networks with random weights" -- bench -q --quick --filter network
usage "no such row" "no row of the benchmark matches --filter, \"nothing\"" -- bench -q --filter nothing
usage "an operand" "unexpected argument x.json: reports are compared with --compare" -- bench x.json
usage "a threshold alone" "--threshold needs --compare" -- bench --threshold 5
fails "a report that cannot be written" 1 "nowhere" -- bench -q --quick --filter launch -o nowhere/x.json

# Ctrl-C leaves what was measured, and says so.
"$clio" bench --quick --filter device -q -o cut.json >out 2>err &
child=$!
sleep 1
kill -INT $child 2>/dev/null
wait $child
code=$?
if [ $code -eq 130 ] && grep -q '"complete": false' cut.json || { [ $code -eq 0 ] && grep -q '"complete": true' cut.json; } || { [ $code -eq 130 ] && [ ! -e cut.json ]; }; then
    ok "interrupted: exit code $code"
else
    not_ok "interrupted" "exit code $code"
fi

# ---- comparison ----

# report NAME DEVICE ROW...: ROW is name:sample,sample,...
report() {
    python3 - "$@" <<'PYTHON'
import json, statistics, sys
name, device, rows = sys.argv[1], sys.argv[2], []
for row in sys.argv[3:]:
    key, samples = row.split(":")
    s = [float(x) for x in samples.split(",")]
    q = statistics.quantiles(s, n=4, method="inclusive")
    rows.append({"group": "operation", "name": key, "shape": "8 x 8", "seconds": q[1], "low": q[0], "high": q[2], "samples": s, "flops": 1e6, "bytes": 1e5})
json.dump({"format": "clio bench 1", "program": "clio", "version": "0.1.0", "device": {"name": device}, "rows": rows}, open(name, "w"))
PYTHON
}
report a.json One equal:1,1.01,1.02 slower:1,1.01,1.02 noisy:1,1.01,1.02 wide:1,1.5,2 faster:2,2,2
report b.json Two equal:1.01,1.02,1.03 slower:1.2,1.21,1.22 noisy:1,1.3,1.31 wide:1.3,1.9,2.6 faster:1,1,1
also='grep -q "^A  a.json: One" out && grep -q "^equal 8 x 8  *1.01 s  *1.02 s  *0.99x" out && grep -q "^faster 8 x 8  *2 s  *1 s  *2.00x" out && grep -q "^operation: B is 1.00 times as fast as A (geometric mean of 5 rows)" out && ! grep -q Slower out'
works "two reports" -- bench --compare a.json b.json
prints=yes also='[ "$(sed -n "/^Slower by more than 10 %/,\$p" out | grep -c "8 x 8:")" -eq 1 ] && grep -q "^  slower 8 x 8: 20 %" out'
"$clio" bench --compare a.json b.json --threshold 10 >out 2>err
if [ $? -eq 1 ] && [ ! -s err ] && eval "$also"; then ok "what is slower beyond the spread of both"; else not_ok "what is slower beyond the spread of both" "$(tail -n 3 out)"; fi
defaults
also='grep -q "^Nothing is slower by more than 25 %" out'
works "within the threshold" -- bench --compare a.json b.json --threshold 25
also='grep -q "^Nothing is slower" out'
works "the same report" -- bench --compare a.json a.json --threshold 1
usage "one report" "--compare takes 2 to 26 reports, not 1" -- bench --compare a.json
prints=yes
fails "no such report" 1 "nowhere.json cannot be compared" "clio bench -o" -- bench --compare a.json nowhere.json
echo '{"format": "clio bench 1", "device": {"name": "x"}, "rows": [{"group": "operation", "name": "x", "shape": "", "seconds": -1, "low": 1, "high": 2}]}' >bad.json
fails "a damaged row" 1 "bad.json cannot be compared: a row of it is damaged" -- bench --compare a.json bad.json
echo '{"format": "clio bench 9", "rows": []}' >bad.json
fails "another format" 1 "bad.json cannot be compared: it is not a report of clio bench, or of another version" -- bench --compare a.json bad.json
echo '{' >bad.json
fails "no JSON" 1 "bad.json cannot be compared: it is not valid JSON" -- bench --compare bad.json a.json

fails "a page in the place of a report" 1 "a.json" "-o" -- bench --compare a.json b.json -o ./a.json

# ---- the page ----

report hostile.json '</script><script>alert(1)</script><!--' equal:1,1.01,1.02
works "a page" -- bench --compare a.json b.json hostile.json -o page.html
if [ "$(grep -o '</script>' page.html | wc -l)" -eq 2 ] && ! grep -q 'alert(1)<' page.html; then ok "names cannot end the data"; else : >err; not_ok "names cannot end the data" "$(grep -c '</script>' page.html)"; fi
if [ -z "$(grep -oE '(https?:)?//[a-z0-9.-]+\.[a-z]+|src=|@import|url\(|fetch\(|XMLHttpRequest' page.html | grep -v '^http://www.w3.org')" ]; then ok "the page needs nothing from outside"; else : >err; not_ok "the page needs nothing from outside" "$(grep -oE 'https?://[^"]*' page.html)"; fi
finish
