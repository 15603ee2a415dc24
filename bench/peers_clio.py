"""clio transcribe as a whole process, beside whose time those of other programs stand: a sound file, greedy, one window after the other with
timestamps, then windows together without. bench/peers adds these rows to the report of clio bench."""
import os

from peer import Peer
from timing import Process

WITH, WITHOUT = "with timestamps", "batched, without timestamps"


def sources(sound):
    """Rows to time, of group pipeline, as a report has them."""
    return [{"group": "pipeline", "name": "transcribe", "shape": "%s, %s" % (os.path.basename(sound), mode), "storage": None, "seconds": None,
             "low": None, "high": None, "samples": [], "flops": None, "bytes": None, "items": None, "item": None}
            for mode in (WITH, WITHOUT)]


def transcribe(row, work):
    mode = ["-nt", "-b", "12"] if row.shape.endswith(WITHOUT) else []
    return Process([work.clio, "transcribe", "-q", "-l", "en", "-m", work.whisper, *mode, work.sound], dict(os.environ))


PEER = Peer("clio", "", [], [], {"clio": ("clio", None)}, {"transcribe": transcribe})
