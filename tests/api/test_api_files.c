/* test_api_files.c - the public interface: speech of several files in one call. */
#include "test_api.h"

/* 16-bit mono WAV in the model's folder. */
static void write_wav(const char *name, const float *samples, size_t count)
{
    char path[1200];
    unsigned long size = (unsigned long)count * 2;
    unsigned char head[44] = "RIFF____WAVEfmt \20\0\0\0\1\0\1\0\200\76\0\0\0\175\0\0\2\0\20\0data";
    for (int i = 0; i < 4; i++) {
        head[4 + i] = (unsigned char)((size + 36) >> (8 * i));
        head[40 + i] = (unsigned char)(size >> (8 * i));
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(head, 1, sizeof head, file), sizeof head);
    for (size_t i = 0; i < count; i++) {
        unsigned value = (unsigned)(int)lrintf(samples[i] * 32767);
        assert_true(fputc((int)(value & 255), file) != EOF && fputc((int)(value >> 8 & 255), file) != EOF);
    }
    assert_int_equal(fclose(file), 0);
}

#define FILES 8
/* What the callbacks saw. */
struct heard {
    size_t files, segments; /* segments since the last file */
    size_t stop_at;         /* files */
    int cancels;
    clio_status status[FILES];
    clio_transcript *result[FILES];
    char error[FILES][200];
    double done, total; /* progress */
};

static int heard_segment(void *user, const clio_segment *segment)
{
    struct heard *h = user;
    assert_true(*segment->text);
    h->segments++;
    return 0;
}

static int heard_file(void *user, size_t index, clio_status status, clio_transcript *transcript)
{
    struct heard *h = user;
    assert_true(index == h->files && index < FILES);
    assert_true((status == CLIO_OK) == (transcript != NULL));
    assert_int_equal(h->segments, transcript ? transcript->segment_count : 0); /* no segment of another file came before */
    h->segments = 0;
    h->status[index] = status;
    h->result[index] = transcript;
    snprintf(h->error[index], sizeof h->error[index], "%s", status ? clio_error(shared) : "");
    if (++h->files == h->stop_at && h->cancels)
        clio_cancel(shared);
    return h->files == h->stop_at && !h->cancels;
}

static int heard_progress(void *user, const char *what, double done, double total)
{
    struct heard *h = user;
    if (!strcmp(what, "building kernels")) /* with an empty cache, between windows */
        return 0;
    assert_string_equal(what, "transcribing");
    assert_true(done >= h->done && done <= total);
    h->done = done;
    h->total = total;
    return 0;
}

static void forget(struct heard *h)
{
    for (size_t i = 0; i < FILES; i++)
        clio_transcript_free(h->result[i]);
    *h = (struct heard){0};
}

/* Long and short files, one that is no sound, one without a word, and one that is not there. */
static void make_files(char names[FILES][1200], const char *paths[FILES])
{
    static const char *const all[FILES] = {"a.wav", "config.json", "b.wav", "quiet.wav", "long.wav", "missing.wav", "c.wav", "d.wav"};
    static const float silence[RATE];
    float *samples = thrice();
    unsigned noise = 1;
    for (int i = 0; i < FILES; i++) {
        snprintf(names[i], 1200, "%s/%s", folder, all[i]);
        paths[i] = names[i];
    }
    write_wav("a.wav", jfk, 4 * RATE);
    write_wav("b.wav", jfk + 4 * RATE, 3 * RATE);
    write_wav("quiet.wav", silence, RATE);
    write_wav("long.wav", samples, 3 * jfk_count);
    write_wav("c.wav", jfk + 7 * RATE, 4 * RATE);
    for (size_t i = 0; i < 29 * RATE; i++) /* noise, in which another language is found */
        samples[i] = (float)((noise = 1664525 * noise + 1013904223) >> 16 & 0x7fff) / 0x4000 - 1;
    write_wav("d.wav", samples, 29 * RATE);
    free(samples);
}

