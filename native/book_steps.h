/* The steps of book.h as static inline functions: for book.c, which gives them to everybody, and for book_place.c, whose
 * every message is made of two or three of them and should be one call all the same. Nobody else includes this file. */

#ifndef BOURSE_BOOK_STEPS_H
#define BOURSE_BOOK_STEPS_H

#include "book_inner.h"

/* ---- Queues --------------------------------------------------------------------------------------------------- */

/* Link an order with its lots behind the last one of its level. Which link that is, is a choice of an address: a
 * conditional move, where a branch would be guessed wrong. */
static inline void level_push(struct book_pool *pool, uint32_t number, struct book_order *order, uint32_t slot) {
    struct book_level *level = &pool->levels[number];
    uint32_t last = level->last;
    uint32_t *link = last == BOOK_NONE ? &level->first : &pool->orders[last].next;
    order->level = number;
    order->next = BOOK_NONE;
    order->previous = last;
    *link = slot;
    level->last = slot;
    level->lots += order->remaining_lots;
    level->orders++;
}

/* Take an order out of its level's queue, wherever it stands. The level may be empty afterwards. */
static inline void level_unlink(struct book_pool *pool, struct book_level *level, const struct book_order *order) {
    uint32_t next = order->next, previous = order->previous;
    uint32_t *forward = previous == BOOK_NONE ? &level->first : &pool->orders[previous].next;
    uint32_t *backward = next == BOOK_NONE ? &level->last : &pool->orders[next].previous;
    *forward = next;
    *backward = previous;
    level->lots -= order->remaining_lots;
    level->orders--;
}

/* ---- Claim, attach, detach, release --------------------------------------------------------------------------- */

/* Take a slot, of which there is one, for an order of this book whose id has this home. */
static inline uint32_t claim(struct book *book, const struct book_entry *entry, uint32_t home) {
    struct book_pool *pool = book->pool;
    uint32_t slot = pool_take_order(pool);
    struct book_order *order = &pool->orders[slot];
    order->order_id = entry->order_id;
    order->price_ticks = 0;
    order->remaining_lots = 0;
    order->priority = 0;
    order->caller_word = 0;
    order->owner = entry->owner;
    order->book = book->number;
    order->level = BOOK_NONE;
    order->next = BOOK_NONE;
    order->previous = BOOK_NONE;
    order->side = entry->side;
    order->self_trade = entry->self_trade;
    order->post_only = entry->post_only;
    order->unused = 0;
    ids_put_at(&pool->ids, home, slot);
    return slot;
}

/* Put a claimed order at the back of its price. */
static inline void attach(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots, uint64_t priority) {
    struct book_order *order = &book->pool->orders[slot];
    uint32_t side = order->side;
    struct book_half *half = &book->half[side];
    assert(order->level == BOOK_NONE && order->book == book->number);
    order->price_ticks = price_ticks;
    order->remaining_lots = lots;
    order->priority = priority;
    half->lots += lots;
    half->order_count++;
    level_push(book->pool, level_for(book, side, price_ticks ^ half->key_mask), order, slot);
}

/* Take a resting order out of its queue. */
static inline void detach(struct book *book, uint32_t slot) {
    struct book_pool *pool = book->pool;
    struct book_order *order = &pool->orders[slot];
    struct book_half *half = &book->half[order->side];
    assert(order->level != BOOK_NONE && order->book == book->number);
    struct book_level *level = &pool->levels[order->level];
    half->lots -= order->remaining_lots;
    half->order_count--;
    level_unlink(pool, level, order);
    if (level->orders == 0) level_drop(book, order->side, order->level);
    order->level = BOOK_NONE;
}

/* Give back a claimed order that does not rest, whose id has this home. */
static inline void release(struct book_pool *pool, uint32_t slot, uint32_t home) {
    assert(pool->orders[slot].level == BOOK_NONE);
    ids_drop_at(&pool->ids, home, slot);
    pool_give_order(pool, slot);
}

static inline uint32_t home_of(const struct book_pool *pool, uint32_t slot) {
    return ids_home(&pool->ids, pool->orders[slot].order_id);
}

/* ---- Lots ----------------------------------------------------------------------------------------------------- */

/* Take lots off a resting order that keeps some: in all three sums they are part of. */
static inline void take_lots(struct book *book, uint32_t slot, int64_t lots) {
    struct book_order *order = &book->pool->orders[slot];
    assert(order->level != BOOK_NONE && order->book == book->number);
    assert(lots >= 1 && lots < order->remaining_lots);
    order->remaining_lots -= lots;
    book->pool->levels[order->level].lots -= lots;
    book->half[order->side].lots -= lots;
}

/* Trade lots, at most all of them, with the best order of its side. */
static inline int64_t fill(struct book *book, uint32_t slot, int64_t lots) {
    const struct book_order *order = &book->pool->orders[slot];
    if (lots < order->remaining_lots) {
        take_lots(book, slot, lots);
        return order->remaining_lots;
    }
    assert(lots == order->remaining_lots);
    uint32_t home = home_of(book->pool, slot);
    detach(book, slot);
    release(book->pool, slot, home);
    return 0;
}

#endif
