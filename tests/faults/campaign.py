"""Fault injection into whole commands.

usage: scripts/faults [--all] [--build DIR] [-j N] [--each N] [--jobs NAME,...] [--again] [--repeat NAME] [--list]

Runs clio's commands on small models, while one call fails: the n-th OpenCL call with an error code that the standard allows for it, or
every one from there on (the device is lost); the n-th allocation of clio or of a library that it uses; the n-th call for a file (EIO,
ENOSPC, EMFILE, EACCES, EINTR, half the bytes); or the clock jumps, weights are truncated while they are read, or a signal comes (SIGKILL,
SIGTERM, SIGINT). Each run must give the right result (the bytes of a run without a fault) or fail with exit code 1 and one true sentence,
and leave nothing half-written, lost or left behind; and the next run without a fault, on what the fault has left (files, compiled kernels,
results of self-tests), must give the right result.

  (no option)     a fixed sample, as ctest runs it (test_faults)
  --all           the whole campaign; it goes on where it was interrupted, for the same build
  --build DIR     build folder (default: the newest of build and build-dev). Leaks are found in a build with sanitizers (build-dev)
  -j N            jobs at a time (default: the processors)
  --each N        calls at most that are struck at one point of one job (default: 12)
  --jobs NAME,... only these jobs
  --again         forget the outcomes of earlier runs of --all
  --repeat NAME   one injection, by the name that the table has, with everything that the command prints
  --list          list the jobs

--all writes outcomes.tsv into DIR/faults: injection, outcome, exit code, seconds, where the fault came, what is wrong. Every bad one is
printed with the command that repeats it. Exits 1 when there is a bad outcome."""
import argparse, collections, hashlib, os, queue, shutil, signal, sys, tempfile, threading, time

import jobs, kills, plan, runner

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
# The sample: injections of each job that are drawn, and those that always are.
SAMPLE = {
    "transcribe": (12, ["fsync last EIO", "write last ENOSPC", "rename last EACCES", "memory.jansson middle ENOMEM"]),
    "imagine": (12, ["fsync last EIO", "write last ENOSPC", "rename last EACCES", "writing last SIGKILL"]),
    "train": (10, ["fsync first EIO", "write middle ENOSPC", "rename middle EACCES", "memory.jansson last ENOMEM", "writing middle SIGKILL",
                   "create last ENOSPC+", "opencl middle SIGTERM"]),
    "resume": (10, ["open middle EMFILE", "opendir first EACCES", "write middle EIO", "read middle short", "unlink last EACCES",
                    "symlink last ENOSPC"]),
    "sample": (6, ["clEnqueueReadBuffer last -36", "close last EIO"]),
    "eval": (5, ["memory.jansson last ENOMEM"]),
    "eval-words": (4, ["write last ENOSPC"]),
    "devices": (5, ["clGetDeviceInfo middle -33"]),
    "tune": (8, ["fsync last EIO", "clBuildProgram middle -11"]),
    "transcribe-selftests": (7, ["clEnqueueReadBuffer middle -36", "clBuildProgram middle -6", "clCreateKernel middle -6",
                                 "clEnqueueNDRangeKernel middle -5", "fsync first EIO"]),
    "train-selftests": (5, ["clFinish middle -36", "write first ENOSPC"]),
    "transcribe-cut": (2, []),
    "resume-cut": (1, []),
}


def options():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0], add_help=False)
    p.add_argument("--all", action="store_true")
    p.add_argument("--build")
    p.add_argument("-j", type=int, default=os.cpu_count())
    p.add_argument("--each", type=int, default=12)
    p.add_argument("--jobs")
    p.add_argument("--again", action="store_true")
    p.add_argument("--repeat")
    p.add_argument("--list", action="store_true")
    p.add_argument("-h", "--help", action="store_true")
    return p.parse_args()


def default_build():
    found = [d for d in (os.path.join(ROOT, n) for n in ("build", "build-dev")) if os.path.exists(os.path.join(d, "tests", "libfault.so"))]
    if not found:
        raise SystemExit("faults: there is no build with tests: scripts/check makes one")
    return max(found, key=lambda d: os.path.getmtime(os.path.join(d, "tests", "libfault.so")))


