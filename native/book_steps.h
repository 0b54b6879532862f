/* The steps of book.h as static inline functions: for book.c, which gives them to everybody, and for book_place.c, whose
 * every message is made of two or three of them and should be one call all the same. Nobody else includes this file. */

#ifndef BOURSE_BOOK_STEPS_H
#define BOURSE_BOOK_STEPS_H

#include "book_inner.h"

/* What these rely on is checked where the caller is a stranger: in the functions of book.h. */

/* Take a slot, of which there is one, for an order of this book whose id has this home. */
BOOK_INLINE uint32_t claim(struct book *book, const struct book_entry *entry, uint32_t home) {
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

/* Put a claimed order of this side at the back of its price. */
BOOK_INLINE void attach(struct book *book, uint32_t side, uint32_t slot, int64_t price_ticks, int64_t lots, uint64_t priority) {
    struct book_order *order = &book->pool->orders[slot];
    struct book_half *half = &book->half[side];
    order->price_ticks = price_ticks;
    order->remaining_lots = lots;
    order->priority = priority;
    half->lots += lots;
    half->order_count++;
    level_push_at(book, side, price_ticks ^ half->key_mask, order, slot);
}

/* Take a resting order out of its queue. */
BOOK_INLINE void detach(struct book *book, struct book_order *order) {
    struct book_pool *pool = book->pool;
    struct book_half *half = &book->half[order->side];
    struct book_level *level = &pool->levels[order->level];
    half->lots -= order->remaining_lots;
    half->order_count--;
    level_unlink(pool, level, order);
    if (level->orders == 0) level_drop(book, order->side, order->level);
    order->level = BOOK_NONE;
}

/* An order has become the best: ask memory for the third of its queue, and where the second's id stands. Who sweeps the
 * level meets them next, and all have rested long enough to be in no cache; the first two were asked for earlier. */
BOOK_INLINE void bring_followers(const struct book_pool *pool, const struct book_order *best) {
    const struct book_order *second = &pool->orders[best->next];
    bring_near(&pool->orders[second->next]);
    bring_near(&pool->ids.first[ids_home(&pool->ids, second->order_id)]);
}

/* The same for the best order of a side. */
BOOK_INLINE void detach_best(struct book *book, struct book_order *order) {
    struct book_pool *pool = book->pool;
    uint32_t side = order->side;
    struct book_half *half = &book->half[side];
    struct book_level *level = &pool->levels[half->best_level];
    uint32_t next = order->next;
    half->lots -= order->remaining_lots;
    half->order_count--;
    if (next != BOOK_NONE) {
        level->first = next;
        level->lots -= order->remaining_lots;
        level->orders--;
        pool->orders[next].previous = BOOK_NONE;
        bring_followers(pool, &pool->orders[next]);
    } else {
        level_drop(book, side, half->best_level);
    }
    order->level = BOOK_NONE;
}

/* Give back a claimed order that does not rest, whose id has this home. */
BOOK_INLINE void release(struct book_pool *pool, uint32_t slot, uint32_t home) {
    ids_drop_at(&pool->ids, home, slot);
    pool_give_order(pool, slot);
}

/* Take lots off a resting order that keeps some: in all three sums they are part of. */
BOOK_INLINE void take_lots(struct book *book, struct book_order *order, int64_t lots) {
    order->remaining_lots -= lots;
    book->pool->levels[order->level].lots -= lots;
    book->half[order->side].lots -= lots;
}

#endif
