/* bench_networks.c - seconds of whole networks, from a folder of weights, real or random (tests/make_whisper, tests/make_diffusers).
 *
 *     bench_networks FOLDER     the device by CLIO_DEVICE
 *
 * A Whisper folder: one window through the encoder; one token of decoding, behind 64 others, its choice included. A diffusers folder: one
 * evaluation of the UNet on one 64 x 64 latent and 77 tokens; the decoders of the VAE and of TAESD (a folder `taesd` in it) to 512 x 512.
 * CLIO_BENCH_PROFILE=1 adds a table of kernels. A line each: name, median seconds of RUNS runs after one that is not counted. bench/torch
 * sets PyTorch's beside. */
#include "bench.h"

#include "../models/loaders/model_folder.h"
#include "../models/pipelines/speech.h"
#include "../models/networks/unet.h"
#include "../models/networks/autoencoder_kl.h"
#include "../models/networks/autoencoder_tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 5
#define SIDE 64   /* of a latent */
#define TOKENS 77 /* of a prompt */
#define BEHIND 64 /* tokens before the one that is timed */

static void report(const char *name, clio_status (*call)(void *), void *what)
{
    double seconds[RUNS];
    for (int run = -1; run < RUNS; run++) {
        double start = clock_seconds();
        must(call(what));
        must(launch_wait(ctx));
        if (run >= 0)
            seconds[run] = clock_seconds() - start;
    }
    printf("%s\t%.6f\n", name, median(seconds, RUNS));
    fflush(stdout);
}

static float *noise(size_t count)
{
    uint32_t s = 2463534242u;
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; x && i < count; i++) {
        s ^= s << 13;
        s ^= s >> 17;
        s ^= s << 5;
        x[i] = (float)(s >> 8) * 0x1p-23f - 1.0f;
    }
    if (!x)
        must(clio_fail(ctx, CLIO_ERROR_MEMORY, __FILE__, __LINE__, "the host is out of memory"));
    return x;
}

/* ---- Whisper ---- */

static clio_status encode(void *what)
{
    clio_speech *s = what;
    return whisper_encode(ctx, &s->arena, &s->net, &s->encoded, &s->features);
}

static clio_status decode_one(void *what)
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
    TRY(whisper_decode(ctx, &s->arena, &s->net, &s->state, &hidden, &input, 0, BEHIND));
    TRY(whisper_logits(ctx, &s->net, &s->logits, &hidden, 0));
    TRY(op_logits_fwd(ctx, &s->arena, &s->choice, &s->next, &s->logits, &s->suppress, 0, args));
    TRY(tensor_read(ctx, &s->choice, 0, 8, &choice));
fail:
    return st;
}

static clio_status decode_many(void *what)
{
    clio_status st = CLIO_OK;
    for (int i = 0; i < 10; i++)
        TRY(decode_one(what));
fail:
    return st;
}

static void bench_whisper(const char *dir)
{
    clio_speech *s;
    int next = 0;
    must(clio_speech_load(ctx, dir, &s));
    float *x = noise((size_t)s->window_samples + MEL_FFT);
    must(speech_encode(s, x, 0));
    must(tensor_write(ctx, &s->next, 0, 1, &next));
    report("encoder window", encode, s);
    report("10 decoding steps", decode_many, s);
    free(x);
    clio_speech_free(s);
}

/* ---- Stable Diffusion ---- */

/* The parsed config.json of a part of the folder, and its weights; false when there is no such part. */
static bool open_part(const char *dir, const char *part, struct json_file *config, struct weights *weights)
{
    char *path = NULL;
    must(file_join(ctx, &path, dir, part));
    bool there = file_is_folder(path);
    if (there) {
        must(json_open(ctx, config, path, "config.json"));
        must(folder_weights(ctx, path, "diffusion_pytorch_model", NULL, weights));
    }
    free(path);
    return there;
}

static void close_part(struct json_file *config, struct weights *weights)
{
    json_close(config);
    weights_close(weights);
}

struct diffusion {
    struct arena arena;
    struct unet unet;
    struct unet_prompt prompt;
    struct tensor in, out;
    struct vae vae;
    struct vae_tiny tiny;
    float *latents, *images;
};

static clio_status evaluate(void *what)
{
    struct diffusion *d = what;
    float timestep = 500;
    return unet_forward(ctx, &d->arena, &d->unet, &d->prompt, &d->out, &d->in, &(struct unet_step){.timesteps = &timestep});
}

