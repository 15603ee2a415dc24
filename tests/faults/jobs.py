"""The commands that run under faults: what they are given, what they leave, and what a later run must make of it.

A job runs in a folder of its own. `start` copies inputs into it that the command changes; files named in `old` lie there with the text
"old". `results` are what it writes; without `keeps`, a run that fails must leave them as they were. `again` are the arguments of the run
without a fault that follows, when the fault left anything: None: those of the job. `cache`: what is removed from the cache of a run that
went well ("warm": nothing, "selftests": their results, "cold": all). `free`: the result depends on time, and `check` tells if it is good.
`accepts`: another output that is right as well. `files`: how many are read one after the other."""
import json, os, shutil, subprocess



def settings(*rows):
    return [word for row in rows for word in ("--set", row)]


VAE = settings("batch_size=8", "hidden_size=16", "latent_dim=4", "validation_split=0.25", "save_steps=2", "sample_every_steps=3")
UNET = ["train", "unet", "-q", "--data", "{in}/captions", "-o", "x",
        *settings("pretrained={in}/sd", "batch_size=8", "max_steps=2", "validation_split=0", "sample_every_steps=-1")]
TRAIN = ["train", "vae", "-q", "--data", "{in}/data", "-o", "x", *VAE, *settings("max_steps=4")]
SHORT = ["train", "vae", "-q", "--data", "{in}/data", "-o", "x", *VAE, *settings("max_steps=2")]
WHISPER = ["-q", "-nf", "--max-tokens", "8", "-m", "{in}/whisper"]
IMAGINE = ["imagine", "-q", "-W", "64", "-H", "64", "--steps", "2", "-p", "a red fox", "-m", "{in}/sd"]

RESUME = ["train", "-q", "--data", "{in}/data", "-o", "x", "--resume", *settings("max_steps=8")]


def names_problem(out):
    """A device that does not answer is listed with its problem."""
    try:
        return any(device["problem"] for device in json.loads(out)["devices"])
    except (ValueError, KeyError, TypeError):
        return False


class Job:
    def __init__(self, name, args, results=(), start=(), old=True, again=None, keeps=False, cache="warm", free=False, check=None,
                 needs=None, output=True, weights=None, accepts=None, files=1):
        self.name, self.args, self.results, self.start, self.old = name, list(args), list(results), list(start), old
        self.again, self.keeps, self.cache, self.free, self.check = again, keeps, cache, free, check
        self.needs, self.output, self.weights, self.accepts, self.files = needs, output, weights, accepts, files


