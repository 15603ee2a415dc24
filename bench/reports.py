"""Reports in the schema of clio bench (JSON in its man page): the rows to time, and what was measured of them, so that clio bench --compare
shows a peer beside devices. A peer's row has the group, name, shape and costs of clio's."""
import json, os, platform, re, time

from timing import quartiles


class Row:
    """What to time. numbers: those of the shape, in its order."""
    def __init__(self, source):
        self.source, self.group, self.name, self.shape = source, source["group"], source["name"], source["shape"]
        self.key = (self.group, self.name, self.shape)
        self.numbers = [int(number) for number in re.findall(r"\d+", self.shape)]

    def matches(self, text):
        """As clio bench --filter."""
        return not text or text in self.name or text in self.shape or text == self.group


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def rows_of(report):
    """Each once: clio times some shapes with several types of weights."""
    return list({row.key: row for row in map(Row, report["rows"])}.values())


def row_json(row, storage, samples, memory=0, problem=None):
    """A row of a report. Without samples: the problem."""
    low, median, high = quartiles(samples) if samples else (None,) * 3
    out = dict(row.source, storage=storage, seconds=median, low=low, high=high, samples=samples, peak_share=None, error=None,
               problem=problem)
    return dict(out, memory=memory) if memory else out


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def report_json(like, name, program, version, threads, quick):
    """A report without rows, of the same format as another."""
    device = {"name": name, "platform": processor(), "type": "cpu", "driver": "%s, %d threads" % (version, threads)}
    return {"format": like["format"], "program": program, "version": version, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "system": " ".join(platform.uname()[i] for i in (0, 2, 4)), "device": device, "tuned_file": None,
            "parameters": {"threads": str(threads)}, "quick": quick, "complete": True, "duration_s": 0, "peak_flops": None,
            "peak_bytes": None, "drift": None, "rows": []}


def write(path, value):
    """Complete or not at all."""
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.write("\n")
    os.replace(path + ".part", path)
