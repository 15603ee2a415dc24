"""Cases of bench/loras: LoRAs for the miniatures sd-v1-tiny and sd-v2-tiny, read by diffusers (load_lora_weights) or by PEFT."""
import json, os

from reference import PROMPT, Case, pipeline, reference_image, save

ATTENTION = ["attn1.to_q", "attn2.to_k", "attn2.to_v", "to_out.0"]
CONVOLUTIONS = ATTENTION + ["conv1", "proj_in", "ff.net", "time_emb_proj"]
TEXT = ["q_proj", "out_proj", "fc1"]
PEFT, KOHYA = (".lora_A.weight", ".lora_B.weight"), (".lora_down.weight", ".lora_up.weight")


# ---- files ----

def modules(network, words):
    """Names of the linear layers and convolutions that contain one of the words."""
    import torch
    return [name for name, module in network.named_modules()
            if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)) and any(word in name for word in words)]


def matrices(network, words, rank, seed=0, size=0.3):
    """{module: (down, up)} with random values that change an image visibly."""
    import torch
    random, result = torch.Generator().manual_seed(seed), {}
    for name in modules(network, words):
        weight = network.get_submodule(name).weight
        down = torch.randn(rank, *weight.shape[1:], generator=random) * size
        up = torch.randn(weight.shape[0], rank, *[1] * (weight.dim() - 2), generator=random) * size
        result[name] = (down, up)
    return result


def named(pairs, down, up, prefix="", flat=False):
    tensors = {}
    for name, (a, b) in pairs.items():
        name = prefix + (name.replace(".", "_") if flat else name)
        tensors[name + down], tensors[name + up] = a, b
    return tensors


def kohya(pairs, alpha=None, prefix="lora_unet_"):
    """kohya-ss; alpha: a tensor, or a function of the module's number."""
    tensors = named(pairs, *KOHYA, prefix, True)
    for i, key in enumerate([key for key in tensors if "lora_down" in key] if alpha is not None else []):
        tensors[key.replace(".lora_down.weight", ".alpha")] = alpha(i) if callable(alpha) else alpha
    return tensors


def folded(pairs, alpha):
    """The same LoRA without alphas. diffusers ignores the alphas of attention layers unless all are equal (0.42: the names that its
    conversion gives them match no layer, as PEFT warns), where kohya-ss, which made the format, scales each layer by its own."""
    return named({name: (down, up * float(alpha(i)) / down.shape[0]) for i, (name, (down, up)) in enumerate(pairs.items())}, *PEFT, "unet.")


def oldest_name(name):
    """diffusers before 0.22: LoRAAttnProcessor and its like of the text encoder."""
    for ours, theirs in ((".q_proj", ".to_q"), (".k_proj", ".to_k"), (".v_proj", ".to_v"), (".out_proj", ".to_out"), (".to_out.0", ".to_out")):
        name = name.removesuffix(ours) + theirs if name.endswith(ours) else name
    for block in (".attn1.", ".attn2."):
        name = name.replace(block, block + "processor.")
    return name


def oldest(pairs, prefix):
    return named({oldest_name(name): pair for name, pair in pairs.items()}, "_lora.down.weight", "_lora.up.weight", prefix)


def config(prefix="unet.", **settings):
    """PEFT's settings as diffusers writes them into the metadata of a file."""
    base = dict(r=4, lora_alpha=4, target_modules=ATTENTION if prefix == "unet." else TEXT)
    return {prefix + key: value for key, value in {**base, **settings}.items()}


# ---- the reference ----

def load(pipe, files):
    """files: paths with strengths; a strength is a number, or {part of the pipeline: number}."""
    for i, (path, _) in enumerate(files):
        pipe.load_lora_weights(path, adapter_name="a%d" % i)
    pipe.set_adapters(["a%d" % i for i in range(len(files))], [strength for _, strength in files])


def with_loras(name, model, files, prompt=PROMPT, options=None, own=None, base=None, refusal=False):
    """A case of diffusers' reader; own: what it reads, if not clio's files. base: the folder of `model`, if that is a single file."""
    def want():
        pipe = pipeline(base or model)
        load(pipe, own or files)
        return reference_image(pipe)
    if options is None:
        options = [x for path, strength in files for x in ("--lora", "%s:%g" % (path, strength))]
    return Case(name, "diffusers", want, model, options, base or model, prompt, refusal)


def of_tensors(name, model, tensors, strength=1.0, own=None, refusal=False, **metadata):
    """A case of diffusers' reader with one file."""
    path = save(os.path.join("loras", name + ".safetensors"), tensors, **metadata)
    return with_loras(name, model, [(path, strength)], own=own, refusal=refusal)


