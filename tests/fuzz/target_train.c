/* target_train.c - fuzz targets: checkpoints, settings and logs of training runs. */
#include "fuzz.h"

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

/* training.json and config.json of the last checkpoint, as --resume reads them before anything else. */
void fuzz_checkpoint(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"checkpoints/step-00000003/training.json", "checkpoints/step-00000003/config.json"};
    struct checkpoint c = {0};
    if (fuzz_is_first()) {
        struct safetensors_writer out;
        assert_int_equal(mkdir(in_folder("checkpoints"), 0700), 0);
        assert_int_equal(mkdir(in_folder("checkpoints/step-00000003"), 0700), 0);
        assert_int_equal(safetensors_writer_open(fuzz_ctx, &out), CLIO_OK);
        fuzz_check(safetensors_writer_save(fuzz_ctx, &out, in_folder("checkpoints/step-00000003/training.safetensors")));
        safetensors_writer_close(&out);
    }
    fuzz_put_parts(data, size, names, COUNT(names));
    clio_status st = checkpoint_find(fuzz_ctx, folder, &c);
    fuzz_check(st);
    if (!st && c.folder)
        read_plan(c.type, c.settings);
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
    csv_log_close(&log);
}
