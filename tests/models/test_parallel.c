/* test_parallel.c - sharing items over devices (models/pipelines/parallel.h): who takes how many, and what happens when a device fails, the
 * work fails or the caller cancels. The work is a script; the contexts have no device.
 *
 *     test_parallel                       alone
 *     mpirun -n 2 test_parallel FOLDER R  processes that share the items: each writes those that it did to FOLDER/RANK; the devices of
 *                                         process number R fail after two items, R 2: those of both (test_parallel_mpi.sh) */
#include "../support/test_own.h"

#include "../../host/core/clock.h"
#include "../../models/pipelines/parallel.h"
#include "../../models/pipelines/parallel_queue.h"

#include <pthread.h>
#include <time.h>

enum { CONTEXTS = 3, ITEMS = 40 };

/* ---- parallel_take ---- */

static void takes_half_of_its_share(void **state)
{
    const struct parallel_speed fresh[2] = {{.done = 0}, {.done = 0}};
    const struct parallel_speed known[2] = {{.done = 30, .seconds = 10}, {.done = 10, .seconds = 10}}; /* 3 and 1 a second */
    (void)state;
    assert_int_equal(parallel_take(fresh, 2, 0, 0, 100), 0);
    assert_int_equal(parallel_take(fresh, 2, 0, 40, 100), 10); /* half of one of two equal shares */
    assert_int_equal(parallel_take(fresh, 2, 1, 40, 1), 1);
    assert_int_equal(parallel_take(fresh, 2, 0, 3, 100), 1);
    assert_int_equal(parallel_take(known, 2, 0, 40, 100), 15);
    assert_int_equal(parallel_take(known, 2, 1, 40, 100), 5);
    assert_int_equal(parallel_take(known, 2, 0, 40, 8), 8);
    assert_int_equal(parallel_take(known, 2, 0, 1, 8), 1);
}

static void leaves_the_end_to_faster_ones(void **state)
{
    struct parallel_speed s[2] = {{.done = 40, .seconds = 10, .running = 0}, {.done = 10, .seconds = 10}}; /* 4 and 1 a second */
    (void)state;
    assert_int_equal(parallel_take(s, 2, 1, 4, 1), 1); /* one second either way */
    assert_int_equal(parallel_take(s, 2, 1, 3, 1), 0);
    s[0].running = 1; /* the faster one is busy for a quarter of a second */
    assert_int_equal(parallel_take(s, 2, 1, 3, 1), 1);
    assert_int_equal(parallel_take(s, 2, 1, 2, 1), 0);
    for (size_t waiting = 1; waiting < 5; waiting++)
        assert_int_equal(parallel_take(s, 2, 0, waiting, 1), 1);
    s[0].is_out = true; /* it failed: nobody else is left */
    assert_int_equal(parallel_take(s, 2, 1, 3, 1), 1);
    assert_int_equal(parallel_take(s, 2, 1, 40, 100), 20);
}

/* One item cannot be divided: of several that are alike one must take it, and of others the fastest. */
static void somebody_takes_the_last_item(void **state)
{
    (void)state;
    for (size_t spread = 0; spread < 3; spread++) {
        struct parallel_speed s[CONTEXTS];
        size_t takers = 0;
        for (size_t i = 0; i < CONTEXTS; i++)
            s[i] = (struct parallel_speed){.done = 10 + i * spread, .seconds = 10};
        for (size_t i = 0; i < CONTEXTS; i++)
            takers += parallel_take(s, CONTEXTS, i, 1, 1);
        assert_int_equal(takers, spread ? 1 : CONTEXTS);
        assert_int_equal(parallel_take(s, CONTEXTS, CONTEXTS - 1, 1, 1), 1);
    }
}

/* ---- parallel_run ---- */

struct script {
    clio_context *contexts[CONTEXTS];
    int done[ITEMS]; /* how often each item was done */
    size_t delivered[ITEMS], by[ITEMS], count;
    size_t fails_after[CONTEXTS]; /* items that this context does before it fails; SIZE_MAX: never */
    clio_status fails_with;
    size_t did[CONTEXTS];
    double seconds[CONTEXTS]; /* of an item */
    size_t stop_at;           /* deliver asks to stop at this item */
    pthread_t caller;
};

static void wait_for(double seconds)
{
    const struct timespec time = {.tv_nsec = (long)(seconds * 1e9)};
    nanosleep(&time, NULL);
}

