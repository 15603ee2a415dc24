/* ref_logits.c - the greedy choice of a token under Whisper's rules, and the scaling of a log-mel spectrogram. */
#include "ref.h"

#include <math.h>

static bool is_text(int token, const struct logits_args *p)
{
    return token < p->end_token || (p->timestamp_end && token >= p->timestamp_end);
}

static bool is_allowed(int token, const unsigned char *suppress, const struct logits_args *p)
{
    if (suppress[token])
        return false;
    if (is_text(token, p))
        return p->text_allowed != 0;
    if (token == p->end_token)
        return p->end_allowed != 0;
    return token >= p->timestamp_begin && token >= p->timestamp_first && token <= p->timestamp_last;
}

/* log sum exp over allowed tokens of [from, to), or over all of them when suppress is NULL; the best of them in *best. */
static double log_sum(const float *logits, const unsigned char *suppress, const struct logits_args *p, int from, int to, int *best)
{
    double peak = -INFINITY, sum = 0;
    *best = -1;
    for (int t = from; t < to; t++)
        if ((!suppress || is_allowed(t, suppress, p)) && (double)logits[t] > peak) {
            peak = (double)logits[t];
            *best = t;
        }
    for (int t = from; t < to; t++)
        if (!suppress || is_allowed(t, suppress, p))
            sum += exp((double)logits[t] - peak);
    return *best < 0 ? -INFINITY : peak + log(sum);
}

void ref_logits(int *token, float *logprob, float *no_speech, float *timestamps, const float *logits, const unsigned char *suppress,
                const struct logits_args *p)
{
    int begin = p->timestamp_begin < p->n ? p->timestamp_begin : p->n, end = p->timestamp_end ? p->timestamp_end : p->n;
    int best_text, best_added, best_time, best_all, unused;
    log_sum(logits, suppress, p, 0, begin, &best_text);
    log_sum(logits, suppress, p, end, p->n, &best_added);
    if (best_text < 0 || (best_added >= 0 && logits[best_added] > logits[best_text]))
        best_text = best_added;
    double times = log_sum(logits, suppress, p, begin, end, &best_time);
    double both = log_sum(logits, suppress, p, 0, p->n, &best_all), everything = log_sum(logits, NULL, p, 0, p->n, &unused);
    bool forced = best_text < 0 || (p->weigh_timestamps && best_time >= 0 && times > (double)logits[best_text]);
    *token = forced ? best_time : best_all;
    *logprob = *token < 0 ? -INFINITY : (float)((double)logits[*token] - (forced ? times : both));
    *no_speech = p->no_speech >= 0 ? (float)exp((double)logits[p->no_speech] - everything) : 0;
    *timestamps = best_time < 0 ? -INFINITY : (float)(times - both);
}

void ref_log_mel(float *mel, int count)
{
    float greatest = -INFINITY;
    for (int i = 0; i < count; i++) {
        mel[i] = log10f(fmaxf(mel[i], 1e-10f));
        greatest = fmaxf(greatest, mel[i]);
    }
    for (int i = 0; i < count; i++)
        mel[i] = (fmaxf(mel[i], greatest - 8) + 4) / 4;
}
