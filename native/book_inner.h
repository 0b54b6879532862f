/* What the book's own files share: free lists of the pool, the map of ids, the window and the far tree.
 *
 * Whatever runs for nearly every message is a static inline function here, so that a call of the book is one call;
 * what runs seldom is declared here and stands in book_levels.c, book_far.c and book_pool.c. Nobody else includes
 * this file. */

#ifndef BOURSE_BOOK_INNER_H
#define BOURSE_BOOK_INNER_H

#include "book.h"
#include "insist.h"
#include "near.h"

/* For what is part of nearly every message: the compiler would make a function of what is used in several places. */
#define BOOK_INLINE static inline __attribute__((always_inline))

/* ---- Free lists ----------------------------------------------------------------------------------------------- */

/* What was freed last is taken first: its cache line is the warmest there is. */
static inline uint32_t pool_take_order(struct book_pool *pool) {
    uint32_t slot = pool->free_order;
    if (slot != BOOK_NONE) {
        pool->free_order = pool->orders[slot].next;
    } else {
        slot = pool->fresh_order++;
    }
    pool->order_count++;
    return slot;
}

static inline void pool_give_order(struct book_pool *pool, uint32_t slot) {
    pool->orders[slot].next = pool->free_order;
    pool->free_order = slot;
    pool->order_count--;
}

/* There is always one: a level holds at least one order, so there are as many levels as orders in reserve. */
static inline uint32_t pool_take_level(struct book_pool *pool) {
    uint32_t level = pool->free_level;
    if (level != BOOK_NONE) {
        pool->free_level = pool->levels[level].first;
    } else {
        level = pool->fresh_level++;
        assert(level <= pool->reserved);
    }
    pool->level_count++;
    return level;
}

static inline void pool_give_level(struct book_pool *pool, uint32_t level) {
    pool->levels[level].first = pool->free_level;
    pool->free_level = level;
    pool->level_count--;
}

/* ---- Ids ------------------------------------------------------------------------------------------------------ */

/* Odd and near 2^64 divided by the golden ratio: multiplying by it spreads neighbours (Knuth, volume 3, 6.4). */
#define BOOK_SPREAD UINT64_C(0x9E3779B97F4A7C15)

/* Where an id is looked for. Bits that are the same in all ids are turned to the top first. Consecutive ids have
 * consecutive homes, up to as many as there are; where a block of so many begins is spread. */
static inline uint32_t ids_home(const struct book_ids *ids, uint64_t order_id) {
    uint64_t turned = order_id >> ids->id_shift | order_id << (-(uint32_t)ids->id_shift & 63);
    uint64_t block = turned >> ids->bits;
    return ((uint32_t)turned + (uint32_t)(block * BOOK_SPREAD >> 32)) & ids->mask;
}

/* The link that follows one of those to ids of one home, BOOK_NONE if it is the last. */
static inline uint32_t ids_after(const struct book_ids *ids, uint32_t link) {
    return (link & BOOK_ID_SHARED) != 0 ? ids->next[link & ~BOOK_ID_SHARED] : BOOK_NONE;
}

/* The slot of the order with this id, whose home this is, or BOOK_NONE. */
static inline uint32_t ids_find_at(const struct book_pool *pool, uint32_t home, uint64_t order_id) {
    for (uint32_t link = pool->ids.first[home]; link != BOOK_NONE; link = ids_after(&pool->ids, link)) {
        uint32_t slot = link & ~BOOK_ID_SHARED;
        if (pool->orders[slot].order_id == order_id) return slot;
    }
    return BOOK_NONE;
}

/* The slot of the order with this id, or BOOK_NONE. */
static inline uint32_t ids_find(const struct book_pool *pool, uint64_t order_id) {
    return ids_find_at(pool, ids_home(&pool->ids, order_id), order_id);
}

