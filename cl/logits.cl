/* logits.cl - from a row of logits to the next token, under Whisper's rules (openai/whisper, decoding.py: SuppressTokens,
 * ApplyTimestampRules, GreedyDecoder), without the row leaving the device.
 *
 * logits_partial walks chunks of the vocabulary; logits_choose joins them. Text and timestamps are kept apart, because all timestamps
 * together may outweigh every single text token, and then a timestamp is taken. Sampling at a temperature takes the largest of
 * x / T + Gumbel noise (Gumbel 1954; Maddison et al. 2014), which draws from softmax(x / T).
 * LOCAL: work-items of a group. NOISE=1: for temperatures above 0, which few calls ask for: half of what these kernels cost to compile.
 */
// isa:
// isa: -DNOISE=1
// isa: -DLOCAL=256
// isa-cpu: -DLOCAL=1 -DLANES=16
#include "common.clh"
#include "random.clh"
#include "reduce.clh"

#ifndef LOCAL
#define LOCAL 128
#endif
#ifndef NOISE
#define NOISE 0
#endif
#ifndef LANES
#define LANES 1 /* neighbouring tokens that a work-item has at a time: 1, or 16 where a hardware thread is a vector unit */
#endif
#if LANES == 16
typedef float16 real;
typedef int16 whole;
#define LANE_NUMBERS ((int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#define LOAD_LANES vload16
#define STORE_LANES vstore16
#define MAX_LANES max16
#else
typedef float real;
typedef int whole;
#define LANE_NUMBERS 0
#define LOAD_LANES(i, p) (p)[i]
#define STORE_LANES(x, i, p) (p)[i] = (x)
#define MAX_LANES(x) (x)
#endif
#define CHUNK 1024

/* What one chunk knows of one class of tokens. */
struct best {
    float value; /* with temperature and noise: what is compared */
    float logit; /* of the token itself */
    int token;
    float peak, sum; /* sum of exp(logit - peak) */
};

struct best best_nothing(void)
{
    struct best b = {-INFINITY, -INFINITY, -1, -INFINITY, 0.0f};
    return b;
}

struct best best_join(struct best a, struct best b)
{
    struct best r = b.value > a.value || (b.value == a.value && (a.token < 0 || (b.token >= 0 && b.token < a.token))) ? b : a;
    r.peak = fmax(a.peak, b.peak);
    r.sum = r.peak > -INFINITY ? a.sum * exp(a.peak - r.peak) + b.sum * exp(b.peak - r.peak) : 0.0f;
    return r;
}

/* The best of the tokens that a work-item has seen in each of its lanes. */
struct lanes_best {
    real value, logit;
    whole token;
};

/* One more token in every lane; a value of -INFINITY never wins. Tokens come in rising order: of equals the first stays. */
struct lanes_best see(struct lanes_best a, real x, real value, whole token)
{
    whole better = value > a.value;
    a.value = select(a.value, value, better);
    a.logit = select(a.logit, x, better);
    a.token = select(a.token, token, better);
    return a;
}

/* The best lane, with what is known of all. */
struct best fold(struct lanes_best a, float peak, real sums)
{
    float value[LANES], logit[LANES], sum[LANES];
    int token[LANES];
    struct best b = best_nothing();
    STORE_LANES(a.value, 0, value);
    STORE_LANES(a.logit, 0, logit);
    STORE_LANES(sums, 0, sum);
    STORE_LANES(a.token, 0, token);
    for (int i = 0; i < LANES; i++) {
        if (token[i] >= 0 && (value[i] > b.value || (value[i] == b.value && token[i] < b.token))) {
            b.value = value[i];
            b.logit = logit[i];
            b.token = token[i];
        }
        b.sum += sum[i];
    }
    b.peak = peak;
    return b;
}

#if NOISE
/* x / T + Gumbel noise, lane by lane: only where a temperature asks for it. */
real noisy(real x, int first, struct logits_args p)
{
    float each[LANES];
    STORE_LANES(x, 0, each);
    for (int i = 0; i < LANES; i++) {
        uint4 r = philox((uint4)(first + i, p.step, 0, 0), (uint2)(p.seed, 0x6c6f6769u));
        each[i] = each[i] * p.inverse_temperature - log(-log(uniform_open(r.x)));
    }
    return LOAD_LANES(0, each);
}
#endif

/* Logits of LANES tokens from `first` on; those from `end` on are -INFINITY. */
real logits_at(const __global float *logits, int first, int end)
{
#if LANES > 1
    if (first + LANES > end) {
        float each[LANES];
        for (int i = 0; i < LANES; i++)
            each[i] = first + i < end ? logits[first + i] : -INFINITY;
        return LOAD_LANES(0, each);
    }
#endif
    return LOAD_LANES(0, logits + first);
}

/* Text tokens that fine-tuning added. */
whole behind_timestamps(whole token, struct logits_args p)
{
    return p.timestamp_end ? token >= p.timestamp_end : (whole)(0);
}

/* Which of LANES tokens may be said: not suppressed, and of a class that is allowed. Special tokens other than the end and the timestamps
 * never are. */
