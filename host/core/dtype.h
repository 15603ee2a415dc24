/* dtype.h - the types of a tensor's elements, and conversions of numbers between them, in integer arithmetic. */
#ifndef CLIO_CORE_DTYPE_H
#define CLIO_CORE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* q8: bytes of blocks, cl/gemm_q8.cl. Those after it are storage types of files only (weights.h), never of a tensor on the device. */
enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I32, DTYPE_U8, DTYPE_Q8, DTYPE_F64, DTYPE_I64, DTYPE_F8_E4M3, DTYPE_F8_E5M2 };

/* Bytes of an element; "f32". */
size_t dtype_size(enum dtype dtype);
const char *dtype_name(enum dtype dtype);

/* IEEE half and bfloat16 to and from float, round to nearest even. */
float half_to_float(uint16_t h);
uint16_t float_to_half(float f);
float bfloat_to_float(uint16_t b);
uint16_t float_to_bfloat(float f);
/* The 8-bit floats of Micikevicius et al. 2022 ("FP8 Formats for Deep Learning"), to float. E4M3 has no infinity; 0x7f and 0xff are NaN. */
float e4m3_to_float(uint8_t b);
float e5m2_to_float(uint8_t b);
/* f rounded to the nearest value of f16 or bf16; f itself for other types. */
float dtype_nearest(enum dtype dtype, float f);
/* Whether one of `count` finite f32 or bf16 values (`source`) becomes infinite in f16 or q8_0 (`storage`). False for other types. */
bool dtype_overflows(enum dtype storage, enum dtype source, const void *values, size_t count);

#endif
