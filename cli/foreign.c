/* foreign.c - see foreign.h. The tables leave out what clio has under the same name. An option may stand here and belong to some of clio's
 * commands (-n): only a command without it asks. */
#include "foreign.h"
#include "spelling.h"

#include <string.h>

#define WHISPER "whisper.cpp"
#define DIFFUSION "stable-diffusion.cpp"

static const struct foreign_option whisper_options[] = {
    {"-t --threads", WHISPER, "number of CPU threads", "the OpenCL driver decides, leave it out"},
    {"-p --processors", WHISPER, "number of processors", "-b decodes several windows at once"},
    {"-on --offset-n", WHISPER, "index of the first segment", NULL},
    {"-ml --max-len", WHISPER, "maximum length of a segment in characters", NULL},
    {"-sow --split-on-word", WHISPER, "split segments at words", NULL},
    {"-bo --best-of", WHISPER, "number of sampled candidates", NULL},
    {"-bs --beam-size", WHISPER, "beam search", "clio decodes greedily, with temperature fallback"},
    {"-ac --audio-ctx", WHISPER, "size of the audio context", NULL},
    {"-wt --word-thold", WHISPER, "threshold of word timestamps", NULL},
    {"-et --entropy-thold", WHISPER, "entropy below which a segment is decoded again", "--compression-threshold serves this purpose"},
    {"-debug --debug-mode", WHISPER, "debug mode", "-v profiles every kernel"},
    {"-di --diarize", WHISPER, "speaker diarization of stereo audio", NULL},
    {"-tdrz --tinydiarize", WHISPER, "speaker turns with a tinydiarize model", NULL},
    {"-owts --output-words", WHISPER, "script for a karaoke video", NULL},
    {"-fp --font-path", WHISPER, "font of the karaoke video", NULL},
    {"-ps --print-special", WHISPER, "print special tokens", "-ojf writes all tokens"},
    {"-pc --print-colors", WHISPER, "colors by probability", "-ojf writes the probability of each token"},
    {"--print-confidence", WHISPER, "print confidence", "-ojf writes the probability of each token"},
    {"-pp --print-progress", WHISPER, "print progress", "a terminal shows a progress bar, leave it out"},
    {"-dl --detect-language", WHISPER, "exit after detecting the language",
     "--json --duration 30000 prints the language as result.language"},
    {"--carry-initial-prompt", WHISPER, "prepend the prompt to every window", NULL},
    {"-oved --ov-e-device", WHISPER, "OpenVINO device of the encoder", "-d chooses the OpenCL device"},
    {"-dtw --dtw", WHISPER, "token timestamps by dynamic time warping", NULL},
    {"-ls --log-score", WHISPER, "log the scores of tokens", "-ojf writes the probability of each token"},
    {"-ng --no-gpu", WHISPER, "do not use a GPU", "-d cpu uses a CPU"},
    {"-fa --flash-attn -nfa --no-flash-attn", WHISPER, "flash attention on or off", "clio chooses the attention kernel, leave it out"},
    {"-sns --suppress-nst", WHISPER, "suppress non-speech tokens", "the tokens listed in generation_config.json are always suppressed"},
    {"--suppress-regex", WHISPER, "regular expression of suppressed tokens", NULL},
    {"--grammar --grammar-rule --grammar-penalty", WHISPER, "grammar that guides decoding", NULL},
    {"-vad --vad", WHISPER, "voice activity detection by a model", "windows without speech are skipped anyway, leave it out"},
    {"-vm --vad-model", WHISPER, "model for voice activity detection", "clio needs none, leave it out"},
    {"-vt --vad-threshold -vspd --vad-min-speech-duration-ms -vsd --vad-min-silence-duration-ms -vmsd --vad-max-speech-duration-s -vp "
     "--vad-speech-pad-ms -vo --vad-samples-overlap",
     WHISPER, "voice activity detection by a model", NULL},
};

