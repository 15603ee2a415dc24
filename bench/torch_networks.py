"""The networks of clio bench -m in PyTorch, from the same folders: Whisper by transformers, Stable Diffusion by diffusers. Each is a module
that takes and gives tensors alone, so that it can be timed here and exported for other peers (onnx_models.py)."""
SIDE, TOKENS, BEFORE = 64, 77, 64  # of a latent; of a prompt; of the tokens before the one that is timed: those of clio bench


def begin(work):
    """Use the run's threads; returns the type of its numbers."""
    import torch
    torch.set_num_threads(work.threads)
    return torch.bfloat16 if work.storage == "bf16" else torch.float32


def whisper(work):
    """The whole model, loaded once for both of its rows."""
    from transformers import WhisperForConditionalGeneration
    if "whisper" not in work.kept:
        work.kept["whisper"] = WhisperForConditionalGeneration.from_pretrained(work.whisper, dtype=begin(work), attn_implementation="sdpa").eval()
    return work.kept["whisper"]


def encoder(work):
    """Module and inputs."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, mel):
            return self.net(mel).last_hidden_state
    net = whisper(work)
    return Encoder(net.model.encoder), (torch.randn(1, net.config.num_mel_bins, 3000, dtype=begin(work)),)


def decoder(work):
    """One greedy step behind BEFORE tokens: the token, and its keys and values in every layer. Inputs: a token, then for each layer the keys
    and values of the tokens before it and those of the sound."""
    import torch
    from transformers.cache_utils import DynamicCache, EncoderDecoderCache

    class Step(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, token, *past):
            own, sound = DynamicCache(), DynamicCache()
            for i in range(self.net.config.decoder_layers):
                own.update(past[4 * i], past[4 * i + 1], i)
                sound.update(past[4 * i + 2], past[4 * i + 3], i)
            cache = EncoderDecoderCache(own, sound)
            for i in range(self.net.config.decoder_layers):
                cache.is_updated[i] = True  # the keys of the sound are there
            hidden = self.net.model.decoder(input_ids=token, encoder_hidden_states=past[2].new_zeros(1, 1500, self.net.config.d_model),
                                            past_key_values=cache, use_cache=True).last_hidden_state
            added = [x[:, :, -1:] for layer in own.layers for x in (layer.keys, layer.values)]
            return (self.net.proj_out(hidden)[0, -1].argmax(), *added)
    net = whisper(work)
    heads = net.config.decoder_attention_heads
    shapes = [(1, heads, count, net.config.d_model // heads) for count in (BEFORE, BEFORE, 1500, 1500)] * net.config.decoder_layers
    return Step(net).eval(), (torch.full((1, 1), 100), *(torch.randn(shape, dtype=begin(work)) for shape in shapes))


def unet(work):
    import torch
    from diffusers import UNet2DConditionModel

    class Evaluation(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, latents, text):
            return self.net(latents, 500, encoder_hidden_states=text, return_dict=False)[0]
    net = UNet2DConditionModel.from_pretrained(work.diffusion, subfolder="unet", torch_dtype=begin(work)).eval()
    inputs = torch.randn(1, net.config.in_channels, SIDE, SIDE), torch.randn(1, TOKENS, net.config.cross_attention_dim)
    return Evaluation(net), tuple(x.to(begin(work)) for x in inputs)


def image_decoder(work, kind, folder):
    import torch

    class Decoder(torch.nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, latents):
            return self.net.decode(latents, return_dict=False)[0]
    net = kind.from_pretrained(work.diffusion, subfolder=folder, torch_dtype=begin(work)).eval()
    return Decoder(net), (torch.randn(1, 4, SIDE, SIDE, dtype=begin(work)),)


def vae(work):
    from diffusers import AutoencoderKL
    return image_decoder(work, AutoencoderKL, "vae")


def tiny(work):
    from diffusers import AutoencoderTiny
    return image_decoder(work, AutoencoderTiny, "taesd")


# Name of clio bench's row -> network with its inputs, and the folder that it comes from.
NETWORKS = {"Whisper encoder": (encoder, "whisper"), "Whisper decoder": (decoder, "whisper"), "UNet": (unet, "diffusion"),
            "VAE decoder": (vae, "diffusion"), "TAESD decoder": (tiny, "diffusion")}


def network(row, work):
    import torch
    make, source = NETWORKS[row.name]
    if not getattr(work, source):
        return None
    module, inputs = make(work)

    def run():
        with torch.inference_mode():
            return module(*inputs)
    return run


MAKERS = {name: network for name in NETWORKS}
