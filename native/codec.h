/* Protobuf wire format to fixed structs and back, for the messages the core reads and writes.
 *
 * Field numbers, kinds and ranges of enums come from proto/ by way of gen/c/fields.h; nothing here repeats them. A struct
 * `codec_m` has one member for each field of message M under the field's name, except fields that are messages.
 *
 * Reading takes two passes. codec_record_check (and core_check, for one batch, in core_api.h) goes over bytes from
 * anywhere and refuses what is not well formed; it never reads outside them. Then the walk, codec_record_next and
 * codec_batch_next, decodes one command at a time; it may only be given what was checked, and cannot fail. So that nothing is
 * read twice, codec_record_keep keeps what it read of the first commands, which is all of most records. Bytes are not copied:
 * byte strings point into the record, and mean something as long as the record stays where it is.
 *
 * What is refused, beyond broken wire format: a field that the contract does not have; a field that is not repeated but
 * stands there twice (so that bytes have one meaning and nothing needs to be remembered); a number that does not fit the
 * field; a bool that is not 0 or 1; an enum value that the contract does not have; and what the rules of a batch, a command
 * and its kind exclude, which are listed in codec_shape.c above the functions that check them. Fields may come in any order.
 *
 * Writing is a set of functions which look at nothing: the caller has made sure of CODEC_M_BYTES of room for each message.
 * They return the place after what they wrote, and may scribble over the rest of the room. Fields that are zero are left
 * out, as protobuf does. Pieces of one message are that message when they stand behind each other, so a message may be
 * written field by field: codec_put_event_record, say, at the beginning of a part for what is known then and at its end
 * for the rest, with entries of its lists in between in any order. */

#ifndef BOURSE_CODEC_H
#define BOURSE_CODEC_H

#include <stdbool.h>
#include <stdint.h>

#include "../gen/c/fields.h"
#include "../gen/c/refusals.h"
#include "core_api.h"

/* ---- Messages as structs -------------------------------------------------------------------------------------- */

/* Bytes that stand somewhere else. */
struct codec_bytes {
    const uint8_t *at;
    uint32_t length;
};

/* The longest the contract lets a string be; and the most fee rates an instrument may have. */
#define CODEC_REQUEST_ID 16
#define CODEC_TRACE 64
#define CODEC_CLIENT_ORDER_ID 36
#define CODEC_CODE 64
#define CODEC_SYMBOL 64
#define CODEC_FEES 16
/* The highest price that an order may wait for, or that an exit may have, which no notional limits. */
#define CODEC_MOST_TICKS (INT64_C(1) << 62)
/* The greatest distance of a trailing stop, parts per million. */
#define CODEC_MOST_TRAIL_PPM 500000
/* The most orders in a group. */
#define CODEC_GROUP 3
/* The highest source. */
#define CODEC_LAST_SOURCE 255

/* How a field stands in a struct. Messages inside others have no member; who needs them has a struct below. */
#define CODEC_MEMBER_UINT32(name) uint32_t name;
#define CODEC_MEMBER_UINT64(name) uint64_t name;
#define CODEC_MEMBER_INT64(name) int64_t name;
#define CODEC_MEMBER_SINT32(name) int32_t name;
#define CODEC_MEMBER_SINT64(name) int64_t name;
#define CODEC_MEMBER_FIXED64(name) uint64_t name;
#define CODEC_MEMBER_BOOL(name) bool name;
#define CODEC_MEMBER_ENUM(name) uint8_t name;
#define CODEC_MEMBER_STRING(name) struct codec_bytes name;
#define CODEC_MEMBER_BYTES(name) struct codec_bytes name;
#define CODEC_MEMBER_MESSAGE(name)
#define CODEC_MEMBER_ONEOF_MESSAGE(name)
#define CODEC_MEMBER_REPEATED_MESSAGE(name)
#define CODEC_MEMBER(name, number, kind, of) CODEC_MEMBER_##kind(name)
_Static_assert(REFUSAL_LAST < 256 && PHASE_LAST < 256, "an enum is kept in a byte");

