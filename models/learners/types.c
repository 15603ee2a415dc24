/* types.c - the model types that clio trains. */
#include "types.h"

#include <string.h>

const struct learner_type *const learner_types[] = {
    &learner_autoencoder, &learner_vae,        &learner_cvae, &learner_gan,   &learner_dcgan,  &learner_cgan,    &learner_mmd_gan,
    &learner_jsd_gan,     &learner_classifier, &learner_unet, &learner_cunet, &learner_vae_kl, &learner_whisper, NULL};

const struct learner_type *learner_type_find(const char *name)
{
    for (const struct learner_type *const *k = learner_types; name && *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}
