/* foreign.c - see foreign.h. The tables leave out what clio has under the same name. An option may stand here and belong to some of clio's
 * commands (-n): only a command without it asks. */
#include "foreign.h"
#include "say.h"
#include "spelling.h"

#include <stdlib.h>
#include <string.h>

#define WHISPER "whisper.cpp"
#define DIFFUSION "stable-diffusion.cpp"
#define OPENAI "openai-whisper"
#define DIFFUSERS "diffusers"

static const struct foreign_option whisper_options[] = {
    {"-t --threads", WHISPER, "number of CPU threads", "the OpenCL driver decides, leave it out"},
    {"-p --processors", WHISPER, "number of processors", "-b decodes several windows at once"},
    {"-on --offset-n", WHISPER, "index of the first segment", "leave it out"},
    {"-ml --max-len", WHISPER, "maximum length of a segment in characters", "segments end where Whisper ends them, leave it out"},
    {"-sow --split-on-word", WHISPER, "split segments at words", "segments end where Whisper ends them, leave it out"},
    {"-bo --best-of", WHISPER, "number of sampled candidates", "clio decodes greedily, with temperature fallback, leave it out"},
    {"-bs --beam-size", WHISPER, "beam search", "clio decodes greedily, with temperature fallback"},
    {"-ac --audio-ctx", WHISPER, "size of the audio context", "clio encodes whole windows of 30 seconds, leave it out"},
    {"-wt --word-thold", WHISPER, "threshold of word timestamps", "clio has times of segments, not of words"},
    {"-et --entropy-thold", WHISPER, "entropy below which a segment is decoded again", "--compression-threshold serves this purpose"},
    {"-debug --debug-mode", WHISPER, "debug mode", "-v profiles every kernel"},
    {"-di --diarize", WHISPER, "speaker diarization of stereo audio", "write each channel into a file of its own and transcribe both"},
    {"-tdrz --tinydiarize", WHISPER, "speaker turns with a tinydiarize model", "clio does not tell speakers apart, leave it out"},
    {"-owts --output-words", WHISPER, "script for a karaoke video", "-osrt writes subtitles, which ffmpeg puts into a video"},
    {"-fp --font-path", WHISPER, "font of the karaoke video", "-osrt writes subtitles, which ffmpeg puts into a video"},
    {"-ps --print-special", WHISPER, "print special tokens", "-ojf writes all tokens"},
    {"-pc --print-colors", WHISPER, "colors by probability", "-ojf writes the probability of each token"},
    {"--print-confidence", WHISPER, "print confidence", "-ojf writes the probability of each token"},
    {"-pp --print-progress", WHISPER, "print progress", "a terminal shows a progress bar, leave it out"},
    {"-dl --detect-language", WHISPER, "exit after detecting the language",
     "--json --duration 30000 prints the language as result.language"},
    {"--carry-initial-prompt", WHISPER, "prepend the prompt to every window", "--prompt is used for the first window, leave it out"},
    {"-oved --ov-e-device", WHISPER, "OpenVINO device of the encoder", "-d chooses the OpenCL device"},
    {"-dtw --dtw", WHISPER, "token timestamps by dynamic time warping", "clio has times of segments, not of words"},
    {"-ls --log-score", WHISPER, "log the scores of tokens", "-ojf writes the probability of each token"},
    {"-ng --no-gpu", WHISPER, "do not use a GPU", "-d cpu uses a CPU"},
    {"-fa --flash-attn -nfa --no-flash-attn", WHISPER, "flash attention on or off", "clio chooses the attention kernel, leave it out"},
    {"-sns --suppress-nst", WHISPER, "suppress non-speech tokens", "the tokens listed in generation_config.json are always suppressed"},
    {"--suppress-regex", WHISPER, "regular expression of suppressed tokens", "suppress_tokens in generation_config.json lists them"},
    {"--grammar --grammar-rule --grammar-penalty", WHISPER, "grammar that guides decoding", "--prompt sets names, spelling and style"},
    {"-vad --vad", WHISPER, "voice activity detection by a model", "windows without speech are skipped anyway, leave it out"},
    {"-vm --vad-model", WHISPER, "model for voice activity detection", "clio needs none, leave it out"},
    {"-vt --vad-threshold -vspd --vad-min-speech-duration-ms -vsd --vad-min-silence-duration-ms -vmsd --vad-max-speech-duration-s -vp "
     "--vad-speech-pad-ms -vo --vad-samples-overlap",
     WHISPER, "voice activity detection by a model", "windows without speech are skipped anyway, leave it out"},
};

