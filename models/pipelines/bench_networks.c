/* bench_networks.c - networks, with the weights of a folder or with random ones: see bench.h. */
#include "bench.h"
#include "speech.h"
#include "../loaders/model_folder.h"
#include "../networks/autoencoder_kl.h"
#include "../networks/autoencoder_tiny.h"
#include "../networks/unet.h"
#include "../../host/core/random.h"

#include <stdlib.h>
#include <string.h>

#define SIDE 64   /* of a latent: images of 512 x 512 */
#define TOKENS 77 /* of a prompt */
#define BEFORE 64 /* tokens before the one that is timed */

#define RANDOM_LARGEST ((size_t)1 << 25) /* elements of a tensor of these models at most */

#define END_TOKEN 50257 /* of multilingual models */
#define FIRST_TIMESTAMP 50364

static const char group[] = "network";

/* openai/whisper-base and stable-diffusion-v1-5, config.json of the model and of its parts; madebyollin/taesd. */
static const char whisper_base[] =
    "{\"model_type\": \"whisper\", \"d_model\": 512, \"num_mel_bins\": 80, \"vocab_size\": 51865, \"encoder_layers\": 6, "
    "\"encoder_attention_heads\": 8, \"encoder_ffn_dim\": 2048, \"decoder_layers\": 6, \"decoder_attention_heads\": 8, "
    "\"decoder_ffn_dim\": 2048}";
static const char unet_v1[] =
    "{\"in_channels\": 4, \"out_channels\": 4, \"sample_size\": 64, \"block_out_channels\": [320, 640, 1280, 1280], \"layers_per_block\": "
    "2, "
    "\"cross_attention_dim\": 768, \"attention_head_dim\": 8, \"down_block_types\": [\"CrossAttnDownBlock2D\", \"CrossAttnDownBlock2D\", "
    "\"CrossAttnDownBlock2D\", \"DownBlock2D\"], \"up_block_types\": [\"UpBlock2D\", \"CrossAttnUpBlock2D\", \"CrossAttnUpBlock2D\", "
    "\"CrossAttnUpBlock2D\"]}";
static const char vae_v1[] =
    "{\"in_channels\": 3, \"out_channels\": 3, \"latent_channels\": 4, \"sample_size\": 512, \"block_out_channels\": [128, 256, 512, 512], "
    "\"layers_per_block\": 2, \"down_block_types\": [\"DownEncoderBlock2D\", \"DownEncoderBlock2D\", \"DownEncoderBlock2D\", "
    "\"DownEncoderBlock2D\"], \"up_block_types\": [\"UpDecoderBlock2D\", \"UpDecoderBlock2D\", \"UpDecoderBlock2D\", "
    "\"UpDecoderBlock2D\"]}";
static const char tiny[] = "{\"_class_name\": \"AutoencoderTiny\", \"encoder_block_out_channels\": [64, 64, 64, 64], "
                           "\"decoder_block_out_channels\": [64, 64, 64, 64], "
                           "\"num_encoder_blocks\": [1, 3, 3, 3], \"num_decoder_blocks\": [3, 3, 3, 1]}";

static clio_status random_model(clio_context *ctx, const char *text, struct json_file *config, struct weights *weights)
{
    clio_status st = CLIO_OK;
    TRY(mem_string(ctx, &config->path, "a model of the benchmark"));
    TRY(json_parse(ctx, text, strlen(text), 0, config->path, &config->root));
    TRY(weights_random(ctx, weights, RANDOM_LARGEST));
fail:
    return st;
}

static clio_status noise(clio_context *ctx, float **out, size_t count)
{
    clio_status st = CLIO_OK;
    struct random r;
    TRY(mem_alloc(ctx, out, count, sizeof **out));
    random_seed(&r, RANDOM_TORCH_CUDA, 1);
    random_normal(&r, *out, count);
fail:
    return st;
}

/* ---- Whisper ---- */

static clio_status encode(clio_context *ctx, void *what)
{
    clio_speech *s = what;
    return whisper_encode(ctx, &s->arena, &s->net, &s->encoded, &s->features);
}

