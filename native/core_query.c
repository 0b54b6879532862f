/* Answers to questions, as encoded messages in pieces; see core_api.h and proto/bourse/matching/v1/matching_service.proto.
 *
 * A cursor says where the next piece goes on: 0 at the beginning and at the end. The state may not change between the pieces
 * of one answer. */

#include "core.h"

/* The least a caller may offer, and room for the largest single thing. */
#define QUERY_ROOM 4096
_Static_assert(CODEC_INSTRUMENT_BYTES <= QUERY_ROOM && CODEC_ORDER_BYTES <= QUERY_ROOM, "one thing fits into a piece");

/* Is there room for one more thing? */
static bool has_room(const uint8_t *at, const uint8_t *out, uint32_t capacity) {
    return (uint32_t)(at - out) <= capacity - QUERY_ROOM;
}

/* ---- Orders --------------------------------------------------------------------------------------------------- */

/* An open order by id or name, or the id of a remembered one. */
static bool look_up(const struct core *c, uint32_t account_id, uint64_t order_id, struct codec_bytes client_order_id,
                    struct codec_order *order) {
    uint32_t account = risk_find_account(&c->risk, account_id);
    if (account == RISK_NONE || client_order_id.length > NAMES_MOST_BYTES) return false;
    if (order_id == 0) {
        if (client_order_id.length == 0) return false;
        struct names_text text = names_text(client_order_id.at, client_order_id.length);
        uint32_t name = names_find(&c->names, account, &text);
        if (name == NAMES_NONE) return false;
        order_id = c->names.names[name].order_id;
        *order = (struct codec_order){.order_id = order_id};
        if (c->names.names[name].ended_us != NAMES_OPEN) return true;
    }
    uint32_t slot = book_find(c->pool, order_id);
    if (slot == BOOK_NONE || book_order_at(c->pool, slot)->owner != account) return false;
    core_view_order(c, slot, order);
    return true;
}

int64_t core_get_order(const core *c, uint32_t account, uint64_t order_id, const uint8_t *client_order_id,
                       uint32_t client_order_id_length, uint8_t *out, uint32_t capacity) {
    if (capacity < QUERY_ROOM) return CORE_SMALL_BUFFER;
    struct codec_order order;
    struct codec_get_order_response head = {.sequence = c->sequence, .clock_us = c->clock_us};
    head.found = look_up(c, account, order_id, (struct codec_bytes){client_order_id, client_order_id_length}, &order);
    uint8_t *at = codec_put_get_order_response(out, &head);
    if (head.found) at = codec_put_order_in(at, GET_ORDER_RESPONSE_ORDER_TAG, &order);
    return at - out;
}

/* The cursor is the slot of the next order. */
int64_t core_list_open_orders(const core *c, uint32_t account, uint32_t instrument, uint64_t *cursor, uint8_t *out,
                              uint32_t capacity) {
    if (capacity < QUERY_ROOM) return CORE_SMALL_BUFFER;
    uint8_t *at = out;
    uint32_t slot = (uint32_t)*cursor;
    if (*cursor == 0) {
        struct codec_list_open_orders_response head = {.sequence = c->sequence, .clock_us = c->clock_us};
        at = codec_put_list_open_orders_response(at, &head);
        slot = c->risk.accounts[risk_find_account(&c->risk, account)].first_order;
    }
    for (; slot != BOOK_NONE && has_room(at, out, capacity); slot = c->cold[slot].younger) {
        if (instrument != 0 && c->instruments[core_order_place(book_order_at(c->pool, slot))].id != instrument) continue;
        struct codec_order order;
        core_view_order(c, slot, &order);
        at = codec_put_order_in(at, LIST_OPEN_ORDERS_RESPONSE_ORDERS_TAG, &order);
    }
    *cursor = slot;
    return at - out;
}

/* ---- Accounts ------------------------------------------------------------------------------------------------- */

static uint8_t *put_balance(const struct core *c, uint8_t *at, uint32_t tag, uint32_t place) {
    const struct risk_balance *from = &c->risk.balances[place];
    struct codec_balance balance = {from->account, from->asset, from->available_minor, from->held_minor};
    return codec_put_balance_in(at, tag, &balance);
}

/* The cursor is the place of the next balance. */
int64_t core_get_balances(const core *c, uint32_t account, uint64_t *cursor, uint8_t *out, uint32_t capacity) {
    if (capacity < QUERY_ROOM) return CORE_SMALL_BUFFER;
    uint8_t *at = out;
    uint32_t place = (uint32_t)*cursor;
    if (*cursor == 0) {
        struct codec_get_balances_response head = {.sequence = c->sequence};
        at = codec_put_get_balances_response(at, &head);
        place = c->risk.accounts[risk_find_account(&c->risk, account)].first_balance;
    }
    for (; place != RISK_NONE && has_room(at, out, capacity); place = c->risk.after[place]) {
        at = put_balance(c, at, GET_BALANCES_RESPONSE_BALANCES_TAG, place);
    }
    *cursor = place;
    return at - out;
}

