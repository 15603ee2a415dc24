"""Cases of bench/loras: checkpoints in one file with random weights, and VAEs in files of their own. diffusers reads the file itself
(from_single_file with the configurations of the folder that it was made from) where it can, else that folder."""
import functools, json, os, shutil

from ldm_names import single_file
from lora_cases import ATTENTION, TEXT, kohya, load, matrices
from reference import SIDE, Case, pipeline, reference_image, save

VAE = "first_stage_model."


@functools.cache
def random_model(name, golden, version, middle=True, levels=3, layers=2, text_layers=3, prediction="epsilon", bias=0.0):
    """A folder with random weights, and the constants that single files do not say: 32 groups, heads of 64 channels or 8 heads, the noise
    schedules of stable-diffusion-v1-5, 2-base and 2-1. bias: added to the UNet's output."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    torch.manual_seed(version + 10 * levels + 100 * layers)
    widths, last = [32, 64, 128][:levels], levels - 1 if middle else levels
    kinds = ["CrossAttn" if i < last else "" for i in range(levels)]
    unet = UNet2DConditionModel(sample_size=8, block_out_channels=widths, layers_per_block=layers, cross_attention_dim=64, norm_num_groups=32,
                                down_block_types=[k + "DownBlock2D" for k in kinds], up_block_types=[k + "UpBlock2D" for k in kinds[::-1]],
                                mid_block_type="UNetMidBlock2DCrossAttn" if middle else None, use_linear_projection=version == 2,
                                attention_head_dim=8 if version == 1 else [max(w // 64, 1) for w in widths])
    unet.conv_out.bias.data += bias
    vae = AutoencoderKL(block_out_channels=[32, 32, 64, 64], down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
                        layers_per_block=1, norm_num_groups=32, sample_size=SIDE)
    text = CLIPTextModel(CLIPTextConfig(hidden_size=64, intermediate_size=96, num_hidden_layers=text_layers, num_attention_heads=1,
                                        hidden_act="quick_gelu" if version == 1 else "gelu", vocab_size=49408, bos_token_id=49406,
                                        eos_token_id=49407))
    schedule = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, prediction_type=prediction)
    scheduler = PNDMScheduler(skip_prk_steps=True, **schedule) if prediction == "epsilon" else DDIMScheduler(
        clip_sample=False, set_alpha_to_one=False, **schedule)
    tokenizer = os.path.join(golden, "sd-v%d-tiny" % version, "tokenizer")
    pipe = StableDiffusionPipeline(vae, text, CLIPTokenizer.from_pretrained(tokenizer), unet, scheduler, None, None, requires_safety_checker=False)
    pipe.save_pretrained(name)
    shutil.copytree(tokenizer, os.path.join(name, "tokenizer"), dirs_exist_ok=True)
    return os.path.abspath(name)


# ---- the reference ----

def read_file(folder, path, own_reader):
    """diffusers' pipeline of the file, or of the folder."""
    import torch
    from diffusers import StableDiffusionPipeline
    pipe = pipeline(folder)
    if own_reader:
        pipe = StableDiffusionPipeline.from_single_file(path, config=folder, dtype=torch.float32, local_files_only=True, scheduler=pipe.scheduler,
                                                        tokenizer=pipe.tokenizer, safety_checker=None, feature_extractor=None)
        pipe.set_progress_bar_config(disable=True)
    with open(os.path.join(folder, "text_encoder", "config.json"), encoding="utf-8") as file:
        if json.load(file)["hidden_act"] == "gelu": # as the tokenizer of Stable Diffusion 2; the miniature's pads with the end token
            pipe.tokenizer.pad_token = "!"
    return pipe


def from_file(name, folder, tensors, options=(), reader="diffusers", change=None, **metadata):
    """reader: "diffusers" for from_single_file, else the folder. change: what the reference does with its pipeline."""
    path = save(os.path.join("files", name + ".safetensors"), tensors, **metadata)

    def want():
        pipe = read_file(folder, path, reader == "diffusers")
        if change:
            change(pipe)
        return reference_image(pipe)
    return Case(name, reader, want, path, ["--tokenizer", os.path.join(folder, "tokenizer"), *options])


# ---- the cases ----

def version_1_cases(golden):
    import torch
    one = random_model("one", golden, 1)
    tensors = single_file(one)
    yield from_file("version 1", one, tensors)
    yield from_file("version 1, names of NovelAI", one, single_file(one, text="cond_stage_model.transformer."), reader="folder")
    projection = {"cond_stage_model.transformer.text_projection.weight": torch.ones(64, 64)}
    yield from_file("version 1, text_projection.weight", one, {**tensors, **projection})
    for kind in (torch.float16, torch.bfloat16):
        yield from_file("version 1, " + str(kind).removeprefix("torch."), one, {key: value.to(kind) for key, value in tensors.items()})
    for kind in (torch.float8_e4m3fn, torch.float8_e5m2):
        small = {key: value.to(kind) for key, value in tensors.items() if value.dim() > 1}
        yield from_file("version 1, " + str(kind).removeprefix("torch."), one, {**tensors, **small})
    base = random_model("base", golden, 1, layers=1)
    yield from_file("one layer per level, numbers in a row", base, single_file(base, stride=2))
    yield from_file("one layer per level (BK-SDM base)", base, single_file(base), reader="folder")
    tiny = random_model("tiny", golden, 1, middle=False, layers=1)
    yield from_file("no middle block (BK-SDM tiny)", tiny, single_file(tiny), reader="folder")