def environment():
    """That of the tests, where ctest has not set it: sanitizers, and no settings of the user."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CLIO_") or k == "CLIO_DEVICE"}
    asan = [o for o in env.get("ASAN_OPTIONS", "new_delete_type_mismatch=0:intercept_tls_get_addr=0").split(":") if o]
    env["ASAN_OPTIONS"] = ":".join(asan + ["verify_asan_link_order=0"])
    env.setdefault("LSAN_OPTIONS", f"suppressions={ROOT}/tests/support/lsan.supp:print_suppressions=0")
    env.setdefault("POCL_CACHE_DIR", os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "pocl", "kcache"))
    env["LC_ALL"] = "C.UTF-8"
    return env


class Campaign:
    def __init__(self, a):
        self.a, self.build = a, os.path.abspath(a.build or default_build())
        self.folder = tempfile.mkdtemp(prefix="faults-")
        self.inputs, self.env = os.path.join(self.folder, "in"), environment()
        cache = os.environ.get("CLIO_TEST_CACHE") or os.path.join(self.build, "cache")
        self.pool = os.path.join(cache, "faults")
        self.rows, self.lock, self.sink, self.errors = {}, threading.Lock(), None, []

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def has_inputs(self, job):
        return not job.needs or os.path.exists(job.needs.replace("{in}", self.inputs))

    def chosen(self):
        names = self.a.jobs.split(",") if self.a.jobs else None
        if self.a.repeat:
            names = [self.a.repeat.split("/")[0]]
        wanted = [j for j in jobs.JOBS if (j.name in names if names else self.a.all or j.name in SAMPLE)]
        missing = [j for j in wanted if not self.has_inputs(j)]
        for job in missing:
            print(f"SKIPPED: {job.name}: there is no sd-v1-tiny (CLIO_GOLDEN)")
            if os.environ.get("CLIO_REQUIRE"):
                self.errors.append(f"{job.name} was skipped, and CLIO_REQUIRE is set")
        return [j for j in wanted if j not in missing]

    def place(self, job, worker):
        folder, pool = os.path.join(self.folder, f"{worker}-{job.name}"), os.path.join(self.pool, job.name)
        return runner.Place(folder, job, self.inputs, self.build, self.env, pool)

    def warm(self, job):
        """The job's cache as a run that went well leaves it, kept from one campaign to the next."""
        place = self.place(job, "warm")
        place.pool = os.path.join(self.folder, "none")
        place.env["CLIO_CACHE_DIR"] = os.path.join(self.pool, job.name)
        os.makedirs(place.env["CLIO_CACHE_DIR"], exist_ok=True)
        place.prepare()
        place.run(job.args)

    def on_all(self, items, work):
        """work(item, number of the thread), on -j threads"""
        todo = queue.SimpleQueue()
        for item in items:
            todo.put(item)

        def loop(worker):
            while True:
                try:
                    item = todo.get_nowait()
                except queue.Empty:
                    return
                work(item, worker)

        threads = [threading.Thread(target=loop, args=(w,), daemon=True) for w in range(max(1, self.a.j))]
        for t in threads:
            t.start()
        try:
            for t in threads:
                t.join()
        except KeyboardInterrupt:  # what runs ends first: it works in the folder that goes
            while not todo.empty():
                todo.get_nowait()
            for t in threads:
                t.join()
            raise

    def baselines(self, wanted):
        found = {}

        def one(job, worker):
            if job.cache != "cold":
                self.warm(job)
            base = runner.Baseline(self.place(job, worker))
            with self.lock:
                found[job.name] = base
                if base.error:
                    self.errors.append(f"{job.name}: {base.error}")

        self.on_all(wanted, one)
        return {name: b for name, b in found.items() if not b.error}

    # ---- the table ----

    def key(self):
        """Outcomes belong to this command and library."""
        h = hashlib.sha256()
        for name in ("clio", "libclio.so", "tests/libfault.so"):
            with open(os.path.join(self.build, name), "rb") as f:
                h.update(f.read())
        return h.hexdigest()[:16]

    def open_table(self):
        folder = os.path.join(self.build, "faults")
        os.makedirs(folder, exist_ok=True)
        path, head = os.path.join(folder, "outcomes.tsv"), f"# build {self.key()}: injection, outcome, exit code, seconds, where, what\n"
        if not self.a.again and os.path.exists(path):
            with open(path) as f:
                if f.readline() == head:
                    for line in f:
                        fields = line.rstrip("\n").split("\t")
                        if len(fields) == 6:
                            self.rows[fields[0]] = fields[1:]
        self.sink = open(path, "w")
        self.sink.write(head)
        for name, fields in self.rows.items():
            self.sink.write("\t".join([name, *fields]) + "\n")
        self.sink.flush()
        print(f"outcomes: {path}" + (f", {len(self.rows)} from an earlier run" if self.rows else ""))

    def add(self, name, *fields):
        with self.lock:
            self.rows[name] = list(fields)
            if self.sink:
                self.sink.write("\t".join([name, *fields]) + "\n")
                self.sink.flush()
            if fields[0] not in runner.GOOD:
                print(f"{fields[0]}: {name}: {fields[4]}" + (f"\n    fault in {fields[3]}" if fields[3] else ""), flush=True)

    # ---- what is run ----

    def inject_all(self, bases, injections):
        places = {}

        def one(i, worker):
            if (worker, i.job.name) not in places:
                places[worker, i.job.name] = self.place(i.job, worker)
            self.add(i.name, *runner.inject(places[worker, i.job.name], bases[i.job.name], i)[:5])

        self.on_all([i for i in injections if i.name not in self.rows], one)

    def summary(self, injections, seconds):
        kinds = {i.name: i.kind for i in injections}
        table = collections.Counter((kinds.get(name, "random kill"), row[0]) for name, row in self.rows.items())
        outcomes = sorted({o for _, o in table}, key=lambda o: (o not in runner.GOOD, o))
        rows = [["", *outcomes]] + [[kind] + [str(table[kind, o] or "-") for o in outcomes] for kind in sorted({k for k, _ in table})]
        widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
        print()
        for r in rows:
            print("  ".join(t.ljust(w) if c == 0 else t.rjust(w) for c, (t, w) in enumerate(zip(r, widths))))
        bad = [name for name, row in self.rows.items() if row[0] not in runner.GOOD]
        if bad:
            print("\nTo repeat what is bad:")
            where = os.path.relpath(self.build, os.getcwd())
            for name in bad:
                print(f"  scripts/faults --build {where} --repeat {name}")
        for error in self.errors:
            print(f"error: {error}")
        print(f"\n{len(self.rows)} injections, {len(bad)} bad, {len(self.errors)} errors, {seconds:.0f} s")
        return 1 if bad or self.errors else 0

    def repeat(self, bases):
        name = self.a.repeat
        if name.startswith("kill-"):
            outcome, what = kills.one(self, name)
            print(f"{outcome}: {what}")
            return 0 if outcome in runner.GOOD else 1
        base = next(iter(bases.values()), None)
        if not base:
            raise SystemExit(f"faults: {name}: no such job; {'; '.join(self.errors)}")
        job, (_, point, n, code) = base.job, name.split("/")
        every = code.endswith("+")
        actions = [x for x in plan.whole(job, {**base.counts, point: int(n)}, 10**6)] if job.weights else []
        actions += [plan.Injection(job, point, int(n), 0, *x) for x in plan.actions_of(point)] if not job.weights else []
        if code in signal.Signals.__members__:
            actions = [plan.Injection(job, point, int(n), 0, f"signal={int(signal.Signals[code])}", code)]
        found = [i for i in actions if i.name == name]
        if not found:
            raise SystemExit(f"faults: {name}: no such injection")
        place = self.place(job, 0)
        outcome, exit_code, seconds, where, what, run = runner.inject(place, base, found[0])
        print(f"FAULT=\"{found[0].fault()}\" clio {' '.join(job.args)}")
        print(f"exit code {exit_code} after {seconds} s; standard error:\n{run.err}")
        _, hit = place.counts()
        print(f"the fault came in: {place.caller(hit)}\n{outcome}: {what}")
        return 0 if outcome in runner.GOOD else 1

    def main(self):
        start = time.monotonic()
        golden = os.environ.get("CLIO_GOLDEN") or os.path.join(ROOT, "..", "shared", "golden")
        jobs.make_inputs(self.build, self.inputs, dict(self.env, CLIO_CACHE_DIR=os.path.join(self.pool, "inputs")), golden)
        if self.a.repeat and self.a.repeat.startswith("kill-"):
            return self.repeat({})
        wanted = self.chosen()
        bases = self.baselines(wanted)
        if self.a.repeat:
            return self.repeat(bases)
        if self.a.all:
            self.open_table()
            injections = [i for b in bases.values() for i in plan.whole(b.job, b.counts, self.a.each)]
        else:
            injections = [i for b in bases.values() for i in plan.sample(b.job, b.counts, *SAMPLE.get(b.job.name, (12, [])))]
        injections = list({i.name: i for i in sorted(injections, key=lambda i: plan.order(i.name))}.values())
        print(f"{len(bases)} jobs, {len(injections)} injections, baselines after {time.monotonic() - start:.0f} s", flush=True)
        self.inject_all(bases, injections)
        if self.a.all and not self.a.jobs:
            kills.all_of_them(self)
        return self.summary(injections, time.monotonic() - start)


def main():
    a = options()
    if a.help:
        print(__doc__)
        return 0
    if a.list:
        for job in jobs.JOBS:
            print(f"{job.name:22} {'sample' if job.name in SAMPLE else '':7} clio {' '.join(job.args)}")
        return 0
    campaign = Campaign(a)
    try:
        return campaign.main()
    except KeyboardInterrupt:
        return 130
    finally:
        campaign.close()


if __name__ == "__main__":
    sys.exit(main())
