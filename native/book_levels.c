/* Where levels are found: moving the window, and walking from level to level.
 *
 * Each side keeps one rule: a level with a key below edge_key is in the window, any other is in the far tree. The
 * window covers [base_key, edge_key), and edge_key is at most base_key + BOOK_WINDOW. edge_key may lie lower: that is
 * what lets the window move without bringing in at once all levels it could hold. A level enters the window when it is
 * made, or by one of a bounded number of steps of one call, and is moved out once at most for each time it came in. */

#include "book_inner.h"

/* Prices kept free on the better side when the window moves: the touch mostly moves by little, to and fro. */
#define MARGIN (BOOK_WINDOW / 4)
/* How many far levels one call brings into the window: as a level is made beyond its edge, and as it has run empty. */
#define STEPS_AT_EDGE 8
#define STEPS_WHEN_EMPTY 32

/* Bring up to `steps` far levels into the window and put its edge where the next far one stands. */
static void window_extend(struct book *book, uint32_t side, int steps) {
    struct book_pool *pool = book->pool;
    struct book_half *half = &book->half[side];
    half->edge_key = half->base_key + BOOK_WINDOW;
    for (; half->far_root != 0; steps--) {
        uint32_t level = far_first(pool, half->far_root);
        int64_t key = pool->levels[level].key;
        if (key >= half->edge_key) return;
        if (steps == 0) {
            half->edge_key = key;
            return;
        }
        far_drop(pool, &half->far_root, key);
        window_put(book, side, key, level);
    }
}

/* Move the window so that it begins at base, which is better than now: what no longer fits becomes far. */
static void window_lower(struct book *book, uint32_t side, int64_t base_key) {
    struct book_half *half = &book->half[side];
    int64_t edge_key = base_key + BOOK_WINDOW;
    if (edge_key < half->edge_key) {
        int64_t from_key = edge_key > half->base_key ? edge_key : half->base_key;
        uint32_t place;
        while ((place = window_seek(half, window_place(from_key))) != BOOK_WINDOW) {
            uint32_t level = book->window[side][place];
            int64_t key = book->pool->levels[level].key;
            if (key < from_key) break; /* round the ring: these stay */
            window_drop(half, key);
            far_put(book->pool, &half->far_root, level);
        }
        half->edge_key = edge_key;
    }
    half->base_key = base_key;
}

/* Try to cover a key at or beyond the edge. The window only moves away from the better side as far as the touch has
 * gone, so it is never far from the touch and nothing has to leave it. */
static bool window_reach(struct book *book, uint32_t side, int64_t key) {
    struct book_half *half = &book->half[side];
    if (half->best_level == BOOK_NONE) {
        half->base_key = key - MARGIN;
    } else if (key >= half->base_key + BOOK_WINDOW) {
        if (key >= half->best_key - MARGIN + BOOK_WINDOW) return false;
        half->base_key = half->best_key - MARGIN;
    }
    window_extend(book, side, STEPS_AT_EDGE);
    return key < half->edge_key;
}

void window_refill(struct book *book, uint32_t side) {
    struct book_half *half = &book->half[side];
    int64_t key = book->pool->levels[far_first(book->pool, half->far_root)].key;
    half->base_key = key - MARGIN;
    half->best_key = key;
    window_extend(book, side, STEPS_WHEN_EMPTY);
}

/* Put an order behind the others of a far key. */
static void level_push_far(struct book *book, uint32_t side, int64_t key, struct book_order *order, uint32_t slot) {
    struct book_half *half = &book->half[side];
    uint32_t level = far_find(book->pool, half->far_root, key);
    if (level != BOOK_NONE) {
        level_push(book->pool, level, order, slot);
    } else {
        far_put(book->pool, &half->far_root, level_begin(book, side, key, order, slot));
    }
}

void level_push_outside(struct book *book, uint32_t side, int64_t key, struct book_order *order, uint32_t slot) {
    struct book_half *half = &book->half[side];
    if (key < half->base_key) {
        window_lower(book, side, key - MARGIN);
    } else if (!window_reach(book, side, key)) {
        level_push_far(book, side, key, order, slot);
        return;
    }
    uint32_t place = window_place(key);
    if (window_holds(half, place)) {
        level_push(book->pool, book->window[side][place], order, slot);
    } else {
        level_begin_in_window(book, side, key, order, slot);
    }
}

uint32_t book_next_level(const struct book *book, uint32_t level) {
    const struct book_level *levels = book->pool->levels;
    uint32_t side = levels[level].side;
    int64_t key = levels[level].key;
    const struct book_half *half = &book->half[side];
    if (key >= half->edge_key) return far_after(book->pool, half->far_root, key);
    uint32_t place = window_seek(half, window_place(key + 1));
    uint32_t next = book->window[side][place];
    /* Round the ring again: nothing worse is in the window. */
    if (levels[next].key > key) return next;
    return half->far_root == 0 ? BOOK_NONE : far_first(book->pool, half->far_root);
}