def with_adapter(name, model, path, folder, part="unet", refusal=False):
    """A case of PEFT's reader."""
    def want():
        from peft import PeftModel
        pipe = pipeline(model)
        setattr(pipe, part, PeftModel.from_pretrained(getattr(pipe, part), folder).merge_and_unload())
        return reference_image(pipe)
    return Case(name, "PEFT", want, model, ["--lora", path], model, refusal=refusal)


# ---- the cases ----

def metadata_cases(v1, pairs, both, text):
    """PEFT's settings of each part in the metadata of the file."""
    def settings(name, tensors, *parts):
        merged = {key: value for part in parts for key, value in part.items()}
        return of_tensors(name, v1, tensors, lora_adapter_metadata=json.dumps(merged))

    unet = named(pairs, *PEFT, "unet.")
    yield settings("diffusers, alpha 16 of rank 4", unet, config(lora_alpha=16))
    yield settings("rslora", unet, config(lora_alpha=6, use_rslora=True))
    yield settings("alpha pattern, regular expression", unet, config(alpha_pattern={"down_blocks.*to_k": 32, "to_k": 8}))
    yield settings("alpha pattern, the end of a name", unet, config(alpha_pattern={"attn2.to_k": 32}))
    yield settings("alpha pattern, not within a word", unet, config(alpha_pattern={"o_k": 32, "attn1.to_q": 12}))
    ranks = {"attn2.to_[kv]": 2, "attn2.to_out.0": 2}
    yield settings("rank pattern", named(both, *PEFT, "unet."), config(lora_alpha=8, rank_pattern=ranks))
    yield settings("text encoder with an alpha of its own", text, config(lora_alpha=6), config("text_encoder.", lora_alpha=14))


def diffusers_cases(v1, pairs, both, words, prefix):
    """Names of PEFT and of diffusers, old and new, without settings."""
    import torch
    network = pipeline(v1).unet
    unet, start = named(pairs, *PEFT, "unet."), "text_encoder." + prefix
    text = {**named(words, *PEFT, start), **unet}
    yield from metadata_cases(v1, pairs, both, text)
    yield of_tensors("two ranks without metadata", v1, named(both, *PEFT, "unet."))
    yield of_tensors("diffusers, text encoder", v1, text)
    yield of_tensors("diffusers without metadata, strength 0.7", v1, unet, 0.7)
    yield of_tensors("diffusers, convolutions", v1, named(matrices(network, CONVOLUTIONS, 3, 2), *PEFT, "unet."))
    yield of_tensors("old diffusers (.lora.down.weight)", v1, named(pairs, ".lora.down.weight", ".lora.up.weight", "unet."))
    attention = {name: pair for name, pair in words.items() if "attn" in name}
    yield of_tensors("oldest diffusers (.processor.to_q_lora)", v1, {**oldest(pairs, "unet."), **oldest(attention, start)})
    linear = named(words, ".lora_linear_layer.down.weight", ".lora_linear_layer.up.weight", start)
    yield of_tensors("old text encoder (.lora_linear_layer)", v1, {**linear, **unet})
    for kind in (torch.bfloat16, torch.float16):
        name = "matrices in " + str(kind).removeprefix("torch.")
        yield of_tensors(name, v1, {key: value.to(kind) for key, value in unet.items()})
    large = matrices(network, ["mid_block.attentions.0.transformer_blocks.0.attn2.to_k"], 4, 5, 300.0)
    yield of_tensors("weights above 65504, the limit of f16", v1, named(large, *PEFT, "unet."))
    pair = next(iter(pairs.values()))
    foreign = {"unet.conv_in.diff": pair[0], "bundle_emb.x": pair[0], "unet.down_blocks.9.attentions.0.proj_in" + PEFT[0]: pair[0],
               "unet.down_blocks.9.attentions.0.proj_in" + PEFT[1]: pair[1]}
    own = [(save("plain.safetensors", unet), 1.0)] # diffusers refuses names without "lora"
    yield of_tensors("with foreign tensors and modules", v1, {**unet, **foreign}, own=own)


