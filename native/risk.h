/* Whose is what: accounts, assets, balances, and the arithmetic of holds and fees.
 *
 * An account and an asset have a number given from outside and a place of their own here, from 1, which is what everything
 * inside uses. Neither is ever given back, and neither is a balance. A balance is 32 bytes in one array for all accounts,
 * found by (account, asset) through a table, or kept at hand by its place: an order keeps the places of the two it moves.
 * Place 0 is nobody, nothing, and a balance of 0 that nobody may change.
 *
 * Both hashes are kept here for what stands here: `hash` is the sum over accounts, assets and balances, `balance_hash` the
 * sum over totals that the ledger keeps too. A balance that changes is noted, and what it adds to both is looked at again by
 * risk_settle, once for all changes of a record: they mean something between records only.
 *
 * Cost: a lookup is one or two cache lines, a change of a balance about 1 ns, and 5 at the end of the record, 15 if its total changed.
 * Memory: 60 bytes a balance and 16 for its entry in the table; 56 and 16 an account. All of it is reserved at the
 * beginning and touched when used.
 *
 * No sum here overflows: an asset's total over all accounts is at most 2^62, and holds are parts of it. */

#ifndef BOURSE_RISK_H
#define BOURSE_RISK_H

#include <stdbool.h>
#include <stdint.h>

#include "hash.h"
#include "table.h"

#define RISK_NONE 0u
/* The most of an asset there may be, over all accounts. */
#define RISK_MAX_TOTAL (INT64_C(1) << 62)
#define RISK_MAX_ASSETS 4096u
#define RISK_MAX_DECIMALS 18u
#define RISK_CODE_BYTES 16
/* The account that receives fees and pays rebates, and its place: it is there from the beginning. */
#define RISK_FEE_ACCOUNT 3u
#define RISK_FEE_PLACE 1u
#define RISK_PPM 1000000
#define RISK_LAST_TIER 15u

/* Money that has not yet been found to fit into 64 bits. */
typedef __int128 risk_wide;

struct risk_account {
    uint32_t id;
    uint32_t open_orders;
    uint32_t first_order;   /* its open orders by ascending id: slots, linked in the core's cold orders */
    uint32_t last_order;
    uint32_t first_balance; /* its balances by ascending asset number, linked by `after` */
    uint8_t fee_tier;
    uint8_t self_trade; /* enum book_self_trade: of orders that name none */
    uint8_t suspended;
    uint8_t pays_fee_asset;
    uint32_t max_open_orders;  /* 0: the shard's size */
    uint32_t max_commands;     /* in a second; 0: no limit */
    uint32_t second_commands;  /* in the second of `second` */
    uint32_t timer;            /* of its dead man's switch, in the core's timers */
    int64_t second;
    int64_t dead_man_us;       /* when the switch is due; 0: it is off */
};

/* What an account may be set to. */
struct risk_settings {
    uint8_t fee_tier;
    uint8_t self_trade;
    uint8_t suspended;
    uint8_t pays_fee_asset;
    uint32_t max_open_orders;
    uint32_t max_commands;
};

struct risk_asset {
    uint32_t id;
    uint32_t fee_balance; /* what the fee account has of it */
    int64_t total_minor;  /* over all accounts */
    int64_t counted_minor; /* the validator's */
    uint8_t decimals;
    uint8_t code_length;
    char code[RISK_CODE_BYTES]; /* zero behind its length */
};

struct risk_balance {
    int64_t available_minor;
    int64_t held_minor;
    uint64_t hash; /* its share of the state hash */
    uint32_t account; /* numbers, not places: it is read by those who write events and hashes */
    uint32_t asset;
};
_Static_assert(sizeof(struct risk_balance) == 32, "two balances are one cache line");

/* A balance that has changed since the hashes were brought up to date, and its total then. */
struct risk_touched {
    int64_t total_minor;
    uint32_t place;
};

struct risk {
    struct risk_account *accounts;
    struct risk_balance *balances;
    uint32_t *after;  /* of each balance, the account's next */
    int64_t *counted; /* of each balance, the validator's; untouched before */
    struct risk_touched *touched; /* balances whose share of the hashes is behind */
    uint64_t *marks;  /* a bit for each balance: it is among those */
    uint32_t touched_count;
    struct risk_asset *assets;
    struct table account_ids;
    struct table balance_ids;
    struct table asset_ids;
    uint32_t account_count, account_room;
    uint32_t balance_count, balance_room;
    uint32_t asset_count;
    uint64_t hash;
    uint64_t balance_hash;
};

