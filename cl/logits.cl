/* logits.cl - from a row of logits to the next token, under Whisper's rules (openai/whisper, decoding.py: SuppressTokens,
 * ApplyTimestampRules, GreedyDecoder), without the row leaving the device.
 *
 * logits_partial walks chunks of the vocabulary; logits_choose joins them. Text and timestamps are kept apart, because all timestamps
 * together may outweigh every single text token, and then a timestamp is taken. Sampling at a temperature takes the largest of
 * x / T + Gumbel noise (Gumbel 1954; Maddison et al. 2014), which draws from softmax(x / T).
 * LOCAL: work-items of a group.
 */
// isa:
// isa: -DLOCAL=256
#include "common.clh"
#include "random.clh"

#ifndef LOCAL
#define LOCAL 128
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

/* One more token; its share of the sum is added in a second pass, when the peak is known. */
struct best best_see(struct best a, float x, float value, int token)
{
    if (value > a.value) { /* tokens come in rising order: of equals the first stays */
        a.value = value;
        a.logit = x;
        a.token = token;
    }
    a.peak = fmax(a.peak, x);
    return a;
}

float gumbel(int token, struct logits_args p)
{
    uint4 r = philox((uint4)(token, p.step, 0, 0), (uint2)(p.seed, 0x6c6f6769u));
    return -log(-log(uniform_open(r.x)));
}

bool allowed(int token, struct logits_args p)
{
    if (token < p.end_token)
        return p.text_allowed;
    if (token == p.end_token)
        return p.end_allowed;
    if (token < p.timestamp_begin)
        return false; /* other special tokens are never said */
    return token >= p.timestamp_first && token <= p.timestamp_last;
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

/* Group g walks tokens CHUNK*g..; parts[3 g]: text, [3 g + 1]: timestamps, [3 g + 2]: everything, unfiltered. */
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1))) void logits_partial(__global struct best *parts, const __global float *logits,
                                                                                const __global uchar *suppress, int offset,
                                                                                struct logits_args p)
{
    __local struct best tree[LOCAL];
    int group = get_group_id(0), lid = get_local_id(0), end = min(p.n, (group + 1) * CHUNK);
    struct best text = best_nothing(), times = best_nothing(), all = best_nothing();
    logits += offset;
    for (int token = group * CHUNK + lid; token < end; token += LOCAL) {
        float x = logits[token];
        all.peak = fmax(all.peak, x);
        if (suppress[token] || !allowed(token, p))
            continue;
        float value = p.inverse_temperature > 0.0f ? x * p.inverse_temperature + gumbel(token, p) : x;
        if (token < p.timestamp_begin)
            text = best_see(text, x, value, token);
        else
            times = best_see(times, x, value, token);
    }
    for (int token = group * CHUNK + lid; token < end; token += LOCAL) {
        float x = logits[token];
        bool said = !suppress[token] && allowed(token, p), is_text = token < p.timestamp_begin;
        all.sum += all.peak > -INFINITY ? exp(x - all.peak) : 0.0f;
        text.sum += said && is_text && text.token >= 0 ? exp(x - text.peak) : 0.0f;
        times.sum += said && !is_text && times.token >= 0 ? exp(x - times.peak) : 0.0f;
    }
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

/* One group; tokens: the token alone, where the next step's embedding looks for it; out: token, its log-probability, probability of the no-speech token, log-probability of all timestamps. */
__kernel __attribute__((reqd_work_group_size(LOCAL, 1, 1))) void logits_choose(__global int *out, __global int *tokens,
                                                                               const __global struct best *parts,
                                                                               const __global float *logits, int offset,
                                                                               int row, struct logits_args p)
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
