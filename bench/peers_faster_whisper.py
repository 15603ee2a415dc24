"""faster-whisper (CTranslate2) as a whole process, int8 weights, greedy: one window after the other with timestamps, then batches of 4 without
them, as its BatchedInferencePipeline decodes. Larger batches are slower on CPUs of few cores."""
import os, subprocess, sys

from environment import derived, environment
from peer import Peer
from peers_clio import WITHOUT
from timing import Process

BATCH = 4


def convert(folder, path):
    """To CTranslate2's layout, int8."""
    import shutil
    from ctranslate2.converters import TransformersConverter
    TransformersConverter(folder, copy_files=["tokenizer.json"]).convert(path + ".part", quantization="int8", force=True)
    shutil.rmtree(path, ignore_errors=True)
    os.replace(path + ".part", path)


def transcribe(row, work):
    command = [sys.executable, os.path.abspath(__file__)]
    if not work.whisper:
        return None
    # By a process: what this one once held would count in its children's memory.
    model = derived(work.whisper, "ctranslate2-int8", lambda path: subprocess.check_call([*command, "convert", work.whisper, path]))
    batch = BATCH if row.shape.endswith(WITHOUT) else 0
    return Process([*command, "run", model, work.sound, str(work.threads), str(batch)], environment(work.threads))


def run(model, sound, threads, batch):
    from faster_whisper import BatchedInferencePipeline, WhisperModel
    net = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=int(threads), local_files_only=True)
    transcriber, more = (BatchedInferencePipeline(net).transcribe, {"batch_size": int(batch)}) if int(batch) else (net.transcribe, {})
    segments, _ = transcriber(sound, language="en", beam_size=1, best_of=1, **more)
    print(" ".join(segment.text.strip() for segment in segments))


PEER = Peer("faster-whisper", "faster-whisper", ["faster_whisper", "transformers", "torch"], [["faster-whisper", "transformers", "torch"]],
            {"faster-whisper": ("faster-whisper int8", "int8")}, {"transcribe": transcribe})

if __name__ == "__main__":
    {"convert": convert, "run": run}[sys.argv[1]](*sys.argv[2:])