static const struct foreign_option diffusion_options[] = {
    {"--output-begin-idx", DIFFUSION, "first index of an image sequence", "-o out.png writes out.png, out_2.png and so on"},
    {"--preview-path", DIFFUSION, "file of the preview", "the preview of out.png is out_preview.png"},
    {"--preview-noisy", DIFFUSION, "previews of noisy latents", "--preview shows the denoised image"},
    {"--canny", DIFFUSION, "edge detection for ControlNet", "clio has no ControlNet; -i starts from an image"},
    {"--convert-name", DIFFUSION, "convert tensor names", "clio reads both kinds of names, leave it out"},
    {"--color", DIFFUSION, "colored log", "leave it out"},
    {"--clip_l --clip_g --clip_vision --t5xxl --llm --llm_vision --qwen2vl --qwen2vl_vision", DIFFUSION, "separate text encoder",
     "-m takes a folder or checkpoint with all networks of Stable Diffusion 1 or 2"},
    {"--diffusion-model --high-noise-diffusion-model", DIFFUSION, "separate diffusion model",
     "-m takes a folder or checkpoint with all networks of Stable Diffusion 1 or 2"},
    {"--control-net --control-image --control-video --control-strength --control-net-cpu", DIFFUSION, "ControlNet",
     "clio has no ControlNet; -i starts from an image"},
    {"--lora-apply-mode", DIFFUSION, "when LoRAs are merged", "clio merges them while loading, leave it out"},
    {"--tensor-type-rules", DIFFUSION, "weight type of single tensors", "--type sets the type of all weights"},
    {"--photo-maker --pm-id-images-dir --pm-id-embed-path --pm-style-strength", DIFFUSION, "PhotoMaker",
     "clio reads LoRAs only: --lora FILE:STRENGTH"},
    {"--upscale-model --upscale-repeats --upscale-tile-size", DIFFUSION, "upscaling by ESRGAN", "-W and -H set the size of the image"},
    {"--vae-tile-size --vae-relative-tile-size --vae-tile-overlap", DIFFUSION, "size of VAE tiles", "--vae-tiling chooses the size"},
    {"--offload-to-cpu --clip-on-cpu --vae-on-cpu", DIFFUSION, "keep networks in host memory",
     "each network is on the device only while it is used, leave it out"},
    {"--mmap", DIFFUSION, "map the model into memory", "clio always does, leave it out"},
    {"--diffusion-conv-direct --vae-conv-direct", DIFFUSION, "direct convolution", "clio chooses the convolution kernel, leave it out"},
    {"--circular --circularx --circulary", DIFFUSION, "circular padding for seamless textures",
     "clio cannot make seamless textures, leave it out"},
    {"--sampler-rng", DIFFUSION, "random number generator of the sampler", "--rng sets the generator of both"},
    {"--end-img --video-frames --fps --moe-boundary --vace-strength", DIFFUSION, "video", "--interpolate with --frames makes an animation"},
    {"-r --ref-image --increase-ref-index --disable-auto-resize-ref-image", DIFFUSION, "reference image", "-i starts from an image"},
    {"--timestep-shift --flow-shift --sigmas", DIFFUSION, "shifted or custom noise levels",
     "--sampling-method and --timestep-spacing choose them"},
    {"--scheduler --schedule", DIFFUSION, "noise level schedule",
     "--timestep-spacing chooses it, and --sampling-method names that end in _karras"},
    {"--img-cfg-scale", DIFFUSION, "guidance scale of the input image", "--cfg-scale is the guidance scale"},
    {"--guidance", DIFFUSION, "distilled guidance scale", "--cfg-scale is the guidance scale"},
    {"--slg-scale --skip-layers --skip-layer-start --skip-layer-end", DIFFUSION, "skip layer guidance",
     "it belongs to models that clio does not run, leave it out"},
    {"--cache-mode --cache-option --cache-preset --scm-mask --scm-policy", DIFFUSION, "caching of network outputs",
     "clio computes every step, leave it out"},
};

