/* Accounts, assets and balances; see risk.h. */

#include "risk.h"

bool risk_open(struct risk *risk, uint32_t accounts, uint32_t balances) {
    *risk = (struct risk){0};
    risk->assets = calloc(RISK_MAX_ASSETS + 1, sizeof *risk->assets);
    if (!risk->assets || !table_reserve(&risk->asset_ids, RISK_MAX_ASSETS)) return false;
    if (!risk_reserve(risk, accounts, balances)) return false;
    uint32_t fees = risk_add_account(risk, RISK_FEE_ACCOUNT);
    assert(fees == RISK_FEE_PLACE);
    return true;
}

void risk_close(struct risk *risk) {
    free(risk->accounts);
    free(risk->balances);
    free(risk->after);
    free(risk->counted);
    free(risk->touched);
    free(risk->marks);
    free(risk->assets);
    free(risk->account_ids.entries);
    free(risk->balance_ids.entries);
    free(risk->asset_ids.entries);
    *risk = (struct risk){0};
}

/* Room for accounts. */
static bool reserve_accounts(struct risk *risk, uint32_t accounts) {
    if (accounts <= risk->account_room) return true;
    if (!table_reserve(&risk->account_ids, accounts)) return false;
    struct risk_account *grown =
        array_grow(risk->accounts, sizeof *grown, (size_t)risk->account_count + 1, (size_t)accounts + 1);
    if (!grown) return false;
    risk->accounts = grown;
    risk->account_room = accounts;
    return true;
}

/* Room to note every balance. */
static bool reserve_touched(struct risk *risk, uint32_t balances) {
    struct risk_touched *touched = array_grow(risk->touched, sizeof *touched, risk->touched_count, (size_t)balances + 1);
    if (!touched) return false;
    risk->touched = touched;
    size_t used = risk->marks ? risk->balance_count / 64 + 1 : 0;
    uint64_t *marks = array_grow(risk->marks, sizeof *marks, used, (size_t)balances / 64 + 1);
    if (!marks) return false;
    risk->marks = marks;
    return true;
}

/* Room for balances. */
static bool reserve_balances(struct risk *risk, uint32_t balances) {
    if (balances <= risk->balance_room) return true;
    if (!table_reserve(&risk->balance_ids, balances)) return false;
    size_t used = (size_t)risk->balance_count + 1;
    struct risk_balance *grown = array_grow(risk->balances, sizeof *grown, used, (size_t)balances + 1);
    if (!grown) return false;
    risk->balances = grown;
    uint32_t *after = array_grow(risk->after, sizeof *after, used, (size_t)balances + 1);
    if (!after) return false;
    risk->after = after;
    int64_t *counted = array_grow(risk->counted, sizeof *counted, 0, (size_t)balances + 1);
    if (!counted) return false;
    risk->counted = counted;
    if (!reserve_touched(risk, balances)) return false;
    risk->balance_room = balances;
    return true;
}

bool risk_reserve(struct risk *risk, uint32_t accounts, uint32_t balances) {
    return reserve_accounts(risk, accounts) && reserve_balances(risk, balances);
}

/* ---- Accounts ------------------------------------------------------------------------------------------------- */

void risk_account_image(const struct risk_account *account, uint64_t image[RISK_ACCOUNT_WORDS]) {
    image[0] = account->id;
    image[1] = (uint64_t)account->fee_tier << 16 | (uint64_t)account->self_trade << 8 | account->suspended;
}

void risk_limits_image(const struct risk_account *account, uint64_t image[RISK_LIMITS_WORDS]) {
    image[0] = account->id;
    image[1] = (uint64_t)account->max_commands << 32 | account->max_open_orders;
    image[2] = (uint64_t)account->pays_fee_asset << 32 | account->second_commands;
    image[3] = (uint64_t)account->second;
    image[4] = (uint64_t)account->dead_man_us;
    image[5] = 0;
}

