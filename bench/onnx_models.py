"""Operations and networks as ONNX models, for the peers that read them (ONNX Runtime, OpenVINO). Weights are constants of the model, so that
a runtime can lay them out once. Networks are exported from PyTorch and kept in the environment's folder."""
import dataclasses, os

import torch_networks
from environment import derived

OPSET = 21


def array(*shape):
    import numpy as np
    return np.random.randn(*shape).astype("f")


def model(nodes, inputs, weights, outputs):
    """Bytes of a model, and what to feed. nodes: (operator, inputs, output, attributes)."""
    from onnx import TensorProto, helper, numpy_helper
    graph = helper.make_graph(
        [helper.make_node(kind, names, [out], **attributes) for kind, names, out, attributes in nodes], "operation",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return made.SerializeToString(), inputs


def matmul(row):
    m, n, k = row.numbers
    return model([("MatMul", ["x", "w"], "y", {})], {"x": array(m, k)}, {"w": array(k, n)}, ["y"])


def attention(row):
    """softmax(q k' / sqrt(width)) v, as exporters write it; runtimes find the pattern."""
    import numpy as np
    queries, keys, heads, width = row.numbers
    nodes = [("Transpose", ["k"], "kt", {"perm": [0, 1, 3, 2]}), ("MatMul", ["q", "kt"], "products", {}), ("Mul", ["products", "scale"], "scores", {}),
             ("Softmax", ["scores"], "weights", {"axis": -1}), ("MatMul", ["weights", "v"], "y", {})]
    feeds = {name: array(1, heads, count, width) for name, count in (("q", queries), ("k", keys), ("v", keys))}
    return model(nodes, feeds, {"scale": np.array(width ** -0.5, dtype="f")}, ["y"])


def layer_norm(row):
    rows, columns = row.numbers
    return model([("LayerNormalization", ["x", "gamma", "gamma"], "y", {"axis": -1})], {"x": array(rows, columns)}, {"gamma": array(columns)}, ["y"])


def softmax(row):
    return model([("Softmax", ["x"], "y", {"axis": -1})], {"x": array(*row.numbers)}, {}, ["y"])


def group_norm(row):
    height, width, channels = row.numbers
    nodes = [("GroupNormalization", ["x", "gamma", "gamma"], "z", {"num_groups": 32}), ("Sigmoid", ["z"], "s", {}), ("Mul", ["z", "s"], "y", {})]
    return model(nodes, {"x": array(1, channels, height, width)}, {"gamma": array(channels)}, ["y"])


def conv2d(row):
    import numpy as np
    batch, height, width, channels_in, channels_out = row.numbers[:5]
    stride = 2 if "stride 2" in row.shape else 1
    nodes, weights = [], {"w": array(channels_out, channels_in, 3, 3)}
    if "upsampled" in row.shape:
        weights["scales"] = np.array([1, 1, 2, 2], dtype="f")
        nodes.append(("Resize", ["x", "", "scales"], "z", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}))
    nodes.append(("Conv", ["z" if nodes else "x", "w"], "y", {"pads": [1, 1, 1, 1], "strides": [stride, stride]}))
    return model(nodes, {"x": array(batch, channels_in, height, width)}, weights, ["y"])


def exported(row, work):
    """Path of a network's model, and what to feed. None: the run has no such folder."""
    import torch
    make, source = torch_networks.NETWORKS[row.name]
    folder = getattr(work, source)
    if not folder:
        return None

    def write(path):
        module, inputs = make(dataclasses.replace(work, storage="f32", kept={}))  # the runtime converts to what it multiplies in
        with torch.no_grad():
            torch.onnx.export(module, inputs, path + ".part", dynamo=True, external_data=True, optimize=row.name != "UNet", verbose=False)
        os.replace(path + ".part", path)  # it names its weights, in path.part.data
    path = derived(folder, row.name.replace(" ", "-") + ".onnx", write)
    return path, feeds_of(path)


def feeds_of(path):
    """Random inputs of the shapes that a model wants; a token is 100."""
    import numpy as np
    import onnx
    feeds = {}
    for value in onnx.load(path, load_external_data=False).graph.input:
        kind = value.type.tensor_type
        shape = [axis.dim_value for axis in kind.shape.dim]
        feeds[value.name] = array(*shape) if kind.elem_type == onnx.TensorProto.FLOAT else np.full(shape, 100, dtype=np.int64)
    return feeds


OPERATIONS = {"matmul": matmul, "attention": attention, "layer norm": layer_norm, "softmax": softmax, "group norm": group_norm, "conv2d": conv2d}


def makers(call):
    """Makers of a peer whose call(model, feeds, work) makes a call; the model is bytes or a path."""
    def operation(row, work):
        return call(*OPERATIONS[row.name](row), work)

    def network(row, work):
        found = exported(row, work)
        return found and call(*found, work)
    return {**{name: operation for name in OPERATIONS}, **{name: network for name in torch_networks.NETWORKS}}
