/* target_train.c - fuzz targets: checkpoints, settings and logs of training runs. */
#include "fuzz.h"

#include "../../host/core/file_tree.h"
#include "../../host/core/safetensors_write.h"
#include "../../models/learners/types.h"
#include "../../models/train/csv_log.h"
#include "../../models/train/train.h"

#include <sys/stat.h>

static void read_plan(const struct learner_type *type, const json_t *settings)
{
    struct train_plan plan = {0};
    struct optimizer_options options = optimizer_defaults();
    clio_status st = train_plan_read(fuzz_ctx, &plan, type, settings);
    fuzz_check(st);
    if (!st)
        fuzz_check(train_plan_optimizer(fuzz_ctx, &plan, 0, 100, &options));
    train_plan_free(&plan);
}

/* A small variational autoencoder, ready to be trained. */
static void open_learner(struct learner *l)
{
    static const struct learner_shape shape = {.height = 4, .width = 4, .channels = 1};
    json_t *settings = json_pack("{s:i,s:i}", "hidden_size", 3, "latent_dim", 2);
    fuzz_open_device();
    assert_int_equal(learner_new(fuzz_ctx, l, learner_type_find("vae"), shape, settings, 1), CLIO_OK);
    assert_int_equal(learner_train(fuzz_ctx, l, 1), CLIO_OK);
    json_decref(settings);
}

static void write_checkpoint(void)
{
    struct safetensors_writer out;
    struct learner l;
    assert_int_equal(mkdir(in_folder("checkpoints"), 0700), 0);
    assert_int_equal(mkdir(in_folder("checkpoints/step-00000003"), 0700), 0);
    open_learner(&l);
    assert_int_equal(safetensors_writer_open(fuzz_ctx, &out), CLIO_OK);
    fuzz_check(optimizer_write(fuzz_ctx, &l.optimizers[0], "vae.", &out));
    fuzz_check(parameters_write(fuzz_ctx, &l.parameters[0], PART_VALUE, "vae.", &out));
    fuzz_check(safetensors_writer_save(fuzz_ctx, &out, in_folder("checkpoints/step-00000003/training.safetensors")));
    safetensors_writer_close(&out);
    learner_close(fuzz_ctx, &l);
}

/* Go on from the checkpoint with a model of the settings that it was written with, whatever it says about them. */
static void load_checkpoint(const struct checkpoint *c)
{
    struct learner l;
    struct bytes notes = {0};
    open_learner(&l);
    fuzz_check(checkpoint_load(fuzz_ctx, c, &l, &notes));
    bytes_free(&notes);
    learner_close(fuzz_ctx, &l);
}

/* training.json and config.json of the last checkpoint, as --resume reads them. */
void fuzz_checkpoint(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"checkpoints/step-00000003/training.json", "checkpoints/step-00000003/config.json"};
    struct checkpoint c = {0};
    if (fuzz_is_first())
        write_checkpoint();
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = checkpoint_find(fuzz_ctx, folder, &c);
    fuzz_check(st);
    if (!st && c.folder) {
        read_plan(c.type, c.settings);
        load_checkpoint(&c);
    }
    checkpoint_close(&c);
}

/* Settings of the user, of every model type. */
void fuzz_settings(const uint8_t *data, size_t size)
{
    json_error_t error;
    json_t *settings = json_read((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
    for (size_t i = 0; json_is_object(settings) && learner_types[i]; i++)
        read_plan(learner_types[i], settings);
    json_decref(settings);
}

void fuzz_csv_log(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"loss", "kl", NULL};
    struct csv_log log;
    fuzz_put("train.csv", data, size);
    clio_status st = csv_log_open(fuzz_ctx, &log, folder, "train.csv", names, 100);
    fuzz_check(st);
    if (st)
        return;
    fuzz_check(csv_log_add(fuzz_ctx, &log, 101, (double[]){1, 2}));
    for (size_t i = 0; i < log.count; i++)
        assert_true(log.values[0][i] <= 101);
    assert_true(!log.unread == !log.old);
    if (log.old)
        file_drop(log.old);
    csv_log_close(&log);
}
