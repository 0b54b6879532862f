/* Target: the codec. Any bytes, as a batch and as a record. What is let through is walked, written again as the writers
 * write, let through again, walked again, and written the same; and it has as many commands as the check counted.
 *
 * A command at the end of its record, where nothing behind it may be looked at, is read the slow way. So each is read there,
 * and again with another batch behind it, walked and as the check kept it: it is the same command three times. */

#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "codec_wire.h"
#include "fuzz.h"

/* ---- A command as the writers write it ------------------------------------------------------------------------------ */

static uint8_t *wrap(uint8_t *at, uint32_t tag, const uint8_t *body, const uint8_t *end) {
    at = wire_put(wire_put_tag(at, tag), (uint64_t)(end - body));
    memcpy(at, body, (size_t)(end - body));
    return at + (end - body);
}

/* One for each kind: a new one that holds plain fields only is a line. */
#define PUT_PLAIN(name, NAME) \
    static uint8_t *put_##name##_kind(uint8_t *at, const struct codec_command *command) { \
        return codec_put_##name##_in(at, COMMAND_##NAME##_TAG, &command->name); \
    }
#define PUT_NOTHING(name, NAME) \
    static uint8_t *put_##name##_kind(uint8_t *at, const struct codec_command *command) { \
        (void)command; \
        return wrap(at, COMMAND_##NAME##_TAG, at, at); \
    }
#define PUT_AROUND(name, NAME, write) \
    static uint8_t *put_##name##_kind(uint8_t *at, const struct codec_command *command) { \
        uint8_t inner[CODEC_INSTRUMENT_BYTES + 64]; \
        return wrap(at, COMMAND_##NAME##_TAG, inner, write); \
    }
PUT_PLAIN(place_order, PLACE_ORDER)
PUT_PLAIN(amend_order, AMEND_ORDER)
PUT_PLAIN(cancel_order, CANCEL_ORDER)
PUT_PLAIN(cancel_all, CANCEL_ALL)
PUT_PLAIN(credit, CREDIT)
PUT_PLAIN(debit, DEBIT)
PUT_NOTHING(open_session, OPEN_SESSION)
PUT_NOTHING(close_session, CLOSE_SESSION)
PUT_NOTHING(tick, TICK)
PUT_AROUND(add_asset, ADD_ASSET, codec_put_asset_in(inner, ADD_ASSET_ASSET_TAG, &command->add_asset.asset))
static uint8_t *put_add_instrument_kind(uint8_t *at, const struct codec_command *command) {
    uint8_t inner[CODEC_INSTRUMENT_BYTES + 64];
    struct codec_instrument instrument;
    codec_read_instrument(&command->add_instrument, &instrument);
    uint8_t *end = codec_put_instrument_in(inner, ADD_INSTRUMENT_INSTRUMENT_TAG, &instrument);
    return wrap(at, COMMAND_ADD_INSTRUMENT_TAG, inner, end);
}
PUT_PLAIN(set_phase, SET_PHASE)
PUT_PLAIN(set_limits, SET_LIMITS)
static uint8_t *put_set_fees_kind(uint8_t *at, const struct codec_command *command) {
    uint8_t inner[CODEC_FEE_RATE_BYTES + 64];
    const struct codec_set_fees *fees = &command->set_fees;
    uint8_t *end = fees->instrument ? wire_put(wire_put_tag(inner, SET_FEES_INSTRUMENT_TAG), fees->instrument) : inner;
    return wrap(at, COMMAND_SET_FEES_TAG, inner, codec_put_fee_rate_in(end, SET_FEES_FEE_TAG, &fees->fee));
}
PUT_PLAIN(set_account, SET_ACCOUNT)
PUT_PLAIN(set_sizes, SET_SIZES)
PUT_PLAIN(use_rules, USE_RULES)
PUT_PLAIN(set_clock, SET_CLOCK)
PUT_PLAIN(set_guards, SET_GUARDS)
PUT_PLAIN(set_mark, SET_MARK)
PUT_PLAIN(set_dead_man, SET_DEAD_MAN)
PUT_PLAIN(kill, KILL)
PUT_PLAIN(set_fee_market, SET_FEE_MARKET)
PUT_PLAIN(halt, HALT)
PUT_PLAIN(resume, RESUME)

