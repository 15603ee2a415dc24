/* test_transfers.c - what one training step of each model copies between host and device, by name and number of copies: a copy that is
 * added without need fails here. Counted are second steps, whose captions and tensors exist already.
 * Whisper's are counted in tests/cli/test_train_whisper.sh. */
#include "test_learners.h"

#include "../../models/learners/captions.h"

#define BATCH 4
#define TEXT 512

static const char *const captions[BATCH] = {"a red fox", "snow, at night", "fog", "a red fox"};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "read loss 3, write labels 1": the transfers since the last call. */
static void list_transfers(char text[TEXT])
{
    const clio_profile_row *rows;
    static char names[TRANSFER_ROWS][80];
    const char *sorted[TRANSFER_ROWS];
    size_t count, used = 0;
    assert_ok(clio_profile(test_context(), &rows, &count));
    for (size_t i = 0; i < count; i++)
        if (strncmp(rows[i].kernel, "read ", 5) == 0 || strncmp(rows[i].kernel, "write ", 6) == 0) {
            snprintf(names[used], sizeof names[used], "%s %d", rows[i].kernel, (int)rows[i].calls);
            sorted[used] = names[used];
            used++;
        }
    qsort(sorted, used, sizeof *sorted, by_name);
    text[0] = '\0';
    for (size_t i = 0; i < used; i++)
        snprintf(text + strlen(text), TEXT - strlen(text), "%s%s", i ? ", " : "", sorted[i]);
}

static void check_step(struct learner *l, const struct learner_batch *b, const char *title, const char *want)
{
    clio_context *ctx = test_context();
    double losses[LEARNER_LOSSES];
    char got[TEXT];
    assert_ok(learner_train(ctx, l, 1));
    assert_ok(l->type->step(ctx, l, b, losses));
    l->step++;
    list_transfers(got);
    assert_ok(l->type->step(ctx, l, b, losses));
    list_transfers(got);
    if (strcmp(got, want) != 0)
        fail_msg("a step of %s copies:\n    %s\nand not:\n    %s", title, got, want);
    learner_close(ctx, l);
}

static void check(const char *type, const char *settings, int side, int channels, int classes, bool with_captions, const char *want)
{
    struct learner l;
    assert_ok(make(&l, type, settings, side, side, channels, classes));
    struct learner_batch b = make_batch(&l, 0, BATCH, BATCH);
    b.captions = with_captions ? captions : NULL;
    check_step(&l, &b, type, want);
    free_batch(&b);
}

#define UNET "'block_out_channels': '8,8', 'layers_per_block': 1, 'norm_num_groups': 4"

static void test_images(void **state)
{
    (void)state;
    check("autoencoder", "{'architecture': 'dense'}", 8, 1, 0, false, "read loss 1");
    check("vae", "{}", 8, 1, 0, false, "read loss 3");
    check("gan", "{}", 8, 1, 0, false, "read loss 2");
    check("mmd-gan", "{'architecture': 'dense'}", 8, 1, 0, false, "read loss 2");
    check("cgan", "{'architecture': 'dense'}", 8, 1, CLASSES, false, "read loss 2, write labels 1");
    check("cvae", "{}", 8, 1, CLASSES, false, "read loss 3, write labels 1");
    check("classifier", "{'base_channels': 4}", 8, 1, CLASSES, false, "read loss 1, write labels 1");
    check("vae-kl", "{" UNET "}", 8, 3, 0, false, "read loss 3");
}

static void test_diffusion(void **state)
{
    (void)state;
    check("unet", "{" UNET "}", 8, 3, 0, false, "read loss 1, write f32 1, write noise levels 1");
    check("unet", "{" UNET ", 'snr_gamma': 5}", 8, 3, 0, false, "read loss 1, write f32 1, write loss weights 1, write noise levels 1");
    check("cunet", "{" UNET "}", 8, 3, CLASSES, false, "read loss 1, write f32 1, write i32 1, write noise levels 1");
}

/* Images stay on the device on their way through the VAE: noise alone is written. */
static void test_latents(void **state)
{
    char settings[1400];
    const char *path = test_golden("sd-v1-tiny");
    (void)state;
    if (!path)
        skip();
    snprintf(settings, sizeof settings, "{" UNET ", 'vae': '%s/vae'}", path);
    check("unet", settings, 16, 3, 0, false, "read loss 1, write f32 1, write noise 1, write noise levels 1");
    snprintf(settings, sizeof settings, "{" UNET ", 'vae': '%s/vae', 'text_encoder': '%s/text_encoder', 'conditioning_dropout': 0}", path,
             path);
    check("unet", settings, 16, 3, 0, true, "read loss 1, write captions 1, write f32 1, write noise 1, write noise levels 1");
    snprintf(settings, sizeof settings, "{'text_encoder': '%s/text_encoder'}", path);
    check("cvae", settings, 8, 1, 0, true, "read loss 3, write captions 1");
}

/* The device again, with the profile on. */
static int profile(void **state)
{
    clio_context *ctx = test_context();
    (void)state;
    ctx->profile = true;
    return clio_device_open(ctx, NULL) ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_images, test_forget_tapes),
        cmocka_unit_test_teardown(test_diffusion, test_forget_tapes),
        cmocka_unit_test_teardown(test_latents, test_forget_tapes),
    };
    return cmocka_run_group_tests(tests, profile, NULL);
}
