/* matmul.cl - products of two activations, C[b] (+)= A[b] B[b], of which each may be stored transposed, f32: SIDE x SIDE tiles through local
 * memory, one number per work-item. The plain way, for small products; large ones go to CLBlast. The gradients are such products too
 * (host/ops/op_matmul_bwd.c). */
// isa: -DSIDE={16,8}
#include "common.clh"

#ifndef SIDE
#define SIDE 16 /* of a tile and of a work-group */
#endif

/* gemm_args: m, n, k; act: 1 when B is [N, K], 2 when A is [K, M], or 3; has_residual: C is added to. Grid: n, m, batch; group SIDE x SIDE x 1. */
__kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1))) void matmul(__global float *c, const __global float *a, const __global float *b,
                                                                          struct gemm_args g)
{
    __local float as[SIDE][SIDE + 1], bs[SIDE][SIDE + 1];
    int x = get_local_id(0), y = get_local_id(1);
    int n0 = get_group_id(0) * SIDE, m0 = get_group_id(1) * SIDE, batch = get_group_id(2);
    bool transpose_b = g.act & 1, transpose_a = g.act & 2;
    float sum = 0.0f;
    a += (size_t)batch * g.m * g.k;
    b += (size_t)batch * g.n * g.k;
    for (int k0 = 0; k0 < g.k; k0 += SIDE) {
        if (transpose_a)
            as[x][y] = m0 + x < g.m && k0 + y < g.k ? a[(size_t)(k0 + y) * g.m + m0 + x] : 0.0f;
        else
            as[y][x] = m0 + y < g.m && k0 + x < g.k ? a[(size_t)(m0 + y) * g.k + k0 + x] : 0.0f;
        if (transpose_b)
            bs[x][y] = n0 + y < g.n && k0 + x < g.k ? b[(size_t)(n0 + y) * g.k + k0 + x] : 0.0f;
        else
            bs[y][x] = n0 + x < g.n && k0 + y < g.k ? b[(size_t)(k0 + y) * g.n + n0 + x] : 0.0f;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < SIDE; k++)
            sum = MAD(as[y][k], bs[k][x], sum);
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (m0 + y < g.m && n0 + x < g.n) {
        c += (size_t)batch * g.m * g.n + (size_t)(m0 + y) * g.n + n0 + x;
        *c = g.has_residual ? *c + sum : sum;
    }
}
