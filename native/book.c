/* The steps: claim, attach, detach, release, fill, reduce, and walking the orders. See book.h. */

#include "book_steps.h"

uint32_t book_claim(struct book *book, const struct book_entry *entry) {
    if (book_pool_room(book->pool) == 0) return BOOK_NONE;
    assert(entry->side <= BOOK_SELL && entry->self_trade <= BOOK_SELF_TRADE_DECREMENT && entry->post_only <= 1);
    return claim(book, entry, ids_home(&book->pool->ids, entry->order_id));
}

/* Attach, if what the caller promised is true. */
static inline void attach_checked(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots, uint64_t priority) {
    const struct book_order *order = &book->pool->orders[slot];
    enum book_side side = (enum book_side)order->side;
    assert(order->level == BOOK_NONE && order->book == book->number);
    assert(price_ticks >= 1 && price_ticks <= BOOK_MAX_PRICE && lots >= 1);
    assert(book_side_has_room(book, side, lots) && (book->may_cross || !book_would_cross(book, side, price_ticks)));
    attach(book, side, slot, price_ticks, lots, priority);
}

void book_attach(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots) {
    attach_checked(book, slot, price_ticks, lots, book->next_priority++);
}

void book_attach_stamped(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots, uint64_t priority) {
    assert(priority >= 1 && priority < UINT64_MAX);
    attach_checked(book, slot, price_ticks, lots, priority);
    const struct book_order *order = &book->pool->orders[slot];
    assert(order->previous == BOOK_NONE || book->pool->orders[order->previous].priority < priority);
    if (priority >= book->next_priority) book->next_priority = priority + 1;
}

/* The order in a slot, which rests in this book. */
static inline struct book_order *resting_order(const struct book *book, uint32_t slot) {
    struct book_order *order = &book->pool->orders[slot];
    assert(order->level != BOOK_NONE && order->book == book->number);
    return order;
}

void book_detach(struct book *book, uint32_t slot) { detach(book, resting_order(book, slot)); }

void book_release(struct book *book, uint32_t slot) {
    const struct book_order *order = &book->pool->orders[slot];
    assert(order->level == BOOK_NONE && order->book == book->number);
    release(book->pool, slot, ids_home(&book->pool->ids, order->order_id));
}

uint32_t book_rest(struct book *book, const struct book_entry *entry, int64_t price_ticks, int64_t lots) {
    uint32_t slot = book_claim(book, entry);
    if (slot != BOOK_NONE) book_attach(book, slot, price_ticks, lots);
    return slot;
}

void book_remove(struct book *book, uint32_t slot) {
    struct book_order *order = resting_order(book, slot);
    detach(book, order);
    release(book->pool, slot, ids_home(&book->pool->ids, order->order_id));
}

int64_t book_fill(struct book *book, uint32_t slot, int64_t lots) {
    struct book_order *order = resting_order(book, slot);
    assert(slot == book_best_order(book, (enum book_side)order->side));
    assert(lots >= 1 && lots <= order->remaining_lots);
    if (lots < order->remaining_lots) {
        take_lots(book, order, lots);
        return order->remaining_lots;
    }
    detach(book, order);
    release(book->pool, slot, ids_home(&book->pool->ids, order->order_id));
    return 0;
}

void book_reduce(struct book *book, uint32_t slot, int64_t lots) {
    struct book_order *order = resting_order(book, slot);
    assert(lots >= 1 && lots < order->remaining_lots);
    take_lots(book, order, lots);
}

uint32_t book_next_order(const struct book *book, uint32_t slot) {
    const struct book_order *order = &book->pool->orders[slot];
    if (order->next != BOOK_NONE) return order->next;
    uint32_t level = book_next_level(book, order->level);
    return level == BOOK_NONE ? BOOK_NONE : book->pool->levels[level].first;
}

/* The case in which owners do not matter: by whole levels. */
static bool levels_hold(const struct book *book, enum book_side side, int64_t limit_key, int64_t lots) {
    for (uint32_t at = book_best_level(book, side); at != BOOK_NONE; at = book_next_level(book, at)) {
        const struct book_level *level = book_level_at(book, at);
        if (level->key > limit_key) return false;
        if (level->lots >= lots) return true;
        lots -= level->lots;
    }
    return false;
}

bool book_fillable(const struct book *book, enum book_side side, int64_t limit_ticks, int64_t lots, uint32_t owner,
                   enum book_self_trade self_trade) {
    enum book_side against = book_opposite(side);
    const struct book_half *half = &book->half[against];
    int64_t limit_key = worst_key(half, limit_ticks);
    if (self_trade == BOOK_SELF_TRADE_NONE) return levels_hold(book, against, limit_key, lots);
    for (uint32_t at = book_best_order(book, against); at != BOOK_NONE; at = book_next_order(book, at)) {
        const struct book_order *order = book_order_at(book->pool, at);
        if ((order->price_ticks ^ half->key_mask) > limit_key) return false;
        if (order->owner == owner) {
            if (self_trade != BOOK_SELF_TRADE_CANCEL_MAKER) return false;
            continue;
        }
        if (order->remaining_lots >= lots) return true;
        lots -= order->remaining_lots;
    }
    return false;
}
