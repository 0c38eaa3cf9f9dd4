/* Work side by side: jobs 0 .. count-1, each done once, by up to `threads` threads that end before the call does.
 *
 * Threads are started anew by each call. That costs some microseconds, and leaves nothing behind that a fork, or
 * another library's pool of threads, could trip over.
 */
#ifndef BOUNDARY_LOSS_PARALLEL_H
#define BOUNDARY_LOSS_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

/* `worker`, below `threads`, is the same for no two jobs that run at one time: it picks the job's scratch memory. */
typedef void (*bl_job)(void *context, int64_t job, int worker);

void bl_parallel(int64_t count, int threads, bl_job job, void *context);

/* First writes fault once per 4 kB page: advise 2 MB pages where whole ones fit in the buffer, so that no more memory
 * is held. */
void bl_large_pages(void *data, size_t bytes);

/* Several versions of a function, of which the loader takes the widest that the processor can run. They are told apart by
 * features: with "arch=haswell" and the like, gcc asks for processors of that make alone. */
#if defined(__x86_64__) && defined(__GLIBC__) && (!defined(__clang__) || __clang_major__ >= 16)
#define BL_WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BL_WIDE
#endif

#define BL_INLINE static inline __attribute__((always_inline))
#define BL_EXPORT __attribute__((visibility("default")))

#endif
