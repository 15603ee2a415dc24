"""OpenBLAS through NumPy, whose wheel brings it: matrix products in f32."""
from peer import Peer


def product(row, _):
    """[m, k] times the transpose of [n, k], as a linear layer has its weights."""
    import numpy as np
    m, n, k = row.numbers
    a, b = np.random.rand(m, k).astype("f"), np.random.rand(n, k).astype("f").T
    return lambda: a @ b


def linear_gradient(row, _):
    """The gradient of a linear layer's weights: [out, batch] times [batch, in]."""
    import numpy as np
    batch, width_in, width_out = row.numbers
    x, dy = np.random.rand(batch, width_in).astype("f"), np.random.rand(batch, width_out).astype("f")
    return lambda: dy.T @ x


PEER = Peer("NumPy with OpenBLAS", "numpy", ["numpy"], [["numpy"]], {"openblas": ("OpenBLAS float32", "f32")},
            {"matmul": product, "weight gradient, linear": linear_gradient})
