/* A codec without a wire format, to measure a core without one; see record.h and codec.h, whose functions these are.
 *
 * A record is a head and its commands, each a length and so much of struct codec_command as its kind uses. What the core says
 * is written as the structs it says it with, behind tag and length. Byte strings stay pointers, so nobody may read events of
 * names afterwards. Only what a record_write made may be read: nothing is checked. */

#include "codec.h"

#include <stddef.h>
#include <string.h>

#include "record.h"

const char *const record_form = "structs";

struct head {
    struct travel travel;
    uint32_t commands;
    uint32_t unused;
};

/* ---- Reading -------------------------------------------------------------------------------------------------- */

/* How much of a command its kind uses, a whole number of eight bytes. */
static size_t size_of(uint32_t kind) {
    size_t body = sizeof(struct codec_command) - offsetof(struct codec_command, place_order);
    if (kind == COMMAND_PLACE_ORDER) body = sizeof(struct codec_place_order);
    if (kind == COMMAND_AMEND_ORDER) body = sizeof(struct codec_amend_order);
    if (kind == COMMAND_CANCEL_ORDER) body = sizeof(struct codec_cancel_order);
    return (offsetof(struct codec_command, place_order) + body + 7) & ~(size_t)7;
}

/* Constant sizes become a few moves. */
static void copy_command(void *to, const void *from, uint32_t kind) {
    switch (kind) {
    case COMMAND_PLACE_ORDER: memcpy(to, from, size_of(COMMAND_PLACE_ORDER)); break;
    case COMMAND_AMEND_ORDER: memcpy(to, from, size_of(COMMAND_AMEND_ORDER)); break;
    case COMMAND_CANCEL_ORDER: memcpy(to, from, size_of(COMMAND_CANCEL_ORDER)); break;
    default: memcpy(to, from, sizeof(struct codec_command));
    }
}

uint32_t record_write(uint8_t *at, struct travel travel, const struct codec_command *commands, uint32_t count) {
    struct head head = {travel, count, 0};
    uint8_t *end = at + sizeof head;
    memcpy(at, &head, sizeof head);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t kind = commands[i].kind;
        memcpy(end, &kind, sizeof kind);
        copy_command(end + sizeof kind, &commands[i], commands[i].kind);
        end += sizeof kind + size_of(commands[i].kind);
    }
    return (uint32_t)(end - at);
}

static uint64_t kind_at(const uint8_t *at) {
    uint64_t kind;
    memcpy(&kind, at, sizeof kind);
    return kind;
}

/* Nothing is kept: the walk reads a struct where it stands. Records of settings hold settings of one kind; those of orders need
 * none of what the kinds are looked at for. */
int codec_record_keep(const uint8_t *bytes, uint32_t length, struct codec_record *record, struct codec_kept *kept,
                      uint32_t *where) {
    uint32_t kind = (uint32_t)kind_at(bytes + sizeof(struct head));
    *record = (struct codec_record){.batches = 1, .kinds = UINT32_C(1) << kind, .at = bytes, .end = bytes + length};
    if (kept) kept->count = 0;
    *where = 0;
    return CORE_OK;
}

int codec_record_check(const uint8_t *bytes, uint32_t length, struct codec_record *record, uint32_t *where) {
    return codec_record_keep(bytes, length, record, NULL, where);
}

bool codec_record_next(struct codec_record *record, struct codec_batch *batch) {
    struct head head;
    if (record->at == record->end) return false;
    memcpy(&head, record->at, sizeof head);
    *batch = (struct codec_batch){
        .session = head.travel.session,
        .number = head.travel.number,
        .source = head.travel.source,
        .commands = head.commands,
        .at = record->at + sizeof head,
        .end = record->end,
    };
    record->at = record->end;
    return true;
}

bool codec_batch_next(struct codec_batch *batch, struct codec_command *command) {
    if (batch->at == batch->end) return false;
    uint32_t kind = (uint32_t)kind_at(batch->at);
    copy_command(command, batch->at + sizeof(uint64_t), kind);
    batch->at += sizeof(uint64_t) + size_of(kind);
    return true;
}

const struct codec_command *codec_batch_next_kept(struct codec_batch *batch, const struct codec_kept *kept) {
    (void)batch, (void)kept;
    return NULL;
}

void codec_read_instrument(const struct codec_sent *from, struct codec_instrument *instrument) {
    memcpy(instrument, from->sent.at, sizeof *instrument);
}

