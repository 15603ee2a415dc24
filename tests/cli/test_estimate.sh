#!/bin/sh
# bench/estimate: times from a report, peaks and a table of instructions that are known, and its errors. Run by ctest, which sets
# CLIO_SOURCE_DIR.
set -u
estimate=$CLIO_SOURCE_DIR/bench/estimate
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
passed=0 failed=0

cat >report.json <<'END'
{"device": {"name": "a device"}, "rows": [
    {"name": "matmul", "shape": "100 x 8 x 8", "storage": "f16", "seconds": 0.25, "flops": 6.0006e9, "bytes": 6e6},
    {"name": "matmul", "shape": "16 x 8 x 8", "seconds": 0.0001, "flops": 6e6, "bytes": 6.0006e8},
    {"name": "matmul", "shape": "4 x 8 x 8", "flops": 6.0006e9, "bytes": 6e6},
    {"name": "softmax", "shape": "1 x 8", "flops": 1000, "bytes": 1000},
    {"name": "peak", "shape": "", "seconds": 1, "flops": 1000, "bytes": null}]}
END
cat >gpus.json <<'END'
{"gpus": [{"name": "One", "target": "gfx1030", "gflops": 1000, "gbytes": 100}, {"name": "Two", "target": "sm_89", "gflops": 10000, "gbytes": 1000}]}
END
cat >isa.txt <<'END'
# cl/x.cl gemm_tile: local=0 fma=1% gfx1030=1@1%
cl/gemm.cl -DA=1 gemm_tile: local=512 fma=25% gfx1030=20@100% sm_89=30@100%
cl/gemm.cl -DA=2 gemm_tile: local=512 fma=50% gfx1030=20@100%
cl/gemm.cl -DA=3 gemm_rows: local=512 gfx1030=20@100%
END

has() { # NAME LINE
    if grep -qxF -- "$2" out; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1: no line \"$2\" in:"
        cat out
    fi
}
fails() { # NAME TEXT ARGUMENT...
    name=$1 part=$2
    shift 2
    if ! python3 "$estimate" "$@" >out 2>&1 && grep -qF -- "$part" out; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name: no error with \"$part\":"
        cat out
    fi
}

python3 "$estimate" -g gpus.json -i isa.txt report.json >out 2>&1
has "says that these are estimates" 'ESTIMATES, not measurements: 60% of published peaks, 5 us a launch; limited by c computing, m memory, l launch. "here" is measured on a device.'
has "columns" 'operation                MFLOP      MB       here         One        Two'
has "computing, by the best variant that a GPU is given" 'matmul 100 x 8 x 8 f16  6000.6    6.00  250.00 ms  20.01 ms c  4.01 ms c'
has "another kernel for few rows, whose instructions are not known" 'matmul 4 x 8 x 8        6000.6    6.00          -  10.01 ms c  1.01 ms c'
has "memory" 'matmul 16 x 8 x 8          6.0  600.06     100 us  10.01 ms m  1.01 ms m'
has "the launch; nothing measured" 'softmax 1 x 8              0.0    0.00          -      5 us l     5 us l'
if [ "$(wc -l <out)" -eq 7 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: a row without bytes is listed"; fi
python3 "$estimate" -g gpus.json -i isa.txt -s 1 -f soft report.json >out 2>&1
has "one row, other share" 'softmax 1 x 8    0.0  0.00     -  5 us l  5 us l'
python3 "$estimate" report.json >out 2>&1
if grep -q 'RTX 4090' out; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: the tables of this folder"; cat out; fi
fails "no such row" 'report.json has no row with flops and bytes and "zzz" in its name or shape' -g gpus.json -i isa.txt -f zzz report.json
fails "not a report" "gpus.json is no report of clio bench, which clio bench -o writes: 'rows'" gpus.json
fails "no table" "none.txt: No such file or directory; scripts/check-isa --table writes it" -i none.txt report.json
fails "no share" "usage: bench/estimate" -s 0 report.json
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
