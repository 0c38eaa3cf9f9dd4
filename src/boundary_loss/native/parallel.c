#include "parallel.h"

#include <pthread.h>
#include <sys/mman.h>

enum { MOST_THREADS = 64 };

typedef struct {
    int64_t count;
    int64_t next;
    bl_job job;
    void *context;
} Queue;

typedef struct {
    Queue *queue;
    int worker;
} Worker;

static void *work(void *argument) {
    const Worker *self = argument;
    Queue *queue = self->queue;
    for (;;) {
        int64_t job = __atomic_fetch_add(&queue->next, 1, __ATOMIC_RELAXED);
        if (job >= queue->count) return 0;
        queue->job(queue->context, job, self->worker);
    }
}

void bl_parallel(int64_t count, int threads, bl_job job, void *context) {
    Queue queue = {count, 0, job, context};
    Worker workers[MOST_THREADS];
    pthread_t started[MOST_THREADS];
    int others = 0;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    if (threads > count) threads = (int)count;
    for (int worker = 1; worker < threads; worker++) {
        workers[worker] = (Worker){&queue, worker};
        /* where no further thread is to be had, those that are do the work */
        if (pthread_create(&started[others], 0, work, &workers[worker]) != 0) break;
        others++;
    }
    workers[0] = (Worker){&queue, 0};
    work(&workers[0]);
    for (int other = 0; other < others; other++) pthread_join(started[other], 0);
}

void bl_large_pages(void *data, size_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t size = (uintptr_t)1 << 21, from = ((uintptr_t)data + size - 1) / size * size;
    const uintptr_t to = ((uintptr_t)data + bytes) / size * size;
    if (from + 4 * size < to) madvise((void *)from, to - from, MADV_HUGEPAGE); /* where it cannot be, nothing is lost */
#else
    (void)data, (void)bytes;
#endif
}

BL_EXPORT int bl_interface(void) { return 5; }