int64_t core_get_account(const core *c, uint32_t account, uint8_t *out, uint32_t capacity) {
    if (capacity < QUERY_ROOM) return CORE_SMALL_BUFFER;
    struct codec_get_account_response response = {
        .self_trade_prevention = SELF_TRADE_PREVENTION_CANCEL_TAKER,
        .sequence = c->sequence,
    };
    uint32_t place = risk_find_account(&c->risk, account);
    if (place != RISK_NONE) {
        const struct risk_account *settings = &c->risk.accounts[place];
        response.fee_tier = settings->fee_tier;
        response.self_trade_prevention = (uint8_t)(settings->self_trade + 1);
        response.suspended = settings->suspended;
        response.max_open_orders = settings->max_open_orders;
        response.max_commands_per_second = settings->max_commands;
        response.pays_fee_asset = settings->pays_fee_asset;
        response.dead_man_us = settings->dead_man_us;
    }
    return codec_put_get_account_response(out, &response) - out;
}

/* ---- Markets -------------------------------------------------------------------------------------------------- */

/* The cursor is 1 + the side in its upper half, the number of the next level in its lower one. */
int64_t core_get_depth(const core *c, uint32_t instrument, uint64_t *cursor, uint8_t *out, uint32_t capacity) {
    if (capacity < QUERY_ROOM) return CORE_SMALL_BUFFER;
    const struct core_instrument *market = core_find_instrument(c, instrument);
    uint8_t *at = out;
    uint32_t side = BOOK_BUY;
    uint32_t level = (uint32_t)*cursor;
    if (*cursor == 0) {
        uint64_t offset = c->next_offset == 0 ? 0 : c->next_offset - 1;
        struct codec_get_depth_response head = {c->sequence, offset, market != NULL};
        at = codec_put_get_depth_response(at, &head);
        if (!market) return at - out;
        level = book_best_level(market->book, BOOK_BUY);
    } else {
        side = (uint32_t)(*cursor >> 32) - 1;
    }
    for (;;) {
        if (level == BOOK_NONE) {
            if (side++ == BOOK_SELL) break;
            level = book_best_level(market->book, BOOK_SELL);
            continue;
        }
        if (!has_room(at, out, capacity)) {
            *cursor = (uint64_t)(side + 1) << 32 | level;
            return at - out;
        }
        struct codec_level depth = {book_level_price(market->book, level), book_level_at(market->book, level)->lots};
        at = codec_put_level_in(at, side == BOOK_BUY ? GET_DEPTH_RESPONSE_BIDS_TAG : GET_DEPTH_RESPONSE_ASKS_TAG, &depth);
        level = book_next_level(market->book, level);
    }
    *cursor = 0;
    return at - out;
}

/* The asset with the lowest number above this one, or NULL. */
static const struct risk_asset *next_asset(const struct core *c, uint32_t id) {
    const struct risk_asset *next = NULL;
    for (uint32_t place = 1; place <= c->risk.asset_count; place++) {
        const struct risk_asset *asset = &c->risk.assets[place];
        if (asset->id > id && (!next || asset->id < next->id)) next = asset;
    }
    return next;
}

/* The cursor is 1 and the number of the last asset, or 2 and the place of the next instrument. */
#define MARKETS_ASSETS (UINT64_C(1) << 32)
#define MARKETS_INSTRUMENTS (UINT64_C(2) << 32)

int64_t core_list_markets(const core *c, uint64_t *cursor, uint8_t *out, uint32_t capacity) {
    if (capacity < QUERY_ROOM) return CORE_SMALL_BUFFER;
    uint8_t *at = out;
    if (*cursor == 0) {
        struct codec_watch_markets_response head = {c->sequence, c->sizes.client_order_id_memory_us};
        at = codec_put_watch_markets_response(at, &head);
        *cursor = MARKETS_ASSETS;
    }
    while (*cursor < MARKETS_INSTRUMENTS && has_room(at, out, capacity)) {
        const struct risk_asset *asset = next_asset(c, (uint32_t)*cursor);
        if (!asset) {
            *cursor = MARKETS_INSTRUMENTS;
            break;
        }
        struct codec_asset view;
        core_view_asset(asset, &view);
        at = codec_put_asset_in(at, WATCH_MARKETS_RESPONSE_ASSETS_TAG, &view);
        *cursor = MARKETS_ASSETS | asset->id;
    }
    if (*cursor < MARKETS_INSTRUMENTS) return at - out;
    for (; (uint32_t)*cursor < c->instrument_count && has_room(at, out, capacity); ++*cursor) {
        struct codec_instrument view;
        core_view_instrument(c, &c->instruments[(uint32_t)*cursor], &view);
        at = codec_put_instrument_in(at, WATCH_MARKETS_RESPONSE_INSTRUMENTS_TAG, &view);
    }
    if ((uint32_t)*cursor == c->instrument_count) *cursor = 0;
    return at - out;
}

/* ---- Everything ----------------------------------------------------------------------------------------------- */

