"""Tests on simulated devices.

usage: scripts/check-simulated [--build DIR] [-j N] [--all] [--list] [NAME...]

Runs operations, self-tests and small commands of clio on devices that a layer of the OpenCL loader simulates: real GPUs by their published
limits, and devices that lack one thing (tests/simulate/devices; README.md there has the fields). Each must compute what every device
computes, or, where its description expects that, refuse with one sentence.

  NAME...      only these devices (default: all)
  --build DIR  build folder (default: the newest of build and build-dev)
  -j N         devices at a time (default: the processors)
  --all        every test of operations on every device; otherwise those in OPERATIONS
  --list       list the devices

Prints a table in Markdown: device, tests passed and failed, seconds, what clio says. What failed comes after it, with the command that
repeats it. Exits 1 if anything failed, hung, or said another sentence than the expected one. Compiled kernels are kept in
$CLIO_SIMULATED_CACHE (default: DIR/simulated/cache)."""
import argparse, concurrent.futures, json, os, re, shutil, signal, subprocess, sys, tempfile, time

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
DEVICES = os.path.join(ROOT, "tests", "simulate", "devices")
LIMIT = 600  # seconds of one test or command: the first run compiles every kernel
# Quick ones that between them launch most families: the tests of the rest only repeat their kernels at more shapes.
OPERATIONS = ["test_op_elementwise", "test_op_embed", "test_op_group_norm", "test_op_matmul", "test_op_mask", "test_op_norm", "test_op_reparam",
              "test_op_resample", "test_op_conv2d_direct_bwd", "test_op_diffusion"]
WHISPER = ["transcribe", "-q", "-nf", "--max-tokens", "8", "-m", "{in}/whisper", "{in}/one.wav"]
VAE = [w for row in ("batch_size=8", "hidden_size=16", "latent_dim=4", "validation_split=0", "max_steps=2", "sample_every_steps=-1")
       for w in ("--set", row)]
COMMANDS = {
    "transcribe": [*WHISPER],
    "imagine": ["imagine", "-q", "-W", "64", "-H", "64", "--steps", "1", "-p", "a red fox", "-m", "{in}/sd", "-o", "{out}/image.png"],
    "train": ["train", "vae", "-q", "--data", "{in}/data", "-o", "{out}/vae", *VAE],
    "bench": ["bench", "-q", "--quick", "--filter", "launch", "-o", "{out}/bench.json"],
}


class Device:
    def __init__(self, name):
        self.name, self.path = name, os.path.join(DEVICES, name + ".json")
        with open(self.path) as f:
            self.text = json.load(f)
        self.expect = self.text.get("expect", {})
        self.passed, self.failed, self.seconds, self.says = 0, [], 0.0, ""

    def environment(self, build, cache):
        library = os.path.join(build, "tests", "libsimulate.so")
        env = dict(os.environ, SIMULATE=self.path, OPENCL_LAYERS=library, CLIO_CACHE_DIR=cache, CLIO_TUNED_DIR=os.path.join(cache, "tuned"),
                   CLIO_TEST_SMALL="1", CLIO_SOURCE_DIR=ROOT, CLIO_BUILD_DIR=build)
        env.setdefault("OCL_ICD_VENDORS", "/etc/OpenCL/vendors/pocl.icd")
        for name in ("CLIO_DEVICE", "CLIO_PARAMS", "CLIO_MEMORY_LIMIT", "CLIO_DISABLE"):
            env.pop(name, None)
        return env


def run(command, env, limit=LIMIT):
    """(exit code or "hang", standard output, standard error)"""
    try:
        p = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=limit)
    except subprocess.TimeoutExpired as e:
        return "hang", "", (e.stderr or b"").decode("utf-8", "replace")
    return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


# PoCL's and CLBlast's own lines about kernels that do not compile: for those whose self-test failed there are others.
COMPILER = re.compile(r"\d+ (warnings?|errors?)( and \d+ errors?)? generated\.|CLBlast: OpenCL error: clBuildProgram: -11")


def sentences(err):
    return [line for line in err.splitlines() if line.strip() and not COMPILER.fullmatch(line.strip())]