def version_2_cases(golden):
    import torch
    two = random_model("two", golden, 2, text_layers=23)
    noise = ["--prediction", "epsilon"]
    yield from_file("version 2, 23 layers", two, single_file(two), noise)
    yield from_file("version 2, 24 layers", two, single_file(two, extra_layer=True), noise)
    yield from_file("version 2, found to predict noise", two, single_file(two))
    yield from_file("version 2, metadata of modelspec", two, single_file(two), **{"modelspec.architecture": "stable-diffusion-v2-512"})
    v = random_model("v", golden, 2, text_layers=23, prediction="v_prediction", bias=-2.0)
    yield from_file("version 2, v_prediction", v, single_file(v), ["--prediction", "v_prediction"])
    yield from_file("version 2, found to predict v", v, single_file(v))
    prefix = "conditioner.embedders.0.model."
    yield from_file("names of SD-Turbo", two, {**single_file(two, text=prefix), prefix + "text_projection": torch.ones(64, 64)}, noise)


def lora_cases(golden):
    """LoRAs for single files."""
    for version, folder in ((1, random_model("one", golden, 1)), (2, random_model("two", golden, 2, text_layers=23))):
        pipe = pipeline(folder)
        words = matrices(pipe.text_encoder, TEXT + ["k_proj", "v_proj"], 4, 3)
        prefix = "lora_te_" if next(iter(words)).startswith("text_model.") else "lora_te_text_model_"
        path = save("for version %d.safetensors" % version, {**kohya(matrices(pipe.unet, ATTENTION, 4)), **kohya(words, None, prefix)})
        options = ["--lora", path, "--prediction", "epsilon"]
        yield from_file("LoRA for a file of version %d" % version, folder, single_file(folder), options,
                        change=lambda pipe, path=path: load(pipe, [(path, 1.0)]))


def vae_cases(golden):
    """VAEs and tiny autoencoders in files of their own."""
    import torch
    from diffusers import AutoencoderKL, AutoencoderTiny
    one, other = random_model("one", golden, 1), random_model("base", golden, 1, layers=1)
    tensors = {key: value for key, value in single_file(one).items() if not key.startswith(VAE)}
    model = save("without.safetensors", tensors)
    folder = os.path.join(other, "vae")
    original = save("vae.safetensors", {key.removeprefix(VAE): value for key, value in single_file(other).items() if key.startswith(VAE)})
    whole = save("whole.safetensors", single_file(other))
    torch.manual_seed(8)
    AutoencoderTiny(encoder_block_out_channels=(16,) * 4, decoder_block_out_channels=(16,) * 4).save_pretrained("taesd")
    words = ["--tokenizer", os.path.join(one, "tokenizer")]

    def case(name, path, vae, model=model, option="--vae", reader="diffusers"):
        def want():
            pipe = pipeline(one)
            pipe.vae = vae()
            return reference_image(pipe)
        return Case(name, reader, want, model, [*(words if model.endswith("s") else []), option, path])

    def file_reader(path):
        return lambda: AutoencoderKL.from_single_file(path, config=folder, dtype=torch.float32, local_files_only=True)

    yield case("--vae, a folder", folder, lambda: AutoencoderKL.from_pretrained(folder), reader="folder")
    path = os.path.join(folder, "diffusion_pytorch_model.safetensors")
    yield case("--vae, a file with diffusers' names", path, lambda: AutoencoderKL.from_pretrained(folder), reader="folder")
    yield case("--vae, a file with the original names", original, file_reader(original))
    yield case("--vae, a checkpoint", whole, file_reader(whole), model=one)
    path = os.path.join("taesd", "diffusion_pytorch_model.safetensors")
    yield case("--vae, a tiny autoencoder", path, lambda: AutoencoderTiny.from_pretrained("taesd"), reader="folder")
    alone = save("alone.safetensors", load_tensors(path)) # without config.json beside it
    yield case("--taesd, a file", alone, lambda: AutoencoderTiny.from_pretrained("taesd"), option="--taesd", reader="folder")


def load_tensors(path):
    from safetensors.torch import load_file
    return load_file(path)


def single_file_cases(golden):
    yield from version_1_cases(golden)
    yield from version_2_cases(golden)
    yield from lora_cases(golden)
    yield from vae_cases(golden)
