/* test_prompts.h - shared by the tests of prompts: a tokenizer with the handwritten vocabulary of test_clip.h, opened before each test. */
#ifndef CLIO_TEST_PROMPTS_H
#define CLIO_TEST_PROMPTS_H

#include "test_clip.h"

#include "../../models/pipelines/prompt_weights.h"

#define LENGTH 77

static struct clip_tokenizer tokenizer;

static int set_up(void **state)
{
    if (make_folder(state))
        return -1;
    write_tokenizer("{\"pad_token\": \"!\"}", NULL);
    assert_ok(clip_tokenizer_open(test_context(), &tokenizer, folder));
    return 0;
}

static int tear_down(void **state)
{
    clip_tokenizer_close(&tokenizer);
    return remove_folder(state);
}

#endif
