/* Reads a message as the core does and writes it again as the core does, so that the protobuf library can say whether
 * both mean the same. Inputs are copied to a block of exactly their size, so that a sanitizer sees one byte too many.
 *
 * Includes the reader as source: the readers of messages which the core only writes are made from the same pieces. */

#include "codec_read.c"

#include <stdlib.h>

#define CASE_SINT64(name, number, of) CASE_VALUE(number, WIRE_VARINT, take_SINT64(reader, &into->name))
#define CASE_FIXED64(name, number, of) CASE_VALUE(number, WIRE_EIGHT_BYTES, take_FIXED64(reader, &into->name))
#define is_taker_client_order_id is_name
#define is_maker_client_order_id is_name
#define is_detail is_printable
#define is_broken is_printable
#undef CASE_MESSAGE
#undef CASE_REPEATED_MESSAGE
/* Only the plain fields of a message are echoed here. */
#define CASE_MESSAGE(name, number, of)
#define CASE_REPEATED_MESSAGE(name, number, of)

static bool take_SINT64(struct wire_reader *reader, int64_t *into) TAKE_NUMBER(UINT64_MAX, wire_unfold(taken))

static bool take_FIXED64(struct wire_reader *reader, uint64_t *into) {
    if (reader->end - reader->at < 8) return false;
    *into = wire_load(reader->at);
    reader->at += 8;
    return true;
}

static struct wire_reader copy_exactly(const uint8_t *bytes, uint32_t length) {
    uint8_t *copy = malloc(length);
    if (length) memcpy(copy, bytes, length);
    return wire_reader_of(copy, length);
}

/* ---- Messages with plain fields ------------------------------------------------------------------------------------ */

/* `echo_m` returns the length it wrote, or -1 if the reader refused. `in` asks for a field of another message with tag 10.
 * The room is exactly what the header says, so that a sanitizer sees a writer which needs more. */
#define ECHO(name, NAME, put) \
    static int64_t echo_##name(struct wire_reader *reader, uint8_t *out) { \
        struct codec_##name message; \
        if (!echo_read_##name(reader, &message)) return -1; \
        uint8_t *room = malloc(CODEC_##NAME##_BYTES); \
        int64_t length = put - room; \
        memcpy(out, room, (size_t)length); \
        free(room); \
        return length; \
    }
#define ECHO_READER(name, NAME) \
    static bool echo_read_##name(struct wire_reader *reader, struct codec_##name *into) { \
        memset(into, 0, sizeof *into); \
        READ_FIELDS(NAME, 0) \
    }
#define ECHO_PLAIN(name, NAME) ECHO_READER(name, NAME) ECHO(name, NAME, codec_put_##name##_in(room, 10, &message))
#define ECHO_OUTER(name, NAME) ECHO_READER(name, NAME) ECHO(name, NAME, codec_put_##name(room, &message))
CODEC_PLAIN_MESSAGES(ECHO_PLAIN)

/* An order without what only some have is written without looking for it. */
#define COUNT_MORE(name, number, kind, of) COUNT_MORE_##kind(name, number)
#define COUNT_MORE_UINT32(name, number) +((number) > ORDER_SEQUENCE && into->name != 0)
#define COUNT_MORE_UINT64(name, number) COUNT_MORE_UINT32(name, number)
#define COUNT_MORE_INT64(name, number) COUNT_MORE_UINT32(name, number)
#define COUNT_MORE_SINT64(name, number) COUNT_MORE_UINT32(name, number)
#define COUNT_MORE_BOOL(name, number) COUNT_MORE_UINT32(name, number)
#define COUNT_MORE_ENUM(name, number) COUNT_MORE_UINT32(name, number)
#define COUNT_MORE_STRING(name, number)
static bool echo_read_order(struct wire_reader *reader, struct codec_order *into) {
    memset(into, 0, sizeof *into);
    READ_FIELDS(ORDER, 0)
}
static bool echo_read_whole_order(struct wire_reader *reader, struct codec_order *into) {
    if (!echo_read_order(reader, into)) return false;
    into->has_more = (ORDER_FIELDS(COUNT_MORE)) != 0;
    return true;
}
#define echo_read_order echo_read_whole_order
ECHO(order, ORDER, codec_put_order_in(room, 10, &message))
CODEC_OUTER_MESSAGES(ECHO_OUTER)