static clio_status decode(clio_context *ctx, void *what)
{
    clio_status st = CLIO_OK;
    clio_speech *s = what;
    struct tensor input = tensor_reshape(&s->next, 2, 1, 1, 0, 0), hidden = tensor_reshape(&s->hidden, 3, 1, 1, s->net.config.width, 0);
    struct logits_args args = {.n = s->net.config.vocab,
                               .timestamp_begin = s->tokens.timestamp_begin,
                               .end_token = s->tokens.eot,
                               .no_speech = -1,
                               .text_allowed = 1,
                               .timestamp_first = 1};
    struct logits_choice choice;
    TRY(whisper_decode(ctx, &s->arena, &s->net, &s->state, &hidden, &input, 0, BEFORE));
    TRY(whisper_logits(ctx, &s->net, &s->logits, &hidden, 0));
    TRY(op_logits_fwd(ctx, &s->arena, &s->choice, &s->next, &s->logits, &s->suppress, 0, args));
    TRY(tensor_read(ctx, &s->choice, 0, 8, &choice));
fail:
    return st;
}

static clio_status bench_whisper(struct bench *b, const char *path)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = b->ctx;
    struct bench_row window = bench_row(group, "Whisper encoder", "30 s"), token = bench_row(group, "Whisper decoder", "1 token");
    bool wants_window = bench_wants(b, group, window.name, window.shape), wants_token = bench_wants(b, group, token.name, token.shape);
    clio_speech *s = NULL;
    struct json_file config = {0};
    struct weights weights = {0};
    float *samples = NULL;
    int next = 0;
    if (!wants_window && !wants_token)
        return CLIO_OK;
    if (path) {
        TRY(clio_speech_load(ctx, path, &s));
    } else {
        TRY(random_model(ctx, whisper_base, &config, &weights));
        TRY(speech_new(ctx, &config, &weights, &s));
        s->tokens.eot = END_TOKEN;
        s->tokens.timestamp_begin = FIRST_TIMESTAMP;
        TRY(tensor_zero(ctx, &s->suppress));
        weights_close(&weights);
    }
    TRY(noise(ctx, &samples, (size_t)s->window_samples + MEL_FFT));
    TRY(speech_encode(s, samples, 0));
    TRY(tensor_write(ctx, &s->next, 0, 1, &next));
    window.items = 30;
    window.item = "s of audio";
    token.items = 1;
    token.item = "tokens";
    if (wants_window)
        TRY(bench_measure(b, &window, encode, s));
    if (wants_token)
        TRY(bench_measure(b, &token, decode, s));
fail:
    json_close(&config);
    weights_close(&weights);
    free(samples);
    clio_speech_free(s);
    return st;
}

/* ---- Stable Diffusion ---- */

struct diffusion {
    struct arena arena;
    struct unet unet;
    struct unet_prompt prompt;
    struct tensor text, in, out;
    struct vae vae;
    struct vae_tiny tiny;
    float *latents, *images;
};

static clio_status evaluate(clio_context *ctx, void *what)
{
    struct diffusion *d = what;
    float timestep = 500;
    return unet_forward(ctx, &d->arena, &d->unet, &d->prompt, &d->out, &d->in, &(struct unet_step){.timesteps = &timestep});
}

static clio_status attend_and_evaluate(clio_context *ctx, void *what)
{
    clio_status st = CLIO_OK;
    struct diffusion *d = what;
    TRY(unet_attend_to(ctx, &d->arena, &d->unet, &d->prompt, &d->text));
    TRY(evaluate(ctx, d));
fail:
    return st;
}

static clio_status decode_vae(clio_context *ctx, void *what)
{
    struct diffusion *d = what;
    return vae_decode(ctx, &d->arena, &d->vae, d->images, d->latents, 1, SIDE, SIDE, (struct vae_tiling){0});
}

static clio_status decode_tiny(clio_context *ctx, void *what)
{
    struct diffusion *d = what;
    return vae_tiny_decode(ctx, &d->arena, &d->tiny, d->images, d->latents, 1, SIDE, SIDE);
}