/* Each file is heard as if it were alone, in its order, whatever is decoded beside it and whichever files are bad. */
static void files_are_heard_together(void **state)
{
    (void)state;
    char names[FILES][1200];
    const char *paths[FILES];
    struct heard together = {0}, *h = &together;
    clio_speech_params p = quick();
    size_t languages = 0;
    make_files(names, paths);
    p.language = NULL;
    p.user = h;
    p.on_segment = heard_segment;
    for (int batch = 0; batch <= 5; batch += batch ? 2 : 3) {
        if (only_small() && batch != 3)
            continue;
        p.batch = batch;
        clio_set_progress(shared, heard_progress, h);
        assert_ok(shared, clio_speech_files(small, paths, FILES, &p, heard_file));
        clio_set_progress(shared, NULL, NULL);
        assert_int_equal(h->files, FILES);
        assert_true(h->done >= FILES && h->total >= FILES && h->total <= FILES);
        for (size_t i = 0; i < FILES; i++) {
            if (i == 1 || i == 5) {
                assert_int_equal(h->status[i], i == 1 ? CLIO_ERROR_FORMAT : CLIO_ERROR_FILE);
                assert_non_null(strstr(h->error[i], i == 1 ? "config.json is not a sound file" : "missing.wav: no such file"));
                continue;
            }
            clio_transcript *alone = NULL, *t = h->result[i];
            clio_speech_params q = p;
            q.user = &(struct heard){0};
            assert_ok(shared, clio_speech_file(small, paths[i], &q, &alone));
            check_transcript(t, 0);
            assert_string_equal(t->text, alone->text);
            assert_string_equal(t->language, alone->language);
            assert_float_equal(t->language_probability, alone->language_probability, 1e-3);
            assert_float_equal(t->duration, alone->duration, 1e-6);
            assert_int_equal(t->segment_count, alone->segment_count);
            assert_true((i == 3) == (t->segment_count == 0) && (i != 4 || t->segment_count >= 2));
            languages += i == 7 && strcmp(t->language, h->result[0]->language) != 0;
            clio_transcript_free(alone);
        }
        assert_true(languages > 0); /* or nothing would be known of telling them apart */
        forget(h);
    }
}

/* A nonzero return and clio_cancel end the call after the file that they came with. */
static void hearing_files_can_be_cancelled(void **state)
{
    (void)state;
    char names[FILES][1200];
    const char *paths[FILES];
    struct heard h;
    clio_speech_params p = quick();
    if (only_small())
        skip();
    make_files(names, paths);
    p.user = &h;
    p.on_segment = heard_segment;
    for (int batch = 1; batch <= 3; batch += 2)
        for (size_t stop_at = 1; stop_at <= 3; stop_at++)
            for (int cancels = 0; cancels <= 1; cancels++) {
                h = (struct heard){.stop_at = stop_at, .cancels = cancels};
                p.batch = batch;
                clio_status st = clio_speech_files(small, paths, FILES, &p, heard_file);
                assert_fails(shared, st, CLIO_ERROR_CANCELLED, "cancelled");
                assert_true(h.files >= stop_at && h.files <= (cancels ? stop_at + 2 : stop_at)); /* those whose batch was decoded already */
                forget(&h);
            }
    p.language = "klingon";
    h = (struct heard){0};
    assert_fails(shared, clio_speech_files(small, paths, FILES, &p, heard_file), CLIO_ERROR_ARGUMENT, "an unknown language");
    p.language = "en";
    assert_fails(shared, clio_speech_files(small, NULL, FILES, &p, heard_file), CLIO_ERROR_ARGUMENT, "paths is NULL");
    assert_fails(shared, clio_speech_files(small, paths, FILES, &p, NULL), CLIO_ERROR_ARGUMENT, "on_file is NULL");
    assert_ok(shared, clio_speech_files(small, paths, 0, &p, heard_file));
    assert_int_equal(h.files, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_heard_together),
        cmocka_unit_test(hearing_files_can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