/* Let the number at the root of a heap sink to its place. */
static void sift(uint64_t *numbers, uint32_t root, uint32_t count) {
    uint64_t sinking = numbers[root];
    for (uint32_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && numbers[child + 1] > numbers[child]) child++;
        if (numbers[child] <= sinking) break;
        numbers[root] = numbers[child];
    }
    numbers[root] = sinking;
}

void core_sort(uint64_t *numbers, uint32_t count) {
    for (uint32_t root = count / 2; root-- > 0;) sift(numbers, root, count);
    for (uint32_t last = count; last-- > 1;) {
        uint64_t greatest = numbers[0];
        numbers[0] = numbers[last];
        numbers[last] = greatest;
        sift(numbers, 0, last);
    }
}

/* The ids of all accounts, or of all open orders, ascending. They stand in the core until the other is asked for. */
static void sort_accounts(const struct core *c) {
    for (uint32_t i = 0; i < c->risk.account_count; i++) c->sorted[i] = c->risk.accounts[i + 1].id;
    core_sort(c->sorted, c->risk.account_count);
}

static void sort_orders(const struct core *c) {
    uint32_t count = 0;
    for (uint32_t account = 1; account <= c->risk.account_count; account++) {
        uint32_t slot = c->risk.accounts[account].first_order;
        for (; slot != BOOK_NONE; slot = c->cold[slot].younger) c->sorted[count++] = book_order_at(c->pool, slot)->order_id;
    }
    core_sort(c->sorted, count);
}

/* Check everything and say so. What hash the balances have is computed afresh from what is listed. */
static uint8_t *put_verdict(const struct core *c, uint8_t *at) {
    static const char rule[] = "a rule of the core does not hold: core_validate says ";
    uint8_t sentence[120];
    struct codec_verify_response head = {
        .sequence = c->sequence,
        .command_offset = c->next_offset == 0 ? 0 : c->next_offset - 1,
    };
    for (uint32_t place = 1; place <= c->risk.balance_count; place++) {
        const struct risk_balance *balance = &c->risk.balances[place];
        head.balance_hash += hash_total(balance->account, balance->asset, balance->available_minor + balance->held_minor);
    }
    int where = core_validate(c);
    if (where != 0) {
        uint32_t length = sizeof rule - 1;
        memcpy(sentence, rule, length);
        for (int power = 100000; power > 0; power /= 10) sentence[length++] = (uint8_t)('0' + where / power % 10);
        head.broken = (struct codec_bytes){sentence, length};
    }
    return codec_put_verify_response(at, &head);
}

/* The cursor of core_verify: its stage, the rank of the account or order among the sorted ones, and the next balance of that
 * account. */
enum { VERIFY_ACCOUNTS = 1, VERIFY_ORDERS = 2 };
struct verify_cursor {
    uint32_t stage;
    uint32_t rank;
    uint32_t balance;
};

static uint64_t pack(struct verify_cursor cursor) {
    return (uint64_t)cursor.stage << 60 | (uint64_t)cursor.rank << 30 | cursor.balance;
}

static struct verify_cursor unpack(uint64_t packed) {
    uint32_t mask = (1u << 30) - 1;
    return (struct verify_cursor){(uint32_t)(packed >> 60), (uint32_t)(packed >> 30) & mask, (uint32_t)packed & mask};
}

/* The next balance of an account in the list of all, or of the next account. */
static uint8_t *put_next_balance(const struct core *c, uint8_t *at, struct verify_cursor *cursor) {
    if (cursor->balance == RISK_NONE) {
        uint32_t account = risk_find_account(&c->risk, (uint32_t)c->sorted[cursor->rank++]);
        cursor->balance = c->risk.accounts[account].first_balance;
    }
    if (cursor->balance == RISK_NONE) return at;
    at = put_balance(c, at, VERIFY_RESPONSE_BALANCES_TAG, cursor->balance);
    cursor->balance = c->risk.after[cursor->balance];
    return at;
}

int64_t core_verify(const core *c, uint64_t *packed, uint8_t *out, uint32_t capacity) {
    if (capacity < QUERY_ROOM) return CORE_SMALL_BUFFER;
    uint8_t *at = out;
    struct verify_cursor cursor = unpack(*packed);
    if (*packed == 0) {
        at = put_verdict(c, at);
        sort_accounts(c);
        cursor.stage = VERIFY_ACCOUNTS;
    }
    while (has_room(at, out, capacity)) {
        if (cursor.stage == VERIFY_ACCOUNTS) {
            if (cursor.balance != RISK_NONE || cursor.rank < c->risk.account_count) {
                at = put_next_balance(c, at, &cursor);
                continue;
            }
            sort_orders(c);
            cursor = (struct verify_cursor){.stage = VERIFY_ORDERS};
        }
        if (cursor.rank == c->pool->order_count) {
            *packed = 0;
            return at - out;
        }
        struct codec_order order;
        core_view_order(c, book_find(c->pool, c->sorted[cursor.rank++]), &order);
        at = codec_put_order_in(at, VERIFY_RESPONSE_ORDERS_TAG, &order);
    }
    *packed = pack(cursor);
    return at - out;
}
