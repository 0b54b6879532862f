/* Asking memory for what will be needed soon, and clearing a little of it.
 *
 * A function that does nothing but ask has no effect that a compiler knows of, and GCC leaves out calls of such functions: the
 * empty statement of assembly is an effect, so that whoever asks is called. */

#ifndef BOURSE_NEAR_H
#define BOURSE_NEAR_H

#include <stddef.h>
#include <string.h>

/* Make up to 192 bytes zero. `size` is a constant where this is called, and each of the pieces becomes a few moves. From about 80
 * bytes on GCC would take the one instruction for it, which needs longer to begin than all of these together. */
static inline void clear_bytes(void *at, size_t size) {
    char *from = at;
    size_t first = size < 64 ? size : 64, second = size - first < 64 ? size - first : 64;
    memset(from, 0, first);
    memset(from + first, 0, second);
    memset(from + first + second, 0, size - first - second);
}

/* Bring near the cache line at this address, which need not be one's own: nothing is read. It will probably be written. */
static inline void bring_near(const void *at) {
    __builtin_prefetch(at, 1);
    __asm__ volatile("");
}

#endif
