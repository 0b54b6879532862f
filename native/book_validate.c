/* The rules a book and a pool keep, each checked by walking everything. A line of this file is the name of a rule.
 *
 * What the walk itself relies on is checked first, so that a broken book ends in a line and not in a crash. */

#include "book_inner.h"

/* Leave with the line of a rule that does not hold. */
#define RULE(holds)                                                                                                   \
    if (!(holds)) return __LINE__
/* Go on unless a part of the check found something. */
#define PART(check)                                                                                                   \
    do {                                                                                                              \
        int broken = (check);                                                                                         \
        if (broken != 0) return broken;                                                                               \
    } while (0)

/* An order against its level and book. */
static int check_order(const struct book *book, uint32_t slot, uint32_t number) {
    const struct book_order *order = book_order_at(book->pool, slot);
    const struct book_level *level = book_level_at(book, number);
    RULE(order->level == number);
    RULE(order->book == book->number);
    RULE(order->side == level->side);
    RULE((order->price_ticks ^ book->half[level->side].key_mask) == level->key);
    RULE(order->price_ticks >= 1 && order->price_ticks <= BOOK_MAX_PRICE);
    RULE(order->remaining_lots >= 1);
    RULE(order->self_trade <= BOOK_SELF_TRADE_DECREMENT && order->post_only <= 1);
    RULE(order->priority >= 1 && order->priority < book->next_priority);
    RULE(ids_find(book->pool, order->order_id) == slot);
    return 0;
}

/* A level's queue: links both ways, priorities, count, sum. */
static int check_queue(const struct book *book, uint32_t number) {
    const struct book_level *level = book_level_at(book, number);
    uint32_t previous = BOOK_NONE;
    uint32_t orders = 0;
    int64_t lots = 0;
    for (uint32_t slot = level->first; slot != BOOK_NONE; slot = book_order_at(book->pool, slot)->next) {
        RULE(slot < book->pool->fresh_order && orders < level->orders);
        PART(check_order(book, slot, number));
        const struct book_order *order = book_order_at(book->pool, slot);
        RULE(order->previous == previous);
        RULE(previous == BOOK_NONE || book_order_at(book->pool, previous)->priority < order->priority);
        RULE(order->remaining_lots <= level->lots - lots);
        lots += order->remaining_lots;
        orders++;
        previous = slot;
    }
    RULE(orders >= 1 && orders == level->orders);
    RULE(lots == level->lots);
    RULE(previous == level->last);
    return 0;
}

/* A level against the structure that finds it. */
static int check_place(const struct book *book, uint32_t number) {
    const struct book_level *level = book_level_at(book, number);
    const struct book_half *half = &book->half[level->side];
    if (level->key >= half->edge_key) {
        RULE(far_find(book->pool, half->far_root, level->key) == number);
        return 0;
    }
    uint32_t place = window_place(level->key);
    RULE(level->key >= half->base_key);
    RULE(window_holds(half, place));
    RULE(book->window[level->side][place] == number);
    return 0;
}

/* One place of the window that is in use: the level there belongs there. */
static int check_entry(const struct book *book, enum book_side side, uint32_t place) {
    const struct book_half *half = &book->half[side];
    uint32_t number = book->window[side][place];
    RULE(number >= 1 && number < book->pool->fresh_level);
    const struct book_level *level = book_level_at(book, number);
    RULE(level->side == side && level->orders >= 1);
    RULE(level->key >= half->base_key && level->key < half->edge_key);
    RULE(window_place(level->key) == place);
    return 0;
}

/* The window by itself, before anything walks by it: the two steps of its bitmap agree and lead to levels. */
static int check_window(const struct book *book, enum book_side side, uint32_t *window_levels) {
    const struct book_half *half = &book->half[side];
    RULE(half->edge_key >= half->base_key && half->edge_key - half->base_key <= BOOK_WINDOW);
    for (uint32_t word = 0; word < BOOK_WINDOW / 64; word++) {
        RULE((half->words_in_use >> word & 1) == (half->words[word] != 0));
        for (uint64_t bits = half->words[word]; bits != 0; bits &= bits - 1) {
            PART(check_entry(book, side, word * 64 + (uint32_t)__builtin_ctzll(bits)));
            ++*window_levels;
        }
    }
    RULE((*window_levels == 0) == (half->best_level == BOOK_NONE));
    return 0;
}

/* A node of the far tree: at least two children, all of them under its prefix, each by its own digit. */
static int check_node(const struct book_pool *pool, const struct book_far_node *node) {
    RULE(node->shift <= 60 && node->shift % 4 == 0);
    RULE(__builtin_popcount(node->present) >= 2);
    for (uint32_t digit = 0; digit < 16; digit++) {
        if ((node->present >> digit & 1) == 0) continue;
        uint32_t number = node->child[digit] & ~BOOK_FAR_LEVEL;
        bool is_level = (node->child[digit] & BOOK_FAR_LEVEL) != 0;
        RULE(number >= 1 && number < (is_level ? pool->fresh_level : pool->fresh_node));
        uint64_t key = is_level ? (uint64_t)pool->levels[number].key : pool->nodes[number].prefix;
        RULE(key >> node->shift == (node->prefix >> node->shift | digit));
        RULE(is_level || pool->nodes[number].shift < node->shift);
    }
    return 0;
}

