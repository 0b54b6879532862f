/* The far tree: levels worse than the window, ordered by key.
 *
 * A key is read as 16 digits of four bits. A node splits the levels below it by one digit; digits at which nothing
 * splits have no node, so there are fewer nodes than levels and a path is as long as the levels are crowded, not as
 * long as the key. Within one side all keys have the same sign, so their order as unsigned numbers is their order. */

#include "book_inner.h"

static inline bool is_level(uint32_t child) { return (child & BOOK_FAR_LEVEL) != 0; }

static inline uint32_t level_of(uint32_t child) { return child & ~BOOK_FAR_LEVEL; }

/* The part of the key above the node's digit. Two shifts, since four bits above the top digit would be all 64. */
static inline uint64_t above_digit(uint64_t key, uint32_t shift) { return key >> shift >> 4; }

static inline uint32_t digit_at(uint64_t key, uint32_t shift) { return (uint32_t)(key >> shift) & 15; }

static inline bool covers(const struct book_far_node *node, uint64_t key) {
    return above_digit(node->prefix, node->shift) == above_digit(key, node->shift);
}

static inline bool has(const struct book_far_node *node, uint32_t digit) { return node->present >> digit & 1; }

/* There is always one: a tree has fewer nodes than levels. */
static uint32_t take_node(struct book_pool *pool) {
    uint32_t node = pool->free_node;
    if (node != 0) {
        pool->free_node = pool->nodes[node].child[0];
    } else {
        node = pool->fresh_node++;
        assert(node <= pool->reserved);
    }
    pool->node_count++;
    return node;
}

static void give_node(struct book_pool *pool, uint32_t node) {
    pool->nodes[node].child[0] = pool->free_node;
    pool->nodes[node].present = 0;
    pool->free_node = node;
    pool->node_count--;
}

/* A node in the place of `other` that splits it from a level: at the highest digit in which their keys differ. */
static uint32_t split(struct book_pool *pool, uint32_t other, uint64_t other_key, uint32_t level, uint64_t key) {
    uint32_t shift = (63u - (uint32_t)__builtin_clzll(other_key ^ key)) & ~3u;
    uint32_t number = take_node(pool);
    struct book_far_node *node = &pool->nodes[number];
    node->prefix = above_digit(key, shift) << shift << 4;
    node->shift = (uint8_t)shift;
    node->present = (uint16_t)(1u << digit_at(key, shift) | 1u << digit_at(other_key, shift));
    node->child[digit_at(key, shift)] = level | BOOK_FAR_LEVEL;
    node->child[digit_at(other_key, shift)] = other;
    return number;
}

void far_put(struct book_pool *pool, uint32_t *root, uint32_t level) {
    uint64_t key = (uint64_t)pool->levels[level].key;
    uint32_t *at = root;
    while (*at != 0 && !is_level(*at)) {
        struct book_far_node *node = &pool->nodes[*at];
        if (!covers(node, key)) break;
        uint32_t digit = digit_at(key, node->shift);
        at = &node->child[digit];
        if (!has(node, digit)) {
            node->present |= (uint16_t)(1u << digit);
            *at = 0;
        }
    }
    if (*at == 0) {
        *at = level | BOOK_FAR_LEVEL;
        return;
    }
    uint64_t other_key = is_level(*at) ? (uint64_t)pool->levels[level_of(*at)].key : pool->nodes[*at].prefix;
    *at = split(pool, *at, other_key, level, key);
}

uint32_t far_find(const struct book_pool *pool, uint32_t root, int64_t key) {
    uint32_t at = root;
    while (at != 0 && !is_level(at)) {
        const struct book_far_node *node = &pool->nodes[at];
        uint32_t digit = digit_at((uint64_t)key, node->shift);
        if (!has(node, digit)) return BOOK_NONE;
        at = node->child[digit];
    }
    /* Skipped digits were not compared on the way; the level knows its whole key. */
    if (at == 0 || pool->levels[level_of(at)].key != key) return BOOK_NONE;
    return level_of(at);
}

void far_drop(struct book_pool *pool, uint32_t *root, int64_t key) {
    uint32_t *parent = NULL;
    uint32_t *at = root;
    while (!is_level(*at)) {
        assert(*at != 0);
        struct book_far_node *node = &pool->nodes[*at];
        assert(has(node, digit_at((uint64_t)key, node->shift)));
        parent = at;
        at = &node->child[digit_at((uint64_t)key, node->shift)];
    }
    assert(pool->levels[level_of(*at)].key == key);
    if (parent == NULL) {
        *root = 0;
        return;
    }
    uint32_t number = *parent;
    struct book_far_node *node = &pool->nodes[number];
    node->present &= (uint16_t) ~(1u << digit_at((uint64_t)key, node->shift));
    if ((node->present & (node->present - 1)) == 0) {
        *parent = node->child[__builtin_ctz(node->present)];
        give_node(pool, number);
    }
}

uint32_t far_first(const struct book_pool *pool, uint32_t root) {
    uint32_t at = root;
    while (!is_level(at)) {
        const struct book_far_node *node = &pool->nodes[at];
        at = node->child[__builtin_ctz(node->present)];
    }
    return level_of(at);
}

uint32_t far_after(const struct book_pool *pool, uint32_t root, int64_t key) {
    uint32_t at = root;
    uint32_t later = 0; /* the nearest subtree so far whose keys are all higher */
    while (!is_level(at)) {
        const struct book_far_node *node = &pool->nodes[at];
        uint32_t digit = digit_at((uint64_t)key, node->shift);
        uint32_t higher = node->present & (uint32_t)(~1u << digit);
        if (higher != 0) later = node->child[__builtin_ctz(higher)];
        assert(has(node, digit) && "the key is in the tree");
        at = node->child[digit];
    }
    assert(pool->levels[level_of(at)].key == key);
    return later == 0 ? BOOK_NONE : far_first(pool, later);
}
