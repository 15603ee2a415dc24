/* kinds.c - the model types that clio trains. */
#include "kinds.h"

#include <string.h>

const struct learner_kind *const learner_kinds[] = {
    &learner_autoencoder, &learner_vae,        &learner_cvae, &learner_gan,   &learner_dcgan,  &learner_cgan,    &learner_mmd_gan,
    &learner_jsd_gan,     &learner_classifier, &learner_unet, &learner_cunet, &learner_vae_kl, &learner_whisper, NULL};

const struct learner_kind *learner_kind_find(const char *name)
{
    for (const struct learner_kind *const *k = learner_kinds; name && *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}
