/* Asking memory for what will be needed soon.
 *
 * A function that does nothing but ask has no effect that a compiler knows of, and GCC leaves out calls of such functions: the
 * empty statement of assembly is an effect, so that whoever asks is called. */

#ifndef BOURSE_NEAR_H
#define BOURSE_NEAR_H

/* Bring near the cache line at this address, which need not be one's own: nothing is read. It will probably be written. */
static inline void bring_near(const void *at) {
    __builtin_prefetch(at, 1);
    __asm__ volatile("");
}

#endif