/* Messages that hold nothing but scalars and strings: X(name, NAME). */
#define CODEC_PLAIN_MESSAGES(X) \
    X(place_order, PLACE_ORDER) X(amend_order, AMEND_ORDER) X(cancel_order, CANCEL_ORDER) X(cancel_all, CANCEL_ALL) \
    X(credit, CREDIT) X(debit, DEBIT) X(set_phase, SET_PHASE) X(set_limits, SET_LIMITS) \
    X(set_account, SET_ACCOUNT) X(set_sizes, SET_SIZES) X(use_rules, USE_RULES) X(set_clock, SET_CLOCK) \
    X(asset, ASSET) X(fee_rate, FEE_RATE) X(balance, BALANCE) X(level, LEVEL) \
    X(batch_mark, BATCH_MARK) X(command_mark, COMMAND_MARK) X(trade_event, TRADE_EVENT) X(level_event, LEVEL_EVENT) \
    X(balance_event, BALANCE_EVENT) X(move_event, MOVE_EVENT) X(account_event, ACCOUNT_EVENT) \
    X(auction_event, AUCTION_EVENT) X(cancelled_order, CANCELLED_ORDER) X(get_account_response, GET_ACCOUNT_RESPONSE) \
    X(set_guards, SET_GUARDS) X(set_mark, SET_MARK) X(set_dead_man, SET_DEAD_MAN) X(kill, KILL) \
    X(set_fee_market, SET_FEE_MARKET) X(halt, HALT) X(resume, RESUME)

/* Messages whose struct has their scalars only; their messages are put behind them by codec_put_..._in. */
#define CODEC_OUTER_MESSAGES(X) \
    X(event_record, EVENT_RECORD) X(submit_response, SUBMIT_RESPONSE) X(outcome, OUTCOME) \
    X(get_order_response, GET_ORDER_RESPONSE) X(list_open_orders_response, LIST_OPEN_ORDERS_RESPONSE) \
    X(get_balances_response, GET_BALANCES_RESPONSE) X(get_depth_response, GET_DEPTH_RESPONSE) \
    X(watch_markets_response, WATCH_MARKETS_RESPONSE) X(verify_response, VERIFY_RESPONSE)

#define CODEC_STRUCT(name, NAME) \
    struct codec_##name { \
        NAME##_FIELDS(CODEC_MEMBER) \
    };
CODEC_PLAIN_MESSAGES(CODEC_STRUCT)
CODEC_OUTER_MESSAGES(CODEC_STRUCT)

/* What stands behind `sequence` only some orders have. It means something, and need be set, only where has_more is. */
struct codec_order {
    bool has_more;
    ORDER_FIELDS(CODEC_MEMBER)
};

struct codec_instrument {
    INSTRUMENT_FIELDS(CODEC_MEMBER)
    uint32_t fee_count;
    struct codec_fee_rate fees[CODEC_FEES];
};

struct codec_set_fees {
    SET_FEES_FIELDS(CODEC_MEMBER)
    struct codec_fee_rate fee;
};

struct codec_replace_order {
    REPLACE_ORDER_FIELDS(CODEC_MEMBER)
    struct codec_place_order order;
};

/* The third is all zero where there are two. */
struct codec_place_group {
    PLACE_GROUP_FIELDS(CODEC_MEMBER)
    struct codec_place_order first, second, third;
};
static inline uint32_t codec_group_size(const struct codec_place_group *group) {
    return group->third.side == SIDE_UNSPECIFIED ? 2 : 3;
}

struct codec_add_asset {
    struct codec_asset asset;
};

/* What is longer than all else a command says, and rare, stays as it was sent, for codec_read_instrument and its like. */
struct codec_sent {
    struct codec_bytes sent;
};

/* A message without fields. */
struct codec_nothing {
    uint8_t unused;
};

/* ---- Reading -------------------------------------------------------------------------------------------------- */

/* A kind of command in a set of kinds. */
#define CODEC_KIND(kind) (UINT64_C(1) << (kind))

/* A command record and how far it was walked. */
struct codec_record {
    uint32_t shard;
    uint32_t batches; /* how many there are */
    uint64_t kinds;   /* a bit for each kind of command in it: CODEC_KIND(COMMAND_TICK) and so on */
    uint32_t walked;  /* commands of the batches walked so far */
    const uint8_t *at;
    const uint8_t *end;
};

/* A batch and how far it was walked. Outside sessions and sources all three are 0. */
struct codec_batch {
    uint64_t session;
    uint64_t number;
    uint32_t source;
    uint32_t commands; /* how many there are */
    uint32_t next;     /* the next one's index in the record, and that behind its last one */
    uint32_t last;
    const uint8_t *at;
    const uint8_t *end;
};

/* One command. `kind` is the number of its field in Command: COMMAND_PLACE_ORDER and so on, which are the values of
 * enum command_kind; COMMAND_TICK is the one that is not among them. It says which member of the union means something. */
