"""What bench/peers times: a Whisper folder, a Stable Diffusion folder, a sound file; those of the options, or what is there."""
import os, subprocess, sys, tempfile

import reports
from environment import CACHE, HERE, built

DIFFUSION_ROWS = [reports.Row({"group": "network", "name": name, "shape": shape}) for name, shape in
                  [("UNet", "64 x 64 latent"), ("VAE decoder", "512 x 512"), ("TAESD decoder", "512 x 512")]]


class Refused(Exception):
    """Wrong usage, or something that is missing: one sentence."""


def random_diffusion():
    """A Stable Diffusion 1.5 folder with random weights (2 GB), made once: this project ships none."""
    folder, maker = os.path.join(CACHE, "models", "sd-v1-5"), built("tests/make_diffusers")
    if os.path.exists(os.path.join(folder, "model_index.json")):
        return folder
    if not os.path.exists(maker):
        print("peers: UNet and VAE are left out: %s is not built (cmake -DCLIO_TESTS=ON), and -m names no Stable Diffusion folder" % maker,
              file=sys.stderr)
        return None
    with tempfile.TemporaryDirectory() as tokenizer:
        for name, text in [("vocab.json", "{}"), ("merges.txt", "#version: 0.2\n")]:
            with open(os.path.join(tokenizer, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        subprocess.check_call([maker, "--dtype", "f16", "sd-v1-5", folder, tokenizer], stdout=subprocess.DEVNULL)
    return folder


def whisper_base():
    models = os.environ.get("CLIO_MODELS") or os.path.join(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"), "clio", "models")
    folder = os.path.join(models, "whisper-base")
    if os.path.isdir(folder):
        return folder
    print("peers: Whisper is left out: there is no %s (scripts/fetch-whisper brings it), and -m names no other" % folder, file=sys.stderr)
    return None


def find_models(folders, text):
    """The Whisper folder and the Stable Diffusion folder of the run, either of which may be None."""
    for folder in folders:
        if not os.path.isdir(folder):
            raise Refused("-m: there is no folder %s" % folder)
    is_diffusion = [os.path.exists(os.path.join(folder, "model_index.json")) for folder in folders]
    if len(set(is_diffusion)) < len(folders):
        raise Refused("-m takes one Whisper folder and one Stable Diffusion folder, not two of a kind")
    given = dict(zip(is_diffusion, folders))
    whisper = given.get(False) or (None if folders else whisper_base())
    diffusion = given.get(True)
    if not folders and any(row.matches(text) for row in DIFFUSION_ROWS):
        diffusion = random_diffusion()
    return whisper, diffusion


def find_sound(path):
    if path:
        if not os.path.isfile(path):
            raise Refused("--sound: there is no file %s" % path)
        return path
    speech = os.path.join(os.environ.get("CLIO_SPEECH", ""), "long-en.flac")
    return speech if os.path.isfile(speech) else os.path.join(HERE, "..", "tests", "golden", "jfk.wav")
