"""PyTorch in float32 and bfloat16: operations of one call. Networks are in torch_networks.py, training steps in torch_training.py. Where
PyTorch has a choice (channels first or last in memory), both are timed and the faster counts."""
import torch_networks, torch_training
from peer import Peer
from torch_networks import begin


def random(work, *shape):
    import torch
    return torch.randn(*shape).to(begin(work))


def layouts(x, w):
    """A convolution's tensors with channels first, and with channels last."""
    import torch
    return [(x.contiguous(memory_format=layout), w.contiguous(memory_format=layout)) for layout in (torch.contiguous_format, torch.channels_last)]


def inference(call):
    import torch

    def run():
        with torch.inference_mode():
            return call()
    return run


def matmul(row, work):
    from torch.nn.functional import linear
    m, n, k = row.numbers
    x, w = random(work, m, k), random(work, n, k)
    return inference(lambda: linear(x, w))


def attention(row, work):
    from torch.nn.functional import scaled_dot_product_attention
    queries, keys, heads, width = row.numbers
    q, k, v = (random(work, 1, heads, count, width) for count in (queries, keys, keys))
    return inference(lambda: scaled_dot_product_attention(q, k, v))


def layer_norm(row, work):
    from torch.nn import functional
    rows, columns = row.numbers
    x, gamma = random(work, rows, columns), random(work, columns)
    return inference(lambda: functional.layer_norm(x, (columns,), gamma, gamma))


def softmax(row, work):
    x = random(work, *row.numbers)
    return inference(lambda: x.softmax(-1))


def token_choice(row, work):
    """The most likely token and its log probability."""
    x = random(work, *row.numbers)
    return inference(lambda: x.log_softmax(-1).max(-1))


def group_norm(row, work):
    from torch.nn import functional
    height, width, channels = row.numbers
    x, gamma = random(work, 1, channels, height, width), random(work, channels)
    return [inference(lambda x=x: functional.silu(functional.group_norm(x, 32, gamma, gamma))) for x, _ in layouts(x, x)]


def conv2d(row, work):
    from torch.nn import functional
    batch, height, width, channels_in, channels_out = row.numbers[:5]
    stride = 2 if "stride 2" in row.shape else 1
    tensors = layouts(random(work, batch, channels_in, height, width), random(work, channels_out, channels_in, 3, 3))
    if "upsampled" in row.shape:
        return [inference(lambda x=x, w=w: functional.conv2d(functional.interpolate(x, scale_factor=2.0), w, padding=1)) for x, w in tensors]
    return [inference(lambda x=x, w=w: functional.conv2d(x, w, stride=stride, padding=1)) for x, w in tensors]


def conv_gradient(row, work):
    """The gradient of a convolution's weights alone."""
    import torch
    batch, height, width, channels_in, channels_out, taps = row.numbers[:6]
    transposed, stride = "transposed" in row.name, 2 if "stride 2" in row.shape else 1
    x = random(work, batch, channels_in, height, width)
    w = random(work, *((channels_in, channels_out) if transposed else (channels_out, channels_in)), taps, taps)
    arguments = ([stride] * 2, [1, 1], [1, 1], transposed, [0, 0], 1)
    dy = torch.randn_like(torch.ops.aten.convolution(x, w, None, *arguments))
    gradient = torch.ops.aten.convolution_backward
    return [inference(lambda x=x, w=w, dy=dy: gradient(dy, x, w, None, *arguments, [False, True, False]))
            for (x, w), (dy, _) in zip(layouts(x, w), layouts(dy, dy))]


def linear_gradient(row, work):
    batch, width_in, width_out = row.numbers
    x, dy = random(work, batch, width_in), random(work, batch, width_out)
    return inference(lambda: dy.T @ x)


MAKERS = {"matmul": matmul, "attention": attention, "layer norm": layer_norm, "softmax": softmax, "token choice": token_choice,
          "group norm": group_norm, "conv2d": conv2d, "weight gradient, conv2d": conv_gradient, "weight gradient, transposed": conv_gradient,
          "weight gradient, linear": linear_gradient, **torch_networks.MAKERS, **torch_training.MAKERS}
PEER = Peer("PyTorch", "torch", ["torch", "transformers", "diffusers"], [["torch", "transformers", "diffusers", "accelerate"]],
            {"torch-f32": ("PyTorch float32", "f32"), "torch-bf16": ("PyTorch bfloat16", "bf16")}, MAKERS)
