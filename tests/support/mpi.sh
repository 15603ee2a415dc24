# shellcheck shell=sh
# mpi.sh - what the tests of several processes share, which read this file with `.`.

has_mpi() { ldd "$1" | grep -q libmpi; } # PROGRAM
# need_mpi PROGRAM: ends the test where clio was built without MPI.
need_mpi() {
    has_mpi "$1" && return
    echo "SKIPPED: several processes: this clio was built without MPI"
    [ -z "${CLIO_REQUIRE:-}" ]
    exit
}
# mpi SECONDS COUNT PROGRAM ARGUMENT...: so many processes, for so long at most. Open MPI's components are unloaded before leaks are looked
# for, and what they leave cannot be told by name.
mpi() (
    seconds=$1 count=$2
    shift 2
    export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    exec timeout "$seconds" mpirun --oversubscribe -n "$count" "$@"
)
