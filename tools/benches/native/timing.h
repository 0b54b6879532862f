/* A clock for single messages, and quantiles. */

#ifndef BOURSE_BENCH_TIMING_H
#define BOURSE_BENCH_TIMING_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

static inline uint64_t timing_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* Before and after one message. On x86-64 the processor's counter, with a fence on either side: nothing of the message begins
 * before the first reading, and all of it is done before the second. Elsewhere the monotonic clock. */
static inline uint64_t timing_begin(void) {
#if defined(__x86_64__)
    _mm_lfence();
    uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return timing_ns();
#endif
}

static inline uint64_t timing_end(void) {
#if defined(__x86_64__)
    unsigned unused;
    uint64_t now = __rdtscp(&unused);
    _mm_lfence();
    return now;
#else
    return timing_ns();
#endif
}

static inline const char *timing_clock(void) {
#if defined(__x86_64__)
    return "rdtsc between lfence, rdtscp";
#else
    return "clock_gettime";
#endif
}

/* How long the counter's steps are: two readings of both clocks, 50 ms apart. */
static inline double timing_ns_per_tick(void) {
    uint64_t ns = timing_ns(), ticks = timing_begin();
    while (timing_ns() - ns < 50000000) {
    }
    uint64_t ticks_after = timing_end();
    return (double)(timing_ns() - ns) / (double)(ticks_after - ticks);
}

static inline int timing_compare(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return one < other ? -1 : one > other;
}

static inline void timing_sort(uint32_t *values, size_t count) { qsort(values, count, sizeof *values, timing_compare); }

/* Of sorted values. */
static inline uint32_t timing_quantile(const uint32_t *values, size_t count, double share) {
    size_t at = (size_t)((double)count * share);
    return values[at < count ? at : count - 1];
}

/* What a reading takes with nothing in between: the median of many. Taken off every single measurement. */
static inline uint32_t timing_overhead(void) {
    enum { READINGS = 10001 };
    static uint32_t ticks[READINGS];
    for (size_t i = 0; i < READINGS; i++) {
        uint64_t begin = timing_begin();
        ticks[i] = (uint32_t)(timing_end() - begin);
    }
    timing_sort(ticks, READINGS);
    return ticks[READINGS / 2];
}

/* The step in which the clock moves: what all its readings have as a common divisor. */
static inline uint64_t timing_step(void) {
    uint64_t first = timing_begin(), step = 0;
    for (int i = 0; i < 10000; i++) {
        uint64_t apart = timing_begin() - first;
        while (apart != 0) {
            uint64_t rest = step % apart;
            step = apart;
            apart = rest;
        }
    }
    return step;
}

#endif
