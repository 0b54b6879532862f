/* See market.h. */

#define _POSIX_C_SOURCE 200112L

#include "market.h"

#include <stdlib.h>
#include <string.h>

#include "timing.h"

#define START_US INT64_C(1700000000000000)
#define RECORD_EVERY_US 1000
#define VALID_US INT64_C(3600000000)
#define MONEY_MINOR INT64_C(400000000000000)
#define SHARDS 1024u
enum { USD = 1, BTC = 2 };

static const uint8_t request_id[CODEC_REQUEST_ID] = "one as any other";

static void *room(size_t size) {
    void *made = calloc(1, size);
    if (!made) {
        fprintf(stderr, "There is not enough memory.\n");
        exit(1);
    }
    return made;
}

/* ---- Records -------------------------------------------------------------------------------------------------- */

static void write_in(struct market *market, struct travel travel) {
    market->record_length = record_write(market->record, travel, market->commands, market->count);
    market->count = 0;
}

void market_write(struct market *market) { write_in(market, (struct travel){1, ++market->batch, 0}); }

static void copy_record(const struct market *market) {
    uint32_t length = market->record_length;
    bool is_written = fwrite(&length, sizeof length, 1, market->copy) == 1 &&
                      fwrite(market->record, 1, length, market->copy) == length;
    if (!is_written) exit(1);
}

void market_apply(struct market *market) {
    struct core_facts facts;
    if (market->copy) copy_record(market);
    market->records++;
    core_facts(market->core, &facts);
    int64_t time_us = START_US + (int64_t)facts.next_offset * RECORD_EVERY_US;
    market->ns = market->longest_part_ns = market->event_bytes = market->answer_bytes = 0;
    market->parts = 0;
    do {
        uint64_t begin_ns = timing_ns();
        int result = core_apply(market->core, facts.next_offset, time_us, market->record, market->record_length, market->parts,
                                &market->part);
        uint64_t took_ns = timing_ns() - begin_ns;
        if (result != CORE_OK) {
            fprintf(stderr, "The core refused a record: %d\n", result);
            exit(1);
        }
        market->ns += took_ns;
        if (took_ns > market->longest_part_ns) market->longest_part_ns = took_ns;
        market->event_bytes += market->part.events_length;
        market->answer_bytes += market->part.answers_length;
        market->parts++;
    } while (!market->part.last);
}

static void apply_in(struct market *market, struct travel travel) {
    write_in(market, travel);
    market_apply(market);
}

void market_flush(struct market *market) {
    if (market->count == 0) return;
    market_write(market);
    market_apply(market);
}

/* ---- Commands ------------------------------------------------------------------------------------------------- */

static struct codec_command *next_of(struct market *market, uint32_t kind, uint32_t account) {
    struct codec_command *command = &market->commands[market->count++];
    memset(command, 0, sizeof *command);
    command->request_id = (struct codec_bytes){request_id, sizeof request_id};
    command->kind = kind;
    command->account = account;
    return command;
}

struct codec_command *market_next(struct market *market, uint32_t kind, uint32_t account) {
    if (market->count == MARKET_BATCH) market_flush(market);
    struct codec_command *command = next_of(market, kind, MARKET_FIRST_ACCOUNT + account);
    command->valid_until_us = START_US + VALID_US;
    return command;
}

void market_place(struct market *market, uint32_t instrument, uint32_t account, uint8_t side, int64_t price_ticks, int64_t lots,
                  bool is_ioc) {
    struct codec_command *command = market_next(market, COMMAND_PLACE_ORDER, account);
    command->place_order.instrument = (instrument + 1) * SHARDS;
    command->place_order.side = side ? SIDE_SELL : SIDE_BUY;
    command->place_order.type = ORDER_TYPE_LIMIT;
    command->place_order.time_in_force = is_ioc ? TIME_IN_FORCE_IOC : TIME_IN_FORCE_GTC;
    command->place_order.price_ticks = price_ticks;
    command->place_order.quantity_lots = lots;
}