class Check:
    """One device: what is run, and what is wrong with it."""

    def __init__(self, device, build, inputs, cache, texts, all_tests):
        self.d, self.build, self.inputs, self.texts, self.all = device, build, inputs, texts, all_tests
        self.out = tempfile.mkdtemp(prefix="clio-simulated-")
        self.fresh = "crashing program" in device.text.get("behaviour", {})
        self.env = device.environment(build, os.path.join(self.out, "cache") if self.fresh else cache)
        if device.text.get("behaviour", {}).get("kernel work-group sizes"):
            self.env["CLIO_TEST_SELFTESTS"] = "1"  # a family whose groups a kernel cannot have is replaced
        self.clio = os.path.join(build, "clio")

    def judge(self, name, problem, command):
        if problem:
            self.d.failed.append((name, problem, command))
        else:
            self.d.passed += 1

    def name_of(self):
        """The name that the description gives, or its base."""
        text = self.d.text
        while "CL_DEVICE_NAME" not in text.get("device", {}):
            with open(os.path.join(DEVICES, text["like"] + ".json")) as f:
                text = json.load(f)
        return text["device"]["CL_DEVICE_NAME"]

    def listed(self):
        """clio devices: the simulated device is there, and can be used unless the description expects a problem."""
        code, out, err = run([self.clio, "devices", "--json"], self.env)
        try:
            device = json.loads(out)["devices"][0]
        except (ValueError, KeyError, IndexError):
            return f"exit code {code}, no list: {err.strip()[:200]}"
        expected = self.d.expect.get("problem")
        if device["name"] != self.name_of():
            return f"the device is {device['name']}, expected {self.name_of()}"
        if device["problem"] != expected:
            return f"its problem is {device['problem']!r}, expected {expected!r}"
        return None if code == (1 if expected else 0) else f"exit code {code}"

    def command(self, name):
        """Run a command; what is wrong, and the command itself."""
        args = [a.replace("{in}", self.inputs).replace("{out}", self.out) for a in COMMANDS[name]]
        code, out, err = run([self.clio, *args], self.env)
        lines, problem, notice = sentences(err), self.d.expect.get("problem"), self.d.expect.get("notice")
        sentence = self.d.expect.get("sentence") or (problem and f": {problem})")
        if code == "hang" or (isinstance(code, int) and code < 0):
            return f"{'hangs' if code == 'hang' else f'signal {-code}'}: {err.strip()[-200:]}"
        if lines:
            self.d.says = lines[0].removeprefix("clio: ")
        if problem or name in self.d.expect.get("fails", []):
            return None if code == 1 and len(lines) == 1 and sentence in lines[0] else f"exit code {code}: {err.strip()[-300:]}"
        if code or [line for line in lines if not (notice and notice in line)]:
            return f"exit code {code}: {err.strip()[-300:]}"
        return self.result(name, out)

    def result(self, name, out):
        """Texts are those of the other devices; files are whole."""
        if name == "transcribe":  # CLBlast prints the log of kernels that do not compile on standard output, before the results
            return None if out.endswith(self.texts) else f"another text than on gpu: {out.strip()[:100]!r}"
        file = {"imagine": "image.png", "train": "vae/train.csv", "bench": "bench.json"}[name]
        return None if os.path.getsize(os.path.join(self.out, file)) > 100 else f"{file} is empty"

    def tests(self):
        names = OPERATIONS
        if self.all:
            names = sorted(n for n in os.listdir(os.path.join(self.build, "tests")) if re.fullmatch(r"test_op_\w+", n))
        for name in names:
            program = os.path.join(self.build, "tests", name)
            code, out, err = run([program], self.env)
            failed = re.findall(r"^\[  FAILED  \] (test_\w+)$", out + err, re.M)
            passed = len(re.findall(r"^\[       OK \] ", out + err, re.M))
            self.d.passed += passed
            if code and not failed:
                failed = ["ends with " + (code if code == "hang" else f"exit code {code}: {err.strip()[-200:]}")]
            reason = re.findall(r"^.*(?: error|unsupported|out of memory): .*$", err, re.M)[:1]
            self.d.failed += [(name, f"{f}: {''.join(reason)[:200]}", program) for f in failed]

    def run(self):
        start = time.monotonic()
        self.judge("devices", self.listed(), f"{self.clio} devices")
        for _ in range(2 if self.fresh else 0):  # the compiler takes two processes with it: later ones must do without that family
            code, _, _ = run([self.clio, *[a.replace("{in}", self.inputs) for a in WHISPER]], self.env)
            self.judge("crash", None if code == -signal.SIGABRT else f"exit code {code}, expected a crash", " ".join(WHISPER))
        if not self.d.expect.get("problem") and not self.fresh and not self.d.expect.get("fails"):
            self.tests()
        for name in COMMANDS:
            if name == "imagine" and not os.path.isdir(os.path.join(self.inputs, "sd")):
                continue
            self.judge(name, self.command(name), " ".join([self.clio, *COMMANDS[name]]))
        self.d.seconds = time.monotonic() - start
        shutil.rmtree(self.out, ignore_errors=True)
        return self.d