/* A subtree, counting its levels. Shifts fall by 4 from 60 on the way down, so recursion is at most 16 deep. */
static int check_far(const struct book_pool *pool, uint32_t child, uint32_t *far_levels) {
    if ((child & BOOK_FAR_LEVEL) != 0) {
        ++*far_levels;
        return 0;
    }
    const struct book_far_node *node = &pool->nodes[child];
    PART(check_node(pool, node));
    for (uint32_t bits = node->present; bits != 0; bits &= bits - 1) {
        PART(check_far(pool, node->child[__builtin_ctz(bits)], far_levels));
    }
    return 0;
}

/* The far tree as a whole; a single level is its own root. */
static int check_far_root(const struct book_pool *pool, uint32_t root, uint32_t *far_levels) {
    if (root == 0) return 0;
    uint32_t number = root & ~BOOK_FAR_LEVEL;
    RULE(number >= 1 && number < ((root & BOOK_FAR_LEVEL) != 0 ? pool->fresh_level : pool->fresh_node));
    return check_far(pool, root, far_levels);
}

/* One side: what finds levels, then level by level, best first. */
static int check_half(const struct book *book, enum book_side side) {
    const struct book_half *half = &book->half[side];
    uint32_t levels = 0, orders = 0, far_levels = 0, window_levels = 0;
    int64_t lots = 0;
    int64_t last_key = INT64_MIN;
    PART(check_window(book, side, &window_levels));
    PART(check_far_root(book->pool, half->far_root, &far_levels));
    RULE(window_levels + far_levels == half->level_count);
    for (uint32_t at = half->best_level; at != BOOK_NONE; at = book_next_level(book, at)) {
        const struct book_level *level = book_level_at(book, at);
        RULE(levels < half->level_count);
        RULE(level->side == side);
        RULE(level->key > last_key);
        PART(check_place(book, at));
        PART(check_queue(book, at));
        RULE(level->lots <= BOOK_MAX_LOTS - lots);
        lots += level->lots;
        orders += level->orders;
        last_key = level->key;
        levels++;
    }
    RULE(levels == half->level_count);
    RULE(orders == half->order_count);
    RULE(lots == half->lots);
    return 0;
}

int book_validate(const struct book *book) {
    for (int side = BOOK_BUY; side <= BOOK_SELL; side++) {
        const struct book_half *half = &book->half[side];
        RULE(half->key_mask == (side == BOOK_BUY ? ~INT64_C(0) : 0));
        RULE((half->best_level == BOOK_NONE) == (half->level_count == 0));
        RULE(half->best_level < book->pool->fresh_level);
        RULE(half->best_level == BOOK_NONE ? half->best_key == INT64_MAX
                                           : half->best_key == book_level_at(book, half->best_level)->key);
        /* The best level is in the window, or finding the next best one would have to look in two places. */
        RULE(half->best_level == BOOK_NONE || half->best_key < half->edge_key);
        PART(check_half(book, (enum book_side)side));
    }
    RULE(book->may_cross || !book_would_cross(book, BOOK_SELL, book_best_price(book, BOOK_SELL)) || book_best_price(book, BOOK_SELL) == 0);
    return 0;
}

/* The length of each free list, together with what is in use, is what was ever taken. */
static int check_free(const struct book_pool *pool) {
    uint32_t orders = 0, levels = 0, nodes = 0;
    for (uint32_t at = pool->free_order; at != BOOK_NONE; at = pool->orders[at].next) {
        RULE(at < pool->fresh_order && ++orders < pool->fresh_order);
    }
    for (uint32_t at = pool->free_level; at != BOOK_NONE; at = pool->levels[at].first) {
        RULE(at < pool->fresh_level && ++levels < pool->fresh_level);
    }
    for (uint32_t at = pool->free_node; at != 0; at = pool->nodes[at].child[0]) {
        RULE(at < pool->fresh_node && ++nodes < pool->fresh_node);
    }
    RULE(orders + pool->order_count == pool->fresh_order - 1);
    RULE(levels + pool->level_count == pool->fresh_level - 1);
    RULE(nodes + pool->node_count == pool->fresh_node - 1);
    return 0;
}

/* The map of ids: every link leads to an order that was taken and has its home here, each to another one. */
static int check_ids(const struct book_pool *pool) {
    const struct book_ids *ids = &pool->ids;
    uint32_t found = 0;
    RULE(UINT64_C(1) << ids->bits >= 2 * (uint64_t)pool->reserved);
    RULE(ids->mask == (UINT64_C(1) << ids->bits) - 1);
    for (uint64_t home = 0; home <= ids->mask; home++) {
        for (uint32_t link = ids->first[home]; link != BOOK_NONE; link = ids_after(ids, link)) {
            uint32_t slot = link & ~BOOK_ID_SHARED;
            RULE(slot >= 1 && slot < pool->fresh_order && ++found <= pool->order_count);
            RULE(ids_home(ids, pool->orders[slot].order_id) == home);
            /* The first order with this id is found: two of one id, or one linked twice, would come to light here. */
            RULE(ids_find_at(pool, (uint32_t)home, pool->orders[slot].order_id) == slot);
            RULE((link & BOOK_ID_SHARED) == 0 || ids->next[slot] != BOOK_NONE);
        }
    }
    RULE(found == pool->order_count);
    return 0;
}

int book_pool_validate(const struct book_pool *pool) {
    RULE(pool->order_limit >= 1 && pool->order_limit <= pool->reserved);
    RULE(pool->fresh_order - 1 <= pool->reserved);
    RULE(pool->level_count <= pool->order_count);
    RULE(pool->node_count == 0 || pool->node_count < pool->level_count);
    PART(check_free(pool));
    PART(check_ids(pool));
    return 0;
}
