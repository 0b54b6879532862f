/* A heap with handles; see timers.h. */

#include "timers.h"

#include <stdlib.h>

#include "table.h"

bool timers_reserve(struct timers *timers, uint32_t room) {
    if (room <= timers->room) return true;
    struct timer *heap = array_grow(timers->heap, sizeof *heap, (size_t)timers->count + 1, (size_t)room + 1);
    if (!heap) return false;
    timers->heap = heap;
    uint32_t *at = array_grow(timers->at, sizeof *at, (size_t)timers->fresh + 1, (size_t)room + 1);
    if (!at) return false;
    timers->at = at;
    timers->room = room;
    return true;
}

void timers_close(struct timers *timers) {
    free(timers->heap);
    free(timers->at);
}

/* ---- The heap ------------------------------------------------------------------------------------------------- */

static bool is_before(const struct timer *one, const struct timer *other) {
    if (one->due_us != other->due_us) return one->due_us < other->due_us;
    if (one->kind != other->kind) return one->kind < other->kind;
    return one->id < other->id;
}

static void put(struct timers *timers, uint32_t place, struct timer timer) {
    timers->heap[place] = timer;
    timers->at[timer.handle] = place;
}

/* Let a timer rise from a place, or sink from it, to where it belongs. */
static void rise(struct timers *timers, uint32_t place, struct timer timer) {
    for (; place > 1 && is_before(&timer, &timers->heap[place / 2]); place /= 2) put(timers, place, timers->heap[place / 2]);
    put(timers, place, timer);
}

static void sink(struct timers *timers, uint32_t place, struct timer timer) {
    for (uint32_t child; (child = 2 * place) <= timers->count; place = child) {
        if (child < timers->count && is_before(&timers->heap[child + 1], &timers->heap[child])) child++;
        if (!is_before(&timers->heap[child], &timer)) break;
        put(timers, place, timers->heap[child]);
    }
    put(timers, place, timer);
}

/* ---- Timers --------------------------------------------------------------------------------------------------- */

uint32_t timers_set(struct timers *timers, int64_t due_us, enum timer_kind kind, uint64_t id, uint32_t ref) {
    assert(timers->count < timers->room);
    uint32_t handle = timers->free;
    if (handle == TIMER_NONE) {
        handle = ++timers->fresh;
    } else {
        timers->free = timers->at[handle];
    }
    rise(timers, ++timers->count, (struct timer){due_us, id, ref, handle, (uint8_t)kind});
    return handle;
}

void timers_clear(struct timers *timers, uint32_t *handle) {
    if (*handle == TIMER_NONE) return;
    uint32_t place = timers->at[*handle];
    assert(place >= 1 && place <= timers->count && timers->heap[place].handle == *handle);
    struct timer last = timers->heap[timers->count--];
    if (last.handle != *handle) {
        bool is_rising = place > 1 && is_before(&last, &timers->heap[place / 2]);
        if (is_rising) {
            rise(timers, place, last);
        } else {
            sink(timers, place, last);
        }
    }
    timers->at[*handle] = timers->free;
    timers->free = *handle;
    *handle = TIMER_NONE;
}

#define CHECK(rule) \
    do { \
        if (!(rule)) return __LINE__; \
    } while (0)

int timers_validate(const struct timers *timers) {
    CHECK(timers->count <= timers->room && timers->count <= timers->fresh);
    for (uint32_t place = 1; place <= timers->count; place++) {
        const struct timer *timer = &timers->heap[place];
        CHECK(place == 1 || !is_before(timer, &timers->heap[place / 2]));
        CHECK(timer->handle >= 1 && timer->handle <= timers->fresh && timers->at[timer->handle] == place);
    }
    uint32_t free_handles = 0;
    for (uint32_t handle = timers->free; handle != TIMER_NONE; handle = timers->at[handle]) {
        CHECK(++free_handles <= timers->fresh - timers->count);
    }
    CHECK(free_handles == timers->fresh - timers->count);
    return 0;
}
