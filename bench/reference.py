"""Images of diffusers' StableDiffusionPipeline with the settings that bench/loras gives to clio, and the files that both programs read."""
import os

PROMPT, STEPS, SCALE, SEED, SIDE = "a red fox in the snow", 2, 4.0, 42, 64
SETTINGS = ["--steps", str(STEPS), "--cfg-scale", str(SCALE), "-s", str(SEED), "-W", str(SIDE), "-H", str(SIDE), "--type", "f32"]


class Case:
    """model, options and prompt are for clio. reader says what read the same file for the reference; want() is its image. refusal: both
    programs must refuse the file; want() raises."""

    def __init__(self, name, reader, want, model, options=(), base=None, prompt=PROMPT, refusal=False):
        self.name, self.reader, self.want, self.model, self.options = name, reader, want, model, list(options)
        self.base, self.prompt, self.refusal = base, prompt, refusal


def pipeline(model, loaded={}):
    """A pipeline of a folder with networks of its own; each folder is read once."""
    import copy, torch
    from diffusers import StableDiffusionPipeline
    if model not in loaded:
        variant = "fp16" if os.path.exists(os.path.join(model, "unet", "diffusion_pytorch_model.fp16.safetensors")) else None
        loaded[model] = StableDiffusionPipeline.from_pretrained(model, variant=variant, dtype=torch.float32, safety_checker=None)
    pipe = loaded[model]
    parts = [copy.deepcopy(part) for part in (pipe.vae, pipe.text_encoder, pipe.tokenizer, pipe.unet, pipe.scheduler)]
    pipe = StableDiffusionPipeline(*parts, None, None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def reference_image(pipe):
    import numpy, torch
    image = pipe(PROMPT, num_inference_steps=STEPS, guidance_scale=SCALE, width=SIDE, height=SIDE, output_type="np",
                 generator=torch.Generator().manual_seed(SEED)).images[0]
    return numpy.round(image * 255)


def save(path, tensors, **metadata):
    """Write a safetensors file and return its path; the folder is made."""
    from safetensors.torch import save_file
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path, metadata=metadata or None)
    return path
