#!/bin/sh
# test_parallel as two processes that share a list: each item is done once, by whichever process, also when the devices of one fail. Run by
# ctest, which sets CLIO_BUILD_DIR and CLIO_SOURCE_DIR.
# shellcheck source=tests/support/mpi.sh
. "$CLIO_SOURCE_DIR/tests/support/mpi.sh"
program=$CLIO_BUILD_DIR/tests/test_parallel
need_mpi "$program"
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
seq 0 39 >"$tmp/all"
for failing in -1 0 1; do
    mkdir "$tmp/$failing"
    mpi 120 2 "$program" "$tmp/$failing" $failing || { echo "process $failing fails: exit code $?"; exit 1; }
    sort -n "$tmp/$failing/0" "$tmp/$failing/1" | cmp - "$tmp/all" || { echo "process $failing fails: not each item once"; exit 1; }
    echo "process $failing fails: $(wc -l <"$tmp/$failing/0") and $(wc -l <"$tmp/$failing/1") items"
    sort -nc "$tmp/$failing/1" || [ $failing -eq 0 ] || { echo "not in order"; exit 1; }
done
[ "$(wc -l <"$tmp/-1/0")" -gt "$(wc -l <"$tmp/-1/1")" ] || { echo "the faster process did not do more"; exit 1; }
mkdir "$tmp/2"
! mpi 120 2 "$program" "$tmp/2" 2 2>"$tmp/err" || { echo "no error although no process could work"; exit 1; }