/* Add an id that is not there, at its home. */
static inline void ids_put_at(struct book_ids *ids, uint32_t home, uint32_t slot) {
    uint32_t link = ids->first[home];
    if (link != BOOK_NONE) {
        ids->next[slot] = link;
        slot |= BOOK_ID_SHARED;
    }
    ids->first[home] = slot;
}

/* Forget the id of a slot, of those that share this home (book_pool.c). */
void ids_drop_shared(struct book_ids *ids, uint32_t home, uint32_t slot);

/* Forget the id of a slot, which is entered at this home. */
static inline void ids_drop_at(struct book_ids *ids, uint32_t home, uint32_t slot) {
    if (ids->first[home] == slot) {
        ids->first[home] = BOOK_NONE;
    } else {
        ids_drop_shared(ids, home, slot);
    }
}

/* ---- The far tree (book_far.c) -------------------------------------------------------------------------------- */

/* The level with this key, or BOOK_NONE. */
uint32_t far_find(const struct book_pool *pool, uint32_t root, int64_t key);

/* Add a level whose key is not there. */
void far_put(struct book_pool *pool, uint32_t *root, uint32_t level);

/* Take out the level with this key, which is there. */
void far_drop(struct book_pool *pool, uint32_t *root, int64_t key);

/* The level with the lowest key; the tree is not empty. */
uint32_t far_first(const struct book_pool *pool, uint32_t root);

/* The level with the lowest key above this one, which is there; or BOOK_NONE. */
uint32_t far_after(const struct book_pool *pool, uint32_t root, int64_t key);

/* ---- The window ----------------------------------------------------------------------------------------------- */

static inline uint32_t window_place(int64_t key) { return (uint32_t)((uint64_t)key & (BOOK_WINDOW - 1)); }

static inline bool window_covers(const struct book_half *half, int64_t key) {
    return (uint64_t)(key - half->base_key) < (uint64_t)(half->edge_key - half->base_key);
}

static inline bool window_holds(const struct book_half *half, uint32_t place) {
    return half->words[place / 64] >> (place % 64) & 1;
}