static uint8_t *put_replace_order_kind(uint8_t *at, const struct codec_command *command) {
    uint8_t inner[CODEC_PLACE_ORDER_BYTES + 128];
    struct codec_replace_order replacement;
    codec_read_replacement(&command->replace_order, &replacement);
    uint8_t *end = inner;
    if (replacement.order_id) end = wire_put(wire_put_tag(end, REPLACE_ORDER_ORDER_ID_TAG), replacement.order_id);
    struct codec_bytes name = replacement.client_order_id;
    if (name.length) end = wrap(end, REPLACE_ORDER_CLIENT_ORDER_ID_TAG, name.at, name.at + name.length);
    end = codec_put_place_order_in(end, REPLACE_ORDER_ORDER_TAG, &replacement.order);
    return wrap(at, COMMAND_REPLACE_ORDER_TAG, inner, end);
}

static uint8_t *put_place_group_kind(uint8_t *at, const struct codec_command *command) {
    uint8_t inner[3 * CODEC_PLACE_ORDER_BYTES + 64];
    struct codec_place_group group;
    codec_read_group(&command->place_group, &group);
    uint8_t *end = wire_put(wire_put_tag(inner, PLACE_GROUP_KIND_TAG), group.kind);
    end = codec_put_place_order_in(end, PLACE_GROUP_FIRST_TAG, &group.first);
    end = codec_put_place_order_in(end, PLACE_GROUP_SECOND_TAG, &group.second);
    if (codec_group_size(&group) == 3) end = codec_put_place_order_in(end, PLACE_GROUP_THIRD_TAG, &group.third);
    return wrap(at, COMMAND_PLACE_GROUP_TAG, inner, end);
}

#define KIND_UINT32(name, number)
#define KIND_UINT64(name, number)
#define KIND_INT64(name, number)
#define KIND_BYTES(name, number)
#define KIND_ONEOF_MESSAGE(name, number) \
    case number: return put_##name##_kind(at, command);
#define KIND(name, number, kind, of) KIND_##kind(name, number)
static uint8_t *put_kind(uint8_t *at, const struct codec_command *command) {
    switch (command->kind) {
        COMMAND_FIELDS(KIND)
    default:
        FUZZ_CHECK(!"a command has a kind of the contract");
        return at;
    }
}

static uint8_t *put_number(uint8_t *at, uint32_t tag, uint64_t value) {
    return value ? wire_put(wire_put_tag(at, tag), value) : at;
}

static uint8_t *put_text(uint8_t *at, uint32_t tag, struct codec_bytes text) {
    return text.length ? wrap(at, tag, text.at, text.at + text.length) : at;
}

#define MOST_COMMAND (CODEC_INSTRUMENT_BYTES + 512)

static uint8_t *put_command(uint8_t *at, const struct codec_command *command) {
    uint8_t body[MOST_COMMAND];
    uint8_t *end = put_text(body, COMMAND_REQUEST_ID_TAG, command->request_id);
    end = put_number(end, COMMAND_CAUSATION_TAG, command->causation);
    end = put_text(end, COMMAND_TRACE_TAG, command->trace);
    end = put_number(end, COMMAND_ACCOUNT_TAG, command->account);
    end = put_number(end, COMMAND_VALID_UNTIL_US_TAG, (uint64_t)command->valid_until_us);
    end = put_kind(end, command);
    return wrap(at, SUBMIT_REQUEST_COMMANDS_TAG, body, end);
}

/* ---- Batches and records -------------------------------------------------------------------------------------------- */

struct text {
    uint8_t *bytes;
    uint8_t *end;
};

static size_t text_length(const struct text *text) { return (size_t)(text->end - text->bytes); }

static bool is_same(const struct text *one, const struct text *other) {
    return text_length(one) == text_length(other) && memcmp(one->bytes, other->bytes, text_length(one)) == 0;
}

