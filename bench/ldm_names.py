"""Write a diffusers folder of Stable Diffusion as the tensors of a single file with the original names, as diffusers'
scripts/convert_diffusers_to_original_stable_diffusion.py does."""
import os, re

RESNET = [("norm1.", "in_layers.0."), ("conv1.", "in_layers.2."), ("norm2.", "out_layers.0."), ("conv2.", "out_layers.3."),
          ("time_emb_proj.", "emb_layers.1."), ("conv_shortcut.", "skip_connection.")]
UNET = [("time_embedding.linear_1.", "time_embed.0."), ("time_embedding.linear_2.", "time_embed.2."), ("conv_in.", "input_blocks.0.0."),
        ("conv_norm_out.", "out.0."), ("conv_out.", "out.2."), ("mid_block.attentions.0.", "middle_block.1."),
        ("mid_block.resnets.0.", "middle_block.0."), ("mid_block.resnets.1.", "middle_block.2.")]
CLIP = [("embeddings.token_embedding.", "token_embedding."), ("embeddings.position_embedding.weight", "positional_embedding"),
        ("final_layer_norm.", "ln_final."), ("encoder.layers.", "transformer.resblocks."), ("layer_norm1.", "ln_1."), ("layer_norm2.", "ln_2."),
        ("mlp.fc1.", "mlp.c_fc."), ("mlp.fc2.", "mlp.c_proj."), ("self_attn.out_proj.", "attn.out_proj.")]


def unet_name(key, has_attention_below, stride):
    """stride: numbers that each level of the UNet has"""
    for ours, theirs in UNET:
        if key.startswith(ours):
            key = key.replace(ours, theirs, 1)
    resnet = ".resnets." in key or re.match(r"middle_block\.[02]\.", key)

    def down(match):
        level, layer = int(match[1]), int(match[3])
        return "input_blocks.%d.%d." % (stride * level + layer + 1, match[2] == "attentions")

    def up(match):
        level, layer = int(match[1]), int(match[3])
        if match[2] == "attentions" and level == 0 and has_attention_below: # not in the table of the script
            return match[0]
        return "output_blocks.%d.%d." % (stride * level + layer, match[2] == "attentions")

    key = re.sub(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", down, key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.conv\.", lambda m: "input_blocks.%d.0.op." % (stride * (int(m[1]) + 1)), key)
    key = re.sub(r"up_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", up, key)
    key = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.",
                 lambda m: "output_blocks.%d.%d." % (stride * (int(m[1]) + 1) - 1, 1 if m[1] == "0" else 2), key)
    for ours, theirs in RESNET if resnet else []:
        key = key.replace("." + ours, "." + theirs)
    return "model.diffusion_model." + key


def vae_name(key, levels):
    key = key.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out").replace("mid_block.attentions.0.", "mid.attn_1.")
    key = re.sub(r"mid_block\.resnets\.(\d)\.", lambda m: "mid.block_%d." % (int(m[1]) + 1), key)
    key = re.sub(r"down_blocks\.(\d+)\.resnets\.", r"down.\1.block.", key)
    key = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample.", key)
    key = re.sub(r"up_blocks\.(\d+)\.resnets\.", lambda m: "up.%d.block." % (levels - 1 - int(m[1])), key)
    key = re.sub(r"up_blocks\.(\d+)\.upsamplers\.0\.", lambda m: "up.%d.upsample." % (levels - 1 - int(m[1])), key)
    if "attn_1" in key:
        for ours, theirs in (("group_norm.", "norm."), ("to_q.", "q."), ("to_k.", "k."), ("to_v.", "v."), ("to_out.0.", "proj_out.")):
            key = key.replace(ours, theirs)
    return "first_stage_model." + key


def open_clip(weights, prefix, extra_layer):
    """The text encoder of version 2, its query, key and value projections in one tensor; extra_layer: the 24th, which is not used."""
    import torch
    result = {}
    layers = 1 + max(int(match[1]) for match in (re.match(r"encoder\.layers\.(\d+)\.", key) for key in weights) if match)
    for key, value in weights.items():
        match = re.match(r"(encoder\.layers\.\d+\.)self_attn\.q_proj\.(weight|bias)", key)
        if match:
            value = torch.cat([weights["%sself_attn.%s_proj.%s" % (match[1], part, match[2])] for part in "qkv"])
            key = "%sattn.in_proj_%s" % (match[1], match[2])
        elif "k_proj" in key or "v_proj" in key:
            continue
        for ours, theirs in CLIP:
            key = key.replace(ours, theirs)
        result[prefix + key] = value
        if extra_layer and "resblocks.0." in key:
            result[prefix + key.replace("resblocks.0.", "resblocks.%d." % layers)] = value + 1
    return result


def single_file(folder, text=None, extra_layer=False, stride=3):
    """The tensors of a checkpoint; text: the prefix of the text encoder; stride: as the original UNet, in which networks with fewer layers
    leave gaps."""
    from safetensors.torch import load_file
    parts = {part: load_file(os.path.join(folder, part, name + ".safetensors")) for part, name in
             (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model"))}
    levels = 1 + max(int(key.split(".")[2]) for key in parts["vae"] if key.startswith("encoder.down_blocks."))
    below = any(key.startswith("up_blocks.0.attentions.") for key in parts["unet"])
    result = {unet_name(key, below, stride): value for key, value in parts["unet"].items()}
    for key, value in parts["vae"].items():
        name = vae_name(key, levels)
        result[name] = value[:, :, None, None] if "attn_1" in name and "weight" in name and value.dim() == 2 else value
    words = {key.removeprefix("text_model."): value for key, value in parts["text_encoder"].items() if "position_ids" not in key}
    if is_version_2(folder):
        result.update(open_clip(words, text or "cond_stage_model.model.", extra_layer))
    else:
        result.update({(text or "cond_stage_model.transformer.text_model.") + key: value for key, value in words.items()})
    return result


def is_version_2(folder):
    import json
    with open(os.path.join(folder, "text_encoder", "config.json"), encoding="utf-8") as file:
        return json.load(file)["hidden_act"] == "gelu"
