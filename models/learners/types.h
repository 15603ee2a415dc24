/* types.h - the model types that clio trains. */
#ifndef CLIO_MODELS_LEARNERS_TYPES_H
#define CLIO_MODELS_LEARNERS_TYPES_H

#include "learner.h"

/* NULL-terminated; and by name, or NULL. */
extern const struct learner_type *const learner_types[];
const struct learner_type *learner_type_find(const char *name);

extern const struct learner_type learner_autoencoder, learner_vae, learner_cvae, learner_gan, learner_dcgan, learner_cgan, learner_jsd_gan,
    learner_mmd_gan, learner_classifier, learner_unet, learner_cunet, learner_whisper, learner_vae_kl;

#endif
