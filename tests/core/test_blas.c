/* test_blas.c - calls of CLBlast: one at a time, from however many threads. Functions that stand before those of CLBlast count them. */
#include "../support/test_own.h"

#include "../../host/core/blas.h"

#include <clblast_c.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { THREADS = 3, CALLS = 5 };
static atomic_int inside, most, calls;

static CLBlastStatusCode count(void)
{
    int now = atomic_fetch_add(&inside, 1) + 1;
    if (now > atomic_load(&most))
        atomic_store(&most, now);
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    atomic_fetch_add(&inside, -1);
    atomic_fetch_add(&calls, 1);
    return CLBlastSuccess;
}

CLBlastStatusCode CLBlastSgemm(const CLBlastLayout layout, const CLBlastTranspose ta, const CLBlastTranspose tb, const size_t m,
                               const size_t n, const size_t k, const float alpha, const cl_mem a, const size_t a_offset, const size_t lda,
                               const cl_mem b, const size_t b_offset, const size_t ldb, const float beta, cl_mem c, const size_t c_offset,
                               const size_t ldc, cl_command_queue *queue, cl_event *event)
{
    (void)layout, (void)ta, (void)tb, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)a_offset, (void)lda, (void)b, (void)b_offset;
    (void)ldb, (void)beta, (void)c, (void)c_offset, (void)ldc, (void)queue, (void)event;
    return count();
}

CLBlastStatusCode CLBlastSgemmStridedBatched(const CLBlastLayout layout, const CLBlastTranspose ta, const CLBlastTranspose tb,
                                             const size_t m, const size_t n, const size_t k, const float alpha, const cl_mem a,
                                             const size_t a_offset, const size_t lda, const size_t a_step, const cl_mem b,
                                             const size_t b_offset, const size_t ldb, const size_t b_step, const float beta, cl_mem c,
                                             const size_t c_offset, const size_t ldc, const size_t c_step, const size_t batch,
                                             cl_command_queue *queue, cl_event *event)
{
    (void)layout, (void)ta, (void)tb, (void)m, (void)n, (void)k, (void)alpha, (void)a, (void)a_offset, (void)lda, (void)a_step, (void)b;
    (void)b_offset, (void)ldb, (void)b_step, (void)beta, (void)c, (void)c_offset, (void)ldc, (void)c_step, (void)batch, (void)queue;
    (void)event;
    return count();
}

/* Of every second call the batched function. */
static void *work(void *data)
{
    clio_context *own = clio_create();
    struct tensor t = tensor_shape(DTYPE_F32, 2, 2, 2, 0, 0);
    bool *good = data;
    *good = own != NULL;
    for (int i = 0; *good && i < CALLS; i++) {
        struct blas_gemm g = {.m = 2, .n = 2, .k = 2, .lda = 2, .ldb = 2, .ldc = 2, .batch = 1 + i % 2};
        *good = blas_gemm(own, &t, &t, &t, &g) == CLIO_OK;
    }
    clio_destroy(own);
    return NULL;
}

static void one_at_a_time(void **state)
{
    pthread_t threads[THREADS];
    bool good[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &good[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(good[i]);
    }
    assert_int_equal(atomic_load(&calls), THREADS * CALLS);
    assert_int_equal(atomic_load(&most), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
