/* simulate_private.h - what the files of the layer share: the description, the calls below, and the calls of each file. */
#ifndef CLIO_SIMULATE_PRIVATE_H
#define CLIO_SIMULATE_PRIVATE_H

#include "simulate.h"

extern struct simulated_device simulated;
extern const cl_icd_dispatch *simulate_below;

/* Put the calls of a file into the layer's table: queries and queues; programs and kernels; buffers and launches; newer calls, refused. */
void simulate_queries(cl_icd_dispatch *layer);
void simulate_programs(cl_icd_dispatch *layer);
void simulate_execution(cl_icd_dispatch *layer);
void simulate_newer_calls(cl_icd_dispatch *layer);

/* The description's CL_KERNEL_WORK_GROUP_SIZE of a kernel; SIZE_MAX: none. */
size_t simulate_kernel_limit(cl_kernel kernel);

#endif
