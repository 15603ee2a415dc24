/* dtype.c - see dtype.h. */
#include "dtype.h"

#include <math.h>
#include <string.h>

/* Bits of an f32 without its sign. */
#define INFINITE 0x7f800000u
#define BEYOND_HALF 0x477ff000u /* 65520, the first number that does not round to 65504, the greatest of f16 */

size_t dtype_size(enum dtype dtype)
{
    static const size_t sizes[] = {4, 2, 2, 4, 1, 1, 8, 8, 1, 1};
    return sizes[dtype];
}

const char *dtype_name(enum dtype dtype)
{
    static const char *const names[] = {"f32", "f16", "bf16", "i32", "u8", "q8_0", "f64", "i64", "f8_e4m3", "f8_e5m2"};
    return names[dtype];
}

float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ff, bits;
    float f;
    if (exponent == 31)
        bits = sign | 0x7f800000u | mantissa << 13;
    else if (exponent)
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else {
        f = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &f, 4);
        bits |= sign;
    }
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t float_to_half(float f)
{
    uint32_t bits, sign, magnitude;
    memcpy(&bits, &f, 4);
    sign = bits >> 16 & 0x8000;
    magnitude = bits & 0x7fffffff;
    if (magnitude >= INFINITE) /* infinity, NaN */
        return (uint16_t)(sign | 0x7c00 | (magnitude > INFINITE ? 0x200 : 0));
    if (magnitude >= BEYOND_HALF)
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* below 2^-14: a multiple of 2^-24 */
        float value, shifted;
        memcpy(&value, &magnitude, 4);
        shifted = value * 0x1p24f + 0x1p23f; /* the sum rounds to the nearest integer, ties to even */
        memcpy(&bits, &shifted, 4);
        return (uint16_t)(sign | (bits & 0x7ff));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1);
    return (uint16_t)(sign | ((magnitude - 0x38000000) >> 13));
}

float bfloat_to_float(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

uint16_t float_to_bfloat(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40); /* rounding may not make a number of a NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float e4m3_to_float(uint8_t b)
{
    int exponent = b >> 3 & 15, mantissa = b & 7;
    float f = exponent ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9); /* bias 7, 3 bits of mantissa */
    if ((b & 0x7f) == 0x7f)
        f = NAN;
    return b & 0x80 ? -f : f;
}

float e5m2_to_float(uint8_t b)
{
    return half_to_float((uint16_t)(b << 8)); /* a half without the lower bits of its mantissa */
}

float dtype_nearest(enum dtype dtype, float f)
{
    return dtype == DTYPE_F16 ? half_to_float(float_to_half(f)) : dtype == DTYPE_BF16 ? bfloat_to_float(float_to_bfloat(f)) : f;
}

bool dtype_overflows(enum dtype storage, enum dtype source, const void *values, size_t count)
{
    const unsigned char *from = values;
    float most = 65520.0f * 127.0f; /* q8_0 stores the greatest of 32 numbers divided by 127 as f16 */
    uint32_t first, bits;
    uint16_t half;
    size_t found = 0;
    memcpy(&first, &most, sizeof first);
    first = storage == DTYPE_F16 ? BEYOND_HALF : first;
    if (storage != DTYPE_F16 && storage != DTYPE_Q8)
        return false;
    for (size_t i = 0; source == DTYPE_F32 && i < count; i++) {
        memcpy(&bits, from + i * sizeof bits, sizeof bits);
        found += (bits & 0x7fffffff) - first < INFINITE - first;
    }
    for (size_t i = 0; source == DTYPE_BF16 && i < count; i++) {
        memcpy(&half, from + i * sizeof half, sizeof half);
        found += ((uint32_t)(half & 0x7fff) << 16) - first < INFINITE - first;
    }
    return found > 0;
}
