/* fault.h - fault injection into a whole command: a library that is loaded before all others (LD_PRELOAD) and as a layer of the OpenCL
 * loader (OPENCL_LAYERS). It counts the calls that clio and the libraries it uses make to the operating system and to OpenCL, by the name
 * of a point ("read", "memory.png", "clEnqueueReadBuffer"), and makes one of them, or all from one on, fail. It is driven by campaign.py;
 * by hand:
 *
 *     FAULT="POINT N ACTION [all]" FAULT_LOG=FILE LD_PRELOAD=libfault.so OPENCL_LAYERS=/absolute/libfault.so clio ...
 *
 * POINT   a name as the log lists them, or a group: opencl, memory, reading, writing, clocks. N: the first call that is struck.
 * ACTION  fail=CODE (an errno, or an OpenCL error code), short (a read or write of half the bytes), signal=NUMBER (raised before the call),
 *         jump=SECONDS (the clock, from here on), cut=FILE (truncated to half its size: a copy of weights that is replaced while it is
 * read) all     every later call of the group fails too: a lost device, a full disk, no memory left FILE    gets "hit POINT N" with the
 * call stack when the fault comes, and "count POINT N" for each point at exit
 *
 * Calls by other libraries (the OpenCL implementation and its compiler, fontconfig, MPI) are neither counted nor struck: what they do
 * without memory is not clio's to answer for. Uses what C11 lacks: dlsym(RTLD_NEXT), the address of the caller, fopencookie. */
#ifndef CLIO_FAULT_H
#define CLIO_FAULT_H

#include <stdbool.h>

enum fault_group { FAULT_OPENCL, FAULT_MEMORY, FAULT_READING, FAULT_WRITING, FAULT_CLOCK, FAULT_GROUPS };

#define FAULT_CALLER __builtin_return_address(0)

/* The module of the caller: "clio" (command and library), "png" (of libpng16.so.16) ..., or NULL: not to be struck. */
const char *fault_module(const void *caller);
/* Count a call; true: it is to fail. Signals and cut files happen here. */
bool fault_due(enum fault_group group, const char *point);
/* The code that the call fails with. */
int fault_code(void);
/* The call is to transfer half the bytes and not to fail. */
bool fault_is_short(void);
/* Seconds that the clock is off. */
long fault_clock_offset(void);
/* *function = the function `name` of the library that would serve without this one. function: the address of a function pointer. */
void fault_next(void *function, const char *name);

#endif
