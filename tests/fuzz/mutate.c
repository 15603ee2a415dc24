/* mutate.c - how libFuzzer changes inputs that have a structure, three times of four: JSON stays nearly JSON (a value, a string, a member
 * changed, removed or doubled), and the length of a safetensors header follows the header. */
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static const char *const values[] = {
    "0",    "-1",        "1",     "2",     "3",      "7",      "64",       "77",         "255",         "256",
    "1023", "4096",      "65535", "65536", "250000", "100000", "1048576",  "2147483647", "-2147483648", "4294967296",
    "1e30", "-1e308",    "0.5",   "-0.0",  "3.999",  "NaN",    "null",     "true",       "false",       "\"\"",
    "[]",   "[1,2,3,4]", "[[1]]", "{}",    "[null]", "\"x\"",  "\"../x\"", "Infinity",   "\"\\ud800\"", "9223372036854775808"};

static uint32_t state;

static size_t draw(size_t n)
{
    state = state * 1664525u + 1013904223u;
    return n ? (state >> 8) % n : 0;
}

/* Bytes from..to become `text`; the new size, or the old one where it does not fit. */
static size_t replace(uint8_t *data, size_t size, size_t max_size, size_t from, size_t to, const void *text, size_t length)
{
    if (size - (to - from) + length > max_size)
        return size;
    memmove(data + from + length, data + to, size - to);
    memcpy(data + from, text, length);
    return size - (to - from) + length;
}

/* A random place of the bytes from..to that begins a number, a string or a member; `to`: none. */
static size_t find_place(const uint8_t *data, size_t from, size_t to, const char *begins)
{
    size_t start = from + draw(to - from);
    for (size_t i = 0; i < to - from; i++) {
        size_t at = from + (start - from + i) % (to - from);
        if (data[at] && strchr(begins, data[at]))
            return at;
    }
    return to;
}

/* One change of the JSON in bytes from..to; returns the new size of all. */
static size_t mutate_json(uint8_t *data, size_t size, size_t max_size, size_t from, size_t to)
{
    static const char *const begins[] = {"0123456789", "\"", ",{["};
    static const char ends[][8] = {"", "\"", ",}]"};
    size_t kind = draw(3), at = to > from ? find_place(data, from, to, begins[kind]) : to, end = at + 1;
    uint8_t copy[1024];
    if (at == to)
        return size;
    while (end < to && (kind ? !strchr(ends[kind], data[end]) : strchr("0123456789.e+-", data[end]) && data[end]))
        end++;
    if (kind == 1 && end < to)
        end++;
    if (kind == 2 && draw(2)) { /* doubled */
        size_t length = MIN(end - at, sizeof copy);
        memcpy(copy, data + at, length);
        copy[0] = ',';
        return replace(data, size, max_size, end, end, copy, length);
    }
    if (kind == 2)
        return replace(data, size, max_size, at + (data[at] != ','), end, "", 0);
    const char *value = values[draw(COUNT(values))];
    return replace(data, size, max_size, at, end, value, strlen(value));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    const struct fuzz_target *target = fuzz_target_find(getenv("CLIO_FUZZ_TARGET"));
    size_t from = target->format == FUZZ_SAFETENSORS ? 8 : 0, length = 0;
    state = seed;
    if (target->format == FUZZ_BYTES || size <= from || draw(4) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (size_t i = 0; i < from; i++)
        length |= (size_t)data[i] << 8 * i;
    length = from ? MIN(length, size - from) : size;
    for (size_t i = 1 + draw(3); i > 0; i--) {
        size_t before = size;
        size = mutate_json(data, size, max_size, from, from + length);
        length += size - before; /* wraps around and back */
    }
    from = draw(10) ? from : 0; /* now and then the length is wrong */
    for (size_t i = 0; i < from; i++)
        data[i] = (uint8_t)(length >> 8 * i);
    return size;
}