def make_inputs(build, folder, env):
    """A Whisper with random weights, a second of noise, images, and the miniature diffusion model among the golden files."""
    tests = os.path.join(build, "tests")
    for command in (["make_whisper", "mini", "whisper"], ["make_broken", "wav", "one.wav", "samples=16000", "fill=noise", "db=-20"],
                    ["make_images", "data", "16", "16"]):
        p = subprocess.run([os.path.join(tests, command[0]), *command[1:]], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if p.returncode:
            sys.exit(f"check-simulated: {' '.join(command)} failed: {p.stdout.decode()}")
    golden = os.path.join(os.environ.get("CLIO_GOLDEN", ""), "sd-v1-tiny")
    if os.path.isfile(os.path.join(golden, "model_index.json")):
        os.symlink(golden, os.path.join(folder, "sd"))
    elif os.environ.get("CLIO_REQUIRE"):
        sys.exit("check-simulated: $CLIO_GOLDEN has no sd-v1-tiny, and CLIO_REQUIRE is set")


def report(results):
    """Print a row for each device as it is done, then what failed."""
    print("| Device | Passed | Failed | Seconds | What clio says |\n| --- | ---: | ---: | ---: | --- |", flush=True)
    devices = []
    for d in results:
        print(f"| {d.name} | {d.passed} | {len(d.failed)} | {d.seconds:.0f} | {d.says} |", flush=True)
        devices.append(d)
    for d in devices:
        for name, problem, command in d.failed:
            print(f"\n{d.name}: {name}: {problem}\n    SIMULATE={d.path} {command}")
    bad = sum(bool(d.failed) for d in devices)
    print(f"\ncheck-simulated: {len(devices)} devices, {sum(d.passed for d in devices)} passed, {bad} devices with failures")
    return 1 if bad else 0


def options():
    p = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0], add_help=False)
    p.add_argument("--build")
    p.add_argument("-j", type=int, default=os.cpu_count())
    p.add_argument("--all", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("-h", "--help", action="store_true")
    p.add_argument("names", nargs="*")
    return p.parse_args()


def main():
    a = options()
    if a.help:
        print(__doc__)
        return 0
    known = sorted(n[:-5] for n in os.listdir(DEVICES) if n.endswith(".json"))
    unknown = [n for n in a.names if n not in known]
    if unknown:
        sys.exit(f"check-simulated: there is no device {unknown[0]} in tests/simulate/devices; --list lists them")
    devices = [Device(n) for n in a.names or known]
    if a.list:
        print("\n".join(f"{d.name:18} {d.text['about']}" for d in devices))
        return 0
    builds = [a.build] if a.build else [os.path.join(ROOT, b) for b in ("build", "build-dev")]
    builds = [os.path.abspath(b) for b in builds if all(os.path.isfile(os.path.join(b, f)) for f in ("clio", "tests/libsimulate.so"))]
    if not builds:
        sys.exit("check-simulated: no build with tests here; cmake --preset release -DCLIO_TESTS=ON, then cmake --build build")
    build = max(builds, key=lambda b: os.path.getmtime(os.path.join(b, "clio")))
    cache = os.environ.get("CLIO_SIMULATED_CACHE") or os.path.join(build, "simulated", "cache")
    os.makedirs(cache, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="clio-simulated-") as inputs, concurrent.futures.ThreadPoolExecutor(a.j) as pool:
        env = Device("gpu").environment(build, cache)
        make_inputs(build, inputs, env)
        code, texts, err = run([os.path.join(build, "clio"), *[w.replace("{in}", inputs) for w in WHISPER]], env)
        if code:
            sys.exit(f"check-simulated: the plain simulated GPU does not work: {err.strip()}")
        return report(pool.map(lambda d: Check(d, build, inputs, cache, texts, a.all).run(), devices))
