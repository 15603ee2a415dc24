"""The Python environment that holds what clio is compared with: $CLIO_PEERS, by default ~/.cache/clio-peers. Made, and filled, when first needed."""
import os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.environ.get("CLIO_PEERS", os.path.expanduser("~/.cache/clio-peers"))
PYTHON = os.path.join(CACHE, "bin", "python")


def prepare(modules, *installs):
    """See to it that the modules are there; each of `installs` is a list of arguments of pip install."""
    if not os.path.exists(PYTHON):
        subprocess.check_call([sys.executable, "-m", "venv", CACHE])
    if subprocess.call([PYTHON, "-c", "import " + ", ".join(modules)], stderr=subprocess.DEVNULL):
        for arguments in installs:
            subprocess.check_call([PYTHON, "-m", "pip", "install", "-q", *arguments])


def built(program):
    """Where the build puts it."""
    return os.path.join(HERE, "..", "build", program)
