"""ONNX Runtime on the CPU, float32: operations and networks as ONNX models (onnx_models.py)."""
import onnx_models
from peer import Peer


def session_call(model, feeds, work):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = work.threads, 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feeds)


PEER = Peer("ONNX Runtime", "onnxruntime", ["onnxruntime", "onnx", "onnxscript", "torch", "transformers", "diffusers"],
            [["onnxruntime", "onnx", "onnxscript", "torch", "transformers", "diffusers", "accelerate"]],
            {"onnxruntime": ("ONNX Runtime float32", "f32")}, onnx_models.makers(session_call))
