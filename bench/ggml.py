"""Write a Whisper checkpoint in Hugging Face layout as whisper.cpp's ggml file: f16, but for vectors and positional embeddings."""
import json, os, struct, sys


def byte_alphabet():
    """GPT-2's printable stand-ins for the 256 bytes: character -> byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(b): b for b in plain}
    for i, b in enumerate(b for b in range(256) if b not in plain):
        table[chr(256 + i)] = b
    return table


def read_safetensors(path):
    import numpy as np
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        start = f.tell()
        for name, t in header.items():
            if name != "__metadata__":
                f.seek(start + t["data_offsets"][0])
                data = f.read(t["data_offsets"][1] - t["data_offsets"][0])
                yield name, np.frombuffer(data, {"F32": np.float32, "F16": np.float16}[t["dtype"]]).reshape(t["shape"])


def ggml_name(name):
    """Key of transformers -> key of whisper.cpp."""
    parts = name.split(".")[1:]
    side, rest = parts[0], parts[1:]
    if rest[0] == "layers":
        leaf = {"self_attn.q_proj": "attn.query", "self_attn.k_proj": "attn.key", "self_attn.v_proj": "attn.value", "self_attn.out_proj": "attn.out",
                "self_attn_layer_norm": "attn_ln", "encoder_attn.q_proj": "cross_attn.query", "encoder_attn.k_proj": "cross_attn.key",
                "encoder_attn.v_proj": "cross_attn.value", "encoder_attn.out_proj": "cross_attn.out", "encoder_attn_layer_norm": "cross_attn_ln",
                "fc1": "mlp.0", "fc2": "mlp.2", "final_layer_norm": "mlp_ln"}[".".join(rest[2:-1])]
        return "%s.blocks.%s.%s.%s" % (side, rest[1], leaf, rest[-1])
    whole = {"encoder.layer_norm": "encoder.ln_post", "decoder.layer_norm": "decoder.ln", "encoder.embed_positions": "encoder.positional_embedding",
             "decoder.embed_positions": "decoder.positional_embedding", "decoder.embed_tokens": "decoder.token_embedding"}
    stem = ".".join(parts[:-1])
    if "embed_positions" in stem:
        return whole[stem]
    return whole.get(stem, stem) + "." + parts[-1]


def mel_filters(bands):
    import numpy as np
    to_mel = lambda f: np.where(f >= 1000, 15 + np.log(np.maximum(f, 1) / 1000) * 27 / np.log(6.4), f * 3 / 200)
    to_hz = lambda m: np.where(m >= 15, 1000 * np.exp((m - 15) * np.log(6.4) / 27), m * 200 / 3)
    edges = to_hz(np.linspace(0, to_mel(np.array(8000.0)), bands + 2))
    f = np.arange(201) * 40.0
    up, down = (f - edges[:-2, None]) / np.diff(edges)[:-1, None], (edges[2:, None] - f) / np.diff(edges)[1:, None]
    return (np.maximum(0, np.minimum(up, down)) * 2 / (edges[2:] - edges[:-2])[:, None]).astype(np.float32)


def write_ggml(folder, path):
    import numpy as np
    c = json.load(open(os.path.join(folder, "config.json")))
    vocab = json.load(open(os.path.join(folder, "tokenizer.json")))["model"]["vocab"]
    alphabet = byte_alphabet()
    with open(path + ".part", "wb") as f:
        ints = lambda *n: f.write(struct.pack("<%di" % len(n), *n))
        ints(0x67676D6C, c["vocab_size"], 1500, c["d_model"], c["encoder_attention_heads"], c["encoder_layers"], 448, c["d_model"],
             c["decoder_attention_heads"], c["decoder_layers"], c["num_mel_bins"], 1)
        filters = mel_filters(c["num_mel_bins"])
        ints(*filters.shape)
        f.write(filters.tobytes())
        words = sorted((i, w) for w, i in vocab.items() if i < 50257)
        ints(len(words))
        for _, word in words:
            raw = bytes(alphabet[ch] for ch in word) if all(ch in alphabet for ch in word) else word.encode()
            ints(len(raw))
            f.write(raw)
        for name, a in read_safetensors(os.path.join(folder, "model.safetensors")):
            to = ggml_name(name)
            whole = a.ndim == 1 or "positional" in to
            a = a.reshape(-1, 1) if to in ("encoder.conv1.bias", "encoder.conv2.bias") else a
            a = a.astype(np.float32 if whole else np.float16)
            ints(a.ndim, len(to), 0 if whole else 1, *a.shape[::-1])
            f.write(to.encode())
            f.write(a.tobytes())
    os.replace(path + ".part", path)


if __name__ == "__main__":
    write_ggml(*sys.argv[1:])
