#!/bin/bash
# scripts/check-isa on a small tree with a stand-in for scripts/isa-compile: which variants and targets are compiled, spills, the table and
# when it is out of date; and what isa-compile makes of registers. Run by ctest, which sets CLIO_SOURCE_DIR.
set -u
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/scripts" "$tmp/cl" "$tmp/bench"
cp "$CLIO_SOURCE_DIR/scripts/check-isa" "$tmp/scripts"
cd "$tmp" || exit 1
passed=0 failed=0
check() { # NAME, 0 or 1 from the condition
    if [ "$2" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $1"
        cat out
    fi
}
says() { # NAME CODE TEXT
    [ "$status" -eq "$2" ] && grep -qF -- "$3" out
    check "$1" $?
}
isa() { # arguments
    status=0
    scripts/check-isa "$@" >out 2>&1 || status=$?
}

cat >scripts/isa-targets.txt <<'END'
# target architecture
gfx1030 rdna amd
dg2 xe intel
sm_89 ampere nvidia
sm_90 hopper nvidia
END
# Notes each call; spills on sm_90 where TN is 8; private memory on dg2.
cat >scripts/isa-compile <<'END'
#!/bin/bash
[ "$1" != --versions ] || { cat versions; exit; }
echo "$*" >>calls
case "$*" in *BROKEN*) echo "dg2 FAILED"; exit 1 ;; esac
IFS=, read -ra given <<<"$2"
for target in gfx1030 dg2 sm_89 sm_90; do
    case " ${given[*]} " in *" $target "*) ;; *) continue ;; esac
    spills=0 private=0 fma=
    case "$target $*" in sm_90*TN=8*) spills=4 ;; dg2*) private=16 ;; gfx1030*) fma=fma=50 ;; esac
    echo "$target k registers=$(cat registers) spills=$spills private=$private local=64 group=0 occupancy=75 $fma"
done
END
chmod +x scripts/isa-compile
echo 'clang 1' >versions
echo 20 >registers
printf 'any x.tn 4\nrdna x.tn 8\n' >cl/tunables.txt
: >cl/a.clh
printf '// isa: -DTN={x.tn}\n// isa: -DA={0,1}\n// isa-cpu: -DCPU\n' >cl/a.cl

isa cl/a.cl
says "all variants" 0 "check-isa: 5 variants of 1 files compile for gfx1030, dg2, sm_89, sm_90, without spills where they are used"
says "a line for each kernel" 0 "cl/a.cl -DA=1 k: local=64 fma=50% gfx1030=20@75% dg2=20+16@75% sm_89=20@75% sm_90=20@75%"
grep -qxF "cl/a.cl -DTN=8 k: local=64 fma=50% gfx1030=20@75%" out
check "a value of one architecture: listed for that alone" $?
grep -q '^-t gfx1030,dg2,sm_89 cl/a.cl -I cl -DCPU$' calls
check "what only CPUs are given is compiled with one target of each compiler" $?
! grep -q 'CPU' out
check "and is not in the table" $?
grep -qE '^-t gfx1030,dg2,sm_89,gfx1030 cl/a.cl -I cl -DTN=8$' calls && grep -qE '^-t [a-z0-9_,]*sm_90[a-z0-9_,]* cl/a.cl -I cl -DTN=4$' calls
check "a value is compiled with each compiler and for the GPUs that are given it" $?

isa --table
says "the table is written" 0 "check-isa: 5 variants"
isa
says "and up to date" 0 "check-isa: 5 variants"
! grep -q 'local=' out
check "then nothing is listed" $?
echo 21 >registers
isa
says "it is out of date" 1 "check-isa: bench/isa.txt is out of date: look at the differences, then run scripts/check-isa --table"
says "with the differences" 1 "+cl/a.cl -DTN=8 k: local=64 fma=50% gfx1030=21@75%"
echo 'clang 2' >versions
isa
says "of other compilers the differences are shown" 0 "check-isa: bench/isa.txt was made by other compilers; 4 lines differ"

printf 'any x.tn 4\nhopper x.tn 8\n' >cl/tunables.txt
isa cl/a.cl
says "a spill of what a GPU is given" 1 "cl/a.cl -DTN=8: spills: sm_90 k 4"
sed -i 's/nvidia$/nvidia 0 1 1 1 1 1 shown H100/' scripts/isa-targets.txt
isa cl/a.cl
says "a spill that is shown" 0 "cl/a.cl -DTN=8 k: local=64 fma=50% sm_90=21!4@75%"
printf '// isa: -DBROKEN\n' >cl/a.cl
isa cl/a.cl
says "what does not compile" 1 "cl/a.cl -DBROKEN: does not compile"
printf '// isa: -DTN={no.row}\n' >cl/a.cl
isa cl/a.cl
says "no such row" 1 "check-isa: cl/tunables.txt has no no.row"

# ---- occupancy ----

python3 - "$CLIO_SOURCE_DIR" >out 2>&1 <<'END'
import importlib.machinery, importlib.util, os, sys
sys.dont_write_bytecode = True
path = os.path.join(sys.argv[1], "scripts", "isa-compile")
loader = importlib.machinery.SourceFileLoader("isa_compile", path)
isa = importlib.util.module_from_spec(importlib.util.spec_from_loader("isa_compile", loader))
loader.exec_module(isa)
rows = isa.targets()
wrong = 0
for target, registers, local, group, want in (
        ("gfx906", "24", 0, 0, 100), ("gfx906", "25", 0, 0, 90), ("gfx1030", "16", 0, 0, 100), ("gfx906", "107", 0, 0, 20), ("gfx90a", "158", 0, 0, 37), ("gfx803", "97", 37632, 128, 5),
        ("gfx1030", "112", 16896, 256, 56), ("gfx1030", "16", 65536, 256, 25), ("gfx1100", "112", 0, 0, 75), ("sm_75", "121", 16896, 256, 50),
        ("sm_80", "35", 0, 0, 79), ("sm_90", "32", 40000, 0, 62), ("dg2", "SIMD16", 16896, 256, 87), ("tgllp", "SIMD8", 0, 0, 100),
        ("tgllp", "SIMD32", 65536, 64, 1)):
    got = isa.occupancy(rows[target], {"registers": registers, "local": local}, group)
    if got != want:
        print(f"{target} {registers} registers, {local} bytes, groups of {group}: {got} %, expected {want}")
        wrong = 1
sys.exit(wrong)
END
check "occupancy" $?
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