static const struct foreign_option diffusion_options[] = {
    {"-t --threads", DIFFUSION, "number of CPU threads", "the OpenCL driver decides, leave it out"},
    {"-M --mode", DIFFUSION, "run mode", "clio imagine generates images, leave it out"},
    {"--output-begin-idx", DIFFUSION, "first index of an image sequence", NULL},
    {"--preview-path", DIFFUSION, "file of the preview", "the preview of out.png is out_preview.png"},
    {"--preview-noisy", DIFFUSION, "previews of noisy latents", NULL},
    {"--canny", DIFFUSION, "edge detection for ControlNet", NULL},
    {"--convert-name", DIFFUSION, "convert tensor names", NULL},
    {"--color", DIFFUSION, "colored log", "leave it out"},
    {"--clip_l --clip_g --clip_vision --t5xxl --llm --llm_vision --qwen2vl --qwen2vl_vision", DIFFUSION, "separate text encoder",
     "-m takes a folder or checkpoint with all networks of Stable Diffusion 1 or 2"},
    {"--diffusion-model --high-noise-diffusion-model", DIFFUSION, "separate diffusion model",
     "-m takes a folder or checkpoint with all networks of Stable Diffusion 1 or 2"},
    {"--control-net --control-image --control-video --control-strength --control-net-cpu", DIFFUSION, "ControlNet", NULL},
    {"--embd-dir", DIFFUSION, "folder of textual inversion embeddings", NULL},
    {"--lora-model-dir", DIFFUSION, "folder of LoRAs that the prompt names", "name each LoRA with --lora FILE:STRENGTH"},
    {"--lora-apply-mode", DIFFUSION, "when LoRAs are merged", "clio merges them while loading, leave it out"},
    {"--tensor-type-rules", DIFFUSION, "weight type of single tensors", "--type sets the type of all weights"},
    {"--photo-maker --pm-id-images-dir --pm-id-embed-path --pm-style-strength", DIFFUSION, "PhotoMaker", NULL},
    {"--upscale-model --upscale-repeats --upscale-tile-size", DIFFUSION, "upscaling by ESRGAN", NULL},
    {"--vae-tile-size --vae-relative-tile-size --vae-tile-overlap", DIFFUSION, "size of VAE tiles", "--vae-tiling chooses the size"},
    {"--offload-to-cpu --clip-on-cpu --vae-on-cpu", DIFFUSION, "keep networks in host memory",
     "each network is on the device only while it is used, leave it out"},
    {"--mmap", DIFFUSION, "map the model into memory", "clio always does, leave it out"},
    {"--fa --diffusion-fa", DIFFUSION, "flash attention", "clio chooses the attention kernel, leave it out"},
    {"--diffusion-conv-direct --vae-conv-direct", DIFFUSION, "direct convolution", "clio chooses the convolution kernel, leave it out"},
    {"--circular --circularx --circulary", DIFFUSION, "circular padding for seamless textures", NULL},
    {"--sampler-rng", DIFFUSION, "random number generator of the sampler", "--rng sets the generator of both"},
    {"--end-img --video-frames --fps --moe-boundary --vace-strength", DIFFUSION, "video", NULL},
    {"-r --ref-image --increase-ref-index --disable-auto-resize-ref-image", DIFFUSION, "reference image", "-i starts from an image"},
    {"--timestep-shift --flow-shift --sigmas", DIFFUSION, "shifted or custom noise levels",
     "--sampling-method and --timestep-spacing choose them"},
    {"--scheduler --schedule", DIFFUSION, "noise level schedule",
     "--timestep-spacing chooses it, and --sampling-method names that end in _karras"},
    {"--img-cfg-scale", DIFFUSION, "guidance scale of the input image", "--cfg-scale is the guidance scale"},
    {"--guidance", DIFFUSION, "distilled guidance scale", "--cfg-scale is the guidance scale"},
    {"--slg-scale --skip-layers --skip-layer-start --skip-layer-end", DIFFUSION, "skip layer guidance", NULL},
    {"--cache-mode --cache-option --cache-preset --scm-mask --scm-policy", DIFFUSION, "caching of network outputs", NULL},
};

static const struct foreign_option *find(const struct foreign_option *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (spelling_matches(table[i].names, word))
            return &table[i];
    return NULL;
}

const struct foreign_option *foreign_find(const struct command *command, const char *word)
{
    const struct foreign_option *whisper = find(whisper_options, COUNT(whisper_options), word),
                                *diffusion = find(diffusion_options, COUNT(diffusion_options), word);
    if (!strcmp(command->name, "imagine") && diffusion)
        return diffusion;
    return whisper ? whisper : diffusion;
}