void market_message(struct market *market, const struct message *message) {
    struct codec_command *command;
    switch ((enum message_kind)message->kind) {
    case MESSAGE_PLACE:
        market_place(market, 0, message->owner, message->side, message->price_ticks, message->lots, message->is_ioc);
        return;
    case MESSAGE_AMEND:
        command = market_next(market, COMMAND_AMEND_ORDER, message->owner);
        command->amend_order.order_id = message->order_id * SHARDS;
        command->amend_order.price_ticks = message->price_ticks;
        command->amend_order.quantity_lots = message->lots;
        return;
    case MESSAGE_CANCEL:
        command = market_next(market, COMMAND_CANCEL_ORDER, message->owner);
        command->cancel_order.order_id = message->order_id * SHARDS;
        return;
    }
}

void market_tick(struct market *market) {
    market_flush(market);
    next_of(market, COMMAND_TICK, 0);
    apply_in(market, (struct travel){0});
}

/* ---- Opening -------------------------------------------------------------------------------------------------- */

static void add_asset(struct market *market, uint32_t asset, const char *code) {
    struct codec_command *command = next_of(market, COMMAND_ADD_ASSET, 0);
    command->add_asset.asset = (struct codec_asset){
        .asset = asset,
        .code = {(const uint8_t *)code, (uint32_t)strlen(code)},
        .decimals = 8,
    };
    market_flush(market);
}

/* A tick of 0.005, a lot of 0.00001, 0.1 % and 0.2 %. */
static void add_instrument(struct market *market) {
    char symbol[32];
    int length = snprintf(symbol, sizeof symbol, "BTC-USD-%u", market->instruments++);
    struct codec_instrument instrument = {
        .symbol = {(const uint8_t *)symbol, (uint32_t)length},
        .base_asset = BTC,
        .quote_asset = USD,
        .lot_minor = 1000,
        .tick_units = 5,
        .tick_scale = 3,
        .phase = PHASE_CONTINUOUS,
        .min_quantity_lots = 1,
        .max_quantity_lots = 1000000000,
        .max_notional_minor = INT64_C(1) << 62,
        .market_protection_ppm = 50000,
        .fee_count = 1,
        .fees = {{.maker_fee_ppm = 1000, .taker_fee_ppm = 2000}},
    };
    record_market(next_of(market, COMMAND_ADD_INSTRUMENT, 0), &instrument);
    market_flush(market);
}

/* From a source, whose commands are numbered one by one. */
static void give_money(struct market *market, uint32_t accounts) {
    uint64_t number = 1;
    for (uint32_t i = 0; i < 2 * accounts; i++) {
        struct codec_command *command = next_of(market, COMMAND_CREDIT, MARKET_FIRST_ACCOUNT + i / 2);
        command->credit.asset = i % 2 ? USD : BTC;
        command->credit.amount_minor = MONEY_MINOR;
        if (market->count < MARKET_BATCH && i + 1 < 2 * accounts) continue;
        uint32_t count = market->count;
        apply_in(market, (struct travel){0, number, 1});
        number += count;
    }
}

struct market *market_open(uint32_t instruments, uint32_t accounts, FILE *copy) {
    struct market *market = room(sizeof *market);
    market->copy = copy;
    market->commands = room(MARKET_BATCH * sizeof *market->commands);
    market->record = room(RECORD_HEAD_BYTES + MARKET_BATCH * RECORD_COMMAND_BYTES);
    market->part.events = room(CORE_PART_BYTES);
    market->part.answers = room(CORE_ANSWER_BYTES);
    market->part.index = room(CORE_MAX_BATCHES * sizeof *market->part.index);
    if (core_new(0, &market->core) != CORE_OK) exit(1);
    next_of(market, COMMAND_OPEN_SESSION, 0);
    apply_in(market, (struct travel){0});
    add_asset(market, USD, "USD");
    add_asset(market, BTC, "BTC");
    while (market->instruments < instruments) add_instrument(market);
    give_money(market, accounts);
    return market;
}

void market_close(struct market *market) {
    core_free(market->core);
    free(market->commands);
    free(market->record);
    free(market->part.events);
    free(market->part.answers);
    free(market->part.index);
    free(market);
}
