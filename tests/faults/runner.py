"""Run a job with and without a fault, and judge what came of it."""
import hashlib, os, re, shutil, signal, subprocess, time

# "library": a library that clio uses crashed in its own code after an allocation of its own had failed.
GOOD = ("right", "refused", "stopped", "not reached", "library")
TEMPORARY = re.compile(r"\.tmp\.|\.partial|\.new$|\.t\w+\.[A-Za-z0-9]{6}$|\.(png|jpg|webp|txt|srt|json|csv|params|state)\.[A-Za-z0-9]{6}$")
# What the sentence must say, whatever else it says.
REASONS = {
    "ENOMEM": "[Mm]emory", "EIO": "Input/output error|I/O error", "ENOSPC": "disk is full|No space left", "EMFILE": "[Tt]oo many (open files|files are open)",
    "EACCES": "permission|Permission|read-only", "EPERM": "permission|not permitted", "EINTR": "[Ii]nterrupted", "ENOLCK": "lock",
    "short": "cut short|short|incomplete|ended|changed while", "cut": "cut short|changed while|shorter than|truncated|was changed",
}
FALSE = re.compile("no such file|does not exist|not valid JSON|not valid UTF|is not UTF-8|download|no such folder|is empty")
MEMORY_CODES = ("-4", "-5", "-6", "-61")


class Run:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds
        self.lines = [line for line in err.splitlines() if line.strip()]


