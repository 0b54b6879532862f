/* Command records in protobuf's wire format, as a gateway makes them; see record.h. */

#include "record.h"

#include <assert.h>
#include <string.h>

#include "codec_wire.h"

const char *const record_form = "protobuf";

/* A whole batch has a length of three bytes, as batches of more than 16 KB have anyhow. */
enum { BATCH_LENGTH_BYTES = 3 };

/* A message below 16 KB: wire_close gives it its length. */
static uint8_t *open_message(uint8_t *at, uint32_t tag) { return wire_put_tag(at, tag) + 1; }

static uint8_t *put_market(uint8_t *at, const struct codec_instrument *instrument) {
    uint8_t *body = open_message(at, COMMAND_ADD_INSTRUMENT_TAG);
    return wire_close(body, codec_put_instrument_in(body, ADD_INSTRUMENT_INSTRUMENT_TAG, instrument));
}

static uint8_t *put_asset(uint8_t *at, const struct codec_asset *asset) {
    uint8_t *body = open_message(at, COMMAND_ADD_ASSET_TAG);
    return wire_close(body, codec_put_asset_in(body, ADD_ASSET_ASSET_TAG, asset));
}

static uint8_t *put_body(uint8_t *at, const struct codec_command *command) {
    switch (command->kind) {
    case COMMAND_PLACE_ORDER: return codec_put_place_order_in(at, COMMAND_PLACE_ORDER_TAG, &command->place_order);
    case COMMAND_AMEND_ORDER: return codec_put_amend_order_in(at, COMMAND_AMEND_ORDER_TAG, &command->amend_order);
    case COMMAND_CANCEL_ORDER: return codec_put_cancel_order_in(at, COMMAND_CANCEL_ORDER_TAG, &command->cancel_order);
    case COMMAND_CANCEL_ALL: return codec_put_cancel_all_in(at, COMMAND_CANCEL_ALL_TAG, &command->cancel_all);
    case COMMAND_CREDIT: return codec_put_credit_in(at, COMMAND_CREDIT_TAG, &command->credit);
    case COMMAND_SET_SIZES: return codec_put_set_sizes_in(at, COMMAND_SET_SIZES_TAG, &command->set_sizes);
    case COMMAND_ADD_ASSET: return put_asset(at, &command->add_asset.asset);
    case COMMAND_ADD_INSTRUMENT: return put_market(at, record_market_of(command));
    default: /* without fields */ return wire_put(wire_put_tag(at, command->kind << 3 | WIRE_LENGTH), 0);
    }
}

static uint8_t *put_command(uint8_t *at, const struct codec_command *command) {
    uint8_t *body = open_message(at, SUBMIT_REQUEST_COMMANDS_TAG);
    uint8_t *end = wire_put_tag(body, COMMAND_REQUEST_ID_TAG);
    end = wire_put_bytes(end, command->request_id.at, command->request_id.length);
    end = wire_put(wire_put_tag(end, COMMAND_ACCOUNT_TAG), command->account);
    if (command->valid_until_us) end = wire_put(wire_put_tag(end, COMMAND_VALID_UNTIL_US_TAG), (uint64_t)command->valid_until_us);
    return wire_close(body, put_body(end, command));
}

uint32_t record_write(uint8_t *at, struct travel travel, const struct codec_command *commands, uint32_t count) {
    uint8_t *batch = wire_put_tag(at, COMMAND_RECORD_REQUESTS_TAG) + BATCH_LENGTH_BYTES;
    uint8_t *end = batch;
    if (travel.session) end = wire_put(wire_put_tag(end, SUBMIT_REQUEST_SESSION_TAG), travel.session);
    if (travel.number) end = wire_put(wire_put_tag(end, SUBMIT_REQUEST_NUMBER_TAG), travel.number);
    if (travel.source) end = wire_put(wire_put_tag(end, SUBMIT_REQUEST_SOURCE_TAG), travel.source);
    for (uint32_t i = 0; i < count; i++) end = put_command(end, &commands[i]);
    uint32_t length = (uint32_t)(end - batch);
    assert(length < 1u << 21);
    batch[-3] = (uint8_t)(length | 0x80);
    batch[-2] = (uint8_t)(length >> 7 | 0x80);
    batch[-1] = (uint8_t)(length >> 14);
    return (uint32_t)(end - at);
}