whole may_be_said(const __global uchar *suppress, whole token, int first, int end, struct logits_args p)
{
    whole behind = behind_timestamps(token, p), text = p.text_allowed ? (token < p.end_token) | behind : (whole)(0),
          stop = p.end_allowed ? token == p.end_token : (whole)(0);
    whole time =
        (token > p.end_token) & (token >= p.timestamp_begin) & (token >= p.timestamp_first) & (token <= p.timestamp_last) & !behind;
    int each[LANES];
    for (int i = 0; i < LANES; i++)
        each[i] = first + i < end ? suppress[first + i] : 1;
    return (text | stop | time) & (LOAD_LANES(0, each) == 0);
}

void reduce(__local struct best *tree, struct best own)
{
    int lid = get_local_id(0);
    tree[lid] = own;
    for (int half_way = LOCAL / 2; half_way; half_way /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lid < half_way)
            tree[lid] = best_join(tree[lid], tree[lid + half_way]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}

/* Group g walks tokens CHUNK*g..; parts[3 g]: text, [3 g + 1]: timestamps, [3 g + 2]: everything, unfiltered. Work-item: LANES neighbours
 * at a time. No branch depends on a token, and one exponential serves text and timestamps. */
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1), vec_type_hint(real))) void
logits_partial(__global struct best *parts, const __global float *logits, const __global uchar *suppress, int offset, struct logits_args p)
{
    __local struct best tree[LOCAL];
    int group = get_group_id(0), lid = get_local_id(0), end = min(p.n, (group + 1) * CHUNK), begin = group * CHUNK + lid * LANES;
    struct lanes_best nothing = {(real)(-INFINITY), (real)(-INFINITY), (whole)(-1)}, said = nothing, timed = nothing;
    real text_sum = 0.0f, time_sum = 0.0f, all_sum = 0.0f, none = -INFINITY, said_peak = none, timed_peak = none, all_peak = none;
    logits += offset;
    for (int first = begin; first < end; first += LOCAL * LANES) {
        real x = logits_at(logits, first, end), value = x;
        whole token = first + LANE_NUMBERS, is_text = (token < p.timestamp_begin) | behind_timestamps(token, p), is_time = !is_text;
        whole may = may_be_said(suppress, token, first, end, p);
#if NOISE
        value = noisy(x, first, p);
#endif
        said = see(said, x, select(none, value, may & is_text), token);
        timed = see(timed, x, select(none, value, may & is_time), token);
        said_peak = fmax(said_peak, select(none, x, may & is_text));
        timed_peak = fmax(timed_peak, select(none, x, may & is_time));
        all_peak = fmax(all_peak, x);
    }
    float text_peak = MAX_LANES(said_peak), time_peak = MAX_LANES(timed_peak), peak = MAX_LANES(all_peak);
    for (int first = begin; first < end; first += LOCAL * LANES) {
        real x = logits_at(logits, first, end), nil = 0.0f;
        whole token = first + LANE_NUMBERS, is_text = (token < p.timestamp_begin) | behind_timestamps(token, p), is_time = !is_text;
        whole may = may_be_said(suppress, token, first, end, p);
        real e = exp(x - select((real)(time_peak), (real)(text_peak), is_text));
        text_sum += text_peak > -INFINITY ? select(nil, e, may & is_text) : nil;
        time_sum += time_peak > -INFINITY ? select(nil, e, may & is_time) : nil;
        if (p.no_speech >= 0) /* asked for once a window */
            all_sum += peak > -INFINITY ? exp(x - peak) : nil;
    }
    struct best text = fold(said, text_peak, text_sum), times = fold(timed, time_peak, time_sum), all = fold(nothing, peak, all_sum);
    reduce(tree, text);
    if (lid == 0)
        parts[3 * group] = tree[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    reduce(tree, times);
    if (lid == 0)
        parts[3 * group + 1] = tree[0];
    barrier(CLK_LOCAL_MEM_FENCE);
    reduce(tree, all);
    if (lid == 0)
        parts[3 * group + 2] = tree[0];
}

/* One group; tokens: the token alone, where the next step's embedding looks for it; out: token, its log-probability, probability of the
 * no-speech token, log-probability of all timestamps. */
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1), vec_type_hint(real))) void
logits_choose(__global int *out, __global int *tokens, const __global struct best *parts, const __global float *logits, int offset, int row,
              struct logits_args p)
{
    __local struct best tree[LOCAL];
    struct best kind[3];
    int lid = get_local_id(0);
    for (int i = 0; i < 3; i++) {
        struct best own = best_nothing();
        for (int group = lid; group < p.groups; group += LOCAL)
            own = best_join(own, parts[3 * group + i]);
        reduce(tree, own);
        kind[i] = tree[0];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (lid)
        return;
    struct best text = kind[0], times = kind[1], all = kind[2];
    float times_log = times.token >= 0 ? times.peak + log(times.sum) : -INFINITY;
    struct best both = best_join(text, times);
    float total_log = both.peak + log(both.sum);
    bool forced = text.token < 0 || (p.weigh_timestamps && times.token >= 0 && times_log > text.peak);
    struct best chosen = forced ? times : both;
    float chosen_log = chosen.token >= 0 ? chosen.logit - (forced ? times_log : total_log) : -INFINITY; /* -1: nothing is allowed */
    float no_speech = p.no_speech >= 0 ? exp(logits[offset + p.no_speech] - all.peak) / all.sum : 0.0f;
    out[row * 8] = chosen.token;
    tokens[row] = chosen.token;
    out[row * 8 + 1] = as_int(chosen_log);
    out[row * 8 + 2] = as_int(no_speech);
    out[row * 8 + 3] = as_int(times.token >= 0 ? times_log - total_log : -INFINITY);
}
