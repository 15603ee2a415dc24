"""Which calls fail, and how: from the number of calls that a run makes at each point, the list of injections of a job."""
import errno, hashlib, signal

# The error codes that the OpenCL 1.2 specification lists for each call, without those that only a wrong argument could cause unless a
# driver is known to give them when it is in trouble; every call may also fail with CL_OUT_OF_RESOURCES and CL_OUT_OF_HOST_MEMORY.
RESOURCES, HOST = -5, -6
OBJECT, MAP, WAIT = -4, -12, -14
OPENCL = {
    "clGetPlatformIDs": [-1001, -30, HOST],
    "clGetPlatformInfo": [-32, -30, HOST],
    "clGetDeviceIDs": [-1, -32, -31, -30, RESOURCES, HOST],
    "clGetDeviceInfo": [-33, -30, RESOURCES, HOST],
    "clCreateContext": [-2, -32, -64, -30, -33, RESOURCES, HOST],
    "clCreateCommandQueue": [-34, -33, -30, -35, RESOURCES, HOST],
    "clCreateBuffer": [OBJECT, -61, -34, -30, -37, RESOURCES, HOST],
    "clCreateSubBuffer": [OBJECT, -13, -38, -30, -37, RESOURCES, HOST],
    "clCreateProgramWithSource": [-34, -30, RESOURCES, HOST],
    "clCreateProgramWithBinary": [-42, -34, -30, -33, RESOURCES, HOST],
    "clBuildProgram": [-11, -3, -43, -42, -59, -44, -33, -30, RESOURCES, HOST],
    "clGetProgramInfo": [-45, -44, -30, RESOURCES, HOST],
    "clGetProgramBuildInfo": [-33, -44, -30, RESOURCES, HOST],
    "clCreateKernel": [-45, -46, -47, -44, -30, RESOURCES, HOST],
    "clSetKernelArg": [-48, -49, -50, -38, -51, RESOURCES, HOST],
    "clGetKernelInfo": [-48, -30, RESOURCES, HOST],
    "clGetKernelWorkGroupInfo": [-33, -30, -48, RESOURCES, HOST],
    "clEnqueueNDRangeKernel": [OBJECT, -45, -36, -48, -34, -52, -54, -55, -56, -63, -13, RESOURCES, HOST],
    "clEnqueueReadBuffer": [OBJECT, WAIT, -36, -34, -38, -13, RESOURCES, HOST],
    "clEnqueueWriteBuffer": [OBJECT, WAIT, -36, -34, -38, -13, RESOURCES, HOST],
    "clEnqueueCopyBuffer": [OBJECT, -36, -34, -38, -13, RESOURCES, HOST],
    "clEnqueueFillBuffer": [OBJECT, -36, -34, -38, -13, RESOURCES, HOST],
    "clEnqueueMapBuffer": [OBJECT, MAP, WAIT, -36, -34, -38, RESOURCES, HOST],
    "clEnqueueUnmapMemObject": [-36, -38, RESOURCES, HOST],
    "clFinish": [-36, RESOURCES, HOST],
    "clFlush": [-36, RESOURCES, HOST],
    "clWaitForEvents": [WAIT, -34, -58, RESOURCES, HOST],
    "clGetEventInfo": [-58, -30, RESOURCES, HOST],
    "clGetEventProfilingInfo": [-7, -30, -58, RESOURCES, HOST],
    "clGetMemObjectInfo": [-38, -30, RESOURCES, HOST],
    "clGetContextInfo": [-34, -30, RESOURCES, HOST],
    "clGetCommandQueueInfo": [-36, -30, RESOURCES, HOST],
}
FILES = {
    "open": ["EIO", "EMFILE", "EACCES", "EINTR"],
    "read": ["EIO", "short", "EINTR"],
    "pread": ["EIO", "short", "EINTR"],
    "stat": ["EACCES", "EIO"],
    "lstat": ["EACCES", "EIO"],
    "fstat": ["EIO"],
    "fstatat": ["EACCES", "EIO"],
    "access": ["EACCES", "EIO"],
    "realpath": ["EACCES", "EIO"],
    "readlink": ["EACCES", "EIO"],
    "opendir": ["EMFILE", "EACCES", "EIO"],
    "fdopendir": ["EIO"],
    "readdir": ["EIO"],
    "lseek": ["EIO"],
    "mmap": ["ENOMEM", "EACCES"],
    "fcntl": ["EINTR"],
    "flock": ["EINTR", "ENOLCK"],
    "create": ["ENOSPC", "EMFILE", "EACCES", "EIO", "EINTR"],
    "mkstemp": ["ENOSPC", "EMFILE", "EACCES"],
    "write": ["ENOSPC", "EIO", "short", "EINTR"],
    "close": ["EIO", "ENOSPC", "EINTR"],
    "fsync": ["EIO", "ENOSPC", "EINTR"],
    "fdatasync": ["EIO", "ENOSPC"],
    "rename": ["ENOSPC", "EACCES", "EIO"],
    "renameat": ["ENOSPC", "EACCES", "EIO"],
    "link": ["ENOSPC", "EACCES"],
    "symlink": ["ENOSPC", "EACCES", "EIO"],
    "unlink": ["EACCES", "EIO"],
    "unlinkat": ["EACCES", "EIO"],
    "rmdir": ["EACCES", "EIO"],
    "mkdir": ["ENOSPC", "EACCES", "EIO"],
    "mkdirat": ["ENOSPC", "EACCES"],
    "chmod": ["EPERM"],
    "fchmod": ["EPERM"],
    "ftruncate": ["EIO", "ENOSPC"],
}
YEAR = 31536000


