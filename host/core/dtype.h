/* dtype.h - the types of a tensor's elements, and conversions of numbers between them, in integer arithmetic. */
#ifndef CLIO_CORE_DTYPE_H
#define CLIO_CORE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I32, DTYPE_U8, DTYPE_Q8 }; /* q8: bytes of blocks, cl/gemm_q8.cl */

/* Bytes of an element; "f32". */
size_t dtype_size(enum dtype dtype);
const char *dtype_name(enum dtype dtype);

/* IEEE half and bfloat16 to and from float, round to nearest even. */
float half_to_float(uint16_t h);
uint16_t float_to_half(float f);
float bfloat_to_float(uint16_t b);
uint16_t float_to_bfloat(float f);
/* f rounded to the nearest value of f16 or bf16; f itself for other types. */
float dtype_nearest(enum dtype dtype, float f);

#endif