static clio_status work(struct parallel *p, size_t self, const size_t *items, size_t count)
{
    clio_status st = CLIO_OK;
    struct script *s = parallel_plan_of(p)->user;
    clio_context *own = s->contexts[self];
    for (size_t i = 0; i < count; i++) {
        wait_for(s->seconds[self]);
        TRY(context_progress(own, "working", (double)i, (double)count));
        if (s->did[self] == s->fails_after[self])
            FAIL(own, s->fails_with, "device %zu is gone", self);
        context_notice(own, "the same for all");
        s->done[items[i]]++;
        s->did[self]++;
        parallel_done(p, items[i]);
    }
fail:
    return st;
}

static clio_status deliver(struct parallel *p, size_t item, size_t self)
{
    struct script *s = parallel_plan_of(p)->user;
    assert_true(pthread_equal(pthread_self(), s->caller));
    s->by[s->count] = self;
    s->delivered[s->count++] = item;
    return item == s->stop_at ? CLIO_ERROR_CANCELLED : CLIO_OK;
}

static void open_script(struct script *s)
{
    *s = (struct script){.fails_with = CLIO_ERROR_DEVICE, .stop_at = SIZE_MAX, .caller = pthread_self()};
    *notices = 0;
    for (size_t i = 0; i < CONTEXTS; i++) {
        s->contexts[i] = i ? clio_create() : ctx;
        assert_non_null(s->contexts[i]);
        s->fails_after[i] = SIZE_MAX;
        s->seconds[i] = 0.001;
    }
}

static clio_status run_script(struct script *s, size_t contexts, size_t items, size_t most)
{
    const struct parallel_plan plan = {.contexts = s->contexts,
                                       .context_count = contexts,
                                       .item_count = items,
                                       .most = most,
                                       .what = "working",
                                       .work = work,
                                       .deliver = deliver,
                                       .user = s};
    return parallel_run(&plan);
}

static void close_script(struct script *s)
{
    for (size_t i = 1; i < CONTEXTS; i++)
        clio_destroy(s->contexts[i]);
}

static void assert_complete(const struct script *s, size_t items)
{
    assert_int_equal(s->count, items);
    for (size_t i = 0; i < items; i++) {
        assert_int_equal(s->delivered[i], i);
        assert_int_equal(s->done[i], 1);
    }
}

static void all_items_once_and_in_order(void **state)
{
    (void)state;
    for (size_t contexts = 1; contexts <= CONTEXTS; contexts++)
        for (size_t most = 1; most <= ITEMS; most += 13) {
            struct script s;
            open_script(&s);
            OK(run_script(&s, contexts, ITEMS, most));
            assert_complete(&s, ITEMS);
            assert_string_equal(notices, "the same for all\n");
            close_script(&s);
        }
    struct script s;
    open_script(&s);
    OK(run_script(&s, 2, 0, 1));
    assert_complete(&s, 0);
    close_script(&s);
}

static void a_faster_one_does_more(void **state)
{
    struct script s;
    (void)state;
    open_script(&s);
    s.seconds[1] = 0.02;
    OK(run_script(&s, 2, ITEMS, ITEMS));
    assert_complete(&s, ITEMS);
    assert_true(s.did[0] > 2 * s.did[1]);
    close_script(&s);
}

static void others_do_the_work_of_one_that_fails(void **state)
{
    static const clio_status codes[] = {CLIO_ERROR_DEVICE, CLIO_ERROR_BUILD, CLIO_ERROR_MEMORY};
    (void)state;
    for (size_t k = 0; k < COUNT(codes); k++)
        for (size_t failing = 0; failing < 2; failing++) {
            struct script s;
            open_script(&s);
            s.fails_with = codes[k];
            s.fails_after[failing] = 2;
            OK(run_script(&s, 2, ITEMS, 8));
            assert_complete(&s, ITEMS);
            assert_int_equal(s.did[failing], 2);
            assert_non_null(strstr(notices, failing ? "device 1 is gone" : "device 0 is gone"));
            assert_non_null(strstr(notices, "the other devices do its work"));
            close_script(&s);
        }
}

/* The one that left the last item to a faster one does it after all. */
static void one_that_waits_takes_over(void **state)
{
    struct script s;
    (void)state;
    open_script(&s);
    s.seconds[1] = 0.02;
    s.fails_after[0] = ITEMS - 5;
    OK(run_script(&s, 2, ITEMS, 1));
    assert_complete(&s, ITEMS);
    close_script(&s);
}

static void all_that_fail_are_an_error(void **state)
{
    struct script s;
    (void)state;
    open_script(&s);
    s.fails_after[0] = 3;
    s.fails_after[1] = 5;
    FAILS(run_script(&s, 2, ITEMS, 4), CLIO_ERROR_DEVICE, "is gone");
    assert_true(s.did[0] <= 3 && s.did[1] <= 5 && s.count <= 8);
    close_script(&s);
}

