/* The steps: claim, attach, detach, release, fill, reduce, and walking the orders. See book.h. */

#include "book_inner.h"

uint32_t book_claim(struct book *book, const struct book_entry *entry) {
    struct book_pool *pool = book->pool;
    if (book_pool_room(pool) == 0) return BOOK_NONE;
    assert(entry->side <= BOOK_SELL && entry->self_trade <= BOOK_SELF_TRADE_DECREMENT && entry->post_only <= 1);
    uint32_t slot = pool_take_order(pool);
    pool->orders[slot] = (struct book_order){
        .order_id = entry->order_id,
        .owner = entry->owner,
        .book = book->number,
        .side = entry->side,
        .self_trade = entry->self_trade,
        .post_only = entry->post_only,
    };
    ids_put(&pool->ids, entry->order_id, slot);
    return slot;
}

/* Link an order behind the last one of its level. */
static inline void level_push(struct book_pool *pool, uint32_t number, uint32_t slot) {
    struct book_level *level = &pool->levels[number];
    struct book_order *order = &pool->orders[slot];
    order->level = number;
    order->next = BOOK_NONE;
    order->previous = level->last;
    if (level->last == BOOK_NONE) {
        level->first = slot;
    } else {
        pool->orders[level->last].next = slot;
    }
    level->last = slot;
    level->lots += order->remaining_lots;
    level->orders++;
}

/* Take an order out of its level's queue, wherever it stands. The level may be empty afterwards. */
static inline void level_unlink(struct book_pool *pool, struct book_level *level, const struct book_order *order) {
    if (order->previous == BOOK_NONE) {
        level->first = order->next;
    } else {
        pool->orders[order->previous].next = order->next;
    }
    if (order->next == BOOK_NONE) {
        level->last = order->previous;
    } else {
        pool->orders[order->next].previous = order->previous;
    }
    level->lots -= order->remaining_lots;
    level->orders--;
}

static inline void attach(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots, uint64_t priority) {
    struct book_order *order = &book->pool->orders[slot];
    uint32_t side = order->side;
    struct book_half *half = &book->half[side];
    assert(order->level == BOOK_NONE && order->book == book->number);
    assert(price_ticks >= 1 && price_ticks <= BOOK_MAX_PRICE && lots >= 1);
    assert(book_side_has_room(book, side, lots) && (book->may_cross || !book_would_cross(book, side, price_ticks)));
    order->price_ticks = price_ticks;
    order->remaining_lots = lots;
    order->priority = priority;
    half->lots += lots;
    half->order_count++;
    level_push(book->pool, level_for(book, side, price_ticks ^ half->key_mask), slot);
}

void book_attach(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots) {
    attach(book, slot, price_ticks, lots, book->next_priority++);
}

void book_attach_stamped(struct book *book, uint32_t slot, int64_t price_ticks, int64_t lots, uint64_t priority) {
    assert(priority >= 1 && priority < UINT64_MAX);
    attach(book, slot, price_ticks, lots, priority);
    const struct book_order *order = &book->pool->orders[slot];
    assert(order->previous == BOOK_NONE || book->pool->orders[order->previous].priority < priority);
    if (priority >= book->next_priority) book->next_priority = priority + 1;
}

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

static inline void release(struct book_pool *pool, uint32_t slot) {
    assert(pool->orders[slot].level == BOOK_NONE);
    ids_drop(&pool->ids, pool->orders[slot].order_id, slot);
    pool_give_order(pool, slot);
}

void book_detach(struct book *book, uint32_t slot) { detach(book, slot); }

void book_release(struct book *book, uint32_t slot) {
    assert(book->pool->orders[slot].book == book->number);
    release(book->pool, slot);
}

uint32_t book_rest(struct book *book, const struct book_entry *entry, int64_t price_ticks, int64_t lots) {
    uint32_t slot = book_claim(book, entry);
    if (slot != BOOK_NONE) attach(book, slot, price_ticks, lots, book->next_priority++);
    return slot;
}

void book_remove(struct book *book, uint32_t slot) {
    detach(book, slot);
    release(book->pool, slot);
}

/* Take lots off a resting order that keeps some: in all three sums they are part of. */
static inline void take_lots(struct book *book, uint32_t slot, int64_t lots) {
    struct book_order *order = &book->pool->orders[slot];
    assert(order->level != BOOK_NONE && order->book == book->number);
    assert(lots >= 1 && lots < order->remaining_lots);
    order->remaining_lots -= lots;
    book->pool->levels[order->level].lots -= lots;
    book->half[order->side].lots -= lots;
}

int64_t book_fill(struct book *book, uint32_t slot, int64_t lots) {
    const struct book_order *order = &book->pool->orders[slot];
    assert(slot == book_best_order(book, order->side));
    if (lots < order->remaining_lots) {
        take_lots(book, slot, lots);
        return order->remaining_lots;
    }
    assert(lots == order->remaining_lots);
    detach(book, slot);
    release(book->pool, slot);
    return 0;
}

void book_reduce(struct book *book, uint32_t slot, int64_t lots) { take_lots(book, slot, lots); }

uint32_t book_next_order(const struct book *book, uint32_t slot) {
    const struct book_order *order = &book->pool->orders[slot];
    if (order->next != BOOK_NONE) return order->next;
    uint32_t level = book_next_level(book, order->level);
    return level == BOOK_NONE ? BOOK_NONE : book->pool->levels[level].first;
}

/* Is a key of this half within the limit of an order that comes from the other side? */
static inline bool within(const struct book_half *half, int64_t key, int64_t limit_ticks) {
    return limit_ticks == BOOK_ANY_PRICE || key <= (limit_ticks ^ half->key_mask);
}

/* The case in which owners do not matter: by whole levels. */
static bool levels_hold(const struct book *book, enum book_side side, int64_t limit_ticks, int64_t lots) {
    for (uint32_t at = book_best_level(book, side); at != BOOK_NONE; at = book_next_level(book, at)) {
        const struct book_level *level = book_level_at(book, at);
        if (!within(&book->half[side], level->key, limit_ticks)) return false;
        if (level->lots >= lots) return true;
        lots -= level->lots;
    }
    return false;
}

bool book_fillable(const struct book *book, enum book_side side, int64_t limit_ticks, int64_t lots, uint32_t owner,
                   enum book_self_trade self_trade) {
    enum book_side against = book_opposite(side);
    if (self_trade == BOOK_SELF_TRADE_NONE) return levels_hold(book, against, limit_ticks, lots);
    for (uint32_t at = book_best_order(book, against); at != BOOK_NONE; at = book_next_order(book, at)) {
        const struct book_order *order = book_order_at(book->pool, at);
        if (!within(&book->half[against], order->price_ticks ^ book->half[against].key_mask, limit_ticks)) return false;
        if (order->owner == owner) {
            if (self_trade != BOOK_SELF_TRADE_CANCEL_MAKER) return false;
            continue;
        }
        if (order->remaining_lots >= lots) return true;
        lots -= order->remaining_lots;
    }
    return false;
}