/* No market here has any. */
void codec_read_replacement(const struct codec_sent *from, struct codec_replace_order *replacement) {
    memcpy(replacement, from->sent.at, sizeof *replacement);
}

void codec_read_group(const struct codec_sent *from, struct codec_place_group *group) {
    memcpy(group, from->sent.at, sizeof *group);
}

int core_check(const uint8_t *bytes, uint32_t length, struct core_batch *batch, uint32_t *where) {
    (void)bytes, (void)length, (void)batch;
    *where = 0;
    return CORE_FOREIGN;
}

/* ---- Writing -------------------------------------------------------------------------------------------------- */

struct field {
    uint32_t tag;
    uint32_t length;
};

static inline uint8_t *put(uint8_t *at, const void *from, size_t size) {
    memcpy(at, from, size);
    return at + size;
}

static inline uint8_t *put_head(uint8_t *at, uint32_t tag, size_t size) {
    struct field field = {tag, (uint32_t)size};
    return put(at, &field, sizeof field);
}

/* A core makes sure of room for what the wire format takes at most: a struct may not take more. */
#define WRITER(name, NAME) \
    uint8_t *codec_put_##name(uint8_t *at, const struct codec_##name *from) { \
        _Static_assert(sizeof(struct field) + sizeof *from <= CODEC_##NAME##_BYTES, "there is room"); \
        return put(at, from, sizeof *from); \
    }
#define WRITER_IN(name, NAME) \
    uint8_t *codec_put_##name##_in(uint8_t *at, uint32_t tag, const struct codec_##name *from) { \
        return put(put_head(at, tag, sizeof *from), from, sizeof *from); \
    }
CODEC_PLAIN_MESSAGES(WRITER)
CODEC_PLAIN_MESSAGES(WRITER_IN)
CODEC_OUTER_MESSAGES(WRITER)
WRITER(order, ORDER)
WRITER_IN(order, ORDER)
WRITER(instrument, INSTRUMENT)
WRITER_IN(instrument, INSTRUMENT)

struct codec_number codec_number(uint64_t value) { return (struct codec_number){.value = value}; }

/* Constant sizes become a few moves. */
static inline uint8_t *put_order(uint8_t *at, const struct codec_order *order) {
    if (order->has_more) return put(at, order, sizeof *order);
    return put(at, order, offsetof(struct codec_order, trigger_ticks));
}

uint8_t *codec_put_order_event_in(uint8_t *at, uint32_t command, const struct codec_order *order,
                                  const struct codec_number *now_us, struct codec_bytes *encoded) {
    uint8_t *body = at + sizeof(struct field);
    uint8_t *end = put_order(body, order);
    (void)now_us;
    put_head(at, command, (size_t)(end - body));
    encoded->at = body;
    encoded->length = (uint32_t)(end - body);
    return end;
}

uint8_t *codec_put_mark_in(uint8_t *at, const struct codec_command *command, const struct codec_command_mark *mark) {
    const size_t envelope = offsetof(struct codec_command, place_order), kind = offsetof(struct codec_command_mark, kind);
    uint8_t *body = put_head(at, EVENT_RECORD_COMMANDS_TAG, envelope + sizeof *mark - kind);
    return put(put(body, command, envelope), (const uint8_t *)mark + kind, sizeof *mark - kind);
}

uint8_t *codec_put_asset_event_in(uint8_t *at, uint32_t command, const struct codec_asset *asset) {
    return codec_put_asset_in(at, command, asset);
}

uint8_t *codec_put_instrument_event_in(uint8_t *at, uint32_t command, const struct codec_instrument *instrument) {
    return codec_put_instrument_in(at, command, instrument);
}

uint8_t *codec_put_trade_again_in(uint8_t *at, uint32_t tag, uint32_t command, const uint8_t *written) {
    (void)command;
    return put(put_head(at, tag, sizeof(struct codec_trade_event)), written + sizeof(struct field), sizeof(struct codec_trade_event));
}

uint8_t *codec_put_outcome_in(uint8_t *at, const struct codec_outcome *outcome, const struct codec_bytes orders[CODEC_GROUP]) {
    uint32_t length = 0;
    for (uint32_t i = 0; i < CODEC_GROUP; i++) length += orders[i].length;
    uint8_t *body = put_head(at, SUBMIT_RESPONSE_OUTCOMES_TAG, sizeof *outcome + length);
    for (uint32_t i = 0; i < CODEC_GROUP; i++) {
        if (orders[i].length) body = put(body, orders[i].at, orders[i].length);
    }
    return put(body, outcome, sizeof *outcome);
}
