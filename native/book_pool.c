/* Memory: opening, growing and closing pools and books. Nothing else of the book allocates. */

#include <stdlib.h>
#include <string.h>

#include "book_inner.h"
#include "near.h"

/* Uninitialised memory on a cache line's border: an order never lies across two. Entry 0 of each array means none, so
 * there is one more than the limit says. */
static void *reserve(uint64_t count, size_t size) {
    uint64_t bytes = (count * size + 63) & ~UINT64_C(63);
    return aligned_alloc(64, bytes);
}

/* Twice as many homes as orders, so that few share one; never fewer than a cache line of them. */
static uint8_t bits_for(uint32_t orders) {
    uint8_t bits = 4;
    while ((UINT64_C(1) << bits) < 2 * (uint64_t)orders) bits++;
    return bits;
}

static bool reserve_pool(struct book_pool *pool, uint32_t orders) {
    pool->reserved = orders;
    pool->orders = reserve((uint64_t)orders + 1, sizeof *pool->orders);
    pool->levels = reserve((uint64_t)orders + 1, sizeof *pool->levels);
    pool->nodes = reserve((uint64_t)orders + 1, sizeof *pool->nodes);
    pool->ids.bits = bits_for(orders);
    pool->ids.mask = (uint32_t)((UINT64_C(1) << pool->ids.bits) - 1);
    pool->ids.first = calloc((size_t)1 << pool->ids.bits, sizeof *pool->ids.first);
    pool->ids.next = reserve((uint64_t)orders + 1, sizeof *pool->ids.next);
    if (!pool->orders || !pool->levels || !pool->nodes || !pool->ids.first || !pool->ids.next) return false;
    /* Nobody's order is looked at in passing. */
    pool->orders[BOOK_NONE] = (struct book_order){.level = BOOK_NONE};
    return true;
}

static void give_back(struct book_pool *pool) {
    free(pool->orders);
    free(pool->levels);
    free(pool->nodes);
    free(pool->ids.first);
    free(pool->ids.next);
}

struct book_pool *book_pool_open(uint32_t order_limit, uint8_t id_shift) {
    if (order_limit < 1 || order_limit > BOOK_MAX_ORDERS || id_shift > 63) return NULL;
    struct book_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) return NULL;
    pool->order_limit = order_limit;
    pool->fresh_order = pool->fresh_level = pool->fresh_node = 1;
    pool->ids.id_shift = id_shift;
    if (!reserve_pool(pool, order_limit)) {
        book_pool_close(pool);
        return NULL;
    }
    return pool;
}

/* Enter all ids of the old map into the new one. */
static void copy_ids(struct book_pool *to, const struct book_pool *from) {
    for (uint64_t home = 0; home <= from->ids.mask; home++) {
        for (uint32_t link = from->ids.first[home]; link != BOOK_NONE; link = ids_after(&from->ids, link)) {
            uint32_t slot = link & ~BOOK_ID_SHARED;
            ids_put_at(&to->ids, ids_home(&to->ids, from->orders[slot].order_id), slot);
        }
    }
}

bool book_pool_set_limit(struct book_pool *pool, uint32_t order_limit) {
    if (order_limit < 1 || order_limit > BOOK_MAX_ORDERS) return false;
    if (order_limit > pool->reserved) {
        struct book_pool grown = *pool;
        if (!reserve_pool(&grown, order_limit)) {
            give_back(&grown);
            return false;
        }
        memcpy(grown.orders, pool->orders, pool->fresh_order * sizeof *pool->orders);
        memcpy(grown.levels, pool->levels, pool->fresh_level * sizeof *pool->levels);
        memcpy(grown.nodes, pool->nodes, pool->fresh_node * sizeof *pool->nodes);
        copy_ids(&grown, pool);
        give_back(pool);
        *pool = grown;
    }
    pool->order_limit = order_limit;
    return true;
}

void book_pool_close(struct book_pool *pool) {
    if (pool == NULL) return;
    give_back(pool);
    free(pool);
}

struct book *book_open(struct book_pool *pool, uint32_t number) {
    struct book *book = reserve(1, sizeof *book);
    if (book == NULL) return NULL;
    /* The window's entries mean nothing without their bits: an idle book does not touch them. */
    memset(book, 0, offsetof(struct book, window));
    book->pool = pool;
    book->next_priority = 1;
    book->number = number;
    book->half[BOOK_BUY].key_mask = ~INT64_C(0);
    book->half[BOOK_BUY].best_key = INT64_MAX;
    book->half[BOOK_SELL].best_key = INT64_MAX;
    return book;
}

void book_close(struct book *book) { free(book); }

uint32_t book_find(const struct book_pool *pool, uint64_t order_id) { return ids_find(pool, order_id); }

void book_warm(const struct book_pool *pool, uint64_t order_id) { bring_near(&pool->ids.first[ids_home(&pool->ids, order_id)]); }

uint32_t book_guess(const struct book_pool *pool, uint64_t order_id) {
    return pool->ids.first[ids_home(&pool->ids, order_id)] & ~BOOK_ID_SHARED;
}

void ids_drop_shared(struct book_ids *ids, uint32_t home, uint32_t slot) {
    uint32_t *link = &ids->first[home];
    uint32_t *before = NULL;
    while ((*link & ~BOOK_ID_SHARED) != slot) {
        assert((*link & BOOK_ID_SHARED) != 0);
        before = link;
        link = &ids->next[*link & ~BOOK_ID_SHARED];
    }
    if ((*link & BOOK_ID_SHARED) != 0) {
        *link = ids->next[slot];
    } else {
        assert(before != NULL);
        *before &= ~BOOK_ID_SHARED;
    }
}
