#!/bin/sh
# test_distributed as 2 and as 3 processes, among which a batch of 8 cannot be divided evenly. Run by ctest, which sets CLIO_BUILD_DIR.
program=$CLIO_BUILD_DIR/tests/test_distributed
if ! ldd "$program" | grep -q libmpi; then
    echo "SKIPPED: several processes: this clio was built without MPI"
    [ -z "${CLIO_REQUIRE:-}" ]
    exit
fi
# Open MPI's components are unloaded before leaks are looked for, and what they leave cannot be told by name.
ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export ASAN_OPTIONS OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM
for n in 2 3; do
    echo "$n processes:"
    timeout 240 mpirun --oversubscribe -n $n "$program" $n || exit 1
done
