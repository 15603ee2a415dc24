"""CLBlast alone on the first OpenCL device (GPUs before CPUs), float32: matrix products by its C interface, buffers and queue by PyOpenCL."""
import ctypes, ctypes.util

from peer import Peer

ROW_MAJOR, NO, YES = 101, 111, 112  # of clblast_c.h


def queue_of(work):
    import pyopencl
    if "queue" not in work.kept:
        devices = [device for platform in pyopencl.get_platforms() for device in platform.get_devices()]
        if not devices:
            raise RuntimeError("there is no OpenCL device")
        best = min(devices, key=lambda device: not device.type & pyopencl.device_type.GPU)
        work.kept["queue"] = pyopencl.CommandQueue(pyopencl.Context([best]))
    return work.kept["queue"]


def product(work, m, n, k, left_transposed, right_transposed):
    """A call of Sgemm for [m, n] = [m, k] times [k, n], of which either may lie transposed."""
    import numpy as np
    import pyopencl
    queue, library = queue_of(work), ctypes.CDLL(ctypes.util.find_library("clblast"))
    flags = pyopencl.mem_flags.READ_WRITE | pyopencl.mem_flags.COPY_HOST_PTR
    a, b, c = (pyopencl.Buffer(queue.context, flags, hostbuf=np.random.rand(count).astype("f")) for count in (m * k, k * n, m * n))
    size, real, pointer = ctypes.c_size_t, ctypes.c_float, ctypes.c_void_p
    handle = pointer(queue.int_ptr)

    def call():
        code = library.CLBlastSgemm(ROW_MAJOR, YES if left_transposed else NO, YES if right_transposed else NO, size(m), size(n), size(k), real(1),
                                    pointer(a.int_ptr), size(0), size(m if left_transposed else k), pointer(b.int_ptr), size(0),
                                    size(k if right_transposed else n), real(0), pointer(c.int_ptr), size(0), size(n), ctypes.byref(handle), None)
        if code:
            raise RuntimeError("CLBlastSgemm returned %d" % code)
        queue.finish()
    return call


def matmul(row, work):
    """The second matrix lies as a linear layer has its weights, [n, k]."""
    m, n, k = row.numbers
    return product(work, m, n, k, False, True)


def linear_gradient(row, work):
    batch, width_in, width_out = row.numbers
    return product(work, width_out, width_in, batch, True, False)


PEER = Peer("CLBlast", "clblast", ["pyopencl", "numpy"], [["pyopencl", "numpy"]], {"clblast": ("CLBlast float32", "f32")},
            {"matmul": matmul, "weight gradient, linear": linear_gradient}, systems={"clblast": "libclblast-dev"})
