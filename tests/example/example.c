/* example.c - a program that uses the installed library: prints what is said in a sound file. */
#include <clio.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: example MODEL_FOLDER SOUND_FILE   (clio %s)\n", clio_version());
        return 2;
    }
    clio_context *ctx = clio_create();
    clio_speech *speech = NULL;
    clio_transcript *result = NULL;
    int failed = clio_device_open(ctx, NULL) || clio_speech_load(ctx, argv[1], &speech) || clio_speech_file(speech, argv[2], NULL, &result);
    if (failed)
        fprintf(stderr, "%s\n", clio_error(ctx));
    else
        puts(result->text);
    clio_transcript_free(result);
    clio_speech_free(speech);
    clio_destroy(ctx);
    return failed ? 1 : 0;
}