static const struct foreign_option python_whisper_options[] = {
    {"--output-dir", OPENAI, "folder of the results", "-of names the result without its extension, folder included"},
    {"--output-format", OPENAI, "format of the results", "-otxt, -osrt, -ovtt, -olrc, -ocsv and -oj write one file each"},
    {"--model-dir", OPENAI, "folder of models", "$CLIO_MODELS names it"},
    {"--best-of", OPENAI, "number of sampled candidates", "clio decodes greedily, with temperature fallback, leave it out"},
    {"--patience --length-penalty", OPENAI, "beam search", "clio decodes greedily, with temperature fallback, leave it out"},
    {"--suppress-tokens", OPENAI, "suppressed tokens", "suppress_tokens in generation_config.json lists them"},
    {"--initial-prompt", OPENAI, "text before the first window", "--prompt sets it"},
    {"--condition-on-previous-text", OPENAI, "show the previous text to the decoder", "clio does so by default; --no-context turns it off"},
    {"--fp16", OPENAI, "half precision", "--type f16 or --type f32 chooses it"},
    {"--temperature-increment-on-fallback", OPENAI, "step of the temperature fallback", "-tpi sets it"},
    {"--compression-ratio-threshold", OPENAI, "compression ratio above which a segment is decoded again",
     "--compression-threshold sets it"},
    {"--word-timestamps --highlight-words --max-line-width --max-line-count --max-words-per-line --prepend-punctuations "
     "--append-punctuations",
     OPENAI, "word timestamps", "clio has times of segments, not of words"},
    {"--clip-timestamps", OPENAI, "parts of the audio", "-ot and --duration choose a part"},
    {"--hallucination-silence-threshold", OPENAI, "skip long pauses", "windows without speech are skipped anyway, leave it out"},
};

static const struct foreign_option python_diffusion_options[] = {
    {"--num-inference-steps --n-iter --ddim-steps", DIFFUSERS, "number of sampling steps", "--steps sets it"},
    {"--guidance-scale --scale", DIFFUSERS, "classifier-free guidance scale", "--cfg-scale sets it"},
    {"--num-images-per-prompt --n-samples", DIFFUSERS, "number of images", "-b sets it"},
    {"--model-id --model-path --pretrained-model-name-or-path --ckpt", DIFFUSERS, "model", "-m names it"},
    {"--init-image --image", DIFFUSERS, "image to start from", "-i names it"},
    {"--mask-image", DIFFUSERS, "mask of the image", "--mask names it"},
    {"--denoising-strength", DIFFUSERS, "how much of the image is replaced", "--strength sets it"},
    {"--output-dir --outdir", DIFFUSERS, "folder of the results", "-o names the image, with its folder"},
    {"--enable-vae-tiling --enable-vae-slicing", DIFFUSERS, "decode in tiles", "--vae-tiling turns it on"},
    {"--enable-attention-slicing --enable-xformers --enable-model-cpu-offload --enable-sequential-cpu-offload", DIFFUSERS,
     "save device memory", "clio does so by itself, leave it out"},
    {"--lora-weights --lora-path", DIFFUSERS, "LoRA", "--lora FILE:STRENGTH names it"},
};

static const struct foreign_option *find(const struct foreign_option *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (spelling_matches(table[i].names, word))
            return &table[i];
    return NULL;
}

/* In the table of the C++ program, else in that of the Python one. */
#define FIND(first, second, word) find(first, COUNT(first), word) ? find(first, COUNT(first), word) : find(second, COUNT(second), word)

const struct foreign_option *foreign_find(const struct command *command, const char *word)
{
    const struct foreign_option *speech, *images;
    char *dashes = must_print("%s", word); /* Python's scripts have underscores: --beam_size */
    for (char *c = dashes; *c && *c != '='; c++)
        *c = *c == '_' ? '-' : *c;
    speech = FIND(whisper_options, python_whisper_options, dashes);
    images = FIND(diffusion_options, python_diffusion_options, dashes);
    free(dashes);
    if (!strcmp(command->name, "imagine"))
        return images ? images : speech;
    return speech ? speech : images;
}