static uint8_t *put_batch_head(uint8_t *at, const struct codec_batch *batch) {
    at = put_number(at, SUBMIT_REQUEST_SESSION_TAG, batch->session);
    at = put_number(at, SUBMIT_REQUEST_NUMBER_TAG, batch->number);
    return put_number(at, SUBMIT_REQUEST_SOURCE_TAG, batch->source);
}

/* A record around a batch, with nothing behind it or a tick; exactly as long as it is. */
static struct text record_around(const uint8_t *batch, size_t length, bool has_tick) {
    static const uint8_t tick[] = {SUBMIT_REQUEST_COMMANDS_TAG, 2, COMMAND_TICK_TAG, 0};
    uint8_t *whole = malloc(length + 64);
    FUZZ_CHECK(whole != NULL);
    uint8_t *end = put_number(whole, COMMAND_RECORD_SHARD_TAG, 7);
    end = wrap(end, COMMAND_RECORD_REQUESTS_TAG, batch, batch + length);
    if (has_tick) end = wrap(end, COMMAND_RECORD_REQUESTS_TAG, tick, tick + sizeof tick);
    uint8_t *exact = fuzz_copy(whole, (size_t)(end - whole));
    end = exact + (end - whole);
    free(whole);
    return (struct text){exact, end};
}

/* Read the one command of a batch that ends with its record: the slow way. */
static uint8_t *rewrite_last(uint8_t *at, const struct codec_batch *batch, const uint8_t *bytes, size_t length) {
    struct codec_record record;
    struct codec_batch walked;
    struct codec_command command;
    uint32_t where;
    uint8_t head[64];
    struct text body = {malloc(length + sizeof head), NULL};
    FUZZ_CHECK(body.bytes != NULL);
    body.end = body.bytes + (put_batch_head(head, batch) - head);
    memcpy(body.bytes, head, text_length(&body));
    memcpy(body.end, bytes, length);
    struct text whole = record_around(body.bytes, text_length(&body) + length, false);
    FUZZ_CHECK_ZERO(codec_record_check(whole.bytes, (uint32_t)text_length(&whole), &record, &where));
    FUZZ_CHECK(codec_record_next(&record, &walked) && codec_batch_next(&walked, &command));
    at = put_command(at, &command);
    FUZZ_CHECK(!codec_batch_next(&walked, &command));
    free(whole.bytes);
    free(body.bytes);
    return at;
}

/* Where in a batch, from here on, its next command begins: what stands around it is stepped over. */
static const uint8_t *command_from(const uint8_t *at, const uint8_t *end) {
    struct wire_reader reader = wire_reader_of(at, (size_t)(end - at));
    uint64_t tag = 0, value;
    for (;;) {
        at = reader.at;
        FUZZ_CHECK(wire_take(&reader, &tag));
        if (tag == SUBMIT_REQUEST_COMMANDS_TAG) return at;
        FUZZ_CHECK(wire_take(&reader, &value));
    }
}

enum way { WALKED, KEPT, ONE_BY_ONE };

/* Write a batch again: as it is walked, as it was kept, or each command as it is read at the end of a record. */
static struct text rewrite(struct codec_batch *batch, const struct codec_kept *kept, enum way way) {
    struct codec_command read;
    struct text text;
    text.bytes = malloc((size_t)batch->commands * MOST_COMMAND + 64);
    FUZZ_CHECK(text.bytes != NULL);
    text.end = put_batch_head(text.bytes, batch);
    for (uint32_t i = 0; i < batch->commands; i++) {
        const uint8_t *start = batch->at;
        const struct codec_command *command = way == KEPT ? codec_batch_next_kept(batch, kept) : NULL;
        if (!command) {
            FUZZ_CHECK(codec_batch_next(batch, &read));
            command = &read;
        }
        if (way == ONE_BY_ONE) {
            start = command_from(start, batch->at);
            text.end = rewrite_last(text.end, batch, start, (size_t)(batch->at - start));
        } else {
            text.end = put_command(text.end, command);
        }
    }
    FUZZ_CHECK(!codec_batch_next(batch, &read));
    return text;
}