static uint64_t limits_hash(const struct risk_account *account) {
    uint64_t image[RISK_LIMITS_WORDS];
    risk_limits_image(account, image);
    if ((image[1] | image[2] | image[3] | image[4]) == 0) return 0;
    return hash_words(HASH_LIMITS, image, RISK_LIMITS_WORDS);
}

static uint64_t account_hash(const struct risk_account *account) {
    uint64_t image[RISK_ACCOUNT_WORDS];
    risk_account_image(account, image);
    return hash_words(HASH_ACCOUNT, image, RISK_ACCOUNT_WORDS) + limits_hash(account);
}

/* A new account prevents self-trades by ending the incoming order. */
#define NEW_ACCOUNT_SELF_TRADE 2

uint32_t risk_add_account(struct risk *risk, uint32_t id) {
    assert(risk->account_count < risk->account_room);
    uint32_t place = ++risk->account_count;
    struct risk_account *account = &risk->accounts[place];
    *account = (struct risk_account){.id = id, .self_trade = NEW_ACCOUNT_SELF_TRADE};
    table_put(&risk->account_ids, risk_id_check(id), place);
    risk->hash += account_hash(account);
    return place;
}

void risk_set_account(struct risk *risk, uint32_t place, const struct risk_settings *settings) {
    struct risk_account *account = &risk->accounts[place];
    risk->hash -= account_hash(account);
    account->fee_tier = settings->fee_tier;
    account->self_trade = settings->self_trade;
    account->suspended = settings->suspended;
    account->pays_fee_asset = settings->pays_fee_asset;
    account->max_open_orders = settings->max_open_orders;
    account->max_commands = settings->max_commands;
    risk->hash += account_hash(account);
}

void risk_set_dead_man(struct risk *risk, uint32_t place, int64_t due_us) {
    struct risk_account *account = &risk->accounts[place];
    risk->hash -= account_hash(account);
    account->dead_man_us = due_us;
    risk->hash += account_hash(account);
}

void risk_count_command(struct risk *risk, uint32_t place, int64_t second, uint32_t commands) {
    struct risk_account *account = &risk->accounts[place];
    risk->hash -= account_hash(account);
    account->second = second;
    account->second_commands = commands;
    risk->hash += account_hash(account);
}

/* ---- Assets --------------------------------------------------------------------------------------------------- */

uint32_t risk_find_asset(const struct risk *risk, uint32_t id) {
    uint32_t check = risk_id_check(id);
    uint32_t at = table_home(&risk->asset_ids, check);
    uint32_t place;
    while ((place = table_next(&risk->asset_ids, check, &at)) != RISK_NONE) {
        if (risk->assets[place].id == id) return place;
    }
    return RISK_NONE;
}

uint32_t risk_find_code(const struct risk *risk, const uint8_t *code, uint32_t length) {
    for (uint32_t place = 1; place <= risk->asset_count; place++) {
        const struct risk_asset *asset = &risk->assets[place];
        if (asset->code_length == length && memcmp(asset->code, code, length) == 0) return place;
    }
    return RISK_NONE;
}

void risk_asset_image(const struct risk_asset *asset, uint64_t image[RISK_ASSET_WORDS]) {
    image[0] = asset->id;
    image[1] = (uint64_t)asset->code_length << 8 | asset->decimals;
    image[2] = image[3] = 0;
    for (uint32_t i = 0; i < RISK_CODE_BYTES; i++) {
        image[2 + i / 8] |= (uint64_t)(uint8_t)asset->code[i] << (i % 8 * 8);
    }
}

static uint64_t asset_hash(const struct risk_asset *asset) {
    uint64_t image[RISK_ASSET_WORDS];
    risk_asset_image(asset, image);
    return hash_words(HASH_ASSET, image, RISK_ASSET_WORDS);
}

