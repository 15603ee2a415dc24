/* cmd_embed.c - clio embed: a vector for each text, as JSON lines or as a .npy file. */
#include "bar.h"
#include "embed.h"
#include "model_path.h"
#include "options.h"
#include "output.h"
#include "print_json.h"
#include "say.h"
#include "session.h"

#include <stdlib.h>
#include <string.h>

#define TEXTS_AT_ONCE 8192 /* printed before the next ones are computed */

static clio_status load(void *user, struct session_device *d)
{
    const struct session *s = user;
    return clio_embedder_load(d->ctx, s->model, &d->embedder);
}

static clio_embed_params params_of(const struct settings *set)
{
    return (clio_embed_params){.batch = set->batch,
                               .pooling = set->pooling,
                               .prompt = set->params.prompt,
                               .normalization = set->normalize ? CLIO_NORMALIZE_ALWAYS : CLIO_NORMALIZE_MODEL};
}

/* One JSON object per line, in which the numbers are as exact as float32. */
static void print_lines_of(const struct words *texts, size_t first, const clio_embeddings *e)
{
    for (size_t i = 0; i < e->count; i++) {
        json_t *root = json_must(json_object()), *list = json_must(json_array());
        for (int j = 0; j < e->width; j++)
            json_list_add(list, json_number((double)e->values[i * (size_t)e->width + (size_t)j]));
        json_add(root, "text", json_name(texts->items[first + i]));
        json_add(root, "embedding", list);
        json_print_line(root, JSON_FLOAT);
    }
}

/* Embed all texts, a part at a time, and print or collect the results. */
static int embed_all(struct session *s, const struct words *texts, struct npy *npy)
{
    clio_embed_params params = params_of(s->set);
    clio_embedder *embedder = s->devices[0].embedder;
    for (size_t first = 0; first < texts->count; first += TEXTS_AT_ONCE) {
        size_t count = texts->count - first < TEXTS_AT_ONCE ? texts->count - first : TEXTS_AT_ONCE;
        clio_embeddings *e = NULL;
        clio_status st = clio_embed_texts(embedder, texts->items + first, count, &params, &e);
        bar_clear();
        if (st)
            return session_failed(s, st);
        if (npy)
            npy_add(npy, e->values, e->count, (size_t)e->width);
        else
            print_lines_of(texts, first, e);
        clio_embeddings_free(e);
        if (session_flush(s))
            return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int run_session(struct session *s, const struct settings *set, const struct words *texts)
{
    struct npy npy = {.data = NULL};
    if (!session_context(s, set))
        return EXIT_FAILED;
    int code = session_devices(s, 1);
    if (!code && !(s->model = model_find_encoder(set->model)))
        code = EXIT_FAILED;
    if (!code && !model_fits(s->model, set->command))
        code = EXIT_USAGE;
    bar_begin();
    if (!code)
        code = session_load(s, load, s);
    if (!code)
        code = embed_all(s, texts, set->result ? &npy : NULL);
    if (!code && set->result)
        code = npy_save(s, &npy, set->result);
    free(npy.data);
    return code;
}

static int run_embed(const struct command *self, struct settings *set)
{
    struct session s = {.needs_output = !set->result};
    struct lines lines = {.data = NULL};
    if (!set->model)
        return say_usage(self, "no model given: -m DIR, the folder of a text encoder such as all-MiniLM-L6-v2");
    if (set->files.count && set->lines)
        return say_usage(self, "texts come from the command line or from the file of -f, not from both");
    if (set->result && !npy_is_name(set->result))
        return say_usage(self, "-o %s: the file's name must end in .npy; without -o the embeddings are printed as JSON lines", set->result);
    if (set->result && !path_check(set, set->result, "-o"))
        return EXIT_FAILED;
    int code = EXIT_DONE;
    if (set->lines || !set->files.count || (set->files.count == 1 && !strcmp(set->files.items[0], "-")))
        code = lines_read(&lines, set->lines && strcmp(set->lines, "-") != 0 ? set->lines : NULL);
    if (!code)
        code = run_session(&s, set, lines.data ? &lines.texts : &set->files);
    lines_free(&lines);
    return session_close(&s, code);
}

static const struct option_row options[] = {
    {.names = "-m --model",
     .argument = "DIR",
     .type = OPTION_MODEL,
     .field = FIELD(model),
     .group = "Model",
     .help = "folder or name of a text encoder: sentence-transformers, BERT or CLIP (required)"},
    OPTION_WEIGHT_TYPE(.help = "type of the weights on the device; f32 computes in full precision, as transformers does"),
    {.names = "-f --file",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(lines),
     .group = "Input",
     .help = "file with a text in each line; -: standard input, which is read too where no text is given"},
    {.names = "--prompt",
     .argument = "TEXT",
     .type = OPTION_TEXT,
     .field = FIELD(params.prompt),
     .help = "put before each text, such as \"query: \" for models that were trained with it"},
    {.names = "-b --batch-size",
     .argument = "N",
     .type = OPTION_INTEGER,
     .field = FIELD(batch),
     .low = 1,
     .high = 4096,
     .group = "Computation",
     .help = "texts that are computed together; texts of similar length share a batch"},
    {.names = "--pooling",
     .argument = "MODE",
     .type = OPTION_CHOICE,
     .field = FIELD(pooling),
     .choices = CHOICES("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", "pooler"),
     .initial = "as the model says",
     .help = "how the states of the tokens become one vector; pooler: the network's own pooled vector"},
    {.names = "--normalize",
     .type = OPTION_SWITCH,
     .field = FIELD(normalize),
     .help = "scale each embedding to length 1, as many models do without it"},
    {.names = "-o --output",
     .argument = "FILE",
     .type = OPTION_FILE,
     .field = FIELD(result),
     .group = "Output",
     .help = "write a .npy file for numpy.load, float32 with a row per text, instead of JSON lines"},
    OPTIONS_END,
};

static const struct section sections[] = {
    {"OUTPUT",
     "One JSON object per line and text, in the order of the texts, with the keys `text` and `embedding`; `--json` changes nothing. "
     "With `-o` a NumPy file instead.",
     NULL},
    {"MODELS",
     "A folder of sentence-transformers is used as its modules.json says: pooling, dense layers, normalization, most tokens of a text. "
     "Of a BERT folder without modules.json the mean of the tokens' states is taken; of a CLIP folder the projected text embedding. "
     "Texts that are too long are cut.",
     NULL},
    {NULL, NULL, NULL},
};

static const struct example examples[] = {
    {"clio embed -m all-MiniLM-L6-v2 \"a cat sits on the mat\" \"stock prices fell\"", "two embeddings as JSON lines"},
    {"clio embed -m all-MiniLM-L6-v2 -f sentences.txt -o sentences.npy", "a NumPy array with a row for each line"},
    {NULL, NULL},
};

static void defaults(struct settings *set)
{
    set->batch = 32;
    set->params.prompt = NULL;
}

const struct command command_embed = {
    .name = "embed",
    .summary = "embed texts as vectors",
    .synopsis = "-m DIR [OPTION...] TEXT...\n-m DIR [OPTION...] -f FILE",
    .description =
        "Computes an embedding (a vector of numbers) of each text with an encoder such as all-MiniLM-L6-v2. Texts with similar meaning "
        "have embeddings with a high cosine similarity. TEXT - reads standard input, one text per line.",
    .options = options,
    .sections = sections,
    .examples = examples,
    .operands = OPERANDS_TEXTS,
    .defaults = defaults,
    .run = run_embed,
};