def kohya_cases(v1, pairs, both, words, prefix):
    import torch
    network = pipeline(v1).unet
    convolutions = matrices(network, CONVOLUTIONS, 3, 2)
    prefix = prefix.replace(".", "_")
    yield of_tensors("kohya, alpha 1.5", v1, kohya(convolutions, torch.tensor(1.5)))
    yield of_tensors("kohya, alpha stored as I64", v1, kohya(convolutions, torch.tensor(6)))
    yield of_tensors("kohya, alpha stored as F64", v1, kohya(convolutions, torch.tensor(2.5, dtype=torch.float64)))
    yield of_tensors("kohya, rank 1", v1, kohya(matrices(network, ATTENTION, 1, 4)))
    yield of_tensors("kohya, every layer of the UNet", v1, kohya(matrices(network, [""], 2, 6, 0.1), torch.tensor(2.0)))
    for name, layers in {"kohya, another alpha in each layer": convolutions, "kohya, two ranks, other alphas": both}.items():
        alpha = lambda i: torch.tensor(1.0 + i % 5)
        own = [(save("own " + name + ".safetensors", folded(layers, alpha)), 1.0)]
        yield of_tensors(name, v1, kohya(layers, alpha), own=own)
    for start in ("lora_te_", "lora_te1_"):
        yield of_tensors("kohya, text encoder (%s)" % start, v1, {**kohya(words, torch.tensor(3.0), start + prefix), **kohya(pairs)})

    folder = ["--lora-model-dir", os.getcwd()]
    files = [(save("first.safetensors", named(pairs, *PEFT, "unet.")), 0.8), (save("second.safetensors", kohya(convolutions)), -0.3)]
    yield with_loras("two LoRAs", v1, files)
    yield with_loras("two LoRAs that the prompt names", v1, files, PROMPT + " <lora:first:0.8> <lora:second:-0.3>", folder)
    parts = [(save("parts.safetensors", {**kohya(words, None, "lora_te_" + prefix), **kohya(pairs)}), {"text_encoder": 0.4, "unet": 0.9})]
    yield with_loras("text encoder and UNet with own strengths", v1, parts, PROMPT + " <lora:parts:0.4:0.9>", folder)


def adapter_cases(v1, pairs, words):
    from peft import LoraConfig

    def adapter(name, tensors=None, part="unet", **settings):
        save(os.path.join(name, "adapter_model.safetensors"), tensors or named(pairs, *PEFT, "base_model.model."))
        LoraConfig(r=4, target_modules=ATTENTION if part == "unet" else TEXT, **settings).save_pretrained(name)
        return with_adapter(name, v1, name, name, part)

    yield adapter("PEFT adapter", lora_alpha=12)
    yield adapter("PEFT adapter with rslora", lora_alpha=8, use_rslora=True)
    yield adapter("PEFT adapter with a pattern", lora_alpha=8, alpha_pattern={"up_blocks.*to_v": 24})
    yield adapter("PEFT adapter of the text encoder", named(words, *PEFT, "base_model.model."), "text_encoder", lora_alpha=10)
    path = save(os.path.join("no settings", "adapter_model.safetensors"), named(pairs, *PEFT, "base_model.model."))
    yield with_adapter("PEFT adapter without adapter_config.json", v1, path, "no settings", refusal=True)


def users_cases(v1, v2, cases):
    """Files that users had, if the folder has them."""
    for file in ("alpha-pattern.safetensors", "v2-lora.safetensors"):
        path = os.path.join(cases, file)
        if os.path.exists(path):
            yield with_loras(file, v2 if "v2" in file else v1, [(path, 1.0)])
    folder = os.path.join(cases, "peft-adapter")
    if os.path.isdir(folder):
        yield with_adapter("peft-adapter/adapter_model.safetensors", v1, os.path.join(folder, "adapter_model.safetensors"), folder)


def version_2_cases(v2, v1_pairs):
    import torch
    pipe = pipeline(v2)
    words = matrices(pipe.text_encoder, TEXT, 4, 3)
    prefix = "" if next(iter(words)).startswith("text_model.") else "text_model_"
    tensors = {**kohya(matrices(pipe.unet, CONVOLUTIONS, 4, 1)), **kohya(words, None, "lora_te_" + prefix)}
    yield of_tensors("version 2, kohya, text encoder", v2, tensors)
    wider = {name: (torch.cat([down, down], 1), up) for name, (down, up) in v1_pairs.items()}
    yield of_tensors("LoRA of a model with wider layers", v2, named(wider, *PEFT, "unet."), refusal=True)


def lora_cases(golden, cases):
    v1, v2 = os.path.join(golden, "sd-v1-tiny"), os.path.join(golden, "sd-v2-tiny")
    pipe = pipeline(v1)
    pairs, words = matrices(pipe.unet, ATTENTION, 4), matrices(pipe.text_encoder, TEXT, 4, 3)
    both = {**{name: pair for name, pair in pairs.items() if "attn1" in name},
            **{name: pair for name, pair in matrices(pipe.unet, ATTENTION, 2, 1).items() if "attn1" not in name}}
    prefix = "" if next(iter(words)).startswith("text_model.") else "text_model."
    yield from diffusers_cases(v1, pairs, both, words, prefix)
    yield from kohya_cases(v1, pairs, both, words, prefix)
    yield from adapter_cases(v1, pairs, words)
    yield from users_cases(v1, v2, cases)
    yield from version_2_cases(v2, pairs)
