/* test_param_rules.c - the rules of parameters: every parameter that is shipped has one and keeps to it, and so does what the tuner tries;
 * what the device cannot run is named. */
#include "test_tune.h"

#include "../../host/ops/families.h"

static const struct param_rule *rule_of(const char *key)
{
    const struct param_rule *rule = kernel_families.rule(key);
    if (!rule)
        fail_msg("%s has no rule", key);
    return rule;
}

/* As a row of $CLIO_PARAMS. */
static clio_status open_with(clio_context *ctx, const char *key, const char *value)
{
    char text[128], name[160];
    snprintf(name, sizeof name, "%s/rows", folder);
    snprintf(text, sizeof text, "any %s %s\n", key, value);
    write_text(name, text);
    setenv("CLIO_PARAMS", name, 1);
    clio_status st = clio_device_open(ctx, NULL);
    unsetenv("CLIO_PARAMS");
    return st;
}

static bool keeps(const struct param_rule *rule, const char *value)
{
    char words[200], word[60];
    long n = strtol(value, NULL, 10);
    if (!rule->words)
        return n >= rule->low && n <= rule->high && n % rule->multiple == 0;
    snprintf(words, sizeof words, " %s ", rule->words);
    snprintf(word, sizeof word, " %s ", value);
    return strstr(words, word) != NULL;
}

static void test_shipped(void **unused)
{
    (void)unused;
    clio_context *ctx = open_context();
    OK(ctx, params_open_shipped(ctx));
    assert_true(ctx->params.count > 50);
    for (size_t i = 0; i < ctx->params.count; i++) {
        const struct param *row = &ctx->params.rows[i];
        if (!keeps(rule_of(row->key), row->value))
            fail_msg("%s %s %s breaks its rule", row->kind, row->key, row->value);
    }
    assert_null(kernel_families.rule("no.such.key"));
    assert_null(kernel_families.rule("norm.item"));
    clio_destroy(ctx);
}

static void test_tried(void **unused)
{
    struct tune_plan plan;
    size_t values = 0;
    (void)unused;
    assert_true(tune_plan_for("all", &plan));
    for (size_t i = 0; i < plan.step_count; i++)
        for (int k = 0; k < TUNE_TOGETHER && plan.steps[i].parameters[k].key; k++) {
            const struct tune_parameter *p = &plan.steps[i].parameters[k];
            char list[200];
            snprintf(list, sizeof list, "%s", p->values);
            for (char *at = list, *word; (word = strtok(at, " ")); at = NULL, values++)
                if (!keeps(rule_of(p->key), word))
                    fail_msg("the tuner tries %s %s", p->key, word);
        }
    assert_true(values > 60);
}

/* The ends of ranges, and what lies beyond them. */
static void test_ranges(void **unused)
{
    static const struct {
        const char *key, *value, *why; /* why NULL: it is taken */
    } values[] = {{"gemm.panel.rows", "1", NULL},
                  {"gemm.panel.rows", "16", NULL},
                  {"gemm.panel.rows", "0", "from 1 to 16, not 0"},
                  {"gemm.panel.rows", "17", "from 1 to 16, not 17"},
                  {"gemm.panel.rows", "-1", "not -1"},
                  {"gemm.panel.rows", "8x", "not 8x"},
                  {"gemm.panel.rows", "0x8", "not 0x8"},
                  {"gemm.panel.rows", "99999999999999999999", "not 99999999999999999999"},
                  {"attention.row.keys", "32", NULL},
                  {"attention.row.keys", "31", "a multiple of 32 from 32 to 1024, not 31"},
                  {"attention.row.keys", "48", "a multiple of 32"},
                  {"attention.row.keys", "1056", "a multiple of 32"},
                  {"conv.winograd.rows", "65536", "from 1 to 16"},
                  {"conv.winograd.channels", "0", "a multiple of 16 from 16"},
                  {"gemm.tile.buffers", "3", "from 1 to 2"},
                  {"mel.stft", "clfft", NULL},
                  {"mel.stft", "fft", "must be one of: gemm clfft; not fft"},
                  {"mel.stft", "cl", "must be one of"},
                  {"mel.stft", "1", "must be one of"},
                  {"gemm.few.storage", "q8_0", NULL},
                  {"gemm.few.storage", "q8", "must be one of"},
                  {"gemm.large.storage", "q8_0", "must be one of: f32 f16; not q8_0"}};
    (void)unused;
    clio_context *ctx = clio_create();
    assert_non_null(ctx);
    for (size_t i = 0; i < COUNT(values); i++) {
        clio_status st = open_with(ctx, values[i].key, values[i].value);
        if (values[i].why) {
            FAILS(ctx, st, CLIO_ERROR_FORMAT, values[i].why);
            assert_non_null(strstr(clio_error(ctx), ", line 1: "));
            assert_null(clio_device(ctx));
        } else {
            OK(ctx, st);
            assert_true(params_is(ctx, values[i].key, values[i].value));
        }
    }
    clio_destroy(ctx);
}

/* Rows that this device cannot run are refused, but not for what it could not run before. */
static void test_device(void **unused)
{
    (void)unused;
    clio_context *ctx = open_context();
    size_t first = ctx->params.count;
    ctx->device.max_work_group = 100;
    assert_null(kernel_families.broken_step(ctx, first));
    OK(ctx, params_add(ctx, "any", "softmax.items", "101"));
    assert_null(kernel_families.broken_step(ctx, first)); /* 128 are shipped: fewer take their place */
    ctx->device.max_work_group = 256;
    assert_null(kernel_families.broken_step(ctx, first));
    OK(ctx, params_add(ctx, "any", "softmax.items", "257"));
    assert_string_equal(kernel_families.broken_step(ctx, first), "softmax.items");
    assert_null(kernel_families.broken_step(ctx, first + 2)); /* whose rows are not asked about */
    assert_int_equal(ctx->params.count, first + 2);           /* as it was */
    OK(ctx, params_add(ctx, ctx->device.simd_width > 1 ? "gpu" : "cpu", "softmax.items", "1"));
    assert_string_equal(kernel_families.broken_step(ctx, first), "softmax.items"); /* a row of another device */
    OK(ctx, params_add(ctx, "any", "softmax.items", "256"));
    assert_null(kernel_families.broken_step(ctx, first));
    OK(ctx, params_add(ctx, "any", "gemm.tile.tn", "16"));
    OK(ctx, params_add(ctx, "any", "gemm.tile.tm", "16"));
    assert_non_null(strstr(kernel_families.broken_step(ctx, first), "gemm.tile.tn"));
    clio_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {EACH(test_shipped), EACH(test_tried), EACH(test_ranges), EACH(test_device)};
    unsetenv("CLIO_PARAMS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