static void another_error_ends_the_call(void **state)
{
    struct script s;
    (void)state;
    for (size_t failing = 0; failing < 2; failing++) {
        open_script(&s);
        s.fails_with = CLIO_ERROR_FORMAT;
        s.fails_after[failing] = 2;
        FAILS(run_script(&s, 2, ITEMS, 4), CLIO_ERROR_FORMAT, failing ? "device 1 is gone" : "device 0 is gone");
        assert_null(strstr(notices, "other devices"));
        close_script(&s);
    }
}

static int stop_after(void *user, const char *what, double done, double total)
{
    double *most = user;
    assert_string_equal(what, "working");
    assert_true(done >= 0 && done <= total && total == ITEMS);
    return done >= *most;
}

static void the_caller_cancels(void **state)
{
    struct script s;
    double most = 2;
    (void)state;
    open_script(&s);
    s.stop_at = 3;
    FAILS(run_script(&s, 2, ITEMS, 1), CLIO_ERROR_CANCELLED, "cancelled while working");
    assert_int_equal(s.count, 4);
    close_script(&s);
    open_script(&s);
    s.seconds[0] = s.seconds[1] = 0.02;
    clio_set_progress(ctx, stop_after, &most);
    FAILS(run_script(&s, 2, ITEMS, 1), CLIO_ERROR_CANCELLED, "cancelled while working");
    assert_true(s.count < ITEMS);
    assert_ptr_equal(ctx->progress, stop_after); /* the caller's again */
    most = ITEMS + 1;
    close_script(&s);
    open_script(&s);
    OK(run_script(&s, 2, ITEMS, 1)); /* a cancelled call leaves nothing behind */
    assert_complete(&s, ITEMS);
    close_script(&s);
}

/* The first item takes long; what is done behind it is delivered when the caller stops. */
static void what_is_done_is_delivered(void **state)
{
    struct script s;
    double most = 4;
    (void)state;
    open_script(&s);
    s.seconds[0] = 0.5;
    s.seconds[1] = 0.01;
    clio_set_progress(ctx, stop_after, &most);
    FAILS(run_script(&s, 2, ITEMS, 1), CLIO_ERROR_CANCELLED, "cancelled while working");
    assert_true(s.count >= 4);
    size_t done = 0;
    for (size_t i = 0; i < ITEMS; i++)
        done += (size_t)s.done[i];
    assert_int_equal(s.count, done);
    close_script(&s);
}

static void *cancel_later(void *data)
{
    wait_for(0.1);
    clio_cancel(data);
    return NULL;
}

static void another_thread_cancels(void **state)
{
    pthread_t thread;
    (void)state;
    for (size_t which = 0; which < 2; which++) {
        struct script s;
        double start = clock_seconds();
        open_script(&s);
        s.seconds[0] = s.seconds[1] = 0.1;
        assert_int_equal(pthread_create(&thread, NULL, cancel_later, s.contexts[which]), 0);
        FAILS(run_script(&s, 2, ITEMS, 1), CLIO_ERROR_CANCELLED, "cancelled while working");
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_true(clock_seconds() - start < 1.5);
        close_script(&s);
    }
}

/* ---- several processes ---- */

static int run_process(const char *to, int failing)
{
    struct script s;
    char path[512];
    int rank, ranks;
    ctx = clio_create();
    clio_train_rank(&rank, &ranks);
    open_script(&s);
    clio_set_notice(ctx, keep_notice, NULL);
    for (size_t i = 0; i < 2 && (failing == rank || failing == ranks); i++)
        s.fails_after[i] = 2;
    s.seconds[0] = rank ? 0.02 : 0.002; /* the first process is faster */
    clio_status st = run_script(&s, 1, ITEMS, 4);
    snprintf(path, sizeof path, "%s/%d", to, rank);
    FILE *out = fopen(path, "w");
    for (size_t i = 0; out && i < s.count; i++)
        fprintf(out, "%zu\n", s.delivered[i]);
    bool bad = !out || fclose(out) || ranks != 2;
    bad = bad || (failing == rank && !strstr(notices, "the other processes do its work")) || (st && !strstr(clio_error(ctx), "is gone"));
    close_script(&s);
    clio_destroy(ctx);
    return st ? 3 : bad;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return run_process(argv[1], atoi(argv[2]));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_half_of_its_share),
        cmocka_unit_test(leaves_the_end_to_faster_ones),
        cmocka_unit_test(somebody_takes_the_last_item),
        cmocka_unit_test_setup_teardown(all_items_once_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_faster_one_does_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_do_the_work_of_one_that_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_waits_takes_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_that_fail_are_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_error_ends_the_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_caller_cancels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_done_is_delivered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_thread_cancels, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