/* Room for so many accounts and balances, both at least 1, with the fee account as the only one. False: no memory; then
 * risk_close all the same. */
bool risk_open(struct risk *risk, uint32_t accounts, uint32_t balances);
void risk_close(struct risk *risk);

/* More room, for limits to come; never less. Pointers into the arrays do not stay valid. False: no memory, and all is as it was. */
bool risk_reserve(struct risk *risk, uint32_t accounts, uint32_t balances);

/* ---- Accounts ------------------------------------------------------------------------------------------------- */

/* Numbers are mostly given one after the other, and those that are near each other may be found together. */
static inline uint32_t risk_id_check(uint32_t id) { return id; }

/* The place of an account, or RISK_NONE. */
static inline uint32_t risk_find_account(const struct risk *risk, uint32_t id) {
    uint32_t check = risk_id_check(id);
    uint32_t at = table_home(&risk->account_ids, check);
    uint32_t place;
    while ((place = table_next(&risk->account_ids, check, &at)) != RISK_NONE) {
        if (risk->accounts[place].id == id) return place;
    }
    return RISK_NONE;
}

/* An account's balances are found together, eight assets at a time. */
static inline uint32_t risk_balance_check(uint32_t account_id, uint32_t asset_id) {
    return (hash_fold((uint64_t)account_id << 32 | asset_id >> 3) & ~7u) | (asset_id & 7);
}

/* Bring near what risk_find_account would look at first. Changes nothing. */
static inline void risk_warm_account(const struct risk *risk, uint32_t id) { table_warm(&risk->account_ids, risk_id_check(id)); }

/* The same of risk_find_balance; and then what it would find, as far as that can be told without looking into it:
 * a place for risk_look_balance, RISK_NONE if there is none. `check` is a risk_balance_check. */
static inline void risk_warm_balance(const struct risk *risk, uint32_t check) { table_warm(&risk->balance_ids, check); }
static inline uint32_t risk_guess_balance(const struct risk *risk, uint32_t check) {
    uint32_t at = table_home(&risk->balance_ids, check);
    uint32_t place = table_next(&risk->balance_ids, check, &at);
    bring_near(&risk->balances[place]);
    return place;
}

/* Make an account known that is not, with the settings of a new one. There is room. Returns its place. */
uint32_t risk_add_account(struct risk *risk, uint32_t id);

/* May the account only cancel? The fee account always: whoever pays rebates must not spend the same money
 * on an order. */
static inline bool risk_is_suspended(const struct risk *risk, uint32_t account) {
    return account == RISK_FEE_PLACE || (account != RISK_NONE && risk->accounts[account].suspended);
}

/* Put an account's settings. */
void risk_set_account(struct risk *risk, uint32_t account, const struct risk_settings *settings);

/* Put when an account's dead man's switch is due, and how many commands it sent in which second. */
void risk_set_dead_man(struct risk *risk, uint32_t account, int64_t due_us);
void risk_count_command(struct risk *risk, uint32_t account, int64_t second, uint32_t commands);

/* The image of an account. */
#define RISK_ACCOUNT_WORDS 2
#define RISK_LIMITS_WORDS 6
void risk_account_image(const struct risk_account *account, uint64_t image[RISK_ACCOUNT_WORDS]);
/* The image of what only rules from 2 on can set. All but the first word 0: nothing is set, and it is not hashed. */
void risk_limits_image(const struct risk_account *account, uint64_t image[RISK_LIMITS_WORDS]);

/* ---- Assets --------------------------------------------------------------------------------------------------- */

/* The place of an asset, or RISK_NONE. */
uint32_t risk_find_asset(const struct risk *risk, uint32_t id);
uint32_t risk_find_code(const struct risk *risk, const uint8_t *code, uint32_t length);

/* Make an asset known. The caller has checked that number and code are free, the form of the code, and that there is room for
 * it and for the fee account's balance of it, which is the next thing to add. Returns its place. */
uint32_t risk_add_asset(struct risk *risk, uint32_t id, uint32_t decimals, const uint8_t *code, uint32_t length);

#define RISK_ASSET_WORDS 4
void risk_asset_image(const struct risk_asset *asset, uint64_t image[RISK_ASSET_WORDS]);

/* ---- Balances ------------------------------------------------------------------------------------------------- */