static void check_head(const struct codec_batch *batch, const struct core_batch *counted) {
    FUZZ_CHECK(batch->commands == counted->commands && batch->session == counted->session);
    FUZZ_CHECK(batch->number == counted->number && batch->source == counted->source);
}

/* The batch written again, the same in every way of reading it. */
static struct text through_record(const uint8_t *bytes, size_t length, const struct core_batch *counted) {
    static struct codec_kept kept;
    struct codec_record record;
    struct codec_batch batch;
    struct text texts[3];
    uint32_t where;
    struct text whole = record_around(bytes, length, true);
    for (enum way way = WALKED; way <= ONE_BY_ONE; way++) {
        FUZZ_CHECK_ZERO(codec_record_keep(whole.bytes, (uint32_t)text_length(&whole), &record, &kept, &where));
        FUZZ_CHECK(record.shard == 7 && record.batches == 2 && codec_record_next(&record, &batch));
        check_head(&batch, counted);
        texts[way] = rewrite(&batch, &kept, way);
        FUZZ_CHECK(codec_record_next(&record, &batch) && !codec_record_next(&record, &batch));
    }
    FUZZ_CHECK(is_same(&texts[WALKED], &texts[KEPT]) && is_same(&texts[WALKED], &texts[ONE_BY_ONE]));
    free(texts[KEPT].bytes);
    free(texts[ONE_BY_ONE].bytes);
    free(whole.bytes);
    return texts[WALKED];
}

/* What is let through by itself is let through with something behind it, and the other way about. */
static void check_both_ends(const uint8_t *bytes, size_t length, int expected) {
    for (int has_tick = 0; has_tick < 2; has_tick++) {
        struct codec_record record;
        uint32_t where;
        struct text whole = record_around(bytes, length, has_tick);
        FUZZ_CHECK(codec_record_check(whole.bytes, (uint32_t)text_length(&whole), &record, &where) == expected);
        free(whole.bytes);
    }
}

static void try_batch(const uint8_t *bytes, size_t length) {
    struct core_batch counted, again;
    uint32_t where = UINT32_MAX;
    int result = core_check(bytes, (uint32_t)length, &counted, &where);
    fuzz_note_state("batch", where);
    FUZZ_CHECK(where <= length && (result == CORE_OK || result == CORE_FOREIGN));
    check_both_ends(bytes, length, result);
    if (result != CORE_OK) return;
    struct text once = through_record(bytes, length, &counted);
    fuzz_note_bytes("written", once.bytes, text_length(&once));
    FUZZ_CHECK_ZERO(core_check(once.bytes, (uint32_t)text_length(&once), &again, &where));
    FUZZ_CHECK(counted.session == again.session && counted.number == again.number && counted.source == again.source);
    FUZZ_CHECK(counted.commands == again.commands && counted.only_cancels == again.only_cancels);
    struct text twice = through_record(once.bytes, text_length(&once), &counted);
    FUZZ_CHECK(is_same(&once, &twice));
    free(once.bytes);
    free(twice.bytes);
}

/* Every batch of a record that is let through is let through by itself. */
static void try_record(const uint8_t *bytes, size_t length) {
    struct codec_record record;
    struct codec_batch batch;
    uint32_t where = UINT32_MAX, batches = 0;
    int result = codec_record_check(bytes, (uint32_t)length, &record, &where);
    fuzz_note_state("record", where);
    FUZZ_CHECK(where <= length && (result == CORE_OK || result == CORE_FOREIGN));
    if (result != CORE_OK) return;
    for (; codec_record_next(&record, &batch); batches++) try_batch(batch.at, (size_t)(batch.end - batch.at));
    FUZZ_CHECK(batches == record.batches);
}

void fuzz_codec(const uint8_t *bytes, size_t length) {
    struct fuzz_input input = {bytes, bytes + length};
    bool is_record = fuzz_byte(&input) & 1;
    size_t left = (size_t)(input.end - input.at);
    uint8_t *exact = fuzz_copy(input.at, left);
    if (is_record) try_record(exact, left);
    else try_batch(exact, left);
    free(exact);
}
