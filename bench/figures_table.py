"""The figures of README and SPEED.md, from reports of clio and of its peers: what is shown of each row, ratios, the tables in Markdown."""
import math, statistics

import reports

# Rows of clio bench that are shown: name, end of the shape, what it is called, unit, units of a second.
SHOWN = [("transcribe", "with timestamps", "Transcribe {file} with {whisper}, with timestamps", "s", 1),
         ("transcribe", "batched, without timestamps", "Transcribe {file} with {whisper}, batched, without timestamps", "s", 1),
         ("Whisper encoder", "", "{whisper}: encoder, 30 s of audio", "ms", 1e3),
         ("Whisper decoder", "", "{whisper}: one decoding step", "ms", 1e3),
         ("UNet", "", "Stable Diffusion 1.5, 512x512, one UNet evaluation", "s", 1),
         ("VAE decoder", "", "Stable Diffusion 1.5, 512x512, VAE decoder", "s", 1),
         ("dcgan", "", "Train DCGAN 64x64, batch 64", "ms per step", 1e3),
         ("unet", "", "Train a UNet, 8.5 M parameters, batch 64", "ms per step", 1e3),
         ("vae", "", "Train a dense VAE 784-400-20, batch 128", "ms per step", 1e3)]
TORCH = ["PyTorch float32", "PyTorch bfloat16"]
BUSY = 0.05  # of the processors, taken by other programs: worth a note
BEGIN, END = "<!-- bench/figures writes from here -->", "<!-- to here -->"


def seconds_by_key(report):
    """Median of each row that was measured; the first of those with the same name and shape, as clio bench --compare takes it."""
    out = {}
    for row in report["rows"]:
        if row["seconds"]:
            out.setdefault(reports.Row(row).key, row["seconds"])
    return out


def three_digits(value):
    return float("%.3g" % value)


def shown_rows(clio, peers):
    """Rows of figures.json."""
    own, rows = seconds_by_key(clio), []
    others = [(peer["device"]["name"], seconds_by_key(peer)) for peer in peers]
    for name, end, work, unit, scale in SHOWN:
        for key in own:
            if key[1] != name or not key[2].endswith(end):
                continue
            text = work.format(file=key[2].split(",")[0], whisper=clio.get("whisper") or "Whisper")
            bars = sorted(((program, three_digits(scale * seconds[key])) for program, seconds in others if key in seconds), key=lambda bar: bar[1])
            rows.append({"work": text, "unit": unit, "lower": True, "clio": [["clio", three_digits(scale * own[key])]],
                         "peers": [list(bar) for bar in bars]})
    return rows


def operations(clio, peers):
    """For each operation and peer: the geometric mean of clio's time to the peer's, the most, and the number of shapes."""
    own, out = seconds_by_key(clio), {}
    for peer in peers:
        ratios = {}
        for key, seconds in seconds_by_key(peer).items():
            if key[0] == "operation" and key in own:
                ratios.setdefault(key[1], []).append(own[key] / seconds)
        for name, values in ratios.items():
            mean = math.exp(statistics.mean(map(math.log, values)))
            out.setdefault(name, {})[peer["device"]["name"]] = [three_digits(mean), three_digits(max(values)), len(values)]
    return out


def machine_text(clio, peers):
    device, notes = clio["device"], []
    taken = max([peer.get("other_programs", 0) for peer in peers], default=0)
    if clio["quick"]:
        notes.append("a quick run")
    if taken > BUSY:
        notes.append("other programs took up to %.0f %% of the processors" % (100 * taken))
    return "%s, %s threads; clio on %s, driver %s; medians, %s%s." % (
        peers[0]["device"]["platform"] if peers else device["name"], clio["parameters"].get("threads", "all"), device["platform"], device["driver"], clio["date"][:10],
        "".join("; " + note for note in notes))


def figures(clio, peers):
    """What figures.json holds."""
    return {"machine": machine_text(clio, peers), "rows": shown_rows(clio, peers), "operations": operations(clio, peers)}


def cell(value, unit):
    return "" if value is None else "%g %s" % (value, unit.split()[0])


def row_line(row):
    """One row of the table. The ratio to the better of PyTorch's two types says whether clio is faster: below 1 it is."""
    own, peers = min(value for _, value in row["clio"]), dict(map(tuple, row["peers"]))
    torch = [peers.get(name) for name in TORCH]
    better = min((value for value in torch if value is not None), default=None)
    rest = ", ".join("%s %g" % (name, value) for name, value in peers.items() if name not in TORCH)
    columns = [row["work"], cell(own, row["unit"]), *(cell(value, row["unit"]) for value in torch), "" if better is None else "%.2f" % (own / better),
               "%.2f" % (own / min(peers.values())) if peers else "", rest]
    return "| %s |" % " | ".join(columns)


def operation_lines(table):
    names = list(dict.fromkeys(name for ratios in table.values() for name in ratios))
    lines = ["", "Operations: time of clio / time of the peer, geometric mean over shapes (most; shapes).", "",
             "| operation | %s |" % " | ".join(names), "| --- |" + " --- |" * len(names)]
    for operation, ratios in table.items():
        cells = ["%.2f (%.2f; %d)" % tuple(ratios[name]) if name in ratios else "" for name in names]
        lines.append("| %s | %s |" % (operation, " | ".join(cells)))
    return lines


def table(data):
    """figures.json as Markdown."""
    lines = [data["machine"].replace("\n", " "), "", "| work | clio | %s | clio / better PyTorch | clio / fastest | other peers |" % " | ".join(TORCH),
             "| --- |" + " --- |" * 6]
    lines += map(row_line, data["rows"])
    if data.get("operations"):
        lines += operation_lines(data["operations"])
    return "\n".join(lines)


def replace_section(text, new):
    """The page with what stands between the two marks replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError("the page must hold \"%s\" and \"%s\" once each" % (BEGIN, END))
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + new + "\n" + END + rest.split(END)[1]
