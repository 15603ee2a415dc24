"""tinygrad's OpenCL backend, float32, without kernel search: operations of one call, each captured by its TinyJit."""
import os

from peer import Peer


def tensor(*shape):
    os.environ["DEV"] = "CL"  # before the first import
    from tinygrad import Tensor
    return Tensor.randn(*shape, device="CL").realize()


def captured(function, *tensors):
    """A call that replays the kernels of function(*tensors) and waits for them."""
    from tinygrad import Device, TinyJit
    replay = TinyJit(lambda *inputs: function(*inputs).realize())
    device = Device["CL"]

    def call():
        replay(*tensors)
        device.synchronize()
    for _ in range(3):  # as it is, captured, replayed
        call()
    return call


def matmul(row, _):
    m, n, k = row.numbers
    return captured(lambda x, w: x.dot(w.transpose()), tensor(m, k), tensor(n, k))


def attention(row, _):
    queries, keys, heads, width = row.numbers
    return captured(lambda q, k, v: q.scaled_dot_product_attention(k, v), *(tensor(1, heads, count, width) for count in (queries, keys, keys)))


def layer_norm(row, _):
    rows, columns = row.numbers
    return captured(lambda x, gamma: x.layernorm() * gamma + gamma, tensor(rows, columns), tensor(columns))


def softmax(row, _):
    return captured(lambda x: x.softmax(-1), tensor(*row.numbers))


def group_norm(row, _):
    height, width, channels = row.numbers

    def function(x, gamma):
        scale = gamma.reshape(1, channels, 1, 1)
        return (x.reshape(1, 32, -1).layernorm().reshape(x.shape) * scale + scale).silu()
    return captured(function, tensor(1, channels, height, width), tensor(channels))


def conv2d(row, _):
    batch, height, width, channels_in, channels_out = row.numbers[:5]
    stride, times = 2 if "stride 2" in row.shape else 1, 2 if "upsampled" in row.shape else 1

    def function(x, w):
        x = x.reshape(batch, channels_in, height, 1, width, 1).expand(batch, channels_in, height, times, width, times)
        return x.reshape(batch, channels_in, height * times, width * times).conv2d(w, stride=stride, padding=1)
    return captured(function, tensor(batch, channels_in, height, width), tensor(channels_out, channels_in, 3, 3))


def linear_gradient(row, _):
    batch, width_in, width_out = row.numbers
    return captured(lambda x, dy: dy.transpose().dot(x), tensor(batch, width_in), tensor(batch, width_out))


PEER = Peer("tinygrad", "tinygrad", ["tinygrad"], [["tinygrad"]], {"tinygrad": ("tinygrad on OpenCL", "f32")},
            {"matmul": matmul, "attention": attention, "layer norm": layer_norm, "softmax": softmax, "group norm": group_norm,
             "conv2d": conv2d, "weight gradient, linear": linear_gradient})
