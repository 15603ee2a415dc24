/* cmd_eval.c - clio eval: metrics of a trained model on held-out data, of transcripts, and of captions. */
#include "bar.h"
#include "options.h"
#include "print_json.h"
#include "say.h"
#include "session.h"
#include "terminal.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Infinity and NaN are not JSON: such a metric is null there, and an error in both forms. Returns the exit code. */
static int print_metrics(const struct settings *set, const clio_metrics *metrics)
{
    json_t *root = json_must(json_object());
    char *bad = NULL;
    for (size_t i = 0; i < metrics->count; i++) {
        const clio_metric *m = &metrics->list[i];
        if (set->json)
            json_add(root, m->name, isfinite(m->value) ? json_number(m->value) : json_null());
        else
            print_out("%-22s %.6g%s%s\n", m->name, m->value, *m->unit ? " " : "", m->unit);
        if (!isfinite(m->value)) {
            char *names = must_print("%s%s%s", bad ? bad : "", bad ? ", " : "", m->name);
            free(bad);
            bad = names;
        }
    }
    if (set->json)
        json_print(root, JSON_MEASURED);
    else
        json_decref(root);
    if (bad && set->model)
        say_error("%s of %s on %s: not a finite number; the model's weights are damaged or its training diverged: use another checkpoint",
                  bad, set->model, set->data);
    else if (bad)
        say_error("%s: not a finite number, as %s has no words: use a reference with text", bad,
                  set->reference ? set->reference : set->references);
    int code = bad ? EXIT_FAILED : EXIT_DONE;
    free(bad);
    return code;
}

static clio_status evaluate_model(struct session *s, const struct settings *set, clio_metrics **out)
{
    clio_evaluate_params params = {.model = set->model,
                                   .data = set->data,
                                   .split = set->split,
                                   .features = set->features,
                                   .count = set->count,
                                   .seed = set->imagine.seed};
    bar_begin();
    clio_status st = clio_device_open(s->ctx, set->device);
    return st ? st : clio_evaluate(s->ctx, &params, out);
}

/* Options of a model that texts make no use of, or a model without samples. */
static int check_use(const struct command *self, const struct settings *set)
{
    static const size_t model[] = {FIELD(data), FIELD(split), FIELD(features), FIELD(count), FIELD(imagine.seed)},
                        samples[] = {FIELD(imagine.seed)};
    if (!set->model)
        return options_refuse(self, set, model, COUNT(model), "on texts");
    return set->features ? EXIT_DONE : options_refuse(self, set, samples, COUNT(samples), "without --features, which generates samples");
}

static int run_eval(const struct command *self, struct settings *set)
{
    struct session s = {.needs_output = true};
    clio_metrics *metrics = NULL;
    clio_status st;
    bool texts = set->reference || set->hypothesis, captions = set->captions || set->references;
    if (set->files.count)
        return say_usage(self, "unexpected argument %s: eval takes its files by options", set->files.items[0]);
    if ((set->model != NULL) + texts + captions != 1)
        return say_usage(self, "choose one thing to evaluate: a model (-m), a transcript (--reference and --hypothesis) or captions "
                               "(--captions and --references)");
    if (texts && (!set->reference || !set->hypothesis))
        return say_usage(self, "a transcript needs two files: --reference and --hypothesis");
    if (captions && (!set->captions || !set->references))
        return say_usage(self, "captions need two files: --captions and --references");
    if (check_use(self, set))
        return EXIT_USAGE;
    if (set->model && !set->data)
        return say_usage(self, "no data given to evaluate the model on: --data DIR");
    if (!session_context(&s, set))
        return session_close(&s, EXIT_FAILED);
    st = texts      ? clio_evaluate_transcripts(s.ctx, set->reference, set->hypothesis, &metrics)
         : captions ? clio_evaluate_captions(s.ctx, set->captions, set->references, &metrics)
                    : evaluate_model(&s, set, &metrics);
    bar_clear();
    int code = st ? session_failed(&s, st) : EXIT_DONE;
    if (!st)
        code = print_metrics(set, metrics);
    clio_metrics_free(metrics);
    session_flush(&s);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {.names = "-m --model",
     .argument = "DIR",
     .type = OPTION_MODEL,
     .field = FIELD(model),
     .group = "Model",
     .help = "evaluate this folder that clio train wrote"},
    {.names = "--data",
     .argument = "DIR",
     .type = OPTION_FOLDER,
     .field = FIELD(data),
     .help = "dataset to evaluate on, as for clio train; of the data that the model was trained on, only what training held out is used"},
    {.names = "--split",
     .argument = "NAME",
     .type = OPTION_CHOICE,
     .field = FIELD(split),
     .choices = CHOICES("train", "validation", "test"),
     .initial = "the last of these that exists",
     .help = "split of the dataset"},
    {.names = "--features",
     .argument = "DIR",
     .type = OPTION_FOLDER,
     .field = FIELD(features),
     .help = "a classifier that clio train wrote: Fréchet and kernel distance (FID, KID) between its features of samples and of the data"},
    {.names = "-n --count",
     .argument = "N",
     .type = OPTION_INTEGER,
     .field = FIELD(count),
     .low = 2,
     .high = 1000000,
     .help = "images at most"},
    {.names = "-s --seed", .argument = "N", .type = OPTION_SEED, .field = FIELD(imagine.seed), .help = "random seed of the samples"},
    {.names = "--reference",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(reference),
     .group = "Transcript",
     .help = "text file: reference transcript"},
    {.names = "--hypothesis",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(hypothesis),
     .help = "text file: transcript to evaluate; gives word and character error rates"},
    {.names = "--captions",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(captions),
     .group = "Caption",
     .help = "JSON lines with file_name and text: captions to evaluate; gives BLEU, ROUGE-L and CIDEr-D"},
    {.names = "--references",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(references),
     .help = "JSON lines with file_name and text: reference captions, several per file if there are"},
    OPTIONS_END,
};

static const struct section sections[] = {
    {"METRICS",
     "Of a model: the metrics of its type (ELBO, accuracy), MSE, PSNR and SSIM of reconstructions, and with `--features` the Fréchet and "
     "kernel distance of samples. Of a fine-tuned Whisper model: the loss, and word and character error rates of its transcripts. Of a "
     "transcript: word and character error rates and the number of substitutions, insertions and deletions, line "
     "by line if both files have as many lines, else over the whole texts. Of captions: BLEU, ROUGE-L and CIDEr-D as coco-caption computes "
     "them.",
     NULL},
    {"JSON", "With `--json` standard output has one object whose keys are the names of the metrics.", NULL},
    {NULL, NULL, NULL},
};

static const struct example examples[] = {
    {"clio eval -m my-vae --data fashion-mnist", "reconstruction metrics of a VAE"},
    {"clio eval -m my-dcgan --data fashion-mnist --features my-classifier", "FID and KID of a GAN"},
    {"clio eval --reference talk.txt --hypothesis talk.wav.txt", "word error rate of a transcript"},
    {NULL, NULL},
};

static void defaults(struct settings *set)
{
    set->count = 10000;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "compute metrics of a trained model, a transcript or captions",
    .synopsis = "-m DIR --data DIR [OPTION...]\n--reference FILE --hypothesis FILE\n--captions FILE --references FILE",
    .description =
        "Computes metrics of a model that clio train wrote, on data it was not trained on, of a transcript against its reference, or "
        "of captions against reference captions.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_NONE,
    .defaults = defaults,
    .run = run_eval,
};