/* The first place in use at or after this one, round the ring; BOOK_WINDOW if the window is empty. */
static inline uint32_t window_seek(const struct book_half *half, uint32_t place) {
    uint32_t word = place / 64;
    uint64_t bits = half->words[word] & ~UINT64_C(0) << (place % 64);
    if (bits == 0) {
        uint64_t words = half->words_in_use & ~UINT64_C(1) << word;
        if (words == 0) words = half->words_in_use;
        if (words == 0) return BOOK_WINDOW;
        word = (uint32_t)__builtin_ctzll(words);
        bits = half->words[word];
    }
    return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Enter a level into the window, which covers its key. */
static inline void window_put(struct book *book, uint32_t side, int64_t key, uint32_t level) {
    struct book_half *half = &book->half[side];
    uint32_t place = window_place(key);
    book->window[side][place] = level;
    half->words[place / 64] |= UINT64_C(1) << (place % 64);
    half->words_in_use |= UINT64_C(1) << (place / 64);
}

static inline void window_drop(struct book_half *half, int64_t key) {
    uint32_t place = window_place(key);
    half->words[place / 64] &= ~(UINT64_C(1) << (place % 64));
    if (half->words[place / 64] == 0) half->words_in_use &= ~(UINT64_C(1) << (place / 64));
}

/* ---- Levels (book_levels.c) ----------------------------------------------------------------------------------- */

/* Put an order behind the others of a key that the window does not cover: the window is moved there, or brought nearer,
 * or the level is far. */
void level_push_outside(struct book *book, uint32_t side, int64_t key, struct book_order *order, uint32_t slot);

/* The window has become empty while levels are far: move it to the best of them. */
void window_refill(struct book *book, uint32_t side);

/* A new level with this one order, not entered anywhere. */
static inline uint32_t level_begin(struct book *book, uint32_t side, int64_t key, struct book_order *order, uint32_t slot) {
    uint32_t number = pool_take_level(book->pool);
    struct book_level *level = &book->pool->levels[number];
    level->key = key;
    level->lots = order->remaining_lots;
    level->first = slot;
    level->last = slot;
    level->orders = 1;
    level->side = side;
    order->level = number;
    order->next = BOOK_NONE;
    order->previous = BOOK_NONE;
    book->half[side].level_count++;
    return number;
}

/* The same, entered into the window, which covers the key and has none at it. */
static inline void level_begin_in_window(struct book *book, uint32_t side, int64_t key, struct book_order *order, uint32_t slot) {
    struct book_half *half = &book->half[side];
    uint32_t number = level_begin(book, side, key, order, slot);
    window_put(book, side, key, number);
    if (key < half->best_key) {
        half->best_key = key;
        half->best_level = number;
    }
}

/* Put an order behind the last one of a level that has one at least. */
static inline void level_push(struct book_pool *pool, uint32_t number, struct book_order *order, uint32_t slot) {
    struct book_level *level = &pool->levels[number];
    order->level = number;
    order->next = BOOK_NONE;
    order->previous = level->last;
    pool->orders[level->last].next = slot;
    level->last = slot;
    level->lots += order->remaining_lots;
    level->orders++;
}

/* Put an order behind the others of its key. */
BOOK_INLINE void level_push_at(struct book *book, uint32_t side, int64_t key, struct book_order *order, uint32_t slot) {
    struct book_half *half = &book->half[side];
    uint32_t place = window_place(key);
    if (!window_covers(half, key)) {
        level_push_outside(book, side, key, order, slot);
    } else if (window_holds(half, place)) {
        level_push(book->pool, book->window[side][place], order, slot);
    } else {
        level_begin_in_window(book, side, key, order, slot);
    }
}

/* Take an order out of its level's queue, wherever it stands. The level may be empty afterwards. Which links change is
 * a choice of addresses: conditional moves, where branches would be guessed wrong. */
static inline void level_unlink(struct book_pool *pool, struct book_level *level, const struct book_order *order) {
    uint32_t next = order->next, previous = order->previous;
    uint32_t *forward = previous == BOOK_NONE ? &level->first : &pool->orders[previous].next;
    uint32_t *backward = next == BOOK_NONE ? &level->last : &pool->orders[next].previous;
    *forward = next;
    *backward = previous;
    level->lots -= order->remaining_lots;
    level->orders--;
}

/* The best level has gone: find the next. Whenever a side has levels, its best one is in the window. */
BOOK_INLINE void level_find_best(struct book *book, uint32_t side) {
    struct book_half *half = &book->half[side];
    if (half->words_in_use == 0 && half->far_root != 0) window_refill(book, side);
    uint32_t from = window_place(half->best_key);
    uint32_t place = window_seek(half, from);
    if (place == BOOK_WINDOW) {
        half->best_key = INT64_MAX;
        half->best_level = BOOK_NONE;
        return;
    }
    half->best_key += (place - from) & (BOOK_WINDOW - 1);
    half->best_level = book->window[side][place];
}

/* Give up a level that has no orders left. */
BOOK_INLINE void level_drop(struct book *book, uint32_t side, uint32_t level) {
    struct book_half *half = &book->half[side];
    int64_t key = book->pool->levels[level].key;
    half->level_count--;
    pool_give_level(book->pool, level);
    if (key >= half->edge_key) {
        far_drop(book->pool, &half->far_root, key);
    } else {
        window_drop(half, key);
        if (level == half->best_level) level_find_best(book, side);
    }
}

/* The worst key that an order from the other side with this limit reaches; below that of an empty side. */
static inline int64_t worst_key(const struct book_half *half, int64_t limit_ticks) {
    return limit_ticks == BOOK_ANY_PRICE ? INT64_MAX - 1 : limit_ticks ^ half->key_mask;
}

#endif
