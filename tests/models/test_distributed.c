/* test_distributed.c - data-parallel training (models/train/distributed.h) against PyTorch's three Adam steps with the whole batch in one
 * process: each process has its part of the golden batch and noise (trial.h), gradients and losses are summed, and every process must have
 * the golden losses and weights, whether the parts are equal, of several sizes, or all samples are in the last process.
 *
 *     test_distributed                     alone
 *     mpirun -n 2 test_distributed 2       the expected number of processes (test_distributed_mpi.sh)
 *
 * Results are checked after the last exchange: a process that fails earlier would leave the others waiting. */
#include "../support/trial.h"

#include "../../models/train/distributed.h"

static struct distributed parallel;

enum parts { ALIKE, ONE_EACH_BUT_FIRST, ALL_TO_LAST, WAYS };

/* The first sample of the process numbered `rank`. */
static int first_of(enum parts parts, int rank)
{
    if (rank <= 0)
        return 0;
    if (rank >= parallel.ranks)
        return TRIAL_BATCH;
    return parts == ALIKE         ? TRIAL_BATCH * rank / parallel.ranks
           : parts == ALL_TO_LAST ? 0
                                  : TRIAL_BATCH - MIN(TRIAL_BATCH, parallel.ranks - rank);
}

static void load_part(struct trial *t, enum parts parts)
{
    int first = first_of(parts, parallel.rank), next = first_of(parts, parallel.rank + 1);
    trial_load(t, 1, 0, first, next - first);
    if (parallel.active) {
        t->learner.optimizers[0].reduce = distributed_reduce;
        t->learner.optimizers[0].reduce_user = &parallel;
    }
}

static void check(struct trial *t, const char *const *names, int count, double (*losses)[LEARNER_LOSSES])
{
    for (int i = 0; i < TRIAL_STEPS; i++)
        for (int j = 0; j < count; j++)
            trial_check_loss(t, i, names[j], losses[i][j]);
    trial_check_parameters(t);
    trial_end(t);
}

static void test_autoencoder(void **state)
{
    static const char *const names[] = {"loss"};
    clio_context *ctx = test_context();
    (void)state;
    for (int parts = 0; parts < WAYS; parts++) {
        struct trial t;
        double losses[TRIAL_STEPS][LEARNER_LOSSES] = {0};
        if (!trial_autoencoder(&t))
            skip();
        load_part(&t, parts);
        for (int i = 0; i < TRIAL_STEPS; i++) {
            assert_ok(t.learner.type->step(ctx, &t.learner, &t.batch, losses[i]));
            assert_ok(distributed_sum(ctx, &parallel, losses[i], LEARNER_LOSSES));
        }
        check(&t, names, COUNT(names), losses);
    }
}

static void test_vae(void **state)
{
    static const char *const names[] = {"loss", "reconstruction", "kl"};
    clio_context *ctx = test_context();
    (void)state;
    for (int parts = 0; parts < WAYS; parts++) {
        struct trial t;
        double losses[TRIAL_STEPS][LEARNER_LOSSES] = {0};
        if (!trial_vae(&t))
            skip();
        load_part(&t, parts);
        t.batch.global_count = 1; /* the file's losses are sums over the batch */
        for (int i = 0; i < TRIAL_STEPS; i++) {
            struct tensor eps = trial_noise(&t, "batch.eps", i, 10);
            assert_ok(vae_step(ctx, &t.learner, &t.batch, &eps, losses[i]));
            assert_ok(distributed_sum(ctx, &parallel, losses[i], LEARNER_LOSSES));
            test_free(&eps);
        }
        check(&t, names, COUNT(names), losses);
    }
}

/* One process that failed is known to all, which have its status or their own. */
static void test_agree(void **state)
{
    clio_context *ctx = test_context();
    bool last = parallel.rank + 1 == parallel.ranks;
    (void)state;
    assert_ok(distributed_agree(ctx, &parallel, CLIO_OK));
    assert_int_equal(distributed_agree(ctx, &parallel, last ? CLIO_ERROR_FILE : CLIO_OK), CLIO_ERROR_FILE);
    if (!last)
        assert_non_null(strstr(clio_error(ctx), "another process"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_autoencoder, test_forget_tapes),
        cmocka_unit_test_teardown(test_vae, test_forget_tapes),
        cmocka_unit_test(test_agree),
    };
    int wanted = argc > 1 ? atoi(argv[1]) : 1;
    if (distributed_open(test_context(), &parallel) || parallel.ranks != wanted) {
        fprintf(stderr, "%d processes are wanted, and there are %d: %s\n", wanted, parallel.ranks, clio_error(test_context()));
        return test_end(1);
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    distributed_close(&parallel, true);
    return failed;
}
