/* cmd_eval.c - clio eval: how good a trained model is, what was heard beside what was said, captions beside references. */
#include "bar.h"
#include "options.h"
#include "print_json.h"
#include "session.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void print_measures(const struct settings *set, const clio_metrics *measures)
{
    json_t *root = json_object();
    for (size_t i = 0; i < measures->count; i++) {
        const clio_metric *m = &measures->list[i];
        if (set->json)
            json_object_set_new(root, m->name, json_real(m->value));
        else
            printf("%-22s %.6g%s%s\n", m->name, m->value, *m->unit ? " " : "", m->unit);
    }
    if (set->json)
        json_print(root);
    else
        json_decref(root);
}

static clio_status evaluate_model(struct session *s, const struct settings *set, clio_metrics **out)
{
    clio_evaluate_params params = {.model = set->model,
                                   .data = set->data,
                                   .split = set->split,
                                   .features = set->features,
                                   .count = set->count,
                                   .seed = (uint64_t)set->imagine.seed};
    bar_begin();
    clio_status st = clio_device_open(s->ctx, set->device);
    return st ? st : clio_evaluate(s->ctx, &params, out);
}

static int run_eval(const struct command *self, struct settings *set)
{
    struct session s = {.needs_output = true};
    clio_metrics *measures = NULL;
    clio_status st;
    bool texts = set->said || set->heard, captions = set->captions || set->references;
    if (set->files.count)
        return say_usage(self, "eval takes its files by name, and %s stands alone", set->files.items[0]);
    if ((set->model != NULL) + texts + captions != 1)
        return say_usage(self,
                         "say what to measure: a model (-m), a transcript (--said and --heard) or captions (--captions and --references)");
    if (texts && (!set->said || !set->heard))
        return say_usage(self, "a transcript needs both files: --said and --heard");
    if (captions && (!set->captions || !set->references))
        return say_usage(self, "captions need both files: --captions and --references");
    if (set->model && !set->data)
        return say_usage(self, "name the data to measure the model on with --data");
    if (!session_context(&s, set))
        return session_close(&s, EXIT_FAILED);
    st = texts      ? clio_evaluate_transcripts(s.ctx, set->said, set->heard, &measures)
         : captions ? clio_evaluate_captions(s.ctx, set->captions, set->references, &measures)
                    : evaluate_model(&s, set, &measures);
    bar_clear();
    int code = st ? session_failed(&s, st) : EXIT_DONE;
    if (!st)
        print_measures(set, measures);
    clio_metrics_free(measures);
    session_flush(&s);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    OPTION_MODEL("a folder that clio train wrote"),
    {"--data", "DIR", OPTION_TEXT, FIELD(data), 0, 0, "images to measure it on, as for clio train"},
    {"--split", "NAME", OPTION_TEXT, FIELD(split), 0, 0, "train, validation or test; default: the last of these\nthat there is"},
    {"--features", "DIR", OPTION_TEXT, FIELD(features), 0, 0,
     "a classifier that clio train wrote: compares what it\nsees in drawn images and in those of the data\n(Frechet and kernel "
     "distance)"},
    {"-n --count", "N", OPTION_INT, FIELD(count), 2, 1000000, "images at most; default 10000"},
    {"-s --seed", "N", OPTION_SIGNED, FIELD(imagine.seed), 0, 0, "of what is drawn; default 42"},
    {"--said", "FILE", OPTION_TEXT, FIELD(said), 0, 0, "a text file: what was said ..."},
    {"--heard", "FILE", OPTION_TEXT, FIELD(heard), 0, 0, "... and what was heard: word error rate"},
    {"--captions", "FILE", OPTION_TEXT, FIELD(captions), 0, 0, "JSON lines with file_name and text ..."},
    {"--references", "FILE", OPTION_TEXT, FIELD(references), 0, 0, "... and what people said: BLEU, ROUGE-L, CIDEr-D"},
    {NULL, NULL, OPTION_ON, 0, 0, 0, NULL},
};

const struct command command_eval = {
    .name = "eval",
    .synopsis = "-m DIR --data DIR [--features DIR] | --said FILE --heard FILE | --captions FILE --references FILE",
    .about = "Measures: a model that clio train made, on data it did not learn from; a transcript beside what was said; captions beside\n"
             "what people said.",
    .more = "clio eval -m my-vae --data fashion-mnist\n"
            "clio eval -m my-dcgan --data fashion-mnist --features my-classifier\n"
            "clio eval --said talk.txt --heard talk.wav.txt",
    .options = options,
    .run = run_eval,
};