struct codec_command {
    struct codec_bytes request_id; /* 16 bytes; a tick may have none */
    uint64_t causation;
    struct codec_bytes trace;
    uint32_t account;
    uint16_t kind;
    uint16_t envelope; /* if not 0: so many bytes around the request id are what stands above, as codec_put_mark_in would write it */
    int64_t valid_until_us;
    union {
        struct codec_place_order place_order;
        struct codec_amend_order amend_order;
        struct codec_cancel_order cancel_order;
        struct codec_cancel_all cancel_all;
        struct codec_credit credit;
        struct codec_debit debit;
        struct codec_nothing open_session, close_session, tick;
        struct codec_add_asset add_asset;
        struct codec_sent add_instrument;
        struct codec_set_phase set_phase;
        struct codec_set_limits set_limits;
        struct codec_set_fees set_fees;
        struct codec_set_account set_account;
        struct codec_set_sizes set_sizes;
        struct codec_use_rules use_rules;
        struct codec_set_clock set_clock;
        struct codec_sent replace_order, place_group;
        struct codec_set_guards set_guards;
        struct codec_set_mark set_mark;
        struct codec_set_dead_man set_dead_man;
        struct codec_kill kill;
        struct codec_set_fee_market set_fee_market;
        struct codec_halt halt;
        struct codec_resume resume;
    };
};
_Static_assert(sizeof(struct codec_command) <= 192, "a command stays short, whatever its kind: a thousand are kept");

/* The first commands of a record as the check read them, so that the walk need not read them again. They mean something as long
 * as the record stays where it is; with a count of 0 nothing is kept. */
#define CODEC_KEPT 1024u
struct codec_kept {
    uint32_t count;
    const uint8_t *ends[CODEC_KEPT]; /* where each ends in the record */
    struct codec_command commands[CODEC_KEPT];
};

/* Is this a command record whose batches core_check would all let through? Fills `record` for the walk and returns
 * CORE_OK, or CORE_FOREIGN with the offset of what is wrong in `where`. That its shard is ours is the caller's to check. A
 * record without batches is well formed. */
int codec_record_check(const uint8_t *bytes, uint32_t length, struct codec_record *record, uint32_t *where);

/* The same, and keeps what it read. */
int codec_record_keep(const uint8_t *bytes, uint32_t length, struct codec_record *record, struct codec_kept *kept,
                      uint32_t *where);

/* The next batch of a checked record, or false after the last. */
bool codec_record_next(struct codec_record *record, struct codec_batch *batch);

/* The next command of a batch, or false after the last. The bytes of the command are to be had as they stand in
 * [batch->at before the call, batch->at after it). */
bool codec_batch_next(struct codec_batch *batch, struct codec_command *command);

/* The same from what was kept; NULL if the command is not there. */
const struct codec_command *codec_batch_next_kept(struct codec_batch *batch, const struct codec_kept *kept);

/* The instrument of a checked command. */
void codec_read_instrument(const struct codec_sent *command, struct codec_instrument *instrument);

/* The replacement and the group of checked commands. */
void codec_read_replacement(const struct codec_sent *command, struct codec_replace_order *replacement);
void codec_read_group(const struct codec_sent *command, struct codec_place_group *group);

/* ---- Writing -------------------------------------------------------------------------------------------------- */

/* The most a field takes, tag included. Tags are one byte up to field 15, else two. */
#define CODEC_TAG(number) ((number) < 16 ? 1 : 2)
#define CODEC_MOST_UINT32(name) 5
#define CODEC_MOST_UINT64(name) 10
#define CODEC_MOST_INT64(name) 10
#define CODEC_MOST_SINT32(name) 5
#define CODEC_MOST_SINT64(name) 10
#define CODEC_MOST_FIXED64(name) 8
#define CODEC_MOST_BOOL(name) 1
#define CODEC_MOST_ENUM(name) 2
#define CODEC_MOST_STRING(name) (1 + CODEC_MOST_##name)
#define CODEC_MOST_BYTES(name) (1 + CODEC_MOST_##name)
#define CODEC_MOST_MESSAGE(name) 0
#define CODEC_MOST_ONEOF_MESSAGE(name) 0
#define CODEC_MOST_REPEATED_MESSAGE(name) 0
#define CODEC_MOST(name, number, kind, of) +CODEC_TAG(number) + CODEC_MOST_##kind(name)
#define CODEC_MOST_request_id CODEC_REQUEST_ID
#define CODEC_MOST_trace CODEC_TRACE
#define CODEC_MOST_client_order_id CODEC_CLIENT_ORDER_ID
#define CODEC_MOST_taker_client_order_id CODEC_CLIENT_ORDER_ID
#define CODEC_MOST_maker_client_order_id CODEC_CLIENT_ORDER_ID
#define CODEC_MOST_code CODEC_CODE
#define CODEC_MOST_symbol CODEC_SYMBOL
#define CODEC_MOST_detail 120 /* the core writes none */
#define CODEC_MOST_broken 120