JOBS = [
    Job("transcribe", ["transcribe", *WHISPER, "-otxt", "-osrt", "-of", "t", "{in}/one.wav"], ["t.txt", "t.srt"]),
    Job("transcribe-rate", ["transcribe", *WHISPER, "-osrt", "-of", "t", "{in}/rate.wav"], ["t.srt"]),
    Job("transcribe-two", ["transcribe", *WHISPER, "-otxt", "{in}/one.wav", "two.wav"], ["two.wav.txt"], start=["two.wav"], keeps=True,
        old=False, files=2),
    Job("imagine", [*IMAGINE, "-o", "t.png"], ["t.png"], needs="{in}/sd"),
    Job("imagine-image", [*IMAGINE, "-i", "{in}/data/0003.png", "-o", "t.jpg"], ["t.jpg"], needs="{in}/sd"),
    Job("imagine-webp", [*IMAGINE, "-b", "2", "-o", "t.webp"], ["t.webp", "t_2.webp"], needs="{in}/sd"),
    Job("imagine-show", ["imagine", "--show", "{in}/image.png"], needs="{in}/sd"),
    Job("train", TRAIN, ["x"], keeps=True, old=False, again=[*TRAIN, "--resume"]),
    Job("resume", RESUME, ["x"], start=["x"], keeps=True, old=False, again=RESUME),
    Job("train-unet", UNET, ["x"], keeps=True, old=False, again=[*UNET, "--resume"], needs="{in}/sd"),
    Job("sample", ["sample", "-q", "-m", "{in}/vae", "-b", "3", "-o", "t.png"], ["t.png"]),
    Job("sample-images", ["sample", "-q", "-m", "{in}/vae", "{in}/data/0001.png", "{in}/data/0002.png", "-o", "t.png"], ["t.png"]),
    Job("eval", ["eval", "-m", "{in}/vae", "--data", "{in}/data", "--json"]),
    Job("eval-words", ["eval", "--reference", "{in}/reference.txt", "--hypothesis", "{in}/hypothesis.txt"]),
    Job("devices", ["devices", "--json"], accepts=names_problem),
    Job("tune", ["tune", "-q", "--time-limit", "0.015", "-o", "t.params"], ["t.params"], old=False, free=True, output=False,
        check=(["devices"], {"CLIO_PARAMS": "t.params"})),
    Job("transcribe-selftests", ["transcribe", *WHISPER, "-otxt", "-of", "t", "{in}/one.wav"], ["t.txt"], cache="selftests"),
    Job("train-selftests", SHORT, ["x"], keeps=True, old=False, cache="selftests", again=[*SHORT, "--resume"]),
    Job("transcribe-cold", ["transcribe", *WHISPER, "-otxt", "-of", "t", "{in}/one.wav"], ["t.txt"], cache="cold"),
    Job("sample-cold", ["sample", "-q", "-m", "{in}/vae", "-b", "3", "-o", "t.png"], ["t.png"], cache="cold"),
    # Weights that another program truncates while they are read.
    Job("transcribe-cut", ["transcribe", "-q", "-nf", "--max-tokens", "8", "-m", "whisper", "-otxt", "-of", "t", "{in}/one.wav"], ["t.txt"],
        start=["whisper"], weights="whisper/model.safetensors"),
    Job("imagine-cut", ["imagine", "-q", "-W", "64", "-H", "64", "--steps", "2", "-p", "a red fox", "-m", "sd", "-o", "t.png"], ["t.png"],
        start=["sd"], weights="sd/unet/diffusion_pytorch_model.safetensors", needs="{in}/sd"),
    Job("resume-cut", RESUME, ["x"], start=["x"], keeps=True, old=False, again=RESUME,
        weights="x/checkpoints/step-00000004/training.safetensors"),
]


def make_inputs(build, folder, env, golden):
    """The files that jobs read, made once: a Whisper with random weights, sounds, images, a trained autoencoder."""
    os.makedirs(folder, exist_ok=True)
    clio, tests = os.path.join(build, "clio"), os.path.join(build, "tests")

    def run(*command):
        result = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True)
        if result.returncode:
            raise SystemExit(f"faults: {' '.join(command)} failed: {result.stdout}")

    def put(name, text):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)

    run(os.path.join(tests, "make_whisper"), "mini", "whisper")
    run(os.path.join(tests, "make_broken"), "wav", "one.wav", "samples=16000", "fill=noise", "db=-20")
    shutil.copy(os.path.join(folder, "one.wav"), os.path.join(folder, "two.wav"))
    run(os.path.join(tests, "make_broken"), "wav", "rate.wav", "samples=8000", "rate=8000", "fill=noise", "db=-20")
    run(os.path.join(tests, "make_images"), "data", "24", "16")
    run(clio, "train", "vae", "-q", "--data", "data", "-o", "vae", *VAE, *settings("max_steps=4"))
    shutil.copytree(os.path.join(folder, "vae"), os.path.join(folder, "x"), symlinks=True)
    put("reference.txt", "the cat sat\non the mat\n" * 20)
    put("hypothesis.txt", "the cat sat\non a mat\n" * 20)
    shutil.copytree(os.path.join(folder, "data"), os.path.join(folder, "captions"))
    for name in os.listdir(os.path.join(folder, "data")):
        put(os.path.join("captions", name.replace(".png", ".txt")), "a shape")
    source = os.path.join(golden, "sd-v1-tiny") if golden else ""
    if os.path.exists(os.path.join(source, "model_index.json")):
        shutil.copytree(source, os.path.join(folder, "sd"))
        subprocess.run(["chmod", "-R", "u+w", os.path.join(folder, "sd")], check=True)
        run(clio, *[a.replace("{in}", ".") for a in IMAGINE], "-o", "image.png")