static void bench_unet(struct diffusion *d, const struct json_file *config, const struct weights *weights)
{
    must(unet_load(ctx, config, weights, &d->unet));
    must(unet_prompt_new(ctx, &d->prompt, &d->unet, 1, TOKENS));
    struct tensor text = tensor_shape(DTYPE_F32, 3, 1, TOKENS, d->unet.config.text, 0);
    d->in = tensor_shape(DTYPE_F32, 4, 1, SIDE, SIDE, d->unet.config.in);
    d->out = tensor_shape(DTYPE_F32, 4, 1, SIDE, SIDE, d->unet.config.out);
    must(tensor_new(ctx, &text, "the bench"));
    must(tensor_new(ctx, &d->in, "the bench"));
    must(tensor_new(ctx, &d->out, "the bench"));
    float *x = noise(tensor_count(&text) + tensor_count(&d->in));
    must(tensor_write(ctx, &text, 0, tensor_count(&text), x));
    must(tensor_write(ctx, &d->in, 0, tensor_count(&d->in), x));
    ctx->planning = true;
    must(unet_attend_to(ctx, &d->arena, &d->unet, &d->prompt, &text));
    must(evaluate(d));
    ctx->planning = false;
    must(arena_commit(ctx, &d->arena, "the bench"));
    must(unet_attend_to(ctx, &d->arena, &d->unet, &d->prompt, &text));
    report("UNet, 64 x 64 latent", evaluate, d);
    free(x);
    tensor_free(ctx, &text);
    tensor_free(ctx, &d->in);
    tensor_free(ctx, &d->out);
    unet_prompt_free(ctx, &d->prompt);
    unet_free(ctx, &d->unet);
}

static clio_status decode_vae(void *what)
{
    struct diffusion *d = what;
    return vae_decode(ctx, &d->arena, &d->vae, d->images, d->latents, 1, SIDE, SIDE, (struct vae_tiling){0});
}

static clio_status decode_tiny(void *what)
{
    struct diffusion *d = what;
    return vae_tiny_decode(ctx, &d->arena, &d->tiny, d->images, d->latents, 1, SIDE, SIDE);
}

static void bench_diffusion(const char *dir)
{
    struct diffusion d = {0};
    struct json_file config = {0};
    struct weights weights = {0};
    d.latents = noise((size_t)16 * SIDE * SIDE);
    d.images = noise((size_t)3 * 64 * SIDE * SIDE);
    if (open_part(dir, "unet", &config, &weights))
        bench_unet(&d, &config, &weights);
    close_part(&config, &weights);
    if (open_part(dir, "vae", &config, &weights)) {
        must(vae_load(ctx, &config, &weights, VAE_DECODER, &d.vae));
        report("VAE decoder, 512 x 512", decode_vae, &d);
        vae_free(ctx, &d.vae);
    }
    close_part(&config, &weights);
    if (open_part(dir, "taesd", &config, &weights)) {
        must(vae_tiny_load(ctx, &config, &weights, VAE_DECODER, &d.tiny));
        report("TAESD decoder, 512 x 512", decode_tiny, &d);
        vae_tiny_free(ctx, &d.tiny);
    }
    close_part(&config, &weights);
    arena_free(ctx, &d.arena);
    free(d.latents);
    free(d.images);
}

/* ---- */

static void show_profile(void)
{
    const clio_profile_row *rows;
    size_t count;
    double all = 0;
    must(clio_profile(ctx, &rows, &count));
    for (size_t i = 0; i < count; i++)
        all += rows[i].seconds;
    for (size_t i = 0; i < count; i++)
        if (rows[i].calls)
            fprintf(stderr, "%-64s %7llu %8.3f s %5.1f %% %7.1f GFLOP/s %6.1f GB/s\n", rows[i].kernel, (unsigned long long)rows[i].calls,
                    rows[i].seconds, 100 * rows[i].seconds / all, rows[i].gflops / rows[i].seconds, rows[i].gbytes / rows[i].seconds);
}

int main(int argc, char **argv)
{
    char *index = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_networks FOLDER\n");
        return 2;
    }
    ctx = clio_create();
    bool profile = getenv("CLIO_BENCH_PROFILE") != NULL;
    clio_set_profile(ctx, profile);
    must(clio_device_open(ctx, NULL));
    must(file_join(ctx, &index, argv[1], "model_index.json"));
    if (file_exists(index))
        bench_diffusion(argv[1]);
    else
        bench_whisper(argv[1]);
    free(index);
    if (profile)
        show_profile();
    clio_destroy(ctx);
    return 0;
}
