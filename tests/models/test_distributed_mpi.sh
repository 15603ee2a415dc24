#!/bin/sh
# test_distributed as 2 and as 3 processes, among which a batch of 8 cannot be divided evenly. Run by ctest, which sets CLIO_BUILD_DIR and
# CLIO_SOURCE_DIR.
# shellcheck source=tests/support/mpi.sh
. "$CLIO_SOURCE_DIR/tests/support/mpi.sh"
program=$CLIO_BUILD_DIR/tests/test_distributed
need_mpi "$program"
for n in 2 3; do
    echo "$n processes:"
    mpi 240 $n "$program" $n || exit 1
done
