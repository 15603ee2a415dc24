"""OpenVINO on the CPU, in float32 and bfloat16: operations and networks as ONNX models (onnx_models.py)."""
import onnx_models
from peer import Peer


def request_call(model, feeds, work):
    import openvino
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": work.storage, "INFERENCE_NUM_THREADS": work.threads, "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1}
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
    return lambda: request.infer(feeds, share_inputs=True, share_outputs=True)


PEER = Peer("OpenVINO", "openvino", ["openvino", "onnx", "onnxscript", "torch", "transformers", "diffusers"],
            [["openvino", "onnx", "onnxscript", "torch", "transformers", "diffusers", "accelerate"]],
            {"openvino-f32": ("OpenVINO float32", "f32"), "openvino-bf16": ("OpenVINO bfloat16", "bf16")}, onnx_models.makers(request_call))