static clio_status measure_unet(struct bench *b, struct bench_row *row, struct diffusion *d, const struct json_file *config,
                                const struct weights *weights)
{
    clio_status st = CLIO_OK;
    clio_context *ctx = b->ctx;
    TRY(unet_load(ctx, config, weights, &d->unet));
    TRY(unet_prompt_new(ctx, &d->prompt, &d->unet, 1, TOKENS));
    TRY(bench_tensor(ctx, &d->text, tensor_shape(DTYPE_F32, 3, 1, TOKENS, d->unet.config.text, 0)));
    TRY(bench_tensor(ctx, &d->in, tensor_shape(DTYPE_F32, 4, 1, SIDE, SIDE, d->unet.config.in)));
    TRY(bench_tensor(ctx, &d->out, tensor_shape(DTYPE_F32, 4, 1, SIDE, SIDE, d->unet.config.out)));
    TRY(bench_plan(ctx, &d->arena, attend_and_evaluate, d));
    TRY(unet_attend_to(ctx, &d->arena, &d->unet, &d->prompt, &d->text));
    TRY(bench_time(b, row, evaluate, d));
fail:
    tensor_free(ctx, &d->text);
    tensor_free(ctx, &d->in);
    tensor_free(ctx, &d->out);
    unet_prompt_free(ctx, &d->prompt);
    unet_free(ctx, &d->unet);
    return st;
}

static clio_status measure_vae(struct bench *b, struct bench_row *row, struct diffusion *d, const struct json_file *config,
                               const struct weights *weights)
{
    clio_status st = CLIO_OK;
    TRY(vae_load(b->ctx, config, weights, VAE_DECODER, &d->vae));
    TRY(bench_time(b, row, decode_vae, d));
fail:
    vae_free(b->ctx, &d->vae);
    return st;
}

static clio_status measure_tiny(struct bench *b, struct bench_row *row, struct diffusion *d, const struct json_file *config,
                                const struct weights *weights)
{
    clio_status st = CLIO_OK;
    TRY(vae_tiny_load(b->ctx, config, weights, VAE_DECODER, &d->tiny));
    TRY(bench_time(b, row, decode_tiny, d));
fail:
    vae_tiny_free(b->ctx, &d->tiny);
    return st;
}

/* Parts of a folder, of which any may be absent. */
static const struct part {
    const char *folder, *name, *shape, *item, *config;
    clio_status (*measure)(struct bench *, struct bench_row *, struct diffusion *, const struct json_file *, const struct weights *);
} parts[] = {{"unet", "UNet", "64 x 64 latent", "steps", unet_v1, measure_unet},
             {"vae", "VAE decoder", "512 x 512", "images", vae_v1, measure_vae},
             {"taesd", "TAESD decoder", "512 x 512", "images", tiny, measure_tiny}};

static clio_status bench_part(struct bench *b, struct diffusion *d, const char *path, const struct part *part)
{
    clio_status st = CLIO_OK;
    struct bench_row row = bench_row(group, part->name, part->shape);
    struct json_file config = {0};
    struct weights weights = {0};
    char *folder = NULL;
    if (path)
        TRY(file_join(b->ctx, &folder, path, part->folder));
    if ((folder && !file_is_folder(folder)) || !bench_wants(b, group, part->name, part->shape))
        goto fail; /* st is CLIO_OK */
    if (path) {
        TRY(json_open(b->ctx, &config, folder, "config.json"));
        TRY(folder_weights(b->ctx, folder, "diffusion_pytorch_model", NULL, &weights));
    } else {
        TRY(random_model(b->ctx, part->config, &config, &weights));
    }
    row.items = 1;
    row.item = part->item;
    TRY(bench_add(b, &row, part->measure(b, &row, d, &config, &weights)));
fail:
    json_close(&config);
    weights_close(&weights);
    free(folder);
    return st;
}

static clio_status bench_diffusion(struct bench *b, const char *path)
{
    clio_status st = CLIO_OK;
    struct diffusion d = {.latents = NULL};
    TRY(noise(b->ctx, &d.latents, (size_t)16 * SIDE * SIDE));
    TRY(mem_alloc(b->ctx, &d.images, (size_t)3 * 64 * SIDE * SIDE, sizeof *d.images));
    for (size_t i = 0; i < COUNT(parts); i++)
        TRY(bench_part(b, &d, path, &parts[i]));
fail:
    arena_free(b->ctx, &d.arena);
    free(d.latents);
    free(d.images);
    return st;
}

clio_status bench_networks(struct bench *b, const char *path)
{
    clio_status st = CLIO_OK;
    char *index = NULL;
    if (!path) {
        TRY(bench_whisper(b, NULL));
        return b->quick ? CLIO_OK : bench_diffusion(b, NULL);
    }
    TRY(file_join(b->ctx, &index, path, "model_index.json"));
    TRY(file_exists(index) ? bench_diffusion(b, path) : bench_whisper(b, path));
fail:
    free(index);
    return st;
}