class Injection:
    """action: as FAULT has it; code: its number or name; every: all later calls of the group fail too"""

    def __init__(self, job, point, n, of, action, code, every=False):
        self.job, self.point, self.n, self.of, self.action, self.code, self.every = job, point, n, of, action, code, every

    @property
    def name(self):
        return f"{self.job.name}/{self.point}/{self.n}/{self.code}{'+' if self.every else ''}"

    @property
    def kind(self):
        if self.action.startswith("signal"):
            return "kill"
        if self.action.startswith("cut"):
            return "cut"
        p = self.point
        return "opencl" if p in OPENCL else "file" if p in FILES else "clock" if p == "clock" else "memory"

    def fault(self):
        return f"{self.point} {self.n} {self.action}{' all' if self.every else ''}"


def actions_of(point):
    """(action, code, every) of a point, the most telling first"""
    if point in OPENCL:
        codes = OPENCL[point]
        once = [(f"fail={c}", str(c), False) for c in codes]
        return once[:1] + [(f"fail={RESOURCES}", str(RESOURCES), True)] + once[1:]
    if point == "clock":
        return [(f"jump={-YEAR}", "back", False), (f"jump={YEAR}", "forward", False)]
    if point in FILES:
        list_ = [("short", "short", False) if c == "short" else (f"fail={getattr(errno, c)}", c, False) for c in FILES[point]]
        if "ENOSPC" in FILES[point]:
            list_.insert(1, (f"fail={errno.ENOSPC}", "ENOSPC", True))
        return list_
    return [(f"fail={errno.ENOMEM}", "ENOMEM", False), (f"fail={errno.ENOMEM}", "ENOMEM", True)]


def spread(count, most):
    """at most `most` of the numbers 1 to count, both ends among them"""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)}) if most > 1 else [(count + 1) // 2]


def whole(job, counts, most):
    """Every point of the job: at most `most` calls, or as many as there are actions; each action at least once."""
    if job.weights:
        return [Injection(job, group, n, counts[group], f"cut={job.weights}", "cut") for group in ("opencl", "reading") if counts.get(group)
                for n in spread(counts[group], most)]
    plan = []
    for point in sorted(p for p in counts if counts[p] and p not in ("opencl", "memory", "reading", "writing", "clocks")):
        actions = actions_of(point)
        calls = spread(counts[point], most)
        if len(calls) >= len(actions):
            pairs = [(n, actions[i % len(actions)]) for i, n in enumerate(calls)]
        else:
            pairs = [(calls[i % len(calls)], a) for i, a in enumerate(actions)]
        if point in FILES and counts[point] <= most:  # few calls: everything with everything
            pairs = [(n, a) for n in calls for a in actions]
        plan += [Injection(job, point, n, counts[point], *a) for n, a in pairs]
    for group, number in (("writing", signal.SIGKILL), ("writing", signal.SIGTERM), ("opencl", signal.SIGTERM), ("opencl", signal.SIGINT)):
        plan += [Injection(job, group, n, counts[group], f"signal={int(number)}", signal.Signals(number).name)
                 for n in spread(counts.get(group, 0), most)]
    return plan


def order(text):
    return hashlib.sha256(text.encode()).hexdigest()


def sample(job, counts, size, always):
    """The same injections whenever the numbers of calls are the same: those of `always` ("POINT first|middle|last CODE", + for every later
    call too), and `size` more: every point in turn, then further actions, in an order drawn by their names."""
    chosen, by_point = [], {}
    for text in always:
        point, place, code = text.split()
        last = counts.get(point, 0)
        n = {"first": 1, "middle": (last + 1) // 2, "last": last}[place]
        signals = [(f"signal={int(s)}", s.name, False) for s in (signal.SIGKILL, signal.SIGTERM)]
        found = [x for x in (signals if code.startswith("SIG") else actions_of(point)) if x[1] + "+" * x[2] == code]
        chosen += [Injection(job, point, n, last, *x) for x in found if n]
    for i in whole(job, counts, 3):
        by_point.setdefault((i.point, i.code if i.kind in ("kill", "cut") else ""), []).append(i)
    for list_ in by_point.values():
        list_.sort(key=lambda i: order(i.name.replace(f"/{i.n}/", f"/{i.n == i.of}/")))
    size, depth = size + len(chosen), 0
    while len(chosen) < size and depth < max((len(l) for l in by_point.values()), default=0):
        names = sorted((p for p in by_point if depth < len(by_point[p])), key=lambda p: order(job.name + "/" + p[0] + p[1]))
        chosen += [by_point[p][depth] for p in names]
        depth += 1
    return chosen[:size]