uint32_t risk_add_asset(struct risk *risk, uint32_t id, uint32_t decimals, const uint8_t *code, uint32_t length) {
    assert(risk->asset_count < RISK_MAX_ASSETS && length <= RISK_CODE_BYTES);
    uint32_t place = ++risk->asset_count;
    struct risk_asset *asset = &risk->assets[place];
    *asset = (struct risk_asset){.id = id, .decimals = (uint8_t)decimals, .code_length = (uint8_t)length};
    memcpy(asset->code, code, length);
    table_put(&risk->asset_ids, risk_id_check(id), place);
    risk->hash += asset_hash(asset);
    return place;
}

/* ---- Balances ------------------------------------------------------------------------------------------------- */

uint32_t risk_find_balance(const struct risk *risk, uint32_t account, uint32_t asset) {
    uint32_t account_id = risk->accounts[account].id;
    uint32_t asset_id = risk->assets[asset].id;
    uint32_t check = risk_balance_check(account_id, asset_id);
    uint32_t at = table_home(&risk->balance_ids, check);
    uint32_t place;
    while ((place = table_next(&risk->balance_ids, check, &at)) != RISK_NONE) {
        const struct risk_balance *balance = &risk->balances[place];
        if (balance->account == account_id && balance->asset == asset_id) return place;
    }
    return RISK_NONE;
}

/* Put a balance into its account's list. */
static void list_balance(struct risk *risk, uint32_t account, uint32_t place) {
    uint32_t *link = &risk->accounts[account].first_balance;
    while (*link != RISK_NONE && risk->balances[*link].asset < risk->balances[place].asset) link = &risk->after[*link];
    risk->after[place] = *link;
    *link = place;
}

uint32_t risk_add_balance(struct risk *risk, uint32_t account, uint32_t asset) {
    assert(risk->balance_count < risk->balance_room);
    uint32_t place = ++risk->balance_count;
    struct risk_balance *balance = &risk->balances[place];
    *balance = (struct risk_balance){.account = risk->accounts[account].id, .asset = risk->assets[asset].id};
    table_put(&risk->balance_ids, risk_balance_check(balance->account, balance->asset), place);
    list_balance(risk, account, place);
    if (account == RISK_FEE_PLACE) risk->assets[asset].fee_balance = place;
    risk_put(risk, place, 0, 0);
    return place;
}

static void settle_balance(struct risk *risk, const struct risk_touched *touched) {
    struct risk_balance *balance = &risk->balances[touched->place];
    int64_t total_minor = balance->available_minor + balance->held_minor;
    uint64_t image[RISK_BALANCE_WORDS];
    risk_balance_image(balance, image);
    uint64_t hash = hash_words(HASH_BALANCE, image, RISK_BALANCE_WORDS);
    risk->hash += hash - balance->hash;
    balance->hash = hash;
    risk->marks[touched->place / 64] = 0;
    if (total_minor == touched->total_minor) return;
    risk->balance_hash += hash_total(balance->account, balance->asset, total_minor) -
                          hash_total(balance->account, balance->asset, touched->total_minor);
}

void risk_settle(struct risk *risk) {
    for (uint32_t i = 0; i < risk->touched_count; i++) settle_balance(risk, &risk->touched[i]);
    risk->touched_count = 0;
}

/* ---- Checking ------------------------------------------------------------------------------------------------- */

#define CHECK(rule) \
    do { \
        if (!(rule)) return __LINE__; \
    } while (0)

