/* prompt_loras.h - LoRAs that a prompt names, in the syntax of A1111 and stable-diffusion.cpp: "<lora:NAME:0.8>" anywhere in it, without a
 * strength 1; "<lyco:NAME:0.8>" is the same. Two numbers are the strengths of the text encoder and of the UNet; so are "te=0.5" and
 * "unet=0.8", which come first where both are given. NAME is a file of a folder, with or without .safetensors; it may be in a folder of
 * that one. The tag is taken out of the prompt. Named twice, the strengths add up. */
#ifndef CLIO_MODELS_PIPELINES_PROMPT_LORAS_H
#define CLIO_MODELS_PIPELINES_PROMPT_LORAS_H

#include "../../host/core/file.h"

#include <stdbool.h>

struct lora_choice {
    char *path;
    float text_encoder, unet; /* strengths */
};
struct lora_names {
    const char *dir; /* NULL: none */
    struct lora_choice *list;
    size_t count, capacity;
};

/* Append the LoRAs of a prompt to *names, and the prompt without them to *plain. is_negative: any is an error, as they change the model and
 * not this prompt alone. CLIO_ERROR_ARGUMENT: a tag that is wrong, or no folder; CLIO_ERROR_FILE: no such LoRA. */
clio_status prompt_loras_take(clio_context *ctx, const char *text, bool is_negative, struct lora_names *names, struct bytes *plain);
bool lora_names_equal(const struct lora_names *names, const struct lora_choice *list, size_t count);
void lora_choices_free(struct lora_choice *list, size_t count);

#endif