/* The place of a balance of an account (place) in an asset (place), or RISK_NONE. */
uint32_t risk_find_balance(const struct risk *risk, uint32_t account, uint32_t asset);

/* The same, by a guess. */
static inline uint32_t risk_look_balance(const struct risk *risk, uint32_t guess, uint32_t account, uint32_t asset) {
    const struct risk_balance *balance = &risk->balances[guess];
    bool is_it = balance->account == risk->accounts[account].id && balance->asset == risk->assets[asset].id;
    return is_it && guess != RISK_NONE ? guess : risk_find_balance(risk, account, asset);
}

/* A balance of 0 that is not there yet. There is room. Returns its place. */
uint32_t risk_add_balance(struct risk *risk, uint32_t account, uint32_t asset);

#define RISK_BALANCE_WORDS 4
static inline void risk_balance_image(const struct risk_balance *balance, uint64_t image[RISK_BALANCE_WORDS]) {
    image[0] = (uint64_t)balance->account << 32 | balance->asset;
    image[1] = (uint64_t)balance->available_minor;
    image[2] = (uint64_t)balance->held_minor;
    image[3] = 0;
}

/* Note a balance that is about to change. */
static inline void risk_touch(struct risk *risk, uint32_t place) {
    uint64_t bit = UINT64_C(1) << place % 64;
    if (risk->marks[place / 64] & bit) return;
    const struct risk_balance *balance = &risk->balances[place];
    risk->marks[place / 64] |= bit;
    risk->touched[risk->touched_count++] = (struct risk_touched){balance->available_minor + balance->held_minor, place};
}

/* Put a balance; neither part may be negative. The one place where a balance changes. */
static inline void risk_put(struct risk *risk, uint32_t place, int64_t available_minor, int64_t held_minor) {
    struct risk_balance *balance = &risk->balances[place];
    assert(place != RISK_NONE && available_minor >= 0 && held_minor >= 0);
    risk_touch(risk, place);
    balance->available_minor = available_minor;
    balance->held_minor = held_minor;
}

/* Bring both hashes up to date. */
void risk_settle(struct risk *risk);

/* Add to both parts of a balance; either may be negative. */
static inline void risk_move(struct risk *risk, uint32_t place, int64_t available_minor, int64_t held_minor) {
    const struct risk_balance *balance = &risk->balances[place];
    risk_put(risk, place, balance->available_minor + available_minor, balance->held_minor + held_minor);
}

/* ---- Arithmetic ----------------------------------------------------------------------------------------------- */

/* price × lots × what a lot costs at one tick. More than 2^62 comes out as something above 2^62, whatever the factors. */
static inline risk_wide risk_value(int64_t price_ticks, int64_t lots, int64_t tick_lot_minor) {
    risk_wide ticks = (risk_wide)price_ticks * lots;
    return ticks > RISK_MAX_TOTAL ? ticks : ticks * tick_lot_minor;
}

/* Up to this much times a rate fits 64 bits, which are divided by a constant without a division. */
#define RISK_SMALL (INT64_C(1) << 46)
#define RISK_MOST_PPM 100000
_Static_assert(RISK_SMALL * RISK_MOST_PPM <= INT64_MAX - RISK_PPM, "a fee of little is computed in 64 bits");

/* What is charged for receiving this much at a rate of 0 to RISK_MOST_PPM: rounded up. */
static inline int64_t risk_fee(int64_t received_minor, int32_t ppm) {
    if (__builtin_expect(received_minor <= RISK_SMALL, 1)) return (received_minor * ppm + RISK_PPM - 1) / RISK_PPM;
    return (int64_t)(((risk_wide)received_minor * ppm + RISK_PPM - 1) / RISK_PPM);
}

/* What is paid for receiving this much at a negative rate: rounded down, and at most what there is to pay it from. */
static inline int64_t risk_rebate(int64_t received_minor, int32_t ppm, int64_t available_minor) {
    int64_t rebate = (int64_t)((risk_wide)received_minor * -ppm / RISK_PPM);
    return rebate < available_minor ? rebate : available_minor;
}

/* a + b for what an order sums up over its life, which stays at its greatest value where it would pass it. */
static inline int64_t risk_sum(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* Walk all of it: every thing found where it belongs, lists in order, no part negative, totals within their limit, and both
 * hashes computed afresh. 0, or the line of the broken rule in risk.c. Held amounts are the core's to check. */
int risk_validate(const struct risk *risk);

#endif
