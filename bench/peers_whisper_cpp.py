"""whisper.cpp (pywhispercpp, built from source for this processor) as a whole process, f16 weights, greedy."""
import os, subprocess, sys

import ggml
from environment import derived, environment
from peer import Peer
from peers_clio import WITHOUT
from timing import Process


def transcribe(row, work):
    import sysconfig
    if not work.whisper:
        return None
    model = derived(work.whisper, "model-f16.ggml", lambda path: subprocess.check_call([sys.executable, ggml.__file__, work.whisper, path]))
    libraries = dict(environment(work.threads), LD_LIBRARY_PATH=sysconfig.get_path("platlib"))
    return Process([sys.executable, os.path.abspath(__file__), model, work.sound, str(work.threads), str(int(row.shape.endswith(WITHOUT)))], libraries)


def read_mono(sound, rate=16000):
    import numpy as np
    import soundfile
    samples, own = soundfile.read(sound, dtype="float32", always_2d=True)
    samples = samples.mean(axis=1)
    if own != rate:
        at = np.arange(int(len(samples) * rate / own)) * own / rate
        samples = np.interp(at, np.arange(len(samples)), samples).astype(np.float32)
    return samples


def main(model, sound, threads, without_timestamps):
    from pywhispercpp.model import Model
    net = Model(model, n_threads=int(threads), params_sampling_strategy=0, redirect_whispercpp_logs_to=None, print_progress=False, print_realtime=False,
                no_timestamps=without_timestamps == "1")
    segments = net.transcribe(read_mono(sound), language="en", greedy={"best_of": 1})
    print(" ".join(segment.text.strip() for segment in segments))


PEER = Peer("whisper.cpp", "pywhispercpp", ["pywhispercpp", "numpy", "soundfile"],
            [["--no-binary", "pywhispercpp", "pywhispercpp", "numpy", "soundfile"]], {"whisper.cpp": ("whisper.cpp f16", "f16")},
            {"transcribe": transcribe})

if __name__ == "__main__":
    main(*sys.argv[1:])