/* A number is written eight bytes at a time, so a message may scribble this far over its end. */
#define CODEC_SLACK 8
/* What is copied of an envelope, which is no longer: 16 bytes of request id, an account and a deadline, each with its tag. */
#define CODEC_ENVELOPE 40
/* What stands before a message that is a field of another: its tag and its length. */
#define CODEC_HEAD_BYTES 4

/* Room for each message as a field of another: CODEC_PLACE_ORDER_BYTES and so on, everything included. */
#define CODEC_ROOM(name, NAME) CODEC_##NAME##_BYTES = CODEC_HEAD_BYTES + CODEC_SLACK NAME##_FIELDS(CODEC_MOST),
enum {
    CODEC_PLAIN_MESSAGES(CODEC_ROOM) CODEC_OUTER_MESSAGES(CODEC_ROOM)
    CODEC_ROOM(order, ORDER)
    CODEC_INSTRUMENT_BYTES = CODEC_HEAD_BYTES + CODEC_SLACK INSTRUMENT_FIELDS(CODEC_MOST) + CODEC_FEES * CODEC_FEE_RATE_BYTES,
    CODEC_ORDER_EVENT_BYTES = CODEC_HEAD_BYTES + 6 + CODEC_ORDER_BYTES,
    CODEC_ASSET_EVENT_BYTES = CODEC_HEAD_BYTES + 6 + CODEC_ASSET_BYTES,
    CODEC_INSTRUMENT_EVENT_BYTES = CODEC_HEAD_BYTES + 6 + CODEC_INSTRUMENT_BYTES,
    CODEC_WHOLE_OUTCOME_BYTES = CODEC_OUTCOME_BYTES + CODEC_GROUP * CODEC_ORDER_BYTES,
};

/* What the events of any one elementary change take at most, with the marks of the command and the batch and the end of
 * the part. A part is closed when less is left. It is a number of its own, above the sum of the worst cases, because it
 * decides where parts end: were it computed, a new field in the contract would change the parts of old records. */
#define CODEC_STEP_BYTES 4096

/* `codec_put_m` writes the fields of a message, `codec_put_m_in` a whole message as a field of another: tag, length, fields.
 * The tag is a constant of fields.h: codec_put_trade_event_in(at, EVENT_RECORD_TRADES_TAG, &trade). */
#define CODEC_PUT(name, NAME) \
    uint8_t *codec_put_##name(uint8_t *at, const struct codec_##name *from); \
    uint8_t *codec_put_##name##_in(uint8_t *at, uint32_t tag, const struct codec_##name *from);
CODEC_PLAIN_MESSAGES(CODEC_PUT)
CODEC_PUT(order, ORDER)
CODEC_PUT(instrument, INSTRUMENT)

/* These are never a field of another. */
#define CODEC_PUT_OUTER(name, NAME) uint8_t *codec_put_##name(uint8_t *at, const struct codec_##name *from);
CODEC_OUTER_MESSAGES(CODEC_PUT_OUTER)

/* A number that is said again and again, and how it stands on the wire; value 0: none. */
struct codec_number {
    uint64_t value;
    uint64_t bytes;
    uint32_t length;
};
struct codec_number codec_number(uint64_t value);

/* EventRecord.orders, .assets, .instruments. Of an order its first six fields are set; `now_us` is what its times probably are. `encoded` receives the Order as it was written, for
 * codec_put_outcome_in: it stands in the buffer of events. */
uint8_t *codec_put_order_event_in(uint8_t *at, uint32_t command, const struct codec_order *order,
                                  const struct codec_number *now_us, struct codec_bytes *encoded);
uint8_t *codec_put_asset_event_in(uint8_t *at, uint32_t command, const struct codec_asset *asset);
uint8_t *codec_put_instrument_event_in(uint8_t *at, uint32_t command, const struct codec_instrument *instrument);

/* EventRecord.commands. What a mark shares with its command comes from there, and is not looked at in `mark`. */
uint8_t *codec_put_mark_in(uint8_t *at, const struct codec_command *command, const struct codec_command_mark *mark);

/* SubmitResponse.trades: the same trade under another command index, copied from where codec_put_trade_event_in began to
 * write it. */
uint8_t *codec_put_trade_again_in(uint8_t *at, uint32_t tag, uint32_t command, const uint8_t *written);

/* SubmitResponse.outcomes. The first of `orders` is the outcome's order, the rest its others: each an Order as
 * codec_put_order_event_in left it or as codec_put_order wrote it; length 0 for none. Room: CODEC_WHOLE_OUTCOME_BYTES. */
uint8_t *codec_put_outcome_in(uint8_t *at, const struct codec_outcome *outcome, const struct codec_bytes orders[CODEC_GROUP]);

#endif
