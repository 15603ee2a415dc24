"""Time the rows of a report in one peer, within the Python environment: peer.py MODULE VARIANT ROWS OUT FILTER OPTIONS, which bench/peers runs.

A peer is a module peers_NAME.py that holds PEER, a Peer. Its makers are functions of a Row and the Work, by the names of clio bench's rows.
A maker prepares the work of one row and returns the call to time; a list of calls, of which the fastest counts; or None if it cannot do
that shape. Makers import their library themselves, so that bench/peers can list a peer that is not installed."""
import gc, importlib, importlib.metadata, json, subprocess, sys, time
from dataclasses import dataclass, field

import reports
from timing import OtherPrograms, Process, fastest_samples


@dataclass
class Peer:
    program: str                                    # as users know it
    package: str                                    # the package whose version is reported: of pip, or of pkg-config if in systems
    modules: list                                   # what Python must be able to import
    installs: list                                  # arguments of pip install, one list for each call
    variants: dict                                  # name of the report -> (what its device is called, storage of weights)
    makers: dict                                    # name of clio bench's row -> maker
    systems: dict = field(default_factory=dict)     # what pip does not install: name for pkg-config -> Debian's package

    def version(self):
        if self.package in self.systems:
            return subprocess.check_output(["pkg-config", "--modversion", self.package], text=True).strip()
        return importlib.metadata.version(self.package)


@dataclass
class Work:
    """What all rows of a run share. Paths are None where there is no such file."""
    variant: str
    storage: str
    threads: int
    quick: bool
    whisper: str = None
    diffusion: str = None
    sound: str = None
    clio: str = None
    kept: dict = field(default_factory=dict)        # what a maker wants to find again, such as a loaded model


def time_row(row, maker, work):
    """A row of the report; None: the peer does not do it."""
    try:
        calls = maker(row, work)
        if calls is None:
            return None
        calls = calls if isinstance(calls, list) else [calls]
        samples = fastest_samples(calls, work.quick)
        memory = max(call.memory if isinstance(call, Process) else 0 for call in calls)
        return reports.row_json(row, work.storage, samples, memory)
    except Exception as error:  # pylint: disable=broad-except # any library may raise anything: the other rows go on
        text = " ".join(str(error).split())[:200] or type(error).__name__
        print("peers: %s, %s %s: %s" % (work.variant, row.name, row.shape, text), file=sys.stderr, flush=True)
        return reports.row_json(row, work.storage, [], problem=text)


def time_rows(peer, rows, work, done):
    """Append to done, so that an interruption leaves what was measured."""
    chosen = [row for row in rows if row.name in peer.makers]
    for at, row in enumerate(chosen):
        print("%-20s %3d of %d  %s %s" % (work.variant, at + 1, len(chosen), row.name, row.shape), file=sys.stderr, flush=True)
        result = time_row(row, peer.makers[row.name], work)
        if result:
            done.append(result)
        gc.collect()


def run(module, variant, rows_path, out_path, text, options):
    peer = importlib.import_module(module).PEER
    name, storage = peer.variants[variant]
    work = Work(variant, storage, **options)
    clio = reports.read(rows_path)
    rows = [row for row in reports.rows_of(clio) if row.matches(text)]
    report = reports.report_json(clio, name, peer.program, peer.version(), work.threads, work.quick)
    others, start = OtherPrograms(), time.monotonic()
    try:
        time_rows(peer, rows, work, report["rows"])
    except KeyboardInterrupt:
        report["complete"] = False
    report["duration_s"], report["other_programs"] = time.monotonic() - start, others.share()
    if report["rows"]:
        reports.write(out_path, report)
    return 0 if report["complete"] else 130


if __name__ == "__main__":
    # A module that a peer imports must see this one, not a second copy of it.
    sys.modules["peer"] = sys.modules["__main__"]
    sys.exit(run(*sys.argv[1:6], json.loads(sys.argv[6])))