/* One account and its list of balances; counts them into *balances and adds to the hashes. */
static int validate_account(const struct risk *risk, uint32_t place, uint32_t *balances, struct risk *sums) {
    const struct risk_account *account = &risk->accounts[place];
    CHECK(risk_find_account(risk, account->id) == place);
    CHECK(account->fee_tier <= RISK_LAST_TIER && account->self_trade <= 4 && account->suspended <= 1);
    sums->hash += account_hash(account);
    uint32_t last_asset = 0;
    for (uint32_t at = account->first_balance; at != RISK_NONE; at = risk->after[at]) {
        const struct risk_balance *balance = &risk->balances[at];
        CHECK(at <= risk->balance_count && ++*balances <= risk->balance_count);
        CHECK(balance->account == account->id && balance->asset > last_asset);
        CHECK(balance->available_minor >= 0 && balance->held_minor >= 0);
        CHECK(balance->held_minor <= RISK_MAX_TOTAL && balance->available_minor <= RISK_MAX_TOTAL - balance->held_minor);
        uint32_t asset = risk_find_asset(risk, balance->asset);
        CHECK(asset != RISK_NONE && risk_find_balance(risk, place, asset) == at);
        uint64_t image[RISK_BALANCE_WORDS];
        risk_balance_image(balance, image);
        CHECK(balance->hash == hash_words(HASH_BALANCE, image, RISK_BALANCE_WORDS));
        sums->hash += balance->hash;
        sums->balance_hash += hash_total(balance->account, balance->asset, balance->available_minor + balance->held_minor);
        last_asset = balance->asset;
    }
    return 0;
}

/* One asset: its own total is within the limit and is what the balances sum up to. */
static int validate_asset(const struct risk *risk, uint32_t place, struct risk *sums) {
    const struct risk_asset *asset = &risk->assets[place];
    CHECK(asset->id != 0 && risk_find_asset(risk, asset->id) == place);
    CHECK(asset->decimals <= RISK_MAX_DECIMALS && asset->code_length >= 1 && asset->code_length <= RISK_CODE_BYTES);
    CHECK(risk_find_code(risk, (const uint8_t *)asset->code, asset->code_length) == place);
    CHECK(asset->fee_balance != RISK_NONE && asset->fee_balance == risk_find_balance(risk, RISK_FEE_PLACE, place));
    CHECK(asset->total_minor >= 0 && asset->total_minor <= RISK_MAX_TOTAL);
    sums->hash += asset_hash(asset);
    return 0;
}

/* The totals of all assets against the sums of their balances. */
static int validate_totals(const struct risk *risk) {
    for (uint32_t place = 1; place <= risk->asset_count; place++) risk->assets[place].counted_minor = 0;
    for (uint32_t at = 1; at <= risk->balance_count; at++) {
        const struct risk_balance *balance = &risk->balances[at];
        struct risk_asset *asset = &risk->assets[risk_find_asset(risk, balance->asset)];
        int64_t total = balance->available_minor + balance->held_minor;
        CHECK(total <= RISK_MAX_TOTAL && asset->counted_minor <= RISK_MAX_TOTAL - total);
        asset->counted_minor += total;
    }
    for (uint32_t place = 1; place <= risk->asset_count; place++) {
        CHECK(risk->assets[place].counted_minor == risk->assets[place].total_minor);
    }
    return 0;
}

int risk_validate(const struct risk *risk) {
    struct risk sums = {0};
    uint32_t balances = 0;
    CHECK(risk->accounts[RISK_FEE_PLACE].id == RISK_FEE_ACCOUNT && risk->touched_count == 0);
    CHECK(risk->account_count <= risk->account_room && risk->account_count == risk->account_ids.count);
    CHECK(risk->balance_count <= risk->balance_room && risk->balance_count == risk->balance_ids.count);
    CHECK(risk->asset_count <= RISK_MAX_ASSETS && risk->asset_count == risk->asset_ids.count);
    for (uint32_t place = 1; place <= risk->asset_count; place++) {
        int line = validate_asset(risk, place, &sums);
        if (line != 0) return line;
    }
    for (uint32_t place = 1; place <= risk->account_count; place++) {
        int line = validate_account(risk, place, &balances, &sums);
        if (line != 0) return line;
    }
    CHECK(balances == risk->balance_count);
    CHECK(sums.hash == risk->hash && sums.balance_hash == risk->balance_hash);
    return validate_totals(risk);
}
