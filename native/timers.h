/* What is due at a time: a heap of (time, kind, id), the earliest on top.
 *
 * Whoever sets a timer keeps its handle, a small number that stays valid until the timer is cleared. Timers that are due at
 * the same time come by kind, then by id; both together are the timer's own, so the order is one whatever way the heap grew.
 *
 * Cost: setting and clearing walk one path of the heap; looking at the top costs nothing. 32 bytes a timer of the room, only
 * reserved. A heap and its handles are the oldest of arts (Williams 1964). */

#ifndef BOURSE_TIMERS_H
#define BOURSE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMER_NONE 0u

enum timer_kind {
    TIMER_ORDER = 0,   /* id: order_id; ref: slot */
    TIMER_ACCOUNT = 1, /* id: the account's number; ref: its place */
    TIMER_PHASE = 2,   /* id: the instrument's; ref: its place */
};

struct timer {
    int64_t due_us;
    uint64_t id;
    uint32_t ref;
    uint32_t handle;
    uint8_t kind;
};

struct timers {
    struct timer *heap;  /* from 1 */
    uint32_t *at;        /* of each handle: its place in the heap, or the next free handle */
    uint32_t count;
    uint32_t room;
    uint32_t free;       /* handles that were given back, last in first out */
    uint32_t fresh;      /* handles given so far */
};

/* Room for so many timers; never less. False: no memory, and all is as it was. */
bool timers_reserve(struct timers *timers, uint32_t room);
void timers_close(struct timers *timers);

/* Set a timer; there is room. Returns its handle. */
uint32_t timers_set(struct timers *timers, int64_t due_us, enum timer_kind kind, uint64_t id, uint32_t ref);

/* Clear the timer and make the handle TIMER_NONE. TIMER_NONE is fine. */
void timers_clear(struct timers *timers, uint32_t *handle);

/* The first timer, or NULL. Valid until the next call. */
static inline const struct timer *timers_first(const struct timers *timers) {
    return timers->count == 0 ? NULL : &timers->heap[1];
}

/* Check the heap and its handles. 0, or the line in timers.c that does not hold. */
int timers_validate(const struct timers *timers);

#endif
