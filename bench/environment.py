"""The Python environment that holds what clio is compared with: $CLIO_PEERS, by default ~/.cache/clio-peers. Made, and filled, when first
needed. Beside the packages it keeps what is derived from models: other layouts of their weights, networks with random weights."""
import hashlib, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get("CLIO_PEERS", os.path.expanduser("~/.cache/clio-peers"))
PYTHON = os.path.join(CACHE, "bin", "python")
# Choices of one processor's kernels that are set against a bug of old versions, and would slow a new one.
NOT_INHERITED = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH", "PYTHONHOME"]


# Libraries keep their notes and progress bars to themselves, and look for nothing on the network.
QUIET = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore",
         "PYTHONDONTWRITEBYTECODE": "1"}


class NotInstalled(Exception):
    """Why a package cannot be had."""


def can_import(modules):
    return not subprocess.call([PYTHON, "-c", "import " + ", ".join(modules)], stderr=subprocess.DEVNULL, env=environment(1))


def install(command):
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line.upper()] or done.stderr.splitlines() or ["exit code %d" % done.returncode]
        raise NotInstalled("%s failed: %s" % (" ".join(command[1:4]), lines[-1].strip()[:200]))


def prepare(modules, *installs):
    """See to it that the modules are there; each of `installs` is a list of arguments of pip install. Raises NotInstalled."""
    if not os.path.exists(PYTHON):
        install([sys.executable, "-m", "venv", CACHE])
    if modules and not can_import(modules):
        for arguments in installs:
            install([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments])
    if modules and not can_import(modules):
        raise NotInstalled("Python cannot import %s" % ", ".join(modules))


def is_ready(modules):
    """Whether nothing would be installed."""
    return os.path.exists(PYTHON) and can_import(modules)


def environment(threads):
    """Variables for a program that is to use this many threads, whichever library multiplies in it."""
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POCL_MAX_PTHREAD_COUNT"]
    kept = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    return dict(kept, **QUIET, **{name: str(threads) for name in names})


def derived(model, name, write):
    """Path of what write(path) makes from a model's folder. Made once for each state of the folder's files."""
    state = [os.path.abspath(model)]
    for folder, _, files in sorted(os.walk(model)):
        state += ["%s %d" % (file, os.stat(os.path.join(folder, file)).st_mtime_ns) for file in sorted(files)]
    digest = hashlib.sha256("\n".join(state).encode()).hexdigest()[:12]
    path = os.path.join(CACHE, "derived", "%s-%s" % (os.path.basename(os.path.abspath(model)), digest), name)
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path)
    return path


def built(program):
    """Where the build puts it."""
    return os.path.join(HERE, "..", os.environ.get("CLIO_BUILD_DIR", "build"), program)