class Place:
    """A folder in which one job runs at a time: o (working folder), cache, tuned, as they are before the run."""

    def __init__(self, folder, job, inputs, build, env, pool):
        self.folder, self.job, self.inputs, self.build, self.pool = folder, job, inputs, build, pool
        self.o, self.cache, self.tuned = (os.path.join(folder, n) for n in ("o", "cache", "tuned"))
        self.log = os.path.join(folder, "log")
        os.makedirs(folder, exist_ok=True)
        self.env = dict(env, CLIO_CACHE_DIR=self.cache, CLIO_TUNED_DIR=self.tuned, HOME=os.path.join(folder, "home"))
        self.prepared = None

    def prepare(self, force=False):
        """The state before the run; the cache is copied again only when a run has changed it."""
        shutil.rmtree(self.o, ignore_errors=True)
        shutil.rmtree(self.tuned, ignore_errors=True)
        os.makedirs(self.o)
        for name in self.job.start:
            source, target = os.path.join(self.inputs, name), os.path.join(self.o, name)
            (shutil.copytree(source, target, symlinks=True) if os.path.isdir(source) else shutil.copy2(source, target))
        for name in self.job.results if self.job.old else ():
            with open(os.path.join(self.o, name), "w") as f:
                f.write("old\n")
        if force or self.prepared is None or stamps(self.cache) != self.prepared:
            shutil.rmtree(self.cache, ignore_errors=True)
            if self.job.cache == "cold" or not os.path.isdir(self.pool):
                os.makedirs(self.cache)
            else:
                ignore = shutil.ignore_patterns("selftests-*") if self.job.cache == "selftests" else None
                shutil.copytree(self.pool, self.cache, ignore=ignore)
            self.prepared = stamps(self.cache)

    def run(self, args, fault=None, timeout=600, more=None, after=None):
        """after: (seconds, signal): sent from outside"""
        env = dict(self.env, **(more or {}))
        if fault is not None:
            library = os.path.join(self.build, "tests", "libfault.so")
            env.update(LD_PRELOAD=library, OPENCL_LAYERS=library, FAULT_LOG=self.log)
            if fault:
                env["FAULT"] = fault
            self.crashed = None
            if os.path.exists(self.log):
                os.unlink(self.log)
        command = [os.path.join(self.build, "clio")] + [a.replace("{in}", self.inputs) for a in args]
        start = time.monotonic()
        p = subprocess.Popen(command, cwd=self.o, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        code = None
        try:
            if after:
                try:
                    out, err = p.communicate(timeout=after[0])
                    code = p.returncode
                except subprocess.TimeoutExpired:
                    p.send_signal(after[1])
            if code is None:
                out, err = p.communicate(timeout=timeout)
                code = p.returncode
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            code = "hang"
        return Run(code, out, err.decode("utf-8", "replace"), time.monotonic() - start)

    def counts(self):
        counts, hit = {}, None
        if os.path.exists(self.log):
            with open(self.log) as f:
                for word, name, *rest in (line.split() for line in f):
                    if word == "count":
                        counts[name] = int(rest[0])
                    elif word == "hit":
                        hit = rest[1:]
                    else:
                        self.crashed = name
        return counts, hit

    def caller(self, hit):
        """The functions of clio on the stack when the fault came."""
        frames = [f.rsplit("+", 1) for f in hit or [] if "/libclio" in f or f.startswith(os.path.join(self.build, "clio+"))][:4]
        names = []
        for file, offset in frames:
            result = subprocess.run(["addr2line", "-f", "-s", "-e", file, hex(int(offset, 16) - 1)], stdout=subprocess.PIPE, text=True)
            lines = result.stdout.split("\n")
            if len(lines) > 1:
                names.append(f"{lines[0]} ({lines[1].split(' ')[0]})")
        return " < ".join(names)


def stamps(folder):
    """What tells whether anything in a folder was changed."""
    found = {}
    for root, _, files in os.walk(folder):
        for name in files:
            info = os.lstat(os.path.join(root, name))
            found[os.path.relpath(os.path.join(root, name), folder)] = (info.st_size, info.st_mtime_ns)
    return found


def content(path):
    """The bytes of a file without what is measured time."""
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith("train.csv"):
        data = b"\n".join(line.rsplit(b",", 1)[0] for line in data.split(b"\n"))
    elif path.endswith("training.json"):
        data = re.sub(rb'\n *"samples_per_second":[^\n]*', b"", data)
    return data


def shown(out):
    """Standard output without the memory of the device, which depends on what else runs."""
    return re.sub(rb'"(global_memory|max_allocation)_bytes": \d+', b"", out)


def tree(folder):
    """Every name in a folder, with a hash of what it is."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            short = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[short] = "link to " + os.readlink(path)
            elif os.path.isfile(path):
                found[short] = hashlib.sha256(content(path)).hexdigest()[:16]
            elif os.path.isdir(path):
                found[short] = "folder"
    return found


def resumed(found):
    """Without the checkpoints that neither last nor best names: an interrupted run has saved one where it was, and old ones go by number."""
    linked = {h[len("link to "):] for h in found.values() if h.startswith("link to ")}
    step = re.compile("checkpoints/step-[0-9]{8}")
    return {n: h for n, h in found.items() if not step.search(n) or step.search(n).group() in linked}


def differences(found, wanted):
    names = sorted(n for n in {*found, *wanted} if found.get(n) != wanted.get(n))
    return ", ".join(f"{n} is {'missing' if n not in found else 'new' if n not in wanted else 'different'}" for n in names[:4])


class Baseline:
    """What a job does without a fault."""

    def __init__(self, place):
        job = place.job
        self.job, self.error = job, None
        for turn in ("a", "b"):
            place.prepare(force=True)
            self.before = tree(place.o)
            run = place.run(job.args, fault="" if turn == "b" else None)
            if run.code != 0 or run.lines:
                self.error = f"without a fault: exit code {run.code}, {run.err.strip()[-300:]}"
                return
            if turn == "a":
                first, first_out = tree(place.o), run.out
        self.after, self.out = tree(place.o), run.out
        if not job.free and (self.after != first or (job.output and shown(run.out) != shown(first_out))):
            self.error = f"two runs without a fault differ: {differences(self.after, first) or 'standard output'}"
        self.counts, _ = place.counts()
        self.cache = stamps(place.cache)
        self.seconds = run.seconds

    def is_right(self, place, run):
        """None, or what is wrong with a run that says it went well."""
        job = self.job
        if run.lines and not all(line.startswith("clio: ") for line in run.lines):
            return "it prints something else than messages"
        if job.free:
            if set(tree(place.o)) - set(self.after):
                return differences(dict.fromkeys(tree(place.o)), dict.fromkeys(self.after))
            args, more = job.check
            check = place.run(args, more=more)
            return None if check.code == 0 and not check.lines else f"the result is not good: {check.err.strip()[:200]}"
        if job.output and shown(run.out) != shown(self.out) and not (job.accepts and job.accepts(run.out)):
            return "standard output differs"
        found = {n: h for n, h in tree(place.o).items() if not n.endswith("/.lock")}  # of no harm when it cannot be deleted
        if job.weights in found and job.weights in self.after:
            found[job.weights] = self.after[job.weights]  # cut by the fault
        for name in self.after:  # an image that could not be written is a warning that names it, or its folder; the old one stays
            named = any(name in line or os.path.dirname(name) + " " in line for line in run.lines)
            if (name.endswith(".png") or name.endswith("/samples")) and found.get(name) != self.after[name] and named:
                found[name] = self.after[name]
        return None if found == self.after else differences(found, self.after)


def sanitizer_report(err):
    found = re.findall(r"(?:ERROR: \S+: [^\n]{0,80}|runtime error[^\n]{0,100}|#[0-6] 0x\S+ in [^\n]{0,100})", err)
    return " / ".join(found[:8])


def is_true(injection, sentence):
    if injection.kind == "opencl":
        if FALSE.search(sentence) or "not UTF" in sentence:
            return False
        return re.search("OpenCL|CL_|memory|driver|device", sentence) is not None
    if injection.kind in ("clock", "kill"):
        return True
    return re.search(REASONS[injection.code], sentence) is not None


def judge(place, base, injection, run):
    """(outcome, what is wrong)"""
    job = base.job
    if run.code == "hang":
        return "hang", "no end"
    if "AddressSanitizer" in run.err or "runtime error" in run.err or "LeakSanitizer" in run.err:
        return "sanitizer", sanitizer_report(run.err)
    sent = int(injection.action.split("=")[1]) if injection.kind == "kill" else None
    found = tree(place.o)
    if sent == signal.SIGKILL and run.code == -signal.SIGKILL:
        if job.free and any(name in found for name in job.results):  # a new one: is it good?
            args, more = job.check
            check = place.run(args, more=more)
            if check.code or check.lines:
                return "half-written", check.err.strip()[:200]
        elif not job.keeps:
            for name in job.results:
                if found.get(name) not in (base.before.get(name), base.after.get(name)):
                    return "half-written", f"{name} is neither the old file nor the new one"
        return "stopped", ""
    if isinstance(run.code, int) and run.code < 0 and not (sent and run.code == -sent):
        return "crash", f"signal {-run.code}: {run.err.strip()[-200:]}"
    if run.code == 0:
        wrong = base.is_right(place, run)
        return ("wrong", wrong) if wrong else ("right", "")
    left = [n for n in found if n not in base.before and (TEMPORARY.search(n) or not (job.keeps or job.free))]
    left = [n for n in left if found[n] != base.after.get(n)]
    if left:
        return "left behind", ", ".join(left[:4])
    if not job.keeps and not job.free:
        lost = [n for n in job.results if found.get(n) not in (base.before.get(n), base.after.get(n))]
        if lost:
            return "lost", ", ".join(lost)
    if sent:
        if run.code not in (130, -sent) or len(run.lines) > 1:
            return "not stopped", f"exit code {run.code}: {run.err.strip()[-300:]}"
        return "stopped", ""
    # One for each file that is read, where a fault lasts; on a full disk one for each that is written, and standard output.
    most = 1 if not injection.every else 1 + max(len(job.results), job.files) if injection.kind == "file" else job.files
    if not 0 < len(set(run.lines)) <= most or len(run.lines) > most or not all(line.startswith("clio: ") for line in run.lines):
        return "not one sentence", run.err.strip()[-400:].replace("\n", " / ")
    if run.code != 1:
        return f"exit code {run.code}", run.lines[0]
    false = [line for line in run.lines if not is_true(injection, line)]
    if false:
        return "untrue", false[0]
    return "refused", run.lines[0]


def later_run(place, base):
    """None, or what is wrong with a run without a fault on what the fault has left."""
    job = base.job
    known = stamps(place.cache) in (place.prepared, base.cache) and tree(place.o) in (base.before, base.after)
    if known and not os.path.isdir(place.tuned):
        return None
    if job.weights:
        source, target = (os.path.join(f, job.weights) for f in (place.inputs, place.o))
        if os.path.exists(target):
            shutil.copy2(source, target)
    run = place.run(job.again or job.args)
    if run.code != 0 or run.lines:
        return f"exit code {run.code}: {run.err.strip()[-300:]}"
    wrong = None if job.again else base.is_right(place, run)
    if job.again:
        found, wanted = resumed(tree(place.o)), resumed(base.after)
        # An image of samples that could not be written is not made again.
        found.update((n, wanted[n]) for n in wanted if n not in found and "/samples" in n)
        wrong = differences(found, wanted) if found != wanted else None
    if wrong:
        return wrong
    failed = [line.strip() for name in os.listdir(place.cache) if name.startswith("selftests-")
              for line in open(os.path.join(place.cache, name), errors="replace") if "] failed" in line]
    return f"stored: {failed[0]}" if failed else None


def inject(place, base, injection):
    """A row of the table: outcome, exit code, seconds, where, what"""
    place.prepare()
    run = place.run(base.job.args, fault=injection.fault(), timeout=max(120, 40 * base.seconds))
    _, hit = place.counts()
    if hit is None:
        outcome, what = "not reached", ""
    else:
        outcome, what = judge(place, base, injection, run)
    # cairo's rasterizer leaves by longjmp when it has no memory, through frames that have gone: no stack says whose crash that is.
    foreign = place.crashed and place.crashed != "clio" and (place.crashed != "unknown" or injection.point == "memory.cairo")
    if outcome == "crash" and foreign and injection.kind == "memory" and injection.point != "memory.clio":
        outcome, what = "library", what or place.crashed
    if outcome in GOOD:
        wrong = later_run(place, base)
        if wrong:
            outcome, what = "later run", f"{wrong} (after: {outcome} {what})"
    where = place.caller(hit) if outcome not in GOOD else ""
    return outcome, str(run.code), f"{run.seconds:.1f}", where, re.sub(r"\s+", " ", what)[:600], run
