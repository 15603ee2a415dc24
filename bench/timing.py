"""Time a call until its median is stable, by the rules of a round of host/bench/measure.c, so that samples of clio and of its peers mean the
same. clio measures in two rounds, and runs a call for three samples before those that count.

A sample is the mean of as many calls as fill some milliseconds. Samples are taken until the notch of their median (McGill, Tukey and Larsen,
"Variations of Box Plots", 1978) is within a hundredth of it, or the time for a row is over. What takes long is called less often."""
import math, os, resource, statistics, subprocess, time

STABLE, LEAST, MOST = 0.01, 5, 64
LONG = 1.0  # seconds: such a call needs no second warm-up, and no second sample in a quick run


def quartiles(samples):
    """The lower quartile, the median and the upper quartile; NumPy's default quantiles."""
    return tuple(statistics.quantiles(samples, n=4, method="inclusive")) if len(samples) > 1 else (samples[0],) * 3


def is_stable(samples):
    low, median, high = quartiles(samples)
    return len(samples) >= LEAST and 1.57 * (high - low) / math.sqrt(len(samples)) <= STABLE * median


def take_samples(call, quick, clock=time.perf_counter):
    """Seconds of one call, several times."""
    def seconds(times):
        start = clock()
        for _ in range(times):
            call()
        return (clock() - start) / times

    fill, budget = (0.01, 0.5) if quick else (0.04, 4.0)
    once = seconds(1)  # compiles, and fills caches
    if once < LONG:
        once = seconds(1)
    times = int(fill / max(once, 1e-7)) + 1 if once < fill else 1
    least = 1 if quick and once >= LONG else 3
    samples, start = [], clock()
    while len(samples) < MOST and (len(samples) < least or (not is_stable(samples) and clock() - start < budget)):
        samples.append(seconds(times))
    return samples


def fastest_samples(calls, quick):
    """Of several ways to do the same, samples of the one with the least median."""
    return min((take_samples(call, quick) for call in calls), key=statistics.median)


class Process:
    """A whole program as one call, which must print something. memory: the most that it held, in bytes."""
    def __init__(self, command, environment):
        self.command, self.environment, self.memory = command, environment, 0

    def __call__(self):
        p = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment)
        with p.stdout:
            text = p.stdout.read()
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
        self.memory = max(self.memory, 1024 * usage.ru_maxrss)
        if p.returncode or not text.split():
            raise RuntimeError("%s failed" % " ".join(self.command) if p.returncode else "%s printed nothing" % " ".join(self.command))


def busy_seconds():
    """What all processors together worked so far, for any program. None: this system does not say."""
    try:
        with open("/proc/stat", encoding="ascii") as f:
            user, nice, system, _, _, *interrupts = map(int, f.readline().split()[1:9])
    except OSError:
        return None
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def own_seconds():
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(t.ru_utime + t.ru_stime for t in times)


class OtherPrograms:
    """What other programs took of the processors since this was made: they make figures mean little."""
    def __init__(self):
        self.busy, self.own, self.began = busy_seconds(), own_seconds(), time.monotonic()

    def share(self):
        if self.busy is None:
            return 0.0
        taken = busy_seconds() - self.busy - (own_seconds() - self.own)
        return max(0.0, taken / (time.monotonic() - self.began) / os.cpu_count())