int64_t echo_message(const char *name, const uint8_t *bytes, uint32_t length, uint8_t *out) {
    struct wire_reader copy = copy_exactly(bytes, length), reader = copy;
    int64_t written = -2;
#define DISPATCH(message, NAME) \
    if (strcmp(name, #message) == 0) written = echo_##message(&reader, out);
    CODEC_PLAIN_MESSAGES(DISPATCH)
    DISPATCH(order, ORDER)
    CODEC_OUTER_MESSAGES(DISPATCH)
    free((void *)copy.at);
    return written;
}

/* The names echo_message knows, a space after each: those that are written as a field of another, then the others. */
#define NAME_OF(name, NAME) #name " "
const char *echo_plain_names(void) { return "" CODEC_PLAIN_MESSAGES(NAME_OF) NAME_OF(order, ORDER); }
const char *echo_outer_names(void) { return "" CODEC_OUTER_MESSAGES(NAME_OF); }

/* ---- Messages around messages -------------------------------------------------------------------------------------- */

/* An Order becomes EventRecord.orders of this command and, from those bytes, SubmitResponse.outcomes. */
int64_t echo_order_twice(const uint8_t *bytes, uint32_t length, uint32_t command, uint8_t *events, uint8_t *answers,
                   int64_t *answers_length) {
    struct wire_reader reader = wire_reader_of(bytes, length);
    struct codec_order order;
    if (!echo_read_order(&reader, &order)) return -1;
    struct codec_bytes encoded;
    /* Every other time it is as it was expected to be. */
    struct codec_number now_us = codec_number(command & 2 ? (uint64_t)order.updated_us : command);
    uint8_t *end = codec_put_order_event_in(events, command, &order, &now_us, &encoded);
    struct codec_outcome outcome = {.created_id = command, .repeated = command & 1};
    struct codec_bytes orders[CODEC_GROUP] = {encoded};
    *answers_length = codec_put_outcome_in(answers, &outcome, orders) - answers;
    return end - events;
}

/* A TradeEvent becomes EventRecord.trades and, from those bytes, SubmitResponse.trades of another command. */
int64_t echo_trade_twice(const uint8_t *bytes, uint32_t length, uint32_t command, uint8_t *events, uint8_t *answers,
                   int64_t *answers_length) {
    struct wire_reader reader = wire_reader_of(bytes, length);
    struct codec_trade_event trade;
    if (!echo_read_trade_event(&reader, &trade)) return -1;
    uint8_t *end = codec_put_trade_event_in(events, EVENT_RECORD_TRADES_TAG, &trade);
    *answers_length = codec_put_trade_again_in(answers, SUBMIT_RESPONSE_TRADES_TAG, command, events) - answers;
    return end - events;
}

/* ---- Batches ------------------------------------------------------------------------------------------------------- */

static uint8_t *put_bytes_field(uint8_t *at, uint32_t tag, struct codec_bytes bytes) {
    return bytes.length ? wire_put_bytes(wire_put_tag(at, tag), bytes.at, bytes.length) : at;
}

static uint8_t *put_number_field(uint8_t *at, uint32_t tag, uint64_t value) {
    return value ? wire_put(wire_put_tag(at, tag), value) : at;
}

static uint8_t *put_set_fees(uint8_t *body, const struct codec_set_fees *set) {
    uint8_t *at = put_number_field(body, SET_FEES_INSTRUMENT_TAG, set->instrument);
    return codec_put_fee_rate_in(at, SET_FEES_FEE_TAG, &set->fee);
}

static uint8_t *put_replacement(uint8_t *body, const struct codec_sent *sent) {
    struct codec_replace_order replacement;
    codec_read_replacement(sent, &replacement);
    uint8_t *at = put_number_field(body, REPLACE_ORDER_ORDER_ID_TAG, replacement.order_id);
    at = put_bytes_field(at, REPLACE_ORDER_CLIENT_ORDER_ID_TAG, replacement.client_order_id);
    return codec_put_place_order_in(at, REPLACE_ORDER_ORDER_TAG, &replacement.order);
}

static uint8_t *put_group(uint8_t *body, const struct codec_sent *sent) {
    struct codec_place_group group;
    codec_read_group(sent, &group);
    uint8_t *at = put_number_field(body, PLACE_GROUP_KIND_TAG, group.kind);
    at = codec_put_place_order_in(at, PLACE_GROUP_FIRST_TAG, &group.first);
    at = codec_put_place_order_in(at, PLACE_GROUP_SECOND_TAG, &group.second);
    return codec_group_size(&group) == 2 ? at : codec_put_place_order_in(at, PLACE_GROUP_THIRD_TAG, &group.third);
}

/* Long because there is a line for each kind of command. */
static uint8_t *put_kind(uint8_t *at, const struct codec_command *command) {
    uint8_t *body = wire_put_tag(at, command->kind << 3 | WIRE_LENGTH) + 1;
    struct codec_instrument instrument;
#define PUT_KIND(name, NAME) \
    case COMMAND_##NAME: \
        return codec_put_##name##_in(at, COMMAND_##NAME##_TAG, &command->name);
    switch (command->kind) {
        PUT_KIND(place_order, PLACE_ORDER)
        PUT_KIND(amend_order, AMEND_ORDER)
        PUT_KIND(cancel_order, CANCEL_ORDER)
        PUT_KIND(cancel_all, CANCEL_ALL)
        PUT_KIND(credit, CREDIT)
        PUT_KIND(debit, DEBIT)
        PUT_KIND(set_phase, SET_PHASE)
        PUT_KIND(set_limits, SET_LIMITS)
        PUT_KIND(set_account, SET_ACCOUNT)
        PUT_KIND(set_sizes, SET_SIZES)
        PUT_KIND(use_rules, USE_RULES)
        PUT_KIND(set_clock, SET_CLOCK)
        PUT_KIND(set_guards, SET_GUARDS)
        PUT_KIND(set_mark, SET_MARK)
        PUT_KIND(set_dead_man, SET_DEAD_MAN)
        PUT_KIND(kill, KILL)
        PUT_KIND(set_fee_market, SET_FEE_MARKET)
        PUT_KIND(halt, HALT)
        PUT_KIND(resume, RESUME)
    case COMMAND_REPLACE_ORDER:
        return wire_close(body, put_replacement(body, &command->replace_order));
    case COMMAND_PLACE_GROUP:
        return wire_close(body, put_group(body, &command->place_group));
    case COMMAND_SET_FEES:
        return wire_close(body, put_set_fees(body, &command->set_fees));
    case COMMAND_ADD_ASSET:
        return wire_close(body, codec_put_asset_in(body, ADD_ASSET_ASSET_TAG, &command->add_asset.asset));
    case COMMAND_ADD_INSTRUMENT:
        codec_read_instrument(&command->add_instrument, &instrument);
        return wire_close(body, codec_put_instrument_in(body, ADD_INSTRUMENT_INSTRUMENT_TAG, &instrument));
    default:
        return wire_close(body, body);
    }
}

static uint8_t *put_command(uint8_t *at, const struct codec_command *command) {
    uint8_t *body = wire_put_tag(at, SUBMIT_REQUEST_COMMANDS_TAG) + 1;
    at = put_bytes_field(body, COMMAND_REQUEST_ID_TAG, command->request_id);
    at = put_number_field(at, COMMAND_CAUSATION_TAG, command->causation);
    at = put_bytes_field(at, COMMAND_TRACE_TAG, command->trace);
    at = put_number_field(at, COMMAND_ACCOUNT_TAG, command->account);
    at = put_number_field(at, COMMAND_VALID_UNTIL_US_TAG, (uint64_t)command->valid_until_us);
    return wire_close(body, put_kind(at, command));
}

static uint8_t *put_batch(uint8_t *at, struct codec_batch batch) {
    at = put_number_field(at, SUBMIT_REQUEST_SESSION_TAG, batch.session);
    at = put_number_field(at, SUBMIT_REQUEST_NUMBER_TAG, batch.number);
    at = put_number_field(at, SUBMIT_REQUEST_SOURCE_TAG, batch.source);
    struct codec_command command;
    while (codec_batch_next(&batch, &command)) at = put_command(at, &command);
    return at;
}

/* Check and walk one SubmitRequest as it would stand in a record. The length written, or -1 - where if it is refused. */
int64_t echo_batch(const uint8_t *bytes, uint32_t length, struct core_batch *found, uint8_t *out) {
    struct wire_reader copy = copy_exactly(bytes, length);
    uint32_t where;
    int64_t written;
    if (core_check(copy.at, length, found, &where) == CORE_OK) {
        struct wire_reader reader = copy;
        written = put_batch(out, batch_head(reader)) - out;
    } else {
        written = -1 - (int64_t)where;
    }
    free((void *)copy.at);
    return written;
}

/* Check and walk a CommandRecord. The batches are written behind each other, a length of four bytes before each. */
int64_t echo_record(const uint8_t *bytes, uint32_t length, uint32_t *shard, uint8_t *out) {
    struct wire_reader copy = copy_exactly(bytes, length);
    struct codec_record record;
    uint32_t where;
    uint8_t *at = out;
    if (codec_record_check(copy.at, length, &record, &where) != CORE_OK) {
        free((void *)copy.at);
        return -1 - (int64_t)where;
    }
    *shard = record.shard;
    struct codec_batch batch;
    while (codec_record_next(&record, &batch)) {
        uint8_t *end = put_batch(at + 4, batch);
        uint32_t size = (uint32_t)(end - at - 4);
        memcpy(at, &size, 4);
        at = end;
    }
    free((void *)copy.at);
    return at - out;
}
