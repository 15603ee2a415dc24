"""clio's own report, whose rows the peers do: clio bench, once more for the networks of a second model, and clio transcribe as a process."""
import json, os, subprocess, time

import peers_clio, reports
from environment import environment
from inputs import DIFFUSION_ROWS, Refused
from peer import Work, time_rows


def bench(o, text, model):
    """What clio bench reports of the rows that text matches. None: there is none."""
    command = [o.clio, "bench", "-q", "--json", *["--quick"] * o.quick, *(["--filter", text] if text else []), *(["-m", model] if model else [])]
    try:
        done = subprocess.run(command, capture_output=True, env=environment(o.threads), text=True, check=False)
    except OSError as error:
        raise Refused("%s cannot be run (%s); build clio, or name the program with --clio" % (o.clio, error.strerror)) from error
    if done.returncode == 2 and "no row of the benchmark matches" in done.stderr:
        return None
    if done.returncode:
        raise Refused("%s failed: %s" % (" ".join(command), " ".join(done.stderr.split()) or "exit code %d" % done.returncode))
    return json.loads(done.stdout)


def transcribe(o):
    """Rows of whole processes."""
    if not o.whisper:
        return []
    rows = [row for row in map(reports.Row, peers_clio.sources(o.sound)) if row.matches(o.filter)]
    done = []
    time_rows(peers_clio.PEER, rows, Work("clio", None, o.threads, o.quick, o.whisper, o.diffusion, o.sound, o.clio), done)
    return done


def report(o):
    """The whole. o: the options of bench/peers."""
    start = time.monotonic()
    parts = [bench(o, o.filter, o.whisper)]
    if o.diffusion and any(row.matches(o.filter) for row in DIFFUSION_ROWS):
        parts.append(bench(o, "network", o.diffusion))
    parts = [part for part in parts if part]
    rows = [row for part in parts for row in part["rows"] if reports.Row(row).matches(o.filter)]
    added = transcribe(o)
    if not rows and not added:
        raise Refused("no row of clio bench matches --filter, \"%s\"; clio bench --quick lists them" % o.filter)
    whole = parts[0] if parts else bench(o, "launch", None)
    name = os.path.basename(os.path.abspath(o.whisper)) if o.whisper else None
    return dict(whole, whisper=name, rows=rows + added, parameters=dict(whole["parameters"], threads=str(o.threads)), duration_s=time.monotonic() - start)
